//! Finding out what a folder is, making it a store, and opening sled in it.
//!
//! sled changes whatever folder it is given. So a marker beside sled's own folder says what this is, and is
//! read before sled is asked; another program's database is never touched.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use selfenc_core::store::{Error, ErrorKind, OpenMode, Result};
use sled::Db;

use crate::error::{failed, io_failed, locked, panicked};
use crate::layout::{
    DATABASE, LAYOUT, LOCK, Layout, MARKER, MARKER_TEXT, NEW_MARKER, is_corner, is_half_snapshot,
    parse_marker,
};
use crate::store::Database;

/// Longer than any marker.
pub(crate) const MAX_MARKER_LEN: u64 = 256;

/// How long sled may hold its own lock after its database was dropped: threads of it may still be at work.
const LINGERING: Duration = Duration::from_secs(2);

/// The trees of a store.
const TREES: [&str; 4] = ["lengths", "pieces", "roots", "root-values"];

pub(crate) fn open(
    layout: Layout,
    mode: OpenMode,
    cache: u64,
    sync: fn(&File) -> io::Result<()>,
) -> Result<Database> {
    let found = find(&layout)?;
    if !matches!(found, Found::Store) {
        check_may_be_made(&layout, &found, mode)?;
        fs::create_dir_all(&layout.dir).map_err(|e| io_failed("open", "make the folder", &layout.dir, e))?;
    }
    let lock = take_lock(&layout)?;
    // Again, now that nobody else can be making it.
    let exists = read_marker("open", &layout.marker)?;
    if exists && !layout.log.is_file() {
        let message = format!("{} is gone, and with it the store; restore a copy", layout.log.display());
        return Err(Error::new(ErrorKind::Corrupt, "open", message));
    }
    sweep(&layout)?;
    let opened = catch_unwind(AssertUnwindSafe(|| open_database(layout, lock, cache, exists)));
    let mut database = opened.unwrap_or_else(|panic| Err(panicked("open", &*panic)))?;
    database.sync = sync;
    if !exists {
        write_marker(&database)?;
    }
    Ok(database)
}

/// What stands where a store is to be opened.
enum Found {
    Store,
    /// A folder without a marker, and the names in it.
    Folder(Vec<OsString>),
    Nothing,
}

fn find(layout: &Layout) -> Result<Found> {
    let dir = &layout.dir;
    if read_marker("open", &layout.marker)? {
        return Ok(Found::Store);
    }
    let names = fs::read_dir(dir).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()
    });
    match names {
        Ok(names) => Ok(Found::Folder(names)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Err(not_a_folder("open", dir)),
        Err(e) => Err(io_failed("open", "read the folder", dir, e)),
    }
}

fn check_may_be_made(layout: &Layout, found: &Found, mode: OpenMode) -> Result<()> {
    let foreign = match found {
        Found::Folder(names) => names.iter().any(|name| !may_stand_in_a_new_store(layout, name, names)),
        _ => false,
    };
    let (kind, problem) = match (mode, found, foreign) {
        (OpenMode::Existing, Found::Nothing, _) => {
            (ErrorKind::ContainerMissing, "there is no such folder; check the path, or create the store")
        }
        (OpenMode::Existing, _, false) => {
            (ErrorKind::ContainerMissing, "no store was made in it; check the path, or create the store")
        }
        (OpenMode::Existing, _, true) => {
            (ErrorKind::ContainerMissing, "it is not a store (no file selfenc-store in it); check the path")
        }
        (OpenMode::Create, _, true) => {
            (ErrorKind::InvalidInput, "it is neither empty nor a store; give a new or an empty folder")
        }
        (OpenMode::Create, _, false) => return Ok(()),
    };
    Err(Error::new(kind, "open", format!("{}: {problem}", layout.dir.display())))
}

/// What an interrupted making left, which begins with the lock, or a test that was killed: its corner is in
/// nobody's way.
fn may_stand_in_a_new_store(layout: &Layout, name: &OsString, all: &[OsString]) -> bool {
    let is_begun = all.iter().any(|name| name == LOCK);
    name == LOCK
        || (is_begun && (name == DATABASE || name == NEW_MARKER || name == MARKER))
        || (is_corner(name) && layout.dir.join(name).is_dir())
}

