use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, Expect, PutOutcome, Result, Root,
    RootName, RootStore, StoreInfo, Swap, attended,
};

/// Keeps at most so many requests in flight; others wait their turn, in order.
///
/// A batch is one request. A listing is one request for each item that it has to wait for and none in
/// between, so that `get` inside `list` works even with a limit of 1. Requests run in tasks of their own:
/// one that nobody polls still ends and gives its permit back. A dropped request gives it back at once.
/// Capabilities are the inner store's.
#[derive(Clone, Debug)]
pub struct Limit<S> {
    inner: Arc<S>,
    permits: Arc<Semaphore>,
    in_flight: usize,
}

impl<S> Limit<S> {
    /// Lets `in_flight` requests at once, at least one, through to `inner`.
    #[must_use]
    pub fn new(inner: S, in_flight: usize) -> Self {
        let in_flight = in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Self { inner: Arc::new(inner), permits: Arc::new(Semaphore::new(in_flight)), in_flight }
    }

    /// The store that the requests go to.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Runs `call` while it holds a permit.
    async fn run<T, F, W>(&self, op: &'static str, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<S>) -> W + Send,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let (permits, work) = (Arc::clone(&self.permits), call(Arc::clone(&self.inner)));
        attended(op, async move {
            let _permit = acquire(permits, op).await?;
            work.await
        })
        .await
    }

    fn limited<T: Send + 'static>(
        &self,
        op: &'static str,
        items: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let permits = Arc::clone(&self.permits);
        let item = move |items: Option<BoxStream<'static, Result<T>>>| {
            let permits = Arc::clone(&permits);
            async move {
                match next(op, permits, items?).await {
                    Ok((item, items)) => Some((item?, Some(items))),
                    Err(e) => Some((Err(e), None)),
                }
            }
        };
        stream::unfold(Some(items), item).fuse().boxed()
    }
}

type Next<T> = (Option<Result<T>>, BoxStream<'static, Result<T>>);

/// The next item and the rest. No poll without a permit: any poll may start a request. And no poll after
/// the item: it might start the next request, and nobody knows when the consumer comes back for it.
async fn next<T: Send + 'static>(
    op: &'static str,
    permits: Arc<Semaphore>,
    mut items: BoxStream<'static, Result<T>>,
) -> Result<Next<T>> {
    let permit = Arc::clone(&permits).try_acquire_owned().ok();
    if permit.is_some()
        && let Poll::Ready(item) = futures::poll!(items.next())
    {
        return Ok((item, items));
    }
    attended(op, async move {
        let _permit = match permit {
            Some(permit) => permit,
            None => acquire(permits, op).await?,
        };
        Ok((items.next().await, items))
    })
    .await
}

async fn acquire(permits: Arc<Semaphore>, op: &'static str) -> Result<OwnedSemaphorePermit> {
    permits.acquire_owned().await.map_err(|_| Error::new(ErrorKind::Closed, op, "the limit was closed"))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ChunkStore> ChunkStore for Limit<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.run("put", |inner| async move { inner.put(id, data).await }).await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.run("get", |inner| async move { inner.get(id).await }).await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.run("delete", |inner| async move { inner.delete(id).await }).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.limited("list", self.inner.list(after))
    }

    fn info(&self) -> StoreInfo {
        self.inner.info().wrapped("limit", self.in_flight)
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.run("stat", |inner| async move { inner.stat(id).await }).await
    }

    async fn flush(&self) -> Result<()> {
        self.run("flush", |inner| async move { inner.flush().await }).await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        let ids: Vec<_> = chunks.iter().map(|(id, _)| *id).collect();
        let batch = self.run("put_many", |inner| async move { Ok(inner.put_many(chunks).await) }).await;
        batch.unwrap_or_else(|e| for_each(&ids, &e))
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        let names = ids.clone();
        let batch = self.run("delete_many", |inner| async move { Ok(inner.delete_many(ids).await) }).await;
        batch.unwrap_or_else(|e| for_each(&names, &e))
    }
}

/// The error of a whole batch as each member's own.
fn for_each<T>(ids: &[ChunkId], e: &Error) -> Vec<Result<T>> {
    let own = |id: &ChunkId| Error::new(e.kind(), e.op(), "the batch did not run").with_chunk(*id);
    ids.iter().map(|id| Err(own(id))).collect()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: RootStore> RootStore for Limit<S> {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        let name = name.clone();
        self.run("load", |inner| async move { inner.load(&name).await }).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        let name = name.clone();
        self.run("swap", |inner| async move { inner.swap(&name, expect, new).await }).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.limited("names", self.inner.names())
    }
}
