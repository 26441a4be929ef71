//! SQLite by rusqlite: one connection, one row per transaction.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use rusqlite::{Connection, params};
use selfenc::store::ChunkId;
use selfenc_bench::Result;

use crate::raw::Raw;

/// Durable at each commit; everything else as SQLite has it.
pub(crate) struct Sqlite(Mutex<Connection>);

impl Sqlite {
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.execute("CREATE TABLE chunks (id BLOB PRIMARY KEY, data BLOB NOT NULL)", [])?;
        Ok(Self(Mutex::new(db)))
    }

    fn db(&self) -> Result<MutexGuard<'_, Connection>> {
        self.0.lock().map_err(|_| "poisoned".into())
    }
}

impl Raw for Sqlite {
    fn put(&self, id: ChunkId, data: &Bytes) -> Result<()> {
        let db = self.db()?;
        let mut insert = db.prepare_cached("INSERT INTO chunks VALUES (?1, ?2)")?;
        insert.execute(params![id.as_bytes(), data.as_ref()])?;
        Ok(())
    }

    fn get(&self, id: ChunkId) -> Result<Bytes> {
        let db = self.db()?;
        let mut select = db.prepare_cached("SELECT data FROM chunks WHERE id = ?1")?;
        let data: Vec<u8> = select.query_row([id.as_bytes()], |row| row.get(0))?;
        Ok(data.into())
    }

    fn list(&self) -> Result<usize> {
        let db = self.db()?;
        let mut select = db.prepare("SELECT id, length(data) FROM chunks ORDER BY id")?;
        let all: Vec<(Vec<u8>, u64)> =
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        Ok(all.len())
    }
}
