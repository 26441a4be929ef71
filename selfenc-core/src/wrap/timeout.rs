use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use crate::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, Expect, PutOutcome, Result, Root,
    RootName, RootStore, StoreInfo, Swap, attended,
};

/// How many members of a batch share one operation's time.
const BATCH_SHARE: usize = 8;

/// Bounds how long an operation, or a listing's next item, may take; then it is dropped and the error is
/// [`ErrorKind::Timeout`], which a [`Retry`](super::Retry) around this tries again.
///
/// A batch gets the time of one operation for each eight members or part of them. A listing ends after its time-out. The
/// clock measures the store, not the caller: an operation goes on while nobody polls it, and nothing runs
/// between two items of a listing. Capabilities are the inner store's.
///
/// A timed-out write is ambiguous: it may have happened or may happen yet. Puts and deletes can simply be
/// repeated; a timed-out `swap` must be followed by a `load`, as
/// [`RootStoreExt::update`](crate::store::RootStoreExt::update) does.
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: Arc<S>,
    limit: Duration,
}

impl<S> Timeout<S> {
    /// Gives each operation of `inner` no more than `limit`.
    #[must_use]
    pub fn new(inner: S, limit: Duration) -> Self {
        Self { inner: Arc::new(inner), limit }
    }

    /// The store whose operations are bounded.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    async fn run<T, F, W>(&self, op: &'static str, id: Option<ChunkId>, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<S>) -> W + Send,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        bounded(op, id, self.limit, call(Arc::clone(&self.inner))).await
    }

    /// Runs a batch; if its time is up, every member gets an error of its own.
    async fn run_batch<T, F, W>(&self, op: &'static str, ids: Vec<ChunkId>, call: F) -> Vec<Result<T>>
    where
        T: Send + 'static,
        F: FnOnce(Arc<S>) -> W + Send,
        W: Future<Output = Vec<Result<T>>> + Send + 'static,
    {
        let shares = u32::try_from(ids.len().div_ceil(BATCH_SHARE)).unwrap_or(u32::MAX).max(1);
        let limit = self.limit.saturating_mul(shares);
        let batch = call(Arc::clone(&self.inner));
        let e = match bounded(op, None, limit, async move { Ok(batch.await) }).await {
            Ok(results) => return results,
            Err(e) => e,
        };
        let own = |id| match e.kind() {
            ErrorKind::Timeout => no_answer(op, Some(id), limit),
            kind => Error::new(kind, op, "the batch did not run").with_chunk(id),
        };
        ids.into_iter().map(|id| Err(own(id))).collect()
    }

    fn paced<T: Send + 'static>(
        &self,
        op: &'static str,
        items: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let limit = self.limit;
        let next = move |items: Option<BoxStream<'static, Result<T>>>| async move {
            let mut items = items?;
            if let Poll::Ready(item) = futures::poll!(items.next()) {
                return Some((item?, Some(items)));
            }
            match bounded(op, None, limit, async move { Ok((items.next().await, items)) }).await {
                Ok((item, items)) => Some((item?, Some(items))),
                Err(e) => Some((Err(e), None)),
            }
        };
        stream::unfold(Some(items), next).fuse().boxed()
    }
}

/// Runs `work` in a task of its own until it is done or `limit` is over. Its own, because else the clock
/// would run on while a caller that reads ahead does not poll.
async fn bounded<T: Send + 'static>(
    op: &'static str,
    id: Option<ChunkId>,
    limit: Duration,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let work = async move {
        let answer = tokio::time::timeout(limit, work).await;
        answer.unwrap_or_else(|_| Err(no_answer(op, id, limit)))
    };
    attended(op, work).await
}

fn no_answer(op: &'static str, id: Option<ChunkId>, limit: Duration) -> Error {
    let error = Error::new(ErrorKind::Timeout, op, format!("no answer within {limit:?}"));
    match id {
        Some(id) => error.with_chunk(id),
        None => error,
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ChunkStore> ChunkStore for Timeout<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.run("put", Some(id), |inner| async move { inner.put(id, data).await }).await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.run("get", Some(id), |inner| async move { inner.get(id).await }).await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.run("delete", Some(id), |inner| async move { inner.delete(id).await }).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.paced("list", self.inner.list(after))
    }

    fn info(&self) -> StoreInfo {
        self.inner.info().wrapped("timeout", format_args!("{:?}", self.limit))
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.run("stat", Some(id), |inner| async move { inner.stat(id).await }).await
    }

    async fn flush(&self) -> Result<()> {
        self.run("flush", None, |inner| async move { inner.flush().await }).await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        let ids = chunks.iter().map(|(id, _)| *id).collect();
        self.run_batch("put_many", ids, |inner| async move { inner.put_many(chunks).await }).await
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        self.run_batch("delete_many", ids.clone(), |inner| async move { inner.delete_many(ids).await }).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: RootStore> RootStore for Timeout<S> {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        let name = name.clone();
        self.run("load", None, |inner| async move { inner.load(&name).await }).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        let name = name.clone();
        self.run("swap", None, |inner| async move { inner.swap(&name, expect, new).await }).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.paced("names", self.inner.names())
    }
}
