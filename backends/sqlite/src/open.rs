//! Finding out what a file is, and making it a store.
//!
//! A file is looked at by a connection that reads only, before one that writes: the latter would move a
//! foreign database's log into it when it closes. The file is never opened but by SQLite: closing it would
//! drop the locks that other connections of this process have on it.
//!
//! A store is made in one transaction of a rollback journal, and switched to a log afterwards, so that an
//! interrupted making leaves an empty file, a blank page or a whole store.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use selfenc_core::store::{Capabilities, Durability, Error, ErrorKind, OpenMode, Result};

use crate::SqliteEngine;
use crate::connect::Connector;
use crate::error::{extended, failed, has_code};
use crate::identity::{Identity, sync_folder};
use crate::link::Link;
use crate::readers::Readers;
use crate::schema::{APPLICATION_ID, TABLES, VERSION, has_tables, number};
use crate::writer::Writer;

/// Below this, a log that is started anew while another connection checkpoints can lose a commit.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Between attempts at what SQLite's own busy handler does not wait for.
const PAUSE: Duration = Duration::from_millis(10);

/// How to open; see [`SqliteConfig`](crate::SqliteConfig).
pub(crate) struct Settings {
    pub(crate) mode: OpenMode,
    pub(crate) durability: Durability,
    pub(crate) max_chunk_len: u64,
    pub(crate) page_size: u32,
    pub(crate) readers: usize,
    pub(crate) read_only: bool,
    pub(crate) group_bytes: usize,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Store,
    /// A file without a byte or with a blank page, or no file.
    Nothing,
    /// Its making, or a transaction of another program, was interrupted; the journal tells no more.
    Unfinished,
}

pub(crate) fn open(connector: Connector, settings: &Settings) -> Result<SqliteEngine> {
    check_sqlite(rusqlite::version_number())?;
    let path = &connector.path;
    let found = inspect("open", &connector)?;
    let is_none = match found {
        Found::Store => false,
        Found::Nothing => settings.mode == OpenMode::Existing || settings.read_only,
        Found::Unfinished => settings.read_only,
    };
    if is_none {
        let message =
            format!("{}: no store was made there; check the path, or create the store", path.display());
        return Err(Error::new(ErrorKind::ContainerMissing, "open", message));
    }
    let writer = if settings.read_only { None } else { open_writer(&connector, settings, found)? };
    let readers = Arc::new(Readers::new(connector.clone(), settings.readers));
    let on_put = settings.durability == Durability::OnPut;
    let writer = writer.map(|conn| {
        let link = Link::new(connector.clone(), Arc::clone(&readers), on_put, conn);
        Writer::new(link, settings.group_bytes)
    });
    // After the writer is in its link, which does not move a log in doubt into the file if this fails.
    let identity = if connector.vfs.is_some() { Identity::unknown(path) } else { Identity::of(path)? };
    let capabilities = Capabilities::new(settings.durability).with_max_chunk_len(settings.max_chunk_len);
    Ok(SqliteEngine::new(readers, writer, identity, connector.path, capabilities))
}

fn check_sqlite(version: i32) -> Result<()> {
    if version >= OLDEST_SQLITE {
        return Ok(());
    }
    let dotted = |n: i32| format!("{}.{}.{}", n / 1_000_000, n / 1000 % 1000, n % 1000);
    let message = format!(
        "this program was built with SQLite {}, whose log can lose commits; build it with {} or newer",
        dotted(version),
        dotted(OLDEST_SQLITE)
    );
    Err(Error::new(ErrorKind::Unsupported, "open", message))
}

/// Finds out what is there, and changes nothing.
pub(crate) fn inspect(op: &'static str, connector: &Connector) -> Result<Found> {
    let path = &connector.path;
    if connector.vfs.is_none() && !is_file(op, path)? {
        return Ok(Found::Nothing);
    }
    // An ordinary connection makes files beside a database that is used with a log, and one that reads only
    // leaves them there.
    if let Ok(Some(conn)) = connector.at_rest()
        && let Ok(header) = look(&conn)
        && header.is_foreign()
    {
        return header.check(op, path).map(|()| Found::Nothing);
    }
    let looked = match connector.reader().and_then(|conn| look(&conn)) {
        Err(e) if connector.vfs.is_some() && has_code(&e, ErrorCode::CannotOpen) => {
            return Ok(Found::Nothing);
        }
        Err(e) => match connector.still_reader(&e).map_err(|e| failed(op, "open", path, e))? {
            Some(conn) => look(&conn),
            None => Err(e),
        },
        looked => looked,
    };
    match looked {
        Ok(header) if header.is_blank() => Ok(Found::Nothing),
        Ok(header) => header.check(op, path).map(|()| Found::Store),
        Err(e) if has_code(&e, ErrorCode::NotADatabase) => {
            let message =
                format!("{} is no SQLite database; check the path, or give a new one", path.display());
            Err(Error::new(ErrorKind::InvalidInput, op, message).with_source(e))
        }
        // A connection that reads only cannot roll back what a crash left in a journal.
        Err(e) if extended(&e) == Some(rusqlite::ffi::SQLITE_READONLY_ROLLBACK) => unfinished(op, connector),
        Err(e) => Err(failed(op, "open", path, e)),
    }
}

