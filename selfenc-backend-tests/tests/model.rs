//! The model finds a fault that no single call shows, and says what is left of the sequence that does.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::BoxStream;
use selfenc_backend_tests::{Case, Clause, Harness, Options, Verdict, async_trait, run_case};
use selfenc_core::store::{
    Backend, Capabilities, ChunkId, ChunkMeta, ChunkStore, ChunksOnly, PutOutcome, Result,
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
