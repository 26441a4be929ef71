//! The conformance suite over objects in memory, over a service that outlives its users, and over a
//! folder: each behind a double that can fail, freeze and be cut off.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use selfenc_backend_tests::{Crash, Damage, Fault, Harness, Step, async_trait};
use selfenc_core::store::{Backend, ChunkId, Durability, Error, ErrorKind, OpenMode, Result, RootStore};
use selfenc_object_store::ObjectStoreConfig;
use support::double::{ALL, Controls};
use support::fault_table::{ObjectFault, table};
use support::location;
use support::trouble::Trouble;
use tempfile::TempDir;

selfenc_backend_tests::conformance!(mod objects_memory = ServiceHarness::new(Durability::Volatile, 72 << 20));
selfenc_backend_tests::conformance!(mod objects_service = ServiceHarness::new(Durability::OnPut, (1 << 20) + 1));
selfenc_backend_tests::conformance!(mod objects_local = LocalHarness::new(72 << 20));

#[test]
#[ignore = "writes reports; see the README of the repository"]
fn write_report() {
    selfenc_backend_tests::write_report("object-store-local", &LocalHarness::new(72 << 20));
    let service = ServiceHarness::new(Durability::OnPut, (1 << 20) + 1);
    selfenc_backend_tests::write_report("object-store-service", &service);
}

const PREFIX: &str = "some/where";

/// Objects in memory. With `Durability::OnPut` they stand for a service: what its user's machine loses
/// does not concern it.
#[derive(Debug)]
struct ServiceHarness {
    place: Mutex<(Arc<InMemory>, Controls)>,
    durability: Durability,
    max_chunk_len: u64,
}

impl ServiceHarness {
    fn new(durability: Durability, max_chunk_len: u64) -> Self {
        Self { place: Mutex::default(), durability, max_chunk_len }
    }

    fn place(&self) -> (Arc<InMemory>, Controls) {
        self.place.lock().unwrap().clone()
    }

    fn config(&self, readonly: bool) -> ObjectStoreConfig {
        let (objects, controls) = self.place();
        let mut double = controls.around(objects);
        if readonly {
            double = double.readonly(Trouble::Status(403, "AccessDenied"));
        }
        ObjectStoreConfig::new(Arc::new(double), self.durability)
            .with_prefix(PREFIX)
            .unwrap()
            .with_max_chunk_len(self.max_chunk_len)
            // In memory they are in order: both ways to list are tried.
            .with_lists_in_order(self.durability == Durability::OnPut)
    }

    async fn open(&self, mode: OpenMode, readonly: bool) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(self.config(readonly).open(mode).await?))
    }

    /// The service as it is after its user has gone.
    async fn open_again(&self) -> Result<Arc<dyn Backend>> {
        if self.durability == Durability::Volatile {
            return Harness::open(self).await;
        }
        self.open(OpenMode::Existing, false).await
    }
}

fn broken_hook(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Other, "harness", e.to_string())
}

fn row(fault: Option<&Fault>, is_local: bool) -> Result<Option<ObjectFault>> {
    let find = |fault: &Fault| table(is_local).into_iter().find(|row| row.fault == *fault);
    fault.map(|fault| find(fault).ok_or_else(|| broken_hook("no such fault"))).transpose()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Harness for ServiceHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        *self.place.lock().unwrap() = Default::default();
        self.open(OpenMode::Create, false).await
    }

    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open_again().await)
    }

    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing, false).await)
    }

    async fn roots(&self) -> Option<Result<Arc<dyn RootStore>>> {
        Some(self.open(OpenMode::Existing, false).await.map(|store| store as _))
    }

    async fn crash(&self, _how: Crash, _seed: u64) -> Option<Result<()>> {
        self.place().1.kill();
        Some(Ok(()))
    }

    async fn corrupt(&self, id: ChunkId, damage: Damage) -> Option<Result<()>> {
        let prefix = Path::from(PREFIX);
        let done = location::damage_object(&*self.place().0, &prefix, id, damage, self.max_chunk_len).await;
        done.map(|done| done.map_err(broken_hook))
    }

    async fn litter(&self) -> Option<Result<()>> {
        let work = async {
            for name in location::litter() {
                self.place().0.put(&Path::from(format!("{PREFIX}/{name}")), "not ours".into()).await?;
            }
            self.place().0.put(&Path::from(format!("{PREFIX}x/selfenc-store")), "not ours".into()).await
        };
        Some(work.await.map(drop).map_err(broken_hook))
    }

    fn faults(&self) -> Vec<Fault> {
        table(false).into_iter().map(|row| row.fault).collect()
    }

    async fn fault(&self, fault: Option<&Fault>) -> Option<Result<()>> {
        Some(row(fault, false).map(|row| self.place().1.fail(row.map(|row| (row.calls, row.trouble)))))
    }

    async fn remove_container(&self) -> Option<Result<()>> {
        self.place().1.fail(Some((ALL, Trouble::Status(404, "NoSuchBucket"))));
        Some(Ok(()))
    }

    async fn readonly(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing, true).await)
    }

    async fn pause(&self, on: bool) -> Option<Result<()>> {
        self.place().1.pause(on);
        Some(Ok(()))
    }

    /// A service does not tell.
    async fn trace(&self) -> Option<Vec<Step>> {
        None
    }

    /// What a service has of an upload that was not completed is not to be seen.
    async fn temporaries(&self) -> Option<Result<u64>> {
        None
    }

    fn known_failures(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}