/// Whether there is a file.
fn is_file(op: &'static str, path: &Path) -> Result<bool> {
    let problem = |what: &str| {
        Err(Error::new(ErrorKind::InvalidInput, op, format!("{} is {what}; give a file", path.display())))
    };
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => problem("a folder"),
        Ok(found) if !found.is_file() => problem("not a regular file"),
        Ok(_) => Ok(true),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound) => {
            let folder = path.parent().unwrap_or(path);
            if folder.is_dir() {
                return Ok(false);
            }
            let message =
                format!("{}: there is no such folder; make it, or check the path", folder.display());
            Err(Error::new(ErrorKind::ContainerMissing, op, message).with_source(e))
        }
        Err(e) => Err(Error::from_io(op, format!("cannot look at {}: {e}", path.display()), e)),
    }
}

/// What the file's first page says.
struct Header {
    pages: i64,
    application_id: i64,
    version: i64,
    auto_vacuum: i64,
    has_tables: bool,
}

fn look(conn: &Connection) -> rusqlite::Result<Header> {
    // One transaction, so that all of it is of one moment.
    conn.execute_batch("BEGIN")?;
    header(conn)
}

fn header(conn: &Connection) -> rusqlite::Result<Header> {
    let has_tables = has_tables(conn)?;
    Ok(Header {
        pages: number(conn, "page_count")?,
        application_id: number(conn, "application_id")?,
        version: number(conn, "user_version")?,
        auto_vacuum: number(conn, "auto_vacuum")?,
        has_tables,
    })
}

impl Header {
    /// Whether nothing is in it, or the one page that setting `auto_vacuum` writes before all else.
    fn is_blank(&self) -> bool {
        let unmarked = self.application_id == 0 && self.version == 0;
        self.pages == 0 || (self.pages == 1 && self.auto_vacuum == 2 && unmarked)
    }

    fn is_marked(&self) -> bool {
        self.application_id == i64::from(APPLICATION_ID)
    }

    fn is_foreign(&self) -> bool {
        !self.is_blank() && !self.is_marked()
    }

    fn check(&self, op: &'static str, path: &Path) -> Result<()> {
        let problem = |kind, what: String| Err(Error::new(kind, op, format!("{}: {what}", path.display())));
        if self.is_foreign() {
            let id = self.application_id;
            let what = format!("this is another program's database (application id {id}); give a new file");
            return problem(ErrorKind::InvalidInput, what);
        }
        if self.version > i64::from(VERSION) {
            let newer = self.version;
            let what = format!(
                "this store has schema {newer}, this version knows {VERSION}; use a newer version of selfenc"
            );
            return problem(ErrorKind::Unsupported, what);
        }
        if self.version != i64::from(VERSION) || !self.has_tables {
            let what = "tables of the store are missing or were changed; restore the file".to_owned();
            return problem(ErrorKind::Corrupt, what);
        }
        Ok(())
    }
}

/// The journal beside the file has to be rolled back. That is done only to a file which is ours as far as
/// it goes, or blank: the making of a store writes its mark with the first page.
fn unfinished(op: &'static str, connector: &Connector) -> Result<Found> {
    if connector.vfs.is_some() {
        return Ok(Found::Unfinished);
    }
    let path = &connector.path;
    // Such a connection looks at no journal.
    if let Ok(Some(conn)) = connector.immutable()
        && let Ok(found) = header(&conn)
        && !found.is_foreign()
    {
        return Ok(Found::Unfinished);
    }
    let read = || {
        let mut header = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(fs::File::open(path)?, 72), &mut header)?;
        Ok::<_, io::Error>(header)
    };
    let header = read().map_err(|e| Error::from_io(op, format!("cannot read {}: {e}", path.display()), e))?;
    let is_ours = header.get(68..72) == Some(&APPLICATION_ID.to_be_bytes());
    if is_ours || header.iter().all(|byte| *byte == 0) {
        return Ok(Found::Unfinished);
    }
    let message = format!(
        "{}: this is another program's database, with a transaction to be rolled back; give a new file",
        path.display()
    );
    Err(Error::new(ErrorKind::InvalidInput, op, message))
}

