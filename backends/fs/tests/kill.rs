//! Processes killed with `SIGKILL` while they write to a store, and stores that such kills must expose.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use selfenc_backend_tests::kill::{Kill, child_if_asked};
use selfenc_core::store::{
    Backend, Capabilities, ChunkId, ChunkMeta, ChunkStore, Durability, Expect, OpenMode, PutOutcome, Result,
    Root, RootName, RootStore, Swap,
};
use selfenc_fs::{FsConfig, FsStore};
use support::location::temporaries;

async fn open_on_put(dir: String) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(FsConfig::new(dir).open(OpenMode::Create).await?))
}

async fn open_on_flush(dir: String) -> Result<Arc<dyn Backend>> {
    let config = FsConfig::new(dir).with_durability(Durability::OnFlush);
    Ok(Arc::new(config.open(OpenMode::Create).await?))
}

/// A folder, and the rounds that the environment asks for.
fn rounds(test: &str) -> (tempfile::TempDir, Kill) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let kill = Kill::from_env(test, dir.to_str().unwrap()).unwrap();
    (folder, kill.with_temporaries(move || temporaries(&dir).unwrap()))
}

#[test]
fn killed_on_put() {
    child_if_asked(open_on_put);
    let (_folder, kill) = rounds("killed_on_put");
    let summary = kill.run(open_on_put).unwrap();
    assert!(summary.acknowledged > summary.rounds, "{summary}");
}

#[test]
fn killed_on_flush() {
    child_if_asked(open_on_flush);
    let (_folder, kill) = rounds("killed_on_flush");
    let summary = kill.run(open_on_flush).unwrap();
    assert!(summary.acknowledged > summary.rounds, "{summary}");
}

/// How a store may break its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// A put is acknowledged and seen at once, and written a little later.
    AcksBeforeItWrites,
    /// The same, in a store that promises it only for after a flush, which does nothing.
    FlushDoesNothing,
    /// A chunk's first half is written before the whole.
    WritesInTwoSteps,
}

#[derive(Debug)]
struct Broken {
    inner: FsStore,
    fault: Fault,
    buffer: Mutex<HashMap<ChunkId, Bytes>>,
}

#[derive(Clone, Debug)]
struct Shared(Arc<Broken>);

impl Shared {
    async fn open(dir: String, fault: Fault) -> Result<Arc<dyn Backend>> {
        let inner = FsConfig::new(dir).open(OpenMode::Create).await?;
        Ok(Arc::new(Self(Arc::new(Broken { inner, fault, buffer: Mutex::default() }))))
    }

    fn buffered(&self, id: ChunkId) -> Option<Bytes> {
        self.0.buffer.lock().unwrap().get(&id).cloned()
    }

    async fn write_later(self, id: ChunkId) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(15)).await;
        // Deleted in the meantime, or written by an earlier one of these.
        let Some(data) = self.buffered(id) else { return Ok(()) };
        self.0.inner.put(id, data).await?;
        self.0.buffer.lock().unwrap().remove(&id);
        Ok(())
    }
}

#[async_trait]
impl ChunkStore for Shared {
    fn capabilities(&self) -> Capabilities {
        let durability = match self.0.fault {
            Fault::FlushDoesNothing => Durability::OnFlush,
            _ => Durability::OnPut,
        };
        Capabilities::new(durability)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        if self.0.fault == Fault::WritesInTwoSteps {
            if self.0.inner.stat(id).await?.is_none() {
                self.0.inner.put(id, data.slice(..data.len() / 2)).await?;
            }
            return self.0.inner.put(id, data).await;
        }
        self.0.buffer.lock().unwrap().insert(id, data);
        tokio::spawn(self.clone().write_later(id));
        Ok(PutOutcome::Unchecked)
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        match self.buffered(id) {
            Some(data) => Ok(Some(data)),
            None => self.0.inner.get(id).await,
        }
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.0.buffer.lock().unwrap().remove(&id);
        self.0.inner.delete(id).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.0.inner.list(after)
    }
}

#[async_trait]
impl RootStore for Shared {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.0.inner.load(name).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.0.inner.swap(name, expect, new).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.0.inner.names()
    }
}

/// The rounds must end with one of these complaints.
fn caught(test: &str, fault: Fault, complaints: &[&str]) {
    let open = |dir| Shared::open(dir, fault);
    child_if_asked(open);
    let (_folder, kill) = rounds(test);
    let problem = kill.with_rounds(40).run(open).expect_err("nothing was noticed");
    assert!(complaints.iter().any(|complaint| problem.contains(complaint)), "{problem}");
}

#[test]
fn a_store_that_acknowledges_before_it_writes_is_caught() {
    let test = "a_store_that_acknowledges_before_it_writes_is_caught";
    caught(test, Fault::AcksBeforeItWrites, &["was acknowledged and is lost"]);
}

#[test]
fn a_store_whose_flush_does_nothing_is_caught() {
    let test = "a_store_whose_flush_does_nothing_is_caught";
    let complaints = ["was acknowledged and is lost", "which is not there"];
    caught(test, Fault::FlushDoesNothing, &complaints);
}

#[test]
fn a_store_that_writes_in_two_steps_is_caught() {
    caught("a_store_that_writes_in_two_steps_is_caught", Fault::WritesInTwoSteps, &["is not whole"]);
}

#[test]
fn a_temporary_that_stays_is_caught() {
    child_if_asked(open_on_put);
    let (folder, kill) = rounds("a_temporary_that_stays_is_caught");
    let dir = folder.path().join("store");
    let kill = kill.with_temporaries(move || {
        // As a sweep would leave it that looks for other names.
        fs::write(dir.join("tmp/left"), "").unwrap();
        fs::read_dir(dir.join("tmp")).unwrap().count() as u64
    });
    let problem = kill.run(open_on_put).unwrap_err();
    assert!(problem.contains("temporaries are left"), "{problem}");
}

#[test]
fn a_child_that_does_nothing_is_caught() {
    // The name of no test: the child runs none, and ends.
    let (_folder, kill) = rounds("there_is_no_such_test");
    let problem = kill.run(open_on_put).unwrap_err();
    assert!(problem.contains("the child ended by itself"), "{problem}");
}