/// A folder, by `LocalFileSystem`.
#[derive(Debug)]
struct LocalHarness {
    place: Mutex<(TempDir, PathBuf, Controls)>,
    max_chunk_len: u64,
}

impl LocalHarness {
    fn new(max_chunk_len: u64) -> Self {
        Self { place: Mutex::new(Self::place()), max_chunk_len }
    }

    fn place() -> (TempDir, PathBuf, Controls) {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        (folder, dir, Controls::default())
    }

    fn dir(&self) -> PathBuf {
        self.place.lock().unwrap().1.clone()
    }

    fn controls(&self) -> Controls {
        self.place.lock().unwrap().2.clone()
    }

    async fn open(&self, mode: OpenMode, readonly: bool) -> Result<Arc<dyn Backend>> {
        let controls = self.controls();
        let around = move |objects| -> Arc<dyn ObjectStore> {
            let double = controls.around(objects);
            Arc::new(if readonly { double.readonly(Trouble::Errno(30)) } else { double })
        };
        let config = ObjectStoreConfig::local(self.dir()).with_max_chunk_len(self.max_chunk_len);
        Ok(Arc::new(config.with_around(around).open(mode).await?))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Harness for LocalHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        *self.place.lock().unwrap() = Self::place();
        self.open(OpenMode::Create, false).await
    }

    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing, false).await)
    }

    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing, false).await)
    }

    /// There are none: `LocalFileSystem` has no conditional update.
    async fn roots(&self) -> Option<Result<Arc<dyn RootStore>>> {
        None
    }

    /// A copy of the folder at this moment is what a killed process leaves. What the disk has not got, a
    /// power cut would take; below `object_store` there is no seam to show that.
    async fn crash(&self, how: Crash, _seed: u64) -> Option<Result<()>> {
        if how == Crash::Power {
            return None;
        }
        let dir = self.dir();
        let count = fs::read_dir(dir.parent().unwrap()).unwrap().count();
        let copy = dir.with_file_name(format!("store-{count}"));
        let done = location::copy(&dir, &copy).map_err(broken_hook);
        self.place.lock().unwrap().1 = copy;
        Some(done)
    }

    async fn corrupt(&self, id: ChunkId, damage: Damage) -> Option<Result<()>> {
        let done = location::damage_file(&self.dir(), id, damage, self.max_chunk_len);
        done.map(|done| done.map_err(broken_hook))
    }

    async fn litter(&self) -> Option<Result<()>> {
        Some(location::litter_folder(&self.dir()).map_err(broken_hook))
    }

    fn faults(&self) -> Vec<Fault> {
        table(true).into_iter().map(|row| row.fault).collect()
    }

    async fn fault(&self, fault: Option<&Fault>) -> Option<Result<()>> {
        Some(row(fault, true).map(|row| self.controls().fail(row.map(|row| (row.calls, row.trouble)))))
    }

    async fn remove_container(&self) -> Option<Result<()>> {
        let dir = self.dir();
        Some(fs::rename(&dir, dir.with_extension("gone")).map_err(broken_hook))
    }

    async fn readonly(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing, true).await)
    }

    async fn pause(&self, on: bool) -> Option<Result<()>> {
        self.controls().pause(on);
        Some(Ok(()))
    }

    /// `object_store` asks the system directly.
    async fn trace(&self) -> Option<Vec<Step>> {
        None
    }

    /// Staged files of a killed process stay until the store is destroyed: `object_store` has no sweep, and
    /// finding them would mean to read every folder.
    async fn temporaries(&self) -> Option<Result<u64>> {
        None
    }

    fn known_failures(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}
