use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi;
use selfenc_core::store::{Error, ErrorKind};

/// The error for a failed call of SQLite: `doing` and `path` say what was tried.
pub(crate) fn failed(op: &'static str, doing: &str, path: &Path, e: rusqlite::Error) -> Error {
    let code = extended(&e);
    let kind = code.map_or_else(|| kind_of_value(&e), kind);
    let remedy = code.map_or("", remedy);
    let message = format!("cannot {doing} {}: {e}{remedy}", path.display());
    Error::new(kind, op, message).with_source(e)
}

/// The same error for one more caller who met it: rusqlite's cannot be cloned.
pub(crate) fn again(e: &rusqlite::Error) -> rusqlite::Error {
    match e {
        rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
        other => rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(other.to_string())),
    }
}

/// A store's error for one more of those who met it.
pub(crate) fn repeat(e: &Error) -> Error {
    Error::new(e.kind(), e.op(), e.to_string())
}

/// SQLite's extended result code, if the error is SQLite's own.
pub(crate) fn extended(e: &rusqlite::Error) -> Option<i32> {
    match e {
        rusqlite::Error::SqliteFailure(code, _) => Some(code.extended_code),
        rusqlite::Error::SqlInputError { error, .. } => Some(error.extended_code),
        _ => None,
    }
}

