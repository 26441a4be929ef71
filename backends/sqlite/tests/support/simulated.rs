//! How the suite gets at a store on the simulated disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use selfenc_backend_tests::{Crash, Damage, Expected, Fault, Harness, Op, Step, async_trait};
use selfenc_core::store::{Backend, ChunkId, Durability, Error, ErrorKind, OpenMode, Result, RootStore};
use selfenc_sqlite::SqliteConfig;
use selfenc_sqlite_vfs::{Code, ffi};

use super::location::{self, Done};
use super::vfs::content::Geometry;
use super::vfs::store::PATH;
use super::vfs::world::{Call, Fault as DiskFault, SimDisk};

const MAX_CHUNK_LEN: u64 = (1 << 20) + 1;

/// What goes wrong below.
#[derive(Clone, Copy, Debug)]
enum Cause {
    /// All of these calls fail with this code.
    Disk(&'static [Call], Code),
    /// Another connection is in a transaction that writes.
    Held,
}

const WRITING: &[Call] = &[Call::Write, Call::Truncate];

type Row = (Op, &'static str, Cause, ErrorKind, bool);

/// `src/error.rs` as the suite asks for it.
const ROWS: &[Row] = &[
    (Op::Put, "SQLITE_FULL on write", Cause::Disk(WRITING, ffi::SQLITE_FULL), ErrorKind::Full, false),
    (Op::Put, "SQLITE_IOERR_WRITE", Cause::Disk(WRITING, ffi::SQLITE_IOERR_WRITE), ErrorKind::Other, false),
    (
        Op::Put,
        "SQLITE_READONLY on write",
        Cause::Disk(WRITING, ffi::SQLITE_READONLY),
        ErrorKind::ReadOnly,
        false,
    ),
    (
        Op::Put,
        "SQLITE_PERM on write",
        Cause::Disk(WRITING, ffi::SQLITE_PERM),
        ErrorKind::PermissionDenied,
        false,
    ),
    (Op::Put, "SQLITE_BUSY: another writes", Cause::Held, ErrorKind::Unavailable, true),
    (Op::Delete, "SQLITE_FULL on write", Cause::Disk(WRITING, ffi::SQLITE_FULL), ErrorKind::Full, false),
    (
        Op::Delete,
        "SQLITE_IOERR_WRITE",
        Cause::Disk(WRITING, ffi::SQLITE_IOERR_WRITE),
        ErrorKind::Other,
        false,
    ),
    (Op::Delete, "SQLITE_BUSY: another writes", Cause::Held, ErrorKind::Unavailable, true),
    (
        Op::Get,
        "SQLITE_IOERR_READ",
        Cause::Disk(&[Call::Read], ffi::SQLITE_IOERR_READ),
        ErrorKind::Other,
        false,
    ),
    (
        Op::Get,
        "SQLITE_CORRUPT on read",
        Cause::Disk(&[Call::Read], ffi::SQLITE_IOERR_CORRUPTFS),
        ErrorKind::Corrupt,
        false,
    ),
    (
        Op::Get,
        "SQLITE_IOERR_NOMEM on read",
        Cause::Disk(&[Call::Read], ffi::SQLITE_IOERR_NOMEM),
        ErrorKind::Unavailable,
        true,
    ),
    (
        Op::Stat,
        "SQLITE_IOERR_READ",
        Cause::Disk(&[Call::Read], ffi::SQLITE_IOERR_READ),
        ErrorKind::Other,
        false,
    ),
    (
        Op::List,
        "SQLITE_IOERR_READ",
        Cause::Disk(&[Call::Read], ffi::SQLITE_IOERR_READ),
        ErrorKind::Other,
        false,
    ),
    (
        Op::Load,
        "SQLITE_IOERR_READ",
        Cause::Disk(&[Call::Read], ffi::SQLITE_IOERR_READ),
        ErrorKind::Other,
        false,
    ),
    (
        Op::Names,
        "SQLITE_IOERR_READ",
        Cause::Disk(&[Call::Read], ffi::SQLITE_IOERR_READ),
        ErrorKind::Other,
        false,
    ),
    (Op::Swap, "SQLITE_FULL on write", Cause::Disk(WRITING, ffi::SQLITE_FULL), ErrorKind::Full, false),
    (
        Op::Swap,
        "SQLITE_IOERR_FSYNC",
        Cause::Disk(&[Call::Sync], ffi::SQLITE_IOERR_FSYNC),
        ErrorKind::Other,
        false,
    ),
    (Op::Swap, "SQLITE_BUSY: another writes", Cause::Held, ErrorKind::Unavailable, true),
    (Op::Flush, "SQLITE_BUSY: another writes", Cause::Held, ErrorKind::Unavailable, true),
];

/// Where the first sync after a put is.
const SYNC: (&str, Cause) = ("SQLITE_IOERR_FSYNC", Cause::Disk(&[Call::Sync], ffi::SQLITE_IOERR_FSYNC));

fn table(durability: Durability) -> Vec<(Fault, Cause)> {
    let op = if durability == Durability::OnPut { Op::Put } else { Op::Flush };
    let synced: Row = (op, SYNC.0, SYNC.1, ErrorKind::Other, false);
    let fault = |(op, cause, how, kind, transient): Row| {
        (Fault { cause, op, expected: Expected::Fails(kind, transient) }, how)
    };
    ROWS.iter().copied().chain([synced]).map(fault).collect()
}

#[derive(Debug)]
pub(crate) struct SimHarness {
    place: Mutex<Place>,
    durability: Durability,
}

/// The disk that was made last.
#[derive(Debug)]
struct Place {
    disk: SimDisk,
    /// Holds the database, while it is to be held.
    holder: Option<Connection>,
}

impl SimHarness {
    pub(crate) fn new(durability: Durability) -> Self {
        let disk = SimDisk::new(1, Geometry { sector: 4096, powersafe: true });
        Self { place: Mutex::new(Place { disk, holder: None }), durability }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of the disk for a new process. It stays for ever, since nobody knows when the last handle
    /// goes.
    fn process(&self, readonly: bool) -> String {
        let process = self.place().disk.process(readonly);
        let name = process.name().to_owned();
        std::mem::forget(process);
        name
    }

    async fn open(&self, mode: OpenMode, readonly: bool) -> Result<Arc<dyn Backend>> {
        let rewrite = self.place().disk.rewriter();
        let config = SqliteConfig::new(PATH).with_durability(self.durability).with_page_size(4096);
        let config = config.with_max_chunk_len(MAX_CHUNK_LEN).with_busy_timeout(Duration::from_millis(200));
        let config = config.with_vfs(&self.process(readonly)).with_rewrite(rewrite);
        Ok(Arc::new(config.with_read_only(readonly).open(mode).await?))
    }

    fn foreign(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let conn = Connection::open_with_flags_and_vfs(PATH, flags, self.process(false).as_str())?;
        conn.busy_timeout(Duration::from_secs(5))?;
        Ok(conn)
    }

    fn switch(&self, cause: Option<Cause>) -> Done {
        let holder = self.place().holder.take();
        drop(holder);
        self.place().disk.disarm();
        match cause {
            None => {}
            Some(Cause::Held) => {
                let conn = self.foreign()?;
                conn.execute_batch("BEGIN IMMEDIATE")?;
                self.place().holder = Some(conn);
            }
            Some(Cause::Disk(calls, code)) => {
                // So that nothing is read from memory.
                location::touch(&self.foreign()?)?;
                self.place().disk.arm(Some(DiskFault { calls, code, nth: 0, lasting: true }));
            }
        }
        Ok(())
    }
}

fn broken_hook(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Other, "harness", e.to_string())
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Harness for SimHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        self.place().holder = None;
        self.place().disk = SimDisk::new(1, Geometry { sector: 4096, powersafe: true });
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

    async fn crash(&self, how: Crash, seed: u64) -> Option<Result<()>> {
        let disk = self.place().disk.clone();
        disk.reseed(seed);
        match how {
            Crash::Process => disk.kill(),
            Crash::Power => disk.power_cut(),
        }
        Some(Ok(()))
    }

    async fn corrupt(&self, id: ChunkId, damage: Damage) -> Option<Result<()>> {
        let disk = self.place().disk.clone();
        let overwrite = |at: u64, bytes: &[u8]| {
            let mut file = disk.read(PATH).ok_or("no file")?;
            let at = usize::try_from(at)?;
            file[at..at + bytes.len()].copy_from_slice(bytes);
            disk.replace(PATH, file);
            Done::Ok(())
        };
        let mut conn = match self.foreign() {
            Ok(conn) => conn,
            Err(e) => return Some(Err(broken_hook(e))),
        };
        let done = location::damage(&mut conn, &overwrite, id, damage, MAX_CHUNK_LEN);
        done.map(|done| done.map_err(broken_hook))
    }

    async fn litter(&self) -> Option<Result<()>> {
        let litter = || {
            for name in location::LITTER {
                self.place().disk.replace(&format!("/store/{name}"), b"not ours".to_vec());
            }
            location::litter(&self.foreign()?)
        };
        Some(litter().map_err(broken_hook))
    }

    fn faults(&self) -> Vec<Fault> {
        table(self.durability).into_iter().map(|(fault, _)| fault).collect()
    }

    async fn fault(&self, fault: Option<&Fault>) -> Option<Result<()>> {
        let cause = |fault: &Fault| table(self.durability).into_iter().find(|row| row.0 == *fault);
        let cause = match fault.map(|fault| cause(fault).ok_or("no such fault")).transpose() {
            Ok(row) => row.map(|row| row.1),
            Err(e) => return Some(Err(broken_hook(e))),
        };
        Some(self.switch(cause).map_err(broken_hook))
    }

    /// Whether a file was moved is asked of the operating system, which does not know of this disk.
    async fn remove_container(&self) -> Option<Result<()>> {
        None
    }

    async fn readonly(&self) -> Option<Result<Arc<dyn Backend>>> {
        // Without shared memory that can be made, nothing can be read: the other harness shows that.
        None
    }

    async fn pause(&self, on: bool) -> Option<Result<()>> {
        let disk = self.place().disk.clone();
        disk.freeze(on);
        Some(Ok(()))
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
