use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use super::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, Expect, PutOutcome, Result, Root,
    RootName, RootStore, StoreInfo, Swap,
};

/// A store that keeps chunks and no roots, made a [`Backend`](super::Backend): the roots' half answers
/// [`ErrorKind::Unsupported`].
#[derive(Debug)]
pub struct ChunksOnly<S> {
    inner: S,
}

impl<S: ChunkStore> ChunksOnly<S> {
    /// The chunks of `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }

    /// The store below.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn unsupported(&self, op: &'static str) -> Error {
        Error::new(ErrorKind::Unsupported, op, format!("{} keeps no roots", self.inner.info()))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ChunkStore> ChunkStore for ChunksOnly<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_roots(false)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.inner.put(id, data).await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.inner.get(id).await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.inner.delete(id).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.inner.list(after)
    }

    fn info(&self) -> StoreInfo {
        self.inner.info()
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
impl<S: ChunkStore> RootStore for ChunksOnly<S> {
    async fn load(&self, _name: &RootName) -> Result<Option<Root>> {
        Err(self.unsupported("load"))
    }

    async fn swap(&self, _name: &RootName, _expect: Expect, _new: Option<Bytes>) -> Result<Swap> {
        Err(self.unsupported("swap"))
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        stream::iter([Err(self.unsupported("names"))]).boxed()
    }
}
