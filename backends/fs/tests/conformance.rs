//! The conformance suite over the filesystem store, in both durabilities: a real folder, on a machine that
//! can fail, freeze, be killed and lose its power.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use selfenc_backend_tests::{Crash, Damage, Fault, Harness, Step, async_trait};
use selfenc_core::store::{Backend, ChunkId, Durability, Error, ErrorKind, OpenMode, Result, RootStore};
use selfenc_fs::{FsConfig, FsLayout};
use support::fault_table::{FsFault, table};
use support::location;
use support::machine::Machine;
use tempfile::TempDir;

selfenc_backend_tests::conformance!(mod fs_on_put = FsHarness::new(Durability::OnPut, 72 << 20));
selfenc_backend_tests::conformance!(mod fs_on_flush = FsHarness::new(Durability::OnFlush, (1 << 20) + 1));
selfenc_backend_tests::conformance!(mod fs_flat = FsHarness::flat());

#[test]
#[ignore = "writes reports; see the README of the repository"]
fn write_report() {
    selfenc_backend_tests::write_report("fs-on-put", &FsHarness::new(Durability::OnPut, 72 << 20));
    selfenc_backend_tests::write_report("fs-on-flush", &FsHarness::new(Durability::OnFlush, (1 << 20) + 1));
    selfenc_backend_tests::write_report("fs-flat", &FsHarness::flat());
}

#[derive(Debug)]
struct FsHarness {
    /// The location that was opened last.
    place: Mutex<Place>,
    layout: FsLayout,
    durability: Durability,
    max_chunk_len: u64,
}

#[derive(Debug)]
struct Place {
    folder: TempDir,
    machine: Machine,
}

impl Place {
    fn new() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let machine = Machine::new(folder.path().to_owned(), 1);
        Ok(Self { folder, machine })
    }
}

impl FsHarness {
    fn new(durability: Durability, max_chunk_len: u64) -> Self {
        let place = Mutex::new(Place::new().unwrap());
        Self { place, layout: FsLayout::Sharded, durability, max_chunk_len }
    }

    fn flat() -> Self {
        Self { layout: FsLayout::Flat, ..Self::new(Durability::OnPut, 72 << 20) }
    }

    fn dir(&self) -> PathBuf {
        self.place.lock().unwrap().folder.path().join("store")
    }

    fn machine(&self) -> Machine {
        self.place.lock().unwrap().machine.clone()
    }

    async fn open(&self, mode: OpenMode, readonly: bool) -> Result<Arc<dyn Backend>> {
        let os = Arc::new(self.machine().process(readonly));
        let mut config = FsConfig::new(self.dir()).with_durability(self.durability).with_os(os);
        if self.layout == FsLayout::Flat {
            config = config.with_layout(FsLayout::Flat);
        }
        Ok(Arc::new(config.with_max_chunk_len(self.max_chunk_len).open(mode).await?))
    }
}

fn broken_hook(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Other, "harness", e.to_string())
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Harness for FsHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        *self.place.lock().unwrap() = Place::new().map_err(broken_hook)?;
        self.open(OpenMode::Create, false).await
    }

    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing, false).await)
    }

    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing, false).await)
    }

    async fn roots(&self) -> Option<Result<Arc<dyn RootStore>>> {
        let has_roots = self.layout == FsLayout::Sharded;
        let store = self.open(OpenMode::Existing, false).await.map(|store| store as _);
        has_roots.then_some(store)
    }

    async fn crash(&self, how: Crash, seed: u64) -> Option<Result<()>> {
        match how {
            Crash::Process => self.machine().kill(),
            Crash::Power => self.machine().power_cut(seed),
        }
        Some(Ok(()))
    }

    async fn corrupt(&self, id: ChunkId, damage: Damage) -> Option<Result<()>> {
        let done = location::damage(&self.dir(), id, damage, self.max_chunk_len);
        done.map(|done| done.map_err(broken_hook))
    }

    async fn litter(&self) -> Option<Result<()>> {
        Some(location::litter(&self.dir()).map_err(broken_hook))
    }

    fn faults(&self) -> Vec<Fault> {
        table(self.durability).into_iter().map(|row| row.fault).collect()
    }

    async fn fault(&self, fault: Option<&Fault>) -> Option<Result<()>> {
        let row = |fault: &Fault| table(self.durability).into_iter().find(|row| row.fault == *fault);
        let fault = fault.map(|fault| row(fault).ok_or_else(|| broken_hook("no such fault"))).transpose();
        Some(fault.map(|row| self.machine().fail(row.map(|FsFault { calls, errno, .. }| (calls, errno)))))
    }

    async fn remove_container(&self) -> Option<Result<()>> {
        let dir = self.dir();
        Some(fs::rename(&dir, dir.with_extension("gone")).map_err(broken_hook))
    }

    async fn readonly(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing, true).await)
    }

    async fn pause(&self, on: bool) -> Option<Result<()>> {
        self.machine().freeze(on);
        Some(Ok(()))
    }

    async fn trace(&self) -> Option<Vec<Step>> {
        Some(self.machine().trace())
    }

    async fn temporaries(&self) -> Option<Result<u64>> {
        Some(location::temporaries(&self.dir()).map_err(broken_hook))
    }

    fn known_failures(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}
