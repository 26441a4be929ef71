use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, Expect, PutOutcome, Result, Root,
    RootName, RootStore, StoreInfo, Swap,
};

/// Refuses every write with [`ErrorKind::ReadOnly`]; reads go through.
///
/// `flush` is `Ok` without asking the inner store, since nothing is ever put through this one.
/// Capabilities are the inner store's: they say what the location can do, not what may be done here.
#[derive(Debug)]
pub struct ReadOnly<S> {
    inner: S,
}

impl<S> ReadOnly<S> {
    /// Lets nobody write to `inner` by this way.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self { inner }
    }

    /// The store below, which can be written.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

fn refused(op: &'static str) -> Error {
    Error::new(ErrorKind::ReadOnly, op, "this handle only reads; open the store for writing")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ChunkStore> ChunkStore for ReadOnly<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, id: ChunkId, _: Bytes) -> Result<PutOutcome> {
        Err(refused("put").with_chunk(id))
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.inner.get(id).await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        Err(refused("delete").with_chunk(id))
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.inner.list(after)
    }

    fn info(&self) -> StoreInfo {
        self.inner.info().wrapped("read-only", "")
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.inner.stat(id).await
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        chunks.into_iter().map(|(id, _)| Err(refused("put").with_chunk(id))).collect()
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        ids.into_iter().map(|id| Err(refused("delete").with_chunk(id))).collect()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: RootStore> RootStore for ReadOnly<S> {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.inner.load(name).await
    }

    async fn swap(&self, _: &RootName, _: Expect, _: Option<Bytes>) -> Result<Swap> {
        Err(refused("swap"))
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.inner.names()
    }
}
