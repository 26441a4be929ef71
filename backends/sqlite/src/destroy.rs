//! Removing a store: its file, and what SQLite keeps beside it.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::{Connection, ErrorCode};
use selfenc_core::store::{Error, ErrorKind, Result};

use crate::connect::Connector;
use crate::error::{failed, has_code};
use crate::open::{Found, inspect};

/// What SQLite keeps beside a file.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Removes the store; `Ok` if there is none. An empty file is taken for one whose making was interrupted.
pub(crate) fn destroy(connector: &Connector) -> Result<()> {
    let path = &connector.path;
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            let message = format!("{} is a symbolic link; name the file that it leads to", path.display());
            return Err(Error::new(ErrorKind::InvalidInput, "destroy", message));
        }
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(cannot("look at", path, e)),
    }
    if inspect("destroy", connector)? == Found::Store {
        let conn = connector.writer(false).map_err(|e| failed("destroy", "open", path, e))?;
        let alone = leave_log(&conn);
        drop(conn);
        match alone {
            Ok(()) => {}
            Err(e) if has_code(&e, ErrorCode::DatabaseBusy) || has_code(&e, ErrorCode::DatabaseLocked) => {
                let message = format!("something still has {} open; try again", path.display());
                return Err(Error::new(ErrorKind::Conflict, "destroy", message).with_source(e));
            }
            // It is damaged; it goes all the same.
            Err(error) => tracing::debug!(%error, "a store is removed with its log"),
        }
    }
    // First, so that whoever opens the path from now on finds nothing. SQLite itself removes a log without
    // a file.
    remove_file(path)?;
    for suffix in BESIDE {
        remove_file(&connector.beside(suffix))?;
    }
    Ok(())
}

/// Switches the log off, which only the last connection to a file can do.
fn leave_log(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0)).map(drop)
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot("remove", path, e)),
        _ => Ok(()),
    }
}

fn cannot(doing: &str, path: &Path, e: io::Error) -> Error {
    Error::from_io("destroy", format!("cannot {doing} {}: {e}", path.display()), e)
}
