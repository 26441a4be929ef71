//! The conformance suite over the memory store.

use std::sync::{Arc, Mutex};

use selfenc_backend_tests::{Crash, Damage, Harness, async_trait};
use selfenc_core::store::{
    Backend, ChunkId, ChunkStore, DEFAULT_MAX_CHUNK_LEN, ErrorKind, OpenMode, Registry, Result,
};
use selfenc_memory::{MemoryFactory, MemoryStore};

selfenc_backend_tests::conformance!(mod memory = MemoryHarness::new(DEFAULT_MAX_CHUNK_LEN));
selfenc_backend_tests::conformance!(mod memory_1_mib = MemoryHarness::new((1 << 20) + 1));

#[test]
#[ignore = "writes a report; see the README of the repository"]
fn write_report() {
    selfenc_backend_tests::write_report("memory", &MemoryHarness::new(DEFAULT_MAX_CHUNK_LEN));
}

#[derive(Debug)]
struct MemoryHarness {
    store: Mutex<MemoryStore>,
    max_chunk_len: u64,
}

impl MemoryHarness {
    fn new(max_chunk_len: u64) -> Self {
        Self { store: Mutex::default(), max_chunk_len }
    }

    fn fresh(&self) -> MemoryStore {
        let store = MemoryStore::new().with_max_chunk_len(self.max_chunk_len);
        *self.store.lock().expect("no holder panics") = store.clone();
        store
    }

    fn store(&self) -> MemoryStore {
        self.store.lock().expect("no holder panics").clone()
    }
}

#[async_trait]
impl Harness for MemoryHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(self.fresh()))
    }

    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(Ok(Arc::new(self.fresh())))
    }

    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(Ok(Arc::new(self.store())))
    }

    async fn crash(&self, _how: Crash, _seed: u64) -> Option<Result<()>> {
        self.fresh();
        Some(Ok(()))
    }

    async fn corrupt(&self, id: ChunkId, damage: Damage) -> Option<Result<()>> {
        corrupt(&self.store(), id, damage).await.transpose()
    }
}

/// `None` for what cannot happen to a map.
async fn corrupt(store: &MemoryStore, id: ChunkId, damage: Damage) -> Result<Option<()>> {
    let mut data = store.get(id).await?.unwrap_or_default().to_vec();
    let half = data.len() / 2;
    match damage {
        Damage::Truncate => data.truncate(half),
        Damage::FlipBit => data[half] ^= 1,
        Damage::Extend => data.extend_from_slice(b"more"),
        Damage::Zero => data.fill(0),
        Damage::TooLong => {
            data = vec![0; usize::try_from(store.capabilities().max_chunk_len).expect("it fits") + 1];
        }
        Damage::SwapWith(other) => {
            let theirs = store.get(other).await?.unwrap_or_default();
            store.delete(other).await?;
            store.put(other, data.into()).await?;
            data = theirs.to_vec();
        }
        Damage::Directory | Damage::Symlink | Damage::Page => return Ok(None),
    }
    store.delete(id).await?;
    // Through a handle with a higher limit: the state is shared, the limit is the handle's.
    store.clone().with_max_chunk_len(u64::MAX).put(id, data.into()).await.map(|_| Some(()))
}

#[tokio::test]
async fn memory_urls_open_new_stores_and_have_no_settings() {
    let registry = Registry::new().register(MemoryFactory);
    for mode in [OpenMode::Create, OpenMode::Existing] {
        let store = registry.open("memory:", mode).await.unwrap();
        assert_eq!(store.info().to_string(), "memory:");
        let id = ChunkId::from_bytes([1; 32]);
        store.put(id, "x".into()).await.unwrap();
        assert_eq!(registry.open("memory:", mode).await.unwrap().get(id).await.unwrap(), None);
    }
    for (bad, remedy) in [("memory:/a", "write memory:"), ("memory:?size=1", "'size'")] {
        let e = registry.open(bad, OpenMode::Create).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{bad}");
        assert!(e.to_string().contains(remedy), "{e}");
    }
}
