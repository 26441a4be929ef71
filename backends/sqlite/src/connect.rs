//! Connections to the file.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use selfenc_core::store::StoreUrl;

use crate::error::{extended, has_code};

/// What the writer may keep of the file in memory, in KiB. A transaction that is larger goes to the log
/// early.
const WRITER_CACHE: i64 = 4 << 10;

/// What each reader may keep, in KiB.
const READER_CACHE: i64 = 2 << 10;

/// A log that grew beyond this is cut when it is started anew.
const JOURNAL_SIZE_LIMIT: i64 = 32 << 20;

/// How the file is opened, for every connection alike.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) path: PathBuf,
    /// SQLite's own operating system if `None`.
    pub(crate) vfs: Option<String>,
    pub(crate) busy_timeout: Duration,
    pub(crate) rewrite: Rewrite,
}

/// Writes a file's bytes anew where they stand, and syncs them.
#[derive(Clone)]
pub(crate) struct Rewrite(pub(crate) Arc<RewriteFn>);

type RewriteFn = dyn Fn(&Path) -> io::Result<()> + Send + Sync;

impl Default for Rewrite {
    fn default() -> Self {
        Self(Arc::new(rewrite))
    }
}

impl fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rewrite")
    }
}

/// See [`Connector::still`].
pub(crate) type Stamp = (u64, SystemTime);

fn rewrite(path: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    let (mut at, mut block) = (0, vec![0; 1 << 20]);
    loop {
        file.seek(SeekFrom::Start(at))?;
        let len = file.read(&mut block)?;
        if len == 0 {
            return file.sync_all();
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&block[..len])?;
        at += len as u64;
    }
}

impl Connector {
    /// A connection that writes. `create` makes an empty file if there is none.
    ///
    /// Where the file may not be written, SQLite gives one that only reads.
    pub(crate) fn writer(&self, create: bool) -> rusqlite::Result<Connection> {
        let create = if create { OpenFlags::SQLITE_OPEN_CREATE } else { OpenFlags::empty() };
        let conn = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE | create)?;
        // The writer decides itself when to move the log into the file: it has to know how that ends.
        conn.execute_batch(&format!(
            "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = {JOURNAL_SIZE_LIMIT};
             PRAGMA cache_size = -{WRITER_CACHE};"
        ))?;
        Ok(conn)
    }

    /// A connection that reads only.
    pub(crate) fn reader(&self) -> rusqlite::Result<Connection> {
        let conn = self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        conn.execute_batch(&format!("PRAGMA cache_size = -{READER_CACHE};"))?;
        Ok(conn)
    }

    /// A connection to a file in a place where nothing can be written, and so no shared memory be made.
    ///
    /// It believes that nobody changes the file, so it is good only as long as [`still`](Self::still) is the
    /// same as before it was made. `None` if there is a log, or if `why`, which an ordinary connection met,
    /// has another cause.
    pub(crate) fn still_reader(&self, why: &rusqlite::Error) -> rusqlite::Result<Option<Connection>> {
        let no_shared_memory = has_code(why, ErrorCode::CannotOpen)
            || extended(why) == Some(ffi::SQLITE_READONLY_CANTINIT)
            || extended(why) == Some(ffi::SQLITE_READONLY_DIRECTORY);
        if !no_shared_memory || self.vfs.is_some() || self.has_log() {
            return Ok(None);
        }
        self.immutable()
    }

    /// A connection to a file that has no log or journal to be read. It makes neither, nor an index, as an
    /// ordinary one does beside a database that is used with a log. `None` if there is one.
    pub(crate) fn at_rest(&self) -> rusqlite::Result<Option<Connection>> {
        if self.vfs.is_some() || self.has_log() || self.beside("-journal").exists() {
            return Ok(None);
        }
        self.immutable()
    }

    /// A connection to the file alone, as it is at this moment.
    pub(crate) fn immutable(&self) -> rusqlite::Result<Option<Connection>> {
        let Ok(url) = StoreUrl::from_path("file", &self.path) else { return Ok(None) };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let conn = Connection::open_with_flags(format!("{url}?immutable=1"), flags | NO_MUTEX)?;
        self.set_up(&conn)?;
        Ok(Some(conn))
    }

    /// The file's length and when it was changed last, by which a change of a file without a log shows.
    /// `None` if it has a log.
    pub(crate) fn still(&self) -> Option<Stamp> {
        let found = fs::metadata(&self.path).ok()?;
        let stamp = (found.len(), found.modified().ok()?);
        (!self.has_log()).then_some(stamp)
    }

    /// Writes the log anew where it stands. Nobody may write to it meanwhile: the caller has begun a
    /// transaction that writes. (Opening it drops no locks: SQLite's are on the file and on the index.)
    pub(crate) fn rewrite_log(&self) -> rusqlite::Result<()> {
        (self.rewrite.0)(&self.beside("-wal")).map_err(|e| {
            let is_full = matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            let code = if is_full { ffi::SQLITE_FULL } else { ffi::SQLITE_IOERR_FSYNC };
            let text = format!("the log cannot be written anew after a failed sync: {e}");
            rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(text))
        })
    }

    /// Whether a log with something in it stands beside the file.
    pub(crate) fn has_log(&self) -> bool {
        fs::metadata(self.beside("-wal")).is_ok_and(|found| found.len() > 0)
    }

    /// The path of a file that SQLite keeps beside this one, or beside that which a link leads to.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let real = if self.vfs.is_none() { fs::canonicalize(&self.path).ok() } else { None };
        let mut name = OsString::from(real.as_ref().unwrap_or(&self.path));
        name.push(suffix);
        PathBuf::from(name)
    }

    fn open(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        let conn = match &self.vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags | NO_MUTEX, vfs.as_str())?,
            None => Connection::open_with_flags(&self.path, flags | NO_MUTEX)?,
        };
        self.set_up(&conn)?;
        Ok(conn)
    }

    fn set_up(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.busy_timeout(self.busy_timeout)?;
        // What is in the file is not trusted: no functions from its schema, and damage is looked for.
        conn.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
    }
}

/// Each connection is used by one thread at a time.
const NO_MUTEX: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_anew_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for len in [0, 1, 1 << 20, (5 << 19) + 7] {
            let bytes: Vec<u8> = (0..len).map(|n: u32| n.to_le_bytes()[1] ^ n.to_le_bytes()[0]).collect();
            fs::write(&path, &bytes).unwrap();
            rewrite(&path).unwrap();
            assert!(fs::read(&path).unwrap() == bytes, "{len} bytes");
        }
        assert_eq!(rewrite(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// SQLite keeps its files beside the one that a link leads to.
    #[cfg(unix)]
    #[test]
    fn the_log_of_a_file_behind_a_link_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a.db"), folder.path().join("b.db"));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let connector =
            Connector { path: link, vfs: None, busy_timeout: Duration::ZERO, rewrite: Rewrite::default() };
        let conn = connector.writer(true).unwrap();
        assert!(!connector.has_log());
        conn.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n)").unwrap();
        assert!(connector.has_log());
        connector.rewrite_log().unwrap();
    }
}
