//! A store on the simulated disk.

use std::ops::Deref;

use rusqlite::{Connection, OpenFlags};
use selfenc_core::store::{Durability, OpenMode, Result};
use selfenc_sqlite::{SqliteConfig, SqliteEngine};
use selfenc_sqlite_vfs::Registered;

use super::world::SimDisk;

/// Where the store is on the disk.
pub const PATH: &str = "/store/chunks.db";

/// How to open it.
#[derive(Clone, Debug)]
pub struct Rig {
    pub disk: SimDisk,
    pub durability: Durability,
    pub page_size: u32,
}

impl Rig {
    /// Opens the store in a new process.
    pub fn open(&self, mode: OpenMode) -> Result<Store> {
        self.open_as(mode, false)
    }

    pub fn open_as(&self, mode: OpenMode, readonly: bool) -> Result<Store> {
        let process = self.disk.process(readonly);
        let config = SqliteConfig::new(PATH).with_durability(self.durability).with_page_size(self.page_size);
        let config = config.with_vfs(process.name()).with_rewrite(self.disk.rewriter());
        let engine = config.with_read_only(readonly).open_engine(mode)?;
        Ok(Store { engine, process })
    }
}

/// An open store, and the process it is in.
#[derive(Debug)]
pub struct Store {
    // The fields are dropped in this order.
    engine: SqliteEngine,
    process: Registered,
}

impl Store {
    /// A connection of the same process that knows nothing of the store.
    pub fn foreign(&self) -> rusqlite::Result<Connection> {
        Connection::open_with_flags_and_vfs(PATH, OpenFlags::SQLITE_OPEN_READ_WRITE, self.process.name())
    }

    /// What SQLite's own check says; nothing if all is well.
    pub fn damage(&self) -> rusqlite::Result<Option<String>> {
        let said: String = self.foreign()?.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        Ok((said != "ok").then_some(said))
    }
}

impl Deref for Store {
    type Target = SqliteEngine;

    fn deref(&self) -> &SqliteEngine {
        &self.engine
    }
}
