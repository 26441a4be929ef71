//! The group `model` against stores that it must reject: the model finds a fault that no single call shows,
//! and says what is left of the sequence that does.

use std::collections::HashSet;
use std::fs::File;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use futures::stream::BoxStream;
use selfenc_backend_tests::{Case, Clause, Crash, Harness, Options, Scale, Verdict, async_trait, run_case};
use selfenc_core::store::{
    Backend, Capabilities, ChunkId, ChunkMeta, ChunkStore, ChunkStoreExt, ChunksOnly, Durability, Error,
    ErrorKind, PutOutcome, Result, RootStore,
};
use selfenc_memory::MemoryStore;

/// Forgets the second put after a delete of the same chunk, if the store was flushed in between.
#[derive(Debug, Default)]
struct Forgetful {
    inner: MemoryStore,
    deleted: Mutex<HashSet<ChunkId>>,
    doomed: Mutex<HashSet<ChunkId>>,
    is_good: bool,
}

#[async_trait]
impl ChunkStore for Forgetful {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        if self.doomed.lock().expect("no holder panics").remove(&id) && !self.is_good {
            return Ok(PutOutcome::Inserted);
        }
        self.inner.put(id, data).await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.inner.get(id).await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.deleted.lock().expect("no holder panics").insert(id);
        self.inner.delete(id).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.inner.list(after)
    }

    async fn flush(&self) -> Result<()> {
        let deleted = std::mem::take(&mut *self.deleted.lock().expect("no holder panics"));
        self.doomed.lock().expect("no holder panics").extend(deleted);
        Ok(())
    }
}

#[derive(Debug)]
struct ForgetfulHarness {
    is_good: bool,
}

#[async_trait]
impl Harness for ForgetfulHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(ChunksOnly::new(Forgetful { is_good: self.is_good, ..Forgetful::default() })))
    }
}

