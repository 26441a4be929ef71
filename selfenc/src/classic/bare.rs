//! Stores that are no more than a way in and a way out.

use std::fmt;

use futures::stream::{self, BoxStream, StreamExt};

use crate::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Durability, Error, ErrorKind, PutOutcome, Result, StoreInfo,
};
use crate::{Bytes, async_trait};

/// Where chunks go to, and where they come from.
#[async_trait]
pub(super) trait PutGet: Send + Sync + 'static {
    /// What it is, for logs.
    fn info(&self) -> StoreInfo;
    async fn put(&self, id: ChunkId, data: Bytes) -> Result<()>;
    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>>;
    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// Those two as a store, which lists nothing and deletes nothing.
pub(super) struct Bare<T>(pub(super) T);

impl<T> Bare<T> {
    fn unsupported(op: &'static str) -> Error {
        Error::new(ErrorKind::Unsupported, op, "chunks are only put here, and got")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: PutGet> ChunkStore for Bare<T> {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::OnPut)
            .with_exact_outcome(false)
            .with_lists(false)
            .with_deletes(false)
            .with_roots(false)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.0.put(id, data).await.map(|()| PutOutcome::Unchecked)
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.0.get(id).await
    }

    async fn delete(&self, _id: ChunkId) -> Result<()> {
        Err(Self::unsupported("delete"))
    }

    fn list(&self, _after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        stream::iter([Err(Self::unsupported("list"))]).boxed()
    }

    fn info(&self) -> StoreInfo {
        self.0.info()
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        Ok(self.0.get(id).await?.map(|data| ChunkMeta { id, len: data.len() as u64 }))
    }

    async fn flush(&self) -> Result<()> {
        self.0.flush().await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        let mut outcomes = Vec::with_capacity(chunks.len());
        for (id, data) in chunks {
            outcomes.push(self.put(id, data).await);
        }
        outcomes
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        ids.into_iter().map(|_| Err(Self::unsupported("delete"))).collect()
    }
}

impl<T: PutGet> fmt::Debug for Bare<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bare").field(&self.0.info()).finish()
    }
}