/// Whether a sync failed. What it should have written may be lost, and no later sync brings it back.
pub(crate) fn is_failed_sync(e: &rusqlite::Error) -> bool {
    matches!(extended(e), Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

pub(crate) fn has_code(e: &rusqlite::Error, code: ErrorCode) -> bool {
    e.sqlite_error_code() == Some(code)
}

/// The table. SQLite keeps the system's own number (`sqlite3_system_errno`) to itself behind an unsafe
/// call, so a disk quota or a failing disk is told apart only where SQLite does it.
fn kind(extended: i32) -> ErrorKind {
    match extended {
        ffi::SQLITE_READONLY_DBMOVED | ffi::SQLITE_IOERR_VNODE => return ErrorKind::ContainerMissing,
        ffi::SQLITE_IOERR_NOMEM => return ErrorKind::Unavailable,
        ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_DATA => {
            return ErrorKind::Corrupt;
        }
        ffi::SQLITE_CANTOPEN_ISDIR => return ErrorKind::InvalidInput,
        _ => {}
    }
    match extended & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => ErrorKind::Unavailable,
        ffi::SQLITE_NOMEM | ffi::SQLITE_INTERRUPT | ffi::SQLITE_ABORT => ErrorKind::Unavailable,
        // Most often too many open files. A lasting cause is met again by whoever tries again.
        ffi::SQLITE_CANTOPEN => ErrorKind::Unavailable,
        ffi::SQLITE_FULL | ffi::SQLITE_NOLFS => ErrorKind::Full,
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => ErrorKind::Corrupt,
        // The schema's own rules, which nothing written here breaks.
        ffi::SQLITE_CONSTRAINT | ffi::SQLITE_MISMATCH => ErrorKind::Corrupt,
        ffi::SQLITE_READONLY => ErrorKind::ReadOnly,
        ffi::SQLITE_PERM | ffi::SQLITE_AUTH => ErrorKind::PermissionDenied,
        ffi::SQLITE_TOOBIG => ErrorKind::ChunkTooLarge,
        _ => ErrorKind::Other,
    }
}

/// For what rusqlite found wrong with a value that SQLite gave: it is not what was stored.
fn kind_of_value(e: &rusqlite::Error) -> ErrorKind {
    match e {
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => ErrorKind::Corrupt,
        _ => ErrorKind::Other,
    }
}

fn remedy(extended: i32) -> &'static str {
    match extended & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => {
            "; another connection holds the database: wait for it, or raise the busy timeout"
        }
        ffi::SQLITE_CANTOPEN => "; look at the limit on open files and at the rights of the folder",
        ffi::SQLITE_CORRUPT => "; restore the file, or copy what can still be read to a new store",
        ffi::SQLITE_FULL => "; free some space",
        ffi::SQLITE_READONLY => "; look at the rights of the file and of its folder",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code, the kind, whether a retry can help.
    const TABLE: [(i32, ErrorKind, bool); 38] = [
        (ffi::SQLITE_BUSY, ErrorKind::Unavailable, true),
        (ffi::SQLITE_BUSY_RECOVERY, ErrorKind::Unavailable, true),
        (ffi::SQLITE_BUSY_SNAPSHOT, ErrorKind::Unavailable, true),
        (ffi::SQLITE_BUSY_TIMEOUT, ErrorKind::Unavailable, true),
        (ffi::SQLITE_LOCKED, ErrorKind::Unavailable, true),
        (ffi::SQLITE_LOCKED_SHAREDCACHE, ErrorKind::Unavailable, true),
        (ffi::SQLITE_PROTOCOL, ErrorKind::Unavailable, true),
        (ffi::SQLITE_INTERRUPT, ErrorKind::Unavailable, true),
        (ffi::SQLITE_ABORT, ErrorKind::Unavailable, true),
        (ffi::SQLITE_NOMEM, ErrorKind::Unavailable, true),
        (ffi::SQLITE_IOERR_NOMEM, ErrorKind::Unavailable, true),
        (ffi::SQLITE_CANTOPEN, ErrorKind::Unavailable, true),
        (ffi::SQLITE_CANTOPEN_ISDIR, ErrorKind::InvalidInput, false),
        (ffi::SQLITE_FULL, ErrorKind::Full, false),
        (ffi::SQLITE_NOLFS, ErrorKind::Full, false),
        (ffi::SQLITE_CORRUPT, ErrorKind::Corrupt, false),
        (ffi::SQLITE_CORRUPT_INDEX, ErrorKind::Corrupt, false),
        (ffi::SQLITE_NOTADB, ErrorKind::Corrupt, false),
        (ffi::SQLITE_IOERR_SHORT_READ, ErrorKind::Corrupt, false),
        (ffi::SQLITE_IOERR_CORRUPTFS, ErrorKind::Corrupt, false),
        (ffi::SQLITE_IOERR_DATA, ErrorKind::Corrupt, false),
        (ffi::SQLITE_CONSTRAINT_UNIQUE, ErrorKind::Corrupt, false),
        (ffi::SQLITE_CONSTRAINT_CHECK, ErrorKind::Corrupt, false),
        (ffi::SQLITE_MISMATCH, ErrorKind::Corrupt, false),
        (ffi::SQLITE_READONLY, ErrorKind::ReadOnly, false),
        (ffi::SQLITE_READONLY_CANTINIT, ErrorKind::ReadOnly, false),
        (ffi::SQLITE_READONLY_DIRECTORY, ErrorKind::ReadOnly, false),
        (ffi::SQLITE_READONLY_DBMOVED, ErrorKind::ContainerMissing, false),
        (ffi::SQLITE_IOERR_VNODE, ErrorKind::ContainerMissing, false),
        (ffi::SQLITE_PERM, ErrorKind::PermissionDenied, false),
        (ffi::SQLITE_AUTH, ErrorKind::PermissionDenied, false),
        (ffi::SQLITE_TOOBIG, ErrorKind::ChunkTooLarge, false),
        (ffi::SQLITE_IOERR, ErrorKind::Other, false),
        (ffi::SQLITE_IOERR_READ, ErrorKind::Other, false),
        (ffi::SQLITE_IOERR_WRITE, ErrorKind::Other, false),
        (ffi::SQLITE_IOERR_FSYNC, ErrorKind::Other, false),
        (ffi::SQLITE_SCHEMA, ErrorKind::Other, false),
        (ffi::SQLITE_ERROR, ErrorKind::Other, false),
    ];

    fn of(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("what it says".to_owned()))
    }

    #[test]
    fn every_code_has_its_kind() {
        for (code, kind, transient) in TABLE {
            for e in [of(code), again(&of(code))] {
                let e = failed("put", "write to", Path::new("/a/b.db"), e);
                assert_eq!((e.kind(), e.is_transient()), (kind, transient), "code {code}: {e}");
                assert!(e.to_string().contains("cannot write to /a/b.db: what it says"), "{e}");
                assert!(std::error::Error::source(&e).is_some());
            }
        }
    }

    #[test]
    fn only_syncs_are_failed_syncs() {
        let syncs: Vec<_> = TABLE.iter().filter(|row| is_failed_sync(&of(row.0))).map(|row| row.0).collect();
        assert_eq!(syncs, [ffi::SQLITE_IOERR_FSYNC]);
        assert!(is_failed_sync(&of(ffi::SQLITE_IOERR_DIR_FSYNC)));
    }

    #[test]
    fn a_value_of_another_type_is_damage() {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        let e = conn.query_row("SELECT 'text'", [], |row| row.get::<_, i64>(0)).unwrap_err();
        assert_eq!(failed("get", "read", Path::new("/a"), e).kind(), ErrorKind::Corrupt);
        let e = conn.query_row("SELECT nothing", [], |_| Ok(())).unwrap_err();
        assert_eq!(failed("get", "read", Path::new("/a"), again(&e)).kind(), ErrorKind::Other);
    }
}
