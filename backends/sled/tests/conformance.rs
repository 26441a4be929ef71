//! The conformance suite over the store in sled: a real folder.
//!
//! sled has no seam below it: its faults, pauses, syncs and power cuts cannot be had here, and those cases
//! are reported as not exercised. `tests/disk.rs` has what can be done to its files, `tests/kill.rs` real
//! kills.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use selfenc_backend_tests::{Crash, Damage, Fault, Harness, Step, async_trait};
use selfenc_core::store::{Backend, ChunkId, Error, ErrorKind, OpenMode, Result, RootStore};
use selfenc_sled::{SledConfig, SledStore};
use support::gated::{Gate, Gated};
use support::location;
use tempfile::TempDir;

selfenc_backend_tests::conformance!(mod sled_on_flush = SledHarness::new());

#[test]
#[ignore = "writes a report; see the README of the repository"]
fn write_report() {
    selfenc_backend_tests::write_report("sled", &SledHarness::new());
}

/// The location that was opened last.
#[derive(Debug)]
struct Place {
    folder: TempDir,
    /// Which image of it: each crash makes the next.
    life: u32,
    gate: Gate,
    store: Weak<SledStore>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), life: 0, gate: Gate::default(), store: Weak::new() }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join(format!("store-{}", self.life))
    }
}

#[derive(Debug)]
struct SledHarness {
    place: Mutex<Place>,
    max_chunk_len: u64,
}

impl SledHarness {
    fn new() -> Self {
        Self { place: Mutex::new(Place::new()), max_chunk_len: 72 << 20 }
    }

    fn dir(&self) -> PathBuf {
        self.place.lock().unwrap().dir()
    }

    async fn open(&self, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        let store = SledConfig::new(self.dir()).with_max_chunk_len(self.max_chunk_len).open(mode).await?;
        let (inner, gate) = (Arc::new(store), Arc::new(tokio::sync::RwLock::new(true)));
        let mut place = self.place.lock().unwrap();
        (place.gate, place.store) = (Arc::clone(&gate), Arc::downgrade(&inner));
        Ok(Arc::new(Gated { inner, gate }))
    }
}

fn broken_hook(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Other, "harness", e.to_string())
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Harness for SledHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        *self.place.lock().unwrap() = Place::new();
        self.open(OpenMode::Create).await
    }

    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing).await)
    }

    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing).await)
    }

    /// The store keeps its roots itself, and nobody else can open it meanwhile.
    async fn roots(&self) -> Option<Result<Arc<dyn RootStore>>> {
        None
    }

    /// The files as they stand when no call is under way; what sled has in memory stays behind. What a power
    /// cut takes cannot be told from outside of sled.
    async fn crash(&self, how: Crash, _seed: u64) -> Option<Result<()>> {
        if how == Crash::Power {
            return None;
        }
        let gate = Arc::clone(&self.place.lock().unwrap().gate);
        *gate.write().await = false;
        let mut place = self.place.lock().unwrap();
        let from = place.dir();
        place.life += 1;
        Some(location::image(&from, &place.dir()).map_err(broken_hook))
    }

    async fn corrupt(&self, id: ChunkId, damage: Damage) -> Option<Result<()>> {
        let store = self.place.lock().unwrap().store.upgrade();
        let Some(trees) = store.and_then(|store| store.engine().trees()) else {
            return Some(Err(broken_hook("the store is closed")));
        };
        let done = location::damage(&trees, id, damage, self.max_chunk_len);
        done.map(|done| done.map_err(broken_hook))
    }

    async fn litter(&self) -> Option<Result<()>> {
        Some(location::litter(&self.dir()).map_err(broken_hook))
    }

    fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }

    async fn fault(&self, _fault: Option<&Fault>) -> Option<Result<()>> {
        None
    }

    async fn remove_container(&self) -> Option<Result<()>> {
        let dir = self.dir();
        Some(fs::rename(&dir, dir.with_extension("gone")).map_err(broken_hook))
    }

    /// sled does not open what it cannot write.
    async fn readonly(&self) -> Option<Result<Arc<dyn Backend>>> {
        None
    }

    async fn pause(&self, _on: bool) -> Option<Result<()>> {
        None
    }

    async fn trace(&self) -> Option<Vec<Step>> {
        None
    }

    async fn temporaries(&self) -> Option<Result<u64>> {
        Some(location::temporaries(&self.dir()).map_err(broken_hook))
    }

    fn known_failures(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}
