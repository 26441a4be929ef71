mod batch;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use self::batch::batch;
use crate::store::retry::worth_it;
use crate::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, Expect, Pacer, PutOutcome, Result,
    RetryPolicy, Root, RootName, RootStore, StoreInfo, Swap,
};

/// Tries again what failed for a passing reason, by a [`RetryPolicy`].
///
/// * Only errors that say [`is_transient`](Error::is_transient) are retried. One that is left after the
///   last attempt carries [`attempts`](Error::attempts), and a retry around this one passes it on, so that
///   attempts do not multiply.
/// * Of a batch, only the failed members are sent again.
/// * A listing goes on after the last id that it gave, with no duplicate; each item has attempts of its
///   own. Names come in no promised order, so only a listing of names that gave none yet starts again.
/// * A `swap` is sent again only after [`ErrorKind::Throttled`], where the service refused it; any other
///   failure leaves open whether it happened, and
///   [`RootStoreExt::update`](crate::store::RootStoreExt::update) reads the root to find out.
///
/// Capabilities: `exact_outcome` is off, because a put that is repeated after its answer was lost finds its
/// own chunk and says [`PutOutcome::Present`].
///
/// ```
/// use std::time::Duration;
///
/// use selfenc_core::store::Backend;
/// use selfenc_core::wrap::{Limit, Retry, RetryPolicy, Timeout};
///
/// fn patient(store: impl Backend) -> impl Backend {
///     let policy = RetryPolicy::new().with_max_attempts(8).with_budget(Duration::from_secs(120));
///     Retry::new(Timeout::new(Limit::new(store, 16), Duration::from_secs(30)), policy)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: Arc<S>,
    pacer: Arc<Pacer>,
}

impl<S> Retry<S> {
    /// Tries again what `inner` fails at, as `policy` says.
    #[must_use]
    pub fn new(inner: S, policy: RetryPolicy) -> Self {
        Self { inner: Arc::new(inner), pacer: Arc::new(Pacer::new(policy)) }
    }

    /// The store that is tried.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// How often, how soon and how long it tries.
    #[must_use]
    pub fn policy(&self) -> &RetryPolicy {
        self.pacer.policy()
    }

    async fn run<T, W>(&self, op: &'static str, call: impl Fn() -> W) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        self.run_if(op, worth_it, call).await
    }

    async fn run_if<T, W>(
        &self,
        op: &'static str,
        retryable: impl Fn(&Error) -> bool,
        call: impl Fn() -> W,
    ) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        let mut attempts = self.pacer.start(op);
        loop {
            match call().await {
                Err(e) if retryable(&e) => {
                    if !attempts.again().await {
                        return Err(attempts.give_up(e));
                    }
                }
                done => return done,
            }
        }
    }

    /// A listing that opens again with `open`, from the position that `after` moves on with each item; no
    /// position means that it cannot go on any more.
    fn reopening<T, P>(
        &self,
        op: &'static str,
        start: P,
        open: impl Fn(&S, &P) -> BoxStream<'static, Result<T>> + Clone + Send + 'static,
        after: impl Fn(&T) -> Option<P> + Clone + Send + 'static,
    ) -> BoxStream<'static, Result<T>>
    where
        S: Send + Sync + 'static,
        T: Send + 'static,
        P: Send + Sync + 'static,
    {
        let items = open(&self.inner, &start);
        let (inner, pacer) = (Arc::clone(&self.inner), Arc::clone(&self.pacer));
        let next = move |state: Option<(BoxStream<'static, Result<T>>, Option<P>)>| {
            let (inner, pacer, open, after) =
                (Arc::clone(&inner), Arc::clone(&pacer), open.clone(), after.clone());
            async move {
                let (mut items, position) = state?;
                let mut attempts = pacer.start(op);
                loop {
                    let error = match items.next().await? {
                        Ok(item) => {
                            let position = after(&item);
                            return Some((Ok(item), Some((items, position))));
                        }
                        Err(e) => e,
                    };
                    let Some(position) = position.as_ref().filter(|_| worth_it(&error)) else {
                        return Some((Err(error), None));
                    };
                    if !attempts.again().await {
                        return Some((Err(attempts.give_up(error)), None));
                    }
                    items = open(&inner, position);
                }
            }
        };
        stream::unfold(Some((items, Some(start))), next).fuse().boxed()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ChunkStore> ChunkStore for Retry<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_exact_outcome(false)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.run("put", || self.inner.put(id, data.clone())).await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.run("get", || self.inner.get(id)).await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.run("delete", || self.inner.delete(id)).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.reopening("list", after, |inner, after| inner.list(*after), |meta| Some(Some(meta.id)))
    }

    fn info(&self) -> StoreInfo {
        self.inner.info().wrapped("retry", "")
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.run("stat", || self.inner.stat(id)).await
    }

    async fn flush(&self) -> Result<()> {
        self.run("flush", || self.inner.flush()).await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        batch(&self.pacer, "put_many", &chunks, |(id, _)| *id, |round| self.inner.put_many(round)).await
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        batch(&self.pacer, "delete_many", &ids, |id| *id, |round| self.inner.delete_many(round)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: RootStore> RootStore for Retry<S> {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.run("load", || self.inner.load(name)).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        let refused = |e: &Error| worth_it(e) && e.kind() == ErrorKind::Throttled;
        self.run_if("swap", refused, || self.inner.swap(name, expect.clone(), new.clone())).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.reopening("names", (), |inner, ()| inner.names(), |_| None)
    }
}
