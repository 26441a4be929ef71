//! What the tests share: places to keep objects, and a store that waits to be let through.
#![allow(dead_code)] // each test uses a part of it

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use selfenc_core::async_trait;
use selfenc_core::engine::{EncryptionConfig, Engine, GroupSecret, Scope, SealKey};
use selfenc_core::store::{
    Backend, Capabilities, ChunkId, ChunkMeta, ChunkStore, ChunkStoreExt, Expect, PutOutcome, Result, Root,
    RootName, RootStore, StoreInfo, Swap,
};
use selfenc_memory::MemoryStore;
use selfenc_object_store_adapter::ObjectStoreAdapter;
use tokio::sync::Semaphore;

/// Small, so that small objects have many chunks.
pub(crate) const CHUNK: u64 = 4 << 10;

pub(crate) fn config() -> EncryptionConfig {
    EncryptionConfig::new().with_threads(2).with_chunk_size(4 << 10).with_memory_budget(4 << 20)
}

pub(crate) fn scope() -> Scope {
    Scope::Group(GroupSecret::from_bytes([3; 32]).unwrap())
}

pub(crate) fn key() -> SealKey {
    SealKey::from_bytes([7; 32])
}

pub(crate) fn over(store: Arc<dyn Backend>) -> ObjectStoreAdapter {
    ObjectStoreAdapter::new(store, Engine::new(config()).unwrap(), scope(), key()).unwrap()
}

/// An adapter in memory, and the store below it.
pub(crate) fn memory() -> (MemoryStore, ObjectStoreAdapter) {
    let store = MemoryStore::new();
    (store.clone(), over(Arc::new(store)))
}

/// Bytes that neither compress nor repeat; other ones for another seed.
pub(crate) fn random(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out.into()
}

pub(crate) async fn get(objects: &dyn ObjectStore, path: &Path) -> Bytes {
    objects.get(path).await.unwrap().bytes().await.unwrap()
}

pub(crate) async fn list(objects: &dyn ObjectStore) -> Vec<ObjectMeta> {
    objects.list(None).try_collect().await.unwrap()
}

pub(crate) async fn roots(store: &dyn Backend) -> Vec<(RootName, Root)> {
    let names: Vec<_> = store.names().try_collect().await.unwrap();
    let mut roots = Vec::new();
    for name in names {
        let root = store.load(&name).await.unwrap().unwrap();
        roots.push((name, root));
    }
    roots
}

pub(crate) async fn chunks(store: &dyn Backend) -> Vec<Bytes> {
    let metas: Vec<_> = store.list(None).try_collect().await.unwrap();
    futures::stream::iter(metas).then(async |meta| store.get(meta.id).await.unwrap().unwrap()).collect().await
}

/// A store whose puts and swaps each wait for a permit. Closed until somebody adds some.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) inner: MemoryStore,
    pub(crate) puts: Semaphore,
    pub(crate) swaps: Semaphore,
    /// Swaps that have come to the gate.
    swapping: AtomicUsize,
    /// Loads in flight, and the most there were at once.
    loads: AtomicUsize,
    most_loads: AtomicUsize,
}

/// More than any test needs.
pub(crate) const OPEN: usize = 1 << 20;

impl Gate {
    pub(crate) fn new(puts: usize, swaps: usize) -> Arc<Self> {
        let (puts, swaps) = (Semaphore::new(puts), Semaphore::new(swaps));
        let (swapping, loads, most_loads) = Default::default();
        Arc::new(Self { inner: MemoryStore::new(), puts, swaps, swapping, loads, most_loads })
    }

    /// Waits until so many puts have gone through the gate and so many swaps have come to it.
    pub(crate) async fn until(&self, puts: u64, swaps: usize) {
        while self.inner.count().await.unwrap() < puts || self.swapping.load(Ordering::SeqCst) < swaps {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) fn most_loads(&self) -> usize {
        self.most_loads.load(Ordering::SeqCst)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for Gate {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.puts.acquire().await.unwrap().forget();
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
        futures::stream::iter(chunks).then(|(id, data)| self.put(id, data)).collect().await
    }
    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        self.inner.delete_many(ids).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RootStore for Gate {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        let now = self.loads.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_loads.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let root = self.inner.load(name).await;
        self.loads.fetch_sub(1, Ordering::SeqCst);
        root
    }
    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.swapping.fetch_add(1, Ordering::SeqCst);
        self.swaps.acquire().await.unwrap().forget();
        self.inner.swap(name, expect, new).await
    }
    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.inner.names()
    }
}