/// Whether there is a marker, and it is one of a store that this version knows.
pub(crate) fn read_marker(op: &'static str, marker: &Path) -> Result<bool> {
    let text = File::open(marker).and_then(|file| {
        let mut text = Vec::new();
        file.take(MAX_MARKER_LEN).read_to_end(&mut text).map(|_| text)
    });
    let problem = |kind, what: String| Err(Error::new(kind, op, format!("{}: {what}", marker.display())));
    match text {
        Ok(text) => match parse_marker(&text) {
            Some(LAYOUT) => Ok(true),
            Some(newer) => problem(
                ErrorKind::Unsupported,
                format!(
                    "this store has layout {newer}, this version knows {LAYOUT}; use a newer version of selfenc"
                ),
            ),
            None if text.starts_with(b"selfenc ") => {
                problem(ErrorKind::InvalidInput, "this is a store of another kind; check the URL".to_owned())
            }
            None => {
                problem(ErrorKind::Corrupt, format!("this is not the marker of a store; restore {MARKER}"))
            }
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(e) => Err(io_failed(op, "read", marker, e)),
    }
}

/// Removes snapshots that a crash left half-written: sled would take the newest for a whole one, and not open.
fn sweep(layout: &Layout) -> Result<()> {
    let cannot = |e| io_failed("open", "read the folder", &layout.database, e);
    let entries = match fs::read_dir(&layout.database) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(cannot(e)),
    };
    for entry in entries {
        let entry = entry.map_err(cannot)?;
        if is_half_snapshot(&entry.file_name()) {
            fs::remove_file(entry.path()).map_err(|e| io_failed("open", "remove", &entry.path(), e))?;
        }
    }
    Ok(())
}

/// sled locks its log as well, but says so only in words.
fn take_lock(layout: &Layout) -> Result<File> {
    let path = &layout.lock;
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|e| io_failed("open", "open", path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(locked("open")),
        Err(TryLockError::Error(e)) => Err(io_failed("open", "lock", path, e)),
    }
}

fn open_database(layout: Layout, lock: File, cache: u64, exists: bool) -> Result<Database> {
    let db = open_sled(&layout, cache)?;
    let has = |tree: &str| db.tree_names().iter().any(|name| name == tree.as_bytes());
    if exists && !TREES.iter().all(|tree| has(tree)) {
        let message = format!("sled finds no store in {}; restore a copy", layout.database.display());
        return Err(Error::new(ErrorKind::Corrupt, "open", message));
    }
    let [lengths, pieces, roots, root_values] = TREES.map(|tree| db.open_tree(tree));
    let log = File::options().read(true).write(true).open(&layout.log);
    let log = log.map_err(|e| io_failed("open", "open", &layout.log, e))?;
    // What sled made or renamed while it opened.
    sync_folder(&layout.database)?;
    Ok(Database {
        lengths: lengths.map_err(|e| failed("open", e))?,
        pieces: pieces.map_err(|e| failed("open", e))?,
        roots: roots.map_err(|e| failed("open", e))?,
        root_values: root_values.map_err(|e| failed("open", e))?,
        db,
        log,
        layout,
        waiting: AtomicU64::new(0),
        sync: File::sync_all,
        sync_failed: AtomicBool::new(false),
        _lock: lock,
    })
}

/// What sled writes at once, in bytes: half of its default, and so half the memory for what waits to be
/// written or dropped. A database keeps the one that it was made with, and opens with no other.
const SEGMENT: usize = 256 << 10;

fn open_sled(layout: &Layout, cache: u64) -> Result<Db> {
    let config = sled::Config::new()
        .path(&layout.database)
        .cache_capacity(cache)
        .segment_size(SEGMENT)
        // Nothing is promised before a flush, and a failure of sled's own flush would be only logged.
        .flush_every_ms(None);
    let start = Instant::now();
    loop {
        match config.open().map_err(|e| failed("open", e)) {
            // The store's own lock is ours, so this is what an earlier handle left, or another program.
            Err(e) if e.kind() == ErrorKind::Locked && start.elapsed() < LINGERING => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// Last, so that an interrupted making is no store.
fn write_marker(database: &Database) -> Result<()> {
    let Layout { dir, marker, .. } = &database.layout;
    database.flush("open")?;
    let new = dir.join(NEW_MARKER);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(format!("{MARKER_TEXT}{LAYOUT}\n").as_bytes())?;
        file.sync_all()
    });
    written.map_err(|e| io_failed("open", "write", &new, e))?;
    fs::rename(&new, marker).map_err(|e| io_failed("open", "write", marker, e))?;
    sync_folder(dir)?;
    // Folders that were made above it. One that belongs to somebody else need not let us.
    for parent in dir.ancestors().skip(1) {
        let _ = sync_folder(parent);
    }
    Ok(())
}

#[cfg(unix)]
fn sync_folder(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| io_failed("open", "sync", dir, e))
}

/// Folders cannot be synced there.
#[cfg(not(unix))]
fn sync_folder(_dir: &Path) -> Result<()> {
    Ok(())
}

pub(crate) fn not_a_folder(op: &'static str, dir: &Path) -> Error {
    Error::new(ErrorKind::InvalidInput, op, format!("{} is not a folder; give one", dir.display()))
}
