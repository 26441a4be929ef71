use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use selfenc_core::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, DEFAULT_MAX_CHUNK_LEN, Durability, Error, ErrorKind,
    PutOutcome, Result, Root, RootName, StoreInfo,
};

/// Chunks that a listing takes out of the map at once; in between it holds no lock.
const PAGE: usize = 256;

/// A store in memory, gone with its last handle.
///
/// Clones share one state. Reads copy nothing: `get` gives the very buffer that was put.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<RwLock<State>>,
    max_chunk_len: u64,
}

#[derive(Default)]
pub(crate) struct State {
    chunks: BTreeMap<ChunkId, Bytes>,
    pub(crate) roots: BTreeMap<RootName, Root>,
    /// Never goes back, so that no root's version repeats.
    pub(crate) swaps: u64,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Arc::default(), max_chunk_len: DEFAULT_MAX_CHUNK_LEN }
    }

    /// The same, with chunks of at most `bytes`.
    #[must_use]
    pub fn with_max_chunk_len(mut self, bytes: u64) -> Self {
        self.max_chunk_len = bytes;
        self
    }

    // No code panics while it holds the lock, so a poisoned state is a whole one.

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self, after: Option<ChunkId>) -> Vec<ChunkMeta> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.read();
        let chunks = state.chunks.range((from, Bound::Unbounded));
        chunks.take(PAGE).map(|(id, data)| ChunkMeta { id: *id, len: data.len() as u64 }).collect()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.read();
        f.debug_struct("MemoryStore")
            .field("chunks", &state.chunks.len())
            .field("roots", &state.roots.len())
            .field("max_chunk_len", &self.max_chunk_len)
            .finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Volatile).with_max_chunk_len(self.max_chunk_len)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.capabilities().check_len(id, &data)?;
        let mut state = self.write();
        if state.chunks.get(&id).is_some_and(|old| old.len() == data.len()) {
            return Ok(PutOutcome::Present);
        }
        state.chunks.insert(id, data);
        Ok(PutOutcome::Inserted)
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let data = self.read().chunks.get(&id).cloned();
        match data {
            // A clone with a higher limit put it.
            Some(data) if data.len() as u64 > self.max_chunk_len => {
                let message = format!("{} bytes; the limit is {}", data.len(), self.max_chunk_len);
                Err(Error::new(ErrorKind::Corrupt, "get", message).with_chunk(id))
            }
            data => Ok(data),
        }
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.write().chunks.remove(&id);
        Ok(())
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        let store = self.clone();
        stream::unfold(after, move |after| {
            let page = store.page(after);
            std::future::ready(page.last().map(|last| last.id).map(|last| (stream::iter(page), Some(last))))
        })
        .flatten()
        .map(Ok)
        .fuse()
        .boxed()
    }

    fn info(&self) -> StoreInfo {
        StoreInfo::backend("memory", "")
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        Ok(self.read().chunks.get(&id).map(|data| ChunkMeta { id, len: data.len() as u64 }))
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        stream::iter(chunks).then(|(id, data)| self.put(id, data)).collect().await
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        stream::iter(ids).then(|id| self.delete(id)).collect().await
    }
}
