//! The suite over every wrapper, and over the stacks that programs use.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use selfenc_backend_tests::{Damage, Harness, async_trait, conformance};
use selfenc_core::store::{
    Backend, Capabilities, ChunkId, ChunkMeta, ChunkStore, Expect, PutOutcome, Result, Root, RootName,
    RootStore, StoreInfo, Swap,
};
use selfenc_core::wrap::Tiered;
use selfenc_core::wrap::{
    Cache, FaultPlan, Faulty, Limit, Mirror, Observe, Prefix, ReadOnly, Retry, RetryPolicy, Timeout, Verify,
};
use selfenc_memory::MemoryStore;

const MINUTE: Duration = Duration::from_secs(60);

conformance!(mod cache = Stack::new(|s| Arc::new(Cache::new(s[0].clone(), 8 << 20))).uncorrupted());
conformance!(mod cache_exclusive = Stack::new(|s| Arc::new(Cache::new(s[0].clone(), 8 << 20).with_exclusive(true))).uncorrupted().alone());
conformance!(mod retry = Stack::new(|s| Arc::new(Retry::new(s[0].clone(), RetryPolicy::new()))));
conformance!(mod retry_over_faults = Stack::new(|s| {
    let plan = FaultPlan::new(7).with_failures_before(50);
    let policy = RetryPolicy::new().with_base_delay(Duration::from_micros(100)).with_max_attempts(20);
    let retry: Arc<dyn Backend> = Arc::new(Retry::new(Faulty::new(s[0].clone(), plan), policy));
    // A swap that may have happened is not tried again.
    let swaps = Arc::new(s[0].clone());
    Arc::new(Parts { reads: retry.clone(), writes: retry.clone(), loads: retry, swaps })
}));
conformance!(mod timeout = Stack::new(|s| Arc::new(Timeout::new(s[0].clone(), MINUTE))));
conformance!(mod limit = Stack::new(|s| Arc::new(Limit::new(s[0].clone(), 8))));
conformance!(mod limit_of_one = Stack::new(|s| Arc::new(Limit::new(s[0].clone(), 1))));
conformance!(mod verify = Stack::new(|s| Arc::new(Verify::new(s[0].clone(), any_name))));
conformance!(mod mirror = Stack::of_two(|s| Arc::new(Mirror::new(backends(s)).unwrap())));
conformance!(mod mirror_checked = Stack::of_two(|s| Arc::new(Mirror::new(backends(s)).unwrap().with_check(any_name))));
conformance!(mod tiered = Stack::of_two(|s| Arc::new(Tiered::new(s[0].clone(), s[1].clone()))));
conformance!(mod prefix = Stack::new(|s| Arc::new(Prefix::new(s[0].clone(), "tenant/").unwrap())).failing(&[(
    "roots::longest_name", "the prefix takes its share of the 255 bytes"
)]));
conformance!(mod read_only = Stack::new(|s| {
    let (around, reads) = (Arc::new(s[0].clone()), Arc::new(ReadOnly::new(s[0].clone())));
    Arc::new(Parts { reads: reads.clone(), writes: around.clone(), loads: reads, swaps: around })
}));
conformance!(mod observe = Stack::new(|s| Arc::new(Observe::new(s[0].clone()))));
conformance!(mod faulty = Stack::new(|s| Arc::new(Faulty::new(s[0].clone(), FaultPlan::new(1)))));
conformance!(mod retry_timeout_limit = Stack::new(|s| {
    let limit = Limit::new(s[0].clone(), 8);
    Arc::new(Retry::new(Timeout::new(limit, MINUTE), RetryPolicy::new()))
}));
conformance!(mod cache_mirror = Stack::of_two(|s| {
    Arc::new(Cache::new(Mirror::new(backends(s)).unwrap(), 8 << 20))
}).uncorrupted());

/// For the wrappers that check names: the suite also stores chunks under names that are not theirs.
fn any_name(_id: ChunkId, _data: &[u8]) -> bool {
    true
}

fn backends(stores: &[MemoryStore]) -> Vec<Arc<dyn Backend>> {
    stores.iter().map(|store| Arc::new(store.clone()) as Arc<dyn Backend>).collect()
}