/// The connection that writes, to a store that is there from now on. `None` if it cannot be written.
fn open_writer(connector: &Connector, settings: &Settings, found: Found) -> Result<Option<Connection>> {
    let path = &connector.path;
    let cannot = |e| failed("open", "open", path, e);
    let create = settings.mode == OpenMode::Create;
    let conn = match connector.writer(create) {
        // No log can be made in a folder that cannot be written.
        Err(e) if found == Found::Store && cannot_write(connector, &e) => return Ok(None),
        conn => conn.map_err(cannot)?,
    };
    if found == Found::Store && conn.is_readonly("main").map_err(cannot)? {
        return Ok(None);
    }
    let is_store = match found {
        Found::Store => Ok(true),
        _ if create => make(&conn, settings.page_size),
        // Rolls back what was interrupted.
        _ => look(&conn).and_then(|found| conn.execute_batch("ROLLBACK").map(|()| found.is_marked())),
    };
    // What is no store is said below, and not changed.
    match is_store.and_then(|is| if is { use_log(&conn, connector.busy_timeout) } else { Ok(true) }) {
        Ok(true) => {}
        Ok(false) => {
            let message =
                format!("{}: no log can be kept there; give a path on a local disk", path.display());
            return Err(Error::new(ErrorKind::Unsupported, "open", message));
        }
        Err(e) if found == Found::Store && cannot_write(connector, &e) => return Ok(None),
        Err(e) => return Err(cannot(e)),
    }
    if found != Found::Store && inspect("open", connector)? != Found::Store {
        let message =
            format!("{}: no store was made there; check the path, or create the store", path.display());
        return Err(Error::new(ErrorKind::ContainerMissing, "open", message));
    }
    if connector.vfs.is_none() {
        // SQLite does this too, and keeps to itself how it went.
        match sync_folder(path) {
            Err(e) if found != Found::Store => {
                return Err(Error::from_io(
                    "open",
                    format!("cannot sync the folder of {}: {e}", path.display()),
                    e,
                ));
            }
            Err(error) => tracing::debug!(%error, "the folder cannot be synced"),
            Ok(()) => {}
        }
    }
    Ok(Some(conn))
}

/// Whether the place cannot be written, as far as `e` goes. SQLite has one code for that and for too many
/// open files, which pass: so then the log, which may be made without harm, is tried.
fn cannot_write(connector: &Connector, e: &rusqlite::Error) -> bool {
    if !has_code(e, ErrorCode::CannotOpen) {
        return has_code(e, ErrorCode::ReadOnly);
    }
    let log = || fs::OpenOptions::new().append(true).create(true).open(connector.beside("-wal"));
    let refused = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem];
    connector.vfs.is_none() && log().is_err_and(|e| refused.contains(&e.kind()))
}

/// Makes the tables, unless somebody else just made them, or a database of another program; whether there
/// is a store now.
fn make(conn: &Connection, page_size: u32) -> rusqlite::Result<bool> {
    // These take effect with the first page, or not at all.
    conn.execute_batch(&format!(
        "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA synchronous = EXTRA;
         BEGIN EXCLUSIVE"
    ))?;
    let made = header(conn).and_then(|found| {
        if found.is_blank() {
            conn.execute_batch(&format!(
                "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; {TABLES} COMMIT"
            ))?;
            return Ok(true);
        }
        conn.execute_batch("ROLLBACK").map(|()| found.is_marked())
    });
    if made.is_err() && !conn.is_autocommit() {
        conn.execute_batch("ROLLBACK")?;
    }
    made
}

/// Switches to a log, if it is not the case; whether there is one now.
fn use_log(conn: &Connection, patience: Duration) -> rusqlite::Result<bool> {
    let start = Instant::now();
    loop {
        // It reads the log, too, if there is one, so that what stands in its way is known now.
        let mode = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
        let mode = mode.and_then(|mode| number(conn, "schema_version").map(|_| mode));
        match mode {
            Err(e) if has_code(&e, ErrorCode::DatabaseBusy) && start.elapsed() < patience => {
                thread::sleep(PAUSE);
            }
            Ok(mode) => return Ok(mode == "wal"),
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_sqlite_is_refused_by_number() {
        assert!(check_sqlite(rusqlite::version_number()).is_ok());
        assert!(check_sqlite(3_051_003).is_ok());
        let e = check_sqlite(3_050_004).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unsupported);
        assert!(e.to_string().contains("SQLite 3.50.4") && e.to_string().contains("3.51.3 or newer"), "{e}");
    }

    /// It stands there since the path was looked at.
    #[test]
    fn no_tables_are_made_in_what_is_another_programs() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE notes (text)").unwrap();
        assert!(!make(&conn, 4096).unwrap());
        let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!((tables, number(&conn, "application_id").unwrap()), (1, 0));
    }
}
