//! The conformance suite over the SQLite store, in both durabilities: on a real file, and on a simulated
//! disk that can fail, freeze and lose its power.
#![allow(clippy::unwrap_used)]

#[path = "support/location.rs"]
mod location;
#[path = "support/simulated.rs"]
mod simulated;
#[path = "support/vfs/mod.rs"]
mod vfs;

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use selfenc_backend_tests::{Crash, Damage, Fault, Harness, Step, async_trait};
use selfenc_core::store::{Backend, ChunkId, Durability, Error, ErrorKind, OpenMode, Result, RootStore};
use selfenc_sqlite::SqliteConfig;
use simulated::SimHarness;
use tempfile::TempDir;

selfenc_backend_tests::conformance!(mod sqlite_on_put = SqliteHarness::new(Durability::OnPut, 72 << 20));
selfenc_backend_tests::conformance!(
    mod sqlite_on_flush = SqliteHarness::new(Durability::OnFlush, (1 << 20) + 1)
);
selfenc_backend_tests::conformance!(mod simulated_on_put = SimHarness::new(Durability::OnPut));
selfenc_backend_tests::conformance!(mod simulated_on_flush = SimHarness::new(Durability::OnFlush));

#[test]
#[ignore = "writes reports; see the README of the repository"]
fn write_report() {
    let (on_put, on_flush) = (Durability::OnPut, Durability::OnFlush);
    selfenc_backend_tests::write_report("sqlite-on-put", &SqliteHarness::new(on_put, 72 << 20));
    selfenc_backend_tests::write_report("sqlite-on-flush", &SqliteHarness::new(on_flush, (1 << 20) + 1));
    selfenc_backend_tests::write_report("sqlite-simulated-on-put", &SimHarness::new(on_put));
    selfenc_backend_tests::write_report("sqlite-simulated-on-flush", &SimHarness::new(on_flush));
}

#[derive(Debug)]
struct SqliteHarness {
    /// The location that was opened last.
    place: Mutex<TempDir>,
    durability: Durability,
    max_chunk_len: u64,
}

impl SqliteHarness {
    fn new(durability: Durability, max_chunk_len: u64) -> Self {
        Self { place: Mutex::new(tempfile::tempdir().unwrap()), durability, max_chunk_len }
    }

    fn path(&self) -> PathBuf {
        self.place.lock().unwrap().path().join("store.db")
    }

    async fn open(&self, mode: OpenMode, read_only: bool) -> Result<Arc<dyn Backend>> {
        let config = SqliteConfig::new(self.path()).with_durability(self.durability);
        let config = config.with_max_chunk_len(self.max_chunk_len).with_read_only(read_only);
        Ok(Arc::new(config.open(mode).await?))
    }
}

fn broken_hook(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Other, "harness", e.to_string())
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Harness for SqliteHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        *self.place.lock().unwrap() = tempfile::tempdir().map_err(broken_hook)?;
        self.open(OpenMode::Create, false).await
    }

    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing, false).await)
    }

    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing, false).await)
    }

    async fn roots(&self) -> Option<Result<Arc<dyn RootStore>>> {
        Some(self.open(OpenMode::Existing, false).await.map(|store| store as _))
    }

    /// The old location stays as it is for the handles that have it, who are dead to the suite.
    async fn crash(&self, how: Crash, _seed: u64) -> Option<Result<()>> {
        // The power is cut on the simulated disk.
        if how == Crash::Power {
            return None;
        }
        let copy = || {
            let place = tempfile::tempdir()?;
            location::copy_as_killed(&self.path(), &place.path().join("store.db"))?;
            *self.place.lock().unwrap() = place;
            location::Done::Ok(())
        };
        Some(copy().map_err(broken_hook))
    }

    async fn corrupt(&self, id: ChunkId, damage: Damage) -> Option<Result<()>> {
        let path = self.path();
        let mut conn = match location::foreign(&path) {
            Ok(conn) => conn,
            Err(e) => return Some(Err(broken_hook(e))),
        };
        let overwrite = |at, bytes: &[u8]| location::overwrite_file(&path, at, bytes);
        let done = location::damage(&mut conn, &overwrite, id, damage, self.max_chunk_len);
        done.map(|done| done.map_err(broken_hook))
    }

    async fn litter(&self) -> Option<Result<()>> {
        let path = self.path();
        let litter = || {
            for name in location::LITTER {
                fs::write(path.with_file_name(name), "not ours")?;
            }
            fs::create_dir(path.with_file_name("store.db.d"))?;
            location::litter(&location::foreign(&path)?)
        };
        Some(litter().map_err(broken_hook))
    }

    /// The simulated disk has them.
    fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }

    async fn fault(&self, _fault: Option<&Fault>) -> Option<Result<()>> {
        None
    }

    async fn remove_container(&self) -> Option<Result<()>> {
        let path = self.path();
        Some(fs::rename(&path, path.with_extension("gone")).map_err(broken_hook))
    }

    async fn readonly(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing, true).await)
    }

    async fn pause(&self, _on: bool) -> Option<Result<()>> {
        None
    }

    /// A log is synced, and nothing is renamed: there is no such order to check.
    async fn trace(&self) -> Option<Vec<Step>> {
        None
    }

    /// SQLite makes no temporaries that outlive a transaction.
    async fn temporaries(&self) -> Option<Result<u64>> {
        None
    }

    fn known_failures(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}