/// Memory stores with something built on them.
#[derive(Debug)]
struct Stack {
    stores: Mutex<Vec<MemoryStore>>,
    count: usize,
    build: fn(&[MemoryStore]) -> Arc<dyn Backend>,
    /// Whether damage below reaches a reader. It need not pass a cache.
    corruptible: bool,
    /// Whether two openings may be used at once.
    shared: bool,
    known: &'static [(&'static str, &'static str)],
}

impl Stack {
    fn new(build: fn(&[MemoryStore]) -> Arc<dyn Backend>) -> Self {
        Self { stores: Mutex::default(), count: 1, build, corruptible: true, shared: true, known: &[] }
    }

    fn of_two(build: fn(&[MemoryStore]) -> Arc<dyn Backend>) -> Self {
        Self { count: 2, ..Self::new(build) }
    }

    fn uncorrupted(self) -> Self {
        Self { corruptible: false, ..self }
    }

    fn alone(self) -> Self {
        Self { shared: false, ..self }
    }

    fn failing(self, known: &'static [(&'static str, &'static str)]) -> Self {
        Self { known, ..self }
    }

    fn fresh(&self) -> Arc<dyn Backend> {
        let stores: Vec<_> =
            (0..self.count).map(|_| MemoryStore::new().with_max_chunk_len((2 << 20) + 1)).collect();
        self.stores.lock().unwrap().clone_from(&stores);
        (self.build)(&stores)
    }

    fn stores(&self) -> Vec<MemoryStore> {
        self.stores.lock().unwrap().clone()
    }
}

#[async_trait]
impl Harness for Stack {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        Ok(self.fresh())
    }

    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(Ok(self.fresh()))
    }

    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        self.shared.then(|| Ok((self.build)(&self.stores())))
    }

    async fn corrupt(&self, id: ChunkId, damage: Damage) -> Option<Result<()>> {
        if !self.corruptible {
            return None;
        }
        for store in self.stores() {
            if let Err(e) = corrupt(&store, id, damage).await? {
                return Some(Err(e));
            }
        }
        Some(Ok(()))
    }

    fn known_failures(&self) -> Vec<(&'static str, &'static str)> {
        self.known.to_vec()
    }
}

/// `None` for what cannot happen to a map.
async fn corrupt(store: &MemoryStore, id: ChunkId, damage: Damage) -> Option<Result<()>> {
    let mut data = store.get(id).await.unwrap().unwrap_or_default().to_vec();
    let half = data.len() / 2;
    match damage {
        Damage::Truncate => data.truncate(half),
        Damage::FlipBit => data[half] ^= 1,
        Damage::Extend => data.extend_from_slice(b"more"),
        Damage::Zero => data.fill(0),
        Damage::TooLong => data = vec![0; (2 << 20) + 2],
        Damage::SwapWith(other) => {
            let theirs = store.get(other).await.unwrap().unwrap_or_default();
            store.delete(other).await.unwrap();
            store.put(other, data.into()).await.unwrap();
            data = theirs.to_vec();
        }
        Damage::Directory | Damage::Symlink | Damage::Page => return None,
    }
    store.delete(id).await.unwrap();
    Some(store.clone().with_max_chunk_len(u64::MAX).put(id, data.into()).await.map(drop))
}

/// A store of parts, so that a wrapper can be left out of what it refuses by its nature.
#[derive(Debug)]
struct Parts {
    reads: Arc<dyn Backend>,
    writes: Arc<dyn ChunkStore>,
    loads: Arc<dyn RootStore>,
    swaps: Arc<dyn RootStore>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for Parts {
    fn capabilities(&self) -> Capabilities {
        self.reads.capabilities()
    }
    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.writes.put(id, data).await
    }
    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.reads.get(id).await
    }
    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.writes.delete(id).await
    }
    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.reads.list(after)
    }
    fn info(&self) -> StoreInfo {
        self.reads.info()
    }
    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.reads.stat(id).await
    }
    async fn flush(&self) -> Result<()> {
        self.reads.flush().await
    }
    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        self.writes.put_many(chunks).await
    }
    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        self.writes.delete_many(ids).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RootStore for Parts {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.loads.load(name).await
    }
    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.swaps.swap(name, expect, new).await
    }
    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.loads.names()
    }
}
