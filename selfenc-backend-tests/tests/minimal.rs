//! The suite over stores that do as little as a store may: the branches for what is off.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use selfenc_backend_tests::{CASES, Harness, Options, Scale, Status, Verdict, async_trait, run, run_case};
use selfenc_core::store::{
    Backend, Capabilities, ChunkId, ChunkMeta, ChunkStore, ChunksOnly, Durability, Error, ErrorKind,
    PutOutcome, Result, RootStore,
};
use selfenc_memory::MemoryStore;

selfenc_backend_tests::conformance!(mod minimal = MinimalHarness(LEAST));
selfenc_backend_tests::conformance!(mod without_lists = MinimalHarness(Capabilities::new(Durability::Volatile).with_roots(false).with_lists(false)));
selfenc_backend_tests::conformance!(mod without_deletes = MinimalHarness(Capabilities::new(Durability::Volatile).with_roots(false).with_deletes(false)));
selfenc_backend_tests::conformance!(mod roots_elsewhere = RootsElsewhere::default());

/// Everything off, and a limit that most backends would find too low.
const LEAST: Capabilities = Capabilities::new(Durability::Volatile)
    .with_exact_outcome(false)
    .with_shared(false)
    .with_drop_ordered(false)
    .with_lists(false)
    .with_deletes(false)
    .with_roots(false)
    .with_max_chunk_len(100_000);

/// A store of the required methods alone, each as short as can be; batches and `stat` are the defaults.
#[derive(Debug)]
struct Minimal {
    chunks: Mutex<BTreeMap<ChunkId, Bytes>>,
    capabilities: Capabilities,
}

impl Minimal {
    fn chunks(&self) -> MutexGuard<'_, BTreeMap<ChunkId, Bytes>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unsupported(op: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, op, "it is off")
}

#[async_trait]
impl ChunkStore for Minimal {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.capabilities.check_len(id, &data)?;
        let old = self.chunks().insert(id, data.clone());
        Ok(match old {
            _ if !self.capabilities.exact_outcome => PutOutcome::Unchecked,
            Some(old) if old.len() == data.len() => PutOutcome::Present,
            _ => PutOutcome::Inserted,
        })
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        Ok(self.chunks().get(&id).cloned())
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        if !self.capabilities.deletes {
            return Err(unsupported("delete").with_chunk(id));
        }
        self.chunks().remove(&id);
        Ok(())
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        if !self.capabilities.lists {
            return stream::iter([Err(unsupported("list"))]).boxed();
        }
        let chunks = self.chunks();
        let after = chunks.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        let metas: Vec<_> =
            after.map(|(id, data)| Ok(ChunkMeta { id: *id, len: data.len() as u64 })).collect();
        stream::iter(metas).boxed()
    }
}

#[derive(Debug)]
struct MinimalHarness(Capabilities);

#[async_trait]
impl Harness for MinimalHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(ChunksOnly::new(Minimal { chunks: Mutex::default(), capabilities: self.0 })))
    }
}

/// Chunks in one store, roots in another.
#[derive(Debug, Default)]
struct RootsElsewhere(Mutex<MemoryStore>);

#[async_trait]
impl Harness for RootsElsewhere {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = MemoryStore::new();
        Ok(Arc::new(ChunksOnly::new(MemoryStore::new())))
    }

    async fn roots(&self) -> Option<Result<Arc<dyn RootStore>>> {
        Some(Ok(Arc::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())))
    }
}

#[tokio::test]
async fn what_is_off_is_told_as_weaker() {
    let report = run(&MinimalHarness(LEAST), &Options::new()).await;
    assert_eq!(report.count(Status::Failed), 0, "{report}");
    for row in &report.rows {
        let (group, _) = row.case.split_once("::").expect("group::case");
        let expected = match group {
            "roots" => row.status == Status::Weaker,
            "list" | "delete" => matches!(row.status, Status::Weaker | Status::LargerScale),
            _ => true,
        };
        assert!(expected, "{}: {}", row.case, row.status);
    }
}

#[test]
fn roots_of_the_hook_are_tested() {
    let cases = CASES.iter().filter(|case| case.group == "roots");
    let passed = cases
        .filter(|case| run_case(case, &RootsElsewhere::default(), &Options::new()) == Ok(Verdict::Passed));
    // All but those that need a crash or a second opening.
    assert_eq!(passed.count() + 3, CASES.iter().filter(|case| case.group == "roots").count());
}

/// A store that has lists, deletes or roots but says that it does not.
#[derive(Debug)]
struct Understated(Capabilities);

#[async_trait]
impl Harness for Understated {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        let inner =
            Minimal { chunks: Mutex::default(), capabilities: Capabilities::new(Durability::Volatile) };
        Ok(Arc::new(ChunksOnly::new(Says { inner, says: self.0 })))
    }
}

#[derive(Debug)]
struct Says {
    inner: Minimal,
    says: Capabilities,
}

#[async_trait]
impl ChunkStore for Says {
    fn capabilities(&self) -> Capabilities {
        self.says
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
}

#[test]
fn a_capability_that_is_off_must_be_off() {
    let base = Capabilities::new(Durability::Volatile);
    for (says, group) in [(base.with_lists(false), "list"), (base.with_deletes(false), "delete")] {
        for case in CASES.iter().filter(|case| case.group == group) {
            let outcome = run_case(case, &Understated(says), &Options::new());
            let is_larger = matches!(outcome, Ok(Verdict::LargerScale(Scale::Full)));
            assert!(outcome.is_err() || is_larger, "{}: {outcome:?}", case.full_name());
        }
    }
}
