//! What is asked of the writer, and doing it inside its transaction.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use selfenc_core::store::{ChunkId, Error, Expect, PutOutcome, RootName, Swap};

use crate::roots::{NONCE_LEN, read_root, remove_root, write_root};

/// A change that somebody waits for.
#[derive(Debug)]
pub(crate) enum Change {
    Put {
        id: ChunkId,
        data: Bytes,
    },
    Delete {
        id: ChunkId,
    },
    Swap {
        name: RootName,
        expect: Expect,
        new: Option<Bytes>,
        nonce: [u8; NONCE_LEN],
    },
    /// Nothing but that everything before it is durable.
    Sync,
}

/// How it went.
#[derive(Debug)]
pub(crate) enum Done {
    Put(PutOutcome),
    Deleted,
    Swapped(Swap),
    Synced,
}

/// Why it did not.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// SQLite refused. The transaction is not to be committed.
    Sqlite(rusqlite::Error),
    /// What was found stands in the way of this change alone.
    Store(Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sqlite(e)
    }
}

impl From<Error> for Trouble {
    fn from(e: Error) -> Self {
        Self::Store(e)
    }
}

impl Change {
    /// Whether it must be durable before it is answered, whatever the store promises of its chunks.
    pub(crate) fn is_durable(&self) -> bool {
        matches!(self, Self::Swap { .. } | Self::Sync)
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Put { data, .. } => data.len(),
            Self::Swap { new: Some(value), .. } => value.len(),
            _ => 0,
        }
    }

    /// Does it.
    pub(crate) fn apply(&self, conn: &Connection) -> Result<Done, Trouble> {
        match self {
            Self::Put { id, data } => Ok(Done::Put(put(conn, *id, data)?)),
            Self::Delete { id } => {
                delete(conn, *id)?;
                Ok(Done::Deleted)
            }
            Self::Swap { name, expect, new, nonce } => {
                let old = read_root(conn, "swap", name)?;
                if !expect.matches(old.as_ref()) {
                    return Ok(Done::Swapped(Swap::Conflict(old)));
                }
                let version = match new {
                    Some(value) => Some(write_root(conn, name, value, nonce)?),
                    None => {
                        remove_root(conn, name)?;
                        None
                    }
                };
                Ok(Done::Swapped(Swap::Done(version)))
            }
            Self::Sync => Ok(Done::Synced),
        }
    }
}

/// Only the writer adds rows, and nobody else can while its transaction lasts: so the answer is exact.
fn put(conn: &Connection, id: ChunkId, data: &[u8]) -> rusqlite::Result<PutOutcome> {
    // The length is that of the bytes themselves, which is in their row's header; they are not read. What
    // is no bytes is written anew.
    let found: Option<(i64, i64, Option<i64>)> = conn
        .prepare_cached(
            "SELECT c.n, c.len, CASE typeof(b.data) WHEN 'blob' THEN length(b.data) END \
             FROM chunks c LEFT JOIN bodies b ON b.n = c.n WHERE c.id = ?1",
        )?
        .query_row([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let len = i64::try_from(data.len()).unwrap_or(i64::MAX);
    match found {
        Some((_, told, Some(stored))) if told == len && stored == len => return Ok(PutOutcome::Present),
        Some((n, _, _)) => {
            conn.prepare_cached("INSERT OR REPLACE INTO bodies (n, data) VALUES (?1, ?2)")?
                .execute((n, data))?;
            conn.prepare_cached("UPDATE chunks SET len = ?2 WHERE id = ?1")?.execute((id.as_bytes(), len))?;
        }
        None => {
            conn.prepare_cached("INSERT INTO bodies (data) VALUES (?1)")?.execute([data])?;
            conn.prepare_cached("INSERT INTO chunks (id, len, n) VALUES (?1, ?2, ?3)")?.execute((
                id.as_bytes(),
                len,
                conn.last_insert_rowid(),
            ))?;
        }
    }
    Ok(PutOutcome::Inserted)
}

fn delete(conn: &Connection, id: ChunkId) -> rusqlite::Result<()> {
    let id = [id.as_bytes()];
    conn.prepare_cached("DELETE FROM bodies WHERE n = (SELECT n FROM chunks WHERE id = ?1)")?.execute(id)?;
    conn.prepare_cached("DELETE FROM chunks WHERE id = ?1")?.execute(id)?;
    Ok(())
}
