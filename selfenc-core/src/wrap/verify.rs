use std::panic::resume_unwind;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::runtime::Handle;

use crate::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, Expect, PutOutcome, Result, Root,
    RootName, RootStore, StoreInfo, Swap,
};

/// Whether bytes are what a chunk's name says. Stores do not know which hash made a name, so wrappers are
/// told: [`engine::name_matches`](crate::engine::name_matches) knows every suite's.
pub type Check = fn(ChunkId, &[u8]) -> bool;

/// The longest chunk that is hashed or copied in place, in bytes; two hashes of it take about 0.3 ms.
const IN_PLACE: usize = 64 << 10;

/// Checks every chunk that is read against its name; one that does not match is
/// [`ErrorKind::Corrupt`].
///
/// Only `get` can check: `stat` and `list` say what the store has, damaged or not. Puts are passed on
/// unchecked, for a put's bytes are the caller's promise, and capabilities are the inner store's. Long
/// chunks are hashed on a blocking thread.
///
/// ```
/// use selfenc_core::engine::name_matches;
/// use selfenc_core::store::Backend;
/// use selfenc_core::wrap::Verify;
///
/// fn checked(store: impl Backend) -> impl Backend {
///     Verify::new(store, name_matches)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Verify<S> {
    inner: S,
    check: Check,
}

impl<S> Verify<S> {
    /// Reads from `inner` only what `check` accepts.
    #[must_use]
    pub const fn new(inner: S, check: Check) -> Self {
        Self { inner, check }
    }

    /// The store that is read from.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

/// Whether `data` is what `id` says, found out without holding up the executor.
pub(super) async fn matches(check: Check, id: ChunkId, data: &Bytes) -> bool {
    let shared = data.clone();
    aside(data.len(), move || check(id, &shared)).await
}

/// Runs `work`, which hashes or copies `len` bytes: here if they are few or there is no executor, else on
/// a blocking thread.
pub(super) async fn aside<T, F>(len: usize, work: F) -> T
where
    T: Send + 'static,
    F: Fn() -> T + Clone + Send + 'static,
{
    if len <= IN_PLACE || Handle::try_current().is_err() {
        return work();
    }
    match tokio::task::spawn_blocking(work.clone()).await {
        Ok(done) => done,
        Err(e) if e.is_panic() => resume_unwind(e.into_panic()),
        // The runtime is shutting down: nobody is left to be held up.
        Err(_) => work(),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ChunkStore> ChunkStore for Verify<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.inner.put(id, data).await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let Some(data) = self.inner.get(id).await? else { return Ok(None) };
        if matches(self.check, id, &data).await {
            return Ok(Some(data));
        }
        let message = format!("the {} bytes stored are not what the chunk's name says", data.len());
        Err(Error::new(ErrorKind::Corrupt, "get", message).with_chunk(id))
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.inner.delete(id).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.inner.list(after)
    }

    fn info(&self) -> StoreInfo {
        self.inner.info().wrapped("verify", "")
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.inner.stat(id).await
    }

    async fn flush(&self) -> Result<()> {
        self.inner.flush().await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        self.inner.put_many(chunks).await
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        self.inner.delete_many(ids).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: RootStore> RootStore for Verify<S> {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.inner.load(name).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.inner.swap(name, expect, new).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.inner.names()
    }
}
