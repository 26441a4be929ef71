//! The connections that read.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use rusqlite::{Connection, ffi};

use crate::connect::{Connector, Stamp};

/// A pool of reading connections, opened as they are needed and at most so many.
///
/// A reader holds its transaction for one statement, so that the log never has to be kept for it.
pub(crate) struct Readers {
    connector: Connector,
    max: usize,
    pool: Mutex<Pool>,
    returned: Condvar,
    /// Read-locked while somebody reads.
    quiet: RwLock<()>,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Reader>,
    /// Of all, how many are lent.
    lent: usize,
}

struct Reader {
    conn: Connection,
    /// What the file was like, if it takes it for one that never changes; see [`Connector::still_reader`].
    still: Option<Stamp>,
}

impl Readers {
    pub(crate) fn new(connector: Connector, max: usize) -> Self {
        Self {
            connector,
            max: max.max(1),
            pool: Mutex::default(),
            returned: Condvar::new(),
            quiet: RwLock::default(),
        }
    }

    /// Reads something. After an error the connection is not used again.
    pub(crate) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let _reading = self.quiet.read().unwrap_or_else(PoisonError::into_inner);
        let mut lease = self.lease();
        let reader = match lease.reader.take().filter(|reader| self.is_good(reader)) {
            Some(reader) => reader,
            None => self.connect()?,
        };
        let found = read(&reader.conn);
        if !self.is_good(&reader) {
            return Err(rusqlite::Error::SqliteFailure(
                ffi::Error::new(ffi::SQLITE_ABORT),
                Some("somebody wrote to the file while it was read; try again".to_owned()),
            ));
        }
        let found = found?;
        lease.reader = Some(reader);
        Ok(found)
    }

    /// Waits until nobody reads, and closes every connection; nobody reads while the guard lives.
    pub(crate) fn quiesce(&self) -> RwLockWriteGuard<'_, ()> {
        let quiet = self.hush();
        let idle = std::mem::take(&mut self.pool().idle);
        drop(idle);
        quiet
    }

    /// Waits until nobody reads; nobody does while the guard lives.
    pub(crate) fn hush(&self) -> RwLockWriteGuard<'_, ()> {
        self.quiet.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_good(&self, reader: &Reader) -> bool {
        reader.still.is_none() || reader.still == self.connector.still()
    }

    fn lease(&self) -> Lease<'_> {
        let mut pool = self.pool();
        while pool.lent >= self.max {
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.lent += 1;
        Lease { readers: self, reader: pool.idle.pop() }
    }

    fn connect(&self) -> rusqlite::Result<Reader> {
        // The first statement is what opens the log.
        let ordinary = self.connector.reader().and_then(|conn| {
            conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
            Ok(Reader { conn, still: None })
        });
        ordinary.or_else(|e| {
            // What changes from now on shows.
            let still = self.connector.still();
            match self.connector.still_reader(&e)? {
                Some(conn) if still.is_some() => Ok(Reader { conn, still }),
                _ => Err(e),
            }
        })
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pool { idle, lent } = &*self.pool();
        f.debug_struct("Readers").field("idle", &idle.len()).field("lent", lent).finish_non_exhaustive()
    }
}

/// The right to use one of the connections. Dropping it gives the right back, and the connection if it
/// still is in it.
struct Lease<'a> {
    readers: &'a Readers,
    reader: Option<Reader>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.pool();
        pool.lent -= 1;
        pool.idle.extend(self.reader.take());
        self.readers.returned.notify_one();
    }
}