#[test]
fn a_fault_of_several_calls_is_found_and_made_small() {
    let case = Case::find("model::model").expect("it is listed");
    let run = |is_good, seed| run_case(case, &ForgetfulHarness { is_good }, &Options::new().with_seed(seed));
    for seed in 1..4 {
        let failure = run(false, seed).expect_err("the store forgets");
        assert_eq!(failure.clause, Clause::G2, "{failure}");
        let line = failure.to_string();
        // A delete, a flush and a put; what looks comes after the last step.
        let steps = line.split_once("made smaller to ").map(|(_, steps)| steps).unwrap_or_default();
        assert!(steps.starts_with("3 steps: [Delete"), "{line}");
        assert!(steps.contains("Flush, Put"), "{line}");
        assert_eq!(run(false, seed), Err(failure), "the same seed gives another failure");
        assert_eq!(run(true, seed), Ok(Verdict::Passed));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// Every `get` leaves a file open.
    LeaksFiles,
    /// Something keeps the store open after its handles are dropped.
    KeepsStore,
    /// Of long chunks, one bit is wrong.
    FlipsBits,
    /// `flush` does nothing.
    IdleFlush,
}

/// A store that is kept in its harness, with one flaw. What was put lasts once it was flushed.
#[derive(Debug)]
struct Flawed {
    chunks: MemoryStore,
    kept: MemoryStore,
    flaw: Flaw,
    files: Mutex<Vec<File>>,
}

#[async_trait]
impl ChunkStore for Flawed {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::OnFlush).with_shared(false)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.chunks.put(id, data).await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        if self.flaw == Flaw::LeaksFiles {
            let mut files = self.files.lock().expect("no holder panics");
            // Enough to be noticed, and no more: other tests of this process need some, too.
            if files.len() < 700 {
                files.extend(File::open("/dev/null"));
            }
        }
        let mut found = self.chunks.get(id).await?;
        if let Some(data) = &mut found
            && self.flaw == Flaw::FlipsBits
            && data.len() > 10_000
        {
            let mut wrong = data.to_vec();
            wrong[5000] ^= 1;
            *data = wrong.into();
        }
        Ok(found)
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.chunks.delete(id).await?;
        self.kept.delete(id).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.chunks.list(after)
    }

    async fn flush(&self) -> Result<()> {
        if self.flaw != Flaw::IdleFlush {
            self.chunks.copy_to(&self.kept, None).await?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct FlawedHarness {
    flaw: Flaw,
    kept: Mutex<MemoryStore>,
    roots: Mutex<MemoryStore>,
    last: Mutex<Weak<dyn Backend>>,
    /// What a flaw holds on to.
    held: Mutex<Vec<Arc<dyn Backend>>>,
}

impl FlawedHarness {
    fn new(flaw: Flaw) -> Self {
        let last: Weak<dyn Backend> = Weak::<ChunksOnly<MemoryStore>>::new();
        Self {
            flaw,
            kept: Mutex::default(),
            roots: Mutex::default(),
            last: Mutex::new(last),
            held: Mutex::default(),
        }
    }

    async fn opened(&self) -> Result<Arc<dyn Backend>> {
        let kept = self.kept.lock().expect("no holder panics").clone();
        let chunks = MemoryStore::new();
        kept.copy_to(&chunks, None).await?;
        let store = Flawed { chunks, kept, flaw: self.flaw, files: Mutex::default() };
        let store: Arc<dyn Backend> = Arc::new(ChunksOnly::new(store));
        *self.last.lock().expect("no holder panics") = Arc::downgrade(&store);
        if self.flaw == Flaw::KeepsStore {
            self.held.lock().expect("no holder panics").push(Arc::clone(&store));
        }
        Ok(store)
    }
}

#[async_trait]
impl Harness for FlawedHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        *self.kept.lock().expect("no holder panics") = MemoryStore::new();
        *self.roots.lock().expect("no holder panics") = MemoryStore::new();
        self.opened().await
    }

    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        if self.last.lock().expect("no holder panics").strong_count() > 0 {
            return Some(Err(Error::new(ErrorKind::Locked, "open", "another handle is open")));
        }
        Some(self.opened().await)
    }

    async fn roots(&self) -> Option<Result<Arc<dyn RootStore>>> {
        Some(Ok(Arc::new(self.roots.lock().expect("no holder panics").clone())))
    }

    async fn crash(&self, _how: Crash, _seed: u64) -> Option<Result<()>> {
        // What was not flushed was never in `kept`. The old handle may be copying to it right now, which
        // adds whole chunks and so does no harm.
        *self.last.lock().expect("no holder panics") = Weak::<ChunksOnly<MemoryStore>>::new();
        Some(Ok(()))
    }

    async fn temporaries(&self) -> Option<Result<u64>> {
        Some(Ok(0))
    }
}

fn rejects(name: &str, scale: Scale, flaw: Flaw, clause: Clause) {
    let case = Case::find(name).expect("it is listed");
    let run = |flaw| run_case(case, &FlawedHarness::new(flaw), &Options::new().with_scale(scale));
    match run(flaw) {
        Err(failure) => assert_eq!(failure.clause, clause, "{failure}"),
        Ok(verdict) => panic!("{name} accepts a store that {flaw:?}: {verdict:?}"),
    }
    assert_eq!(run(Flaw::None), Ok(Verdict::Passed), "{name} rejects a good store");
}

#[cfg(target_os = "linux")]
#[test]
fn files_that_stay_open_are_noticed() {
    rejects("model::no_fd_thread_or_tempfile_growth", Scale::Full, Flaw::LeaksFiles, Clause::G6);
}

#[test]
fn a_store_that_outlives_its_handles_is_noticed() {
    rejects("model::drop_releases_locks", Scale::Quick, Flaw::KeepsStore, Clause::Honesty);
}

#[test]
fn a_wrong_bit_is_noticed_by_the_engine() {
    rejects("model::engine_round_trip", Scale::Quick, Flaw::FlipsBits, Clause::Bytes);
}

#[test]
fn a_flush_that_does_nothing_lets_roots_point_to_nowhere() {
    rejects("roots::root_never_points_past_flush", Scale::Quick, Flaw::IdleFlush, Clause::G4);
}
