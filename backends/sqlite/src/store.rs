use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use selfenc_core::store::{
    Blocking, BlockingEngine, Capabilities, ChunkId, ChunkMeta, Error, ErrorKind, Expect, PutOutcome, Result,
    Root, RootName, StoreInfo, Swap,
};

use crate::change::{Change, Done, Trouble};
use crate::error::{failed, repeat};
use crate::identity::Identity;
use crate::readers::Readers;
use crate::writer::Writer;

/// The chunks after one: a page of a listing, and so one statement. Before the first is the empty name.
pub(crate) const PAGE_AFTER: &str = "SELECT id, len FROM chunks WHERE id > ?1 ORDER BY id LIMIT 1000";

/// A chunk's length as told and as stored, and its bytes unless they are longer than a limit. Bytes that are
/// none, as damage may make them, count as gone; of a text SQLite would read all to tell its length.
const GET: &str = "SELECT c.len, CASE typeof(b.data) WHEN 'blob' THEN length(b.data) END, \
    CASE WHEN typeof(b.data) = 'blob' AND length(b.data) <= ?2 THEN b.data END \
    FROM chunks c LEFT JOIN bodies b ON b.n = c.n WHERE c.id = ?1";

/// A store in an SQLite file; opened by [`SqliteConfig`](crate::SqliteConfig).
pub type SqliteStore = Blocking<SqliteEngine>;

/// The blocking engine below [`SqliteStore`].
#[derive(Debug)]
pub struct SqliteEngine {
    pub(crate) readers: Arc<Readers>,
    /// `None` where nothing can be written.
    writer: Option<Writer>,
    identity: Identity,
    path: std::path::PathBuf,
    capabilities: Capabilities,
}

impl SqliteEngine {
    pub(crate) fn new(
        readers: Arc<Readers>,
        writer: Option<Writer>,
        identity: Identity,
        path: std::path::PathBuf,
        capabilities: Capabilities,
    ) -> Self {
        Self { readers, writer, identity, path, capabilities }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells a missing chunk or root from a missing store.
    pub(crate) fn check_there(&self, op: &'static str) -> Result<()> {
        self.identity.check(op)
    }

    /// The error for what SQLite said; that the file is gone explains everything.
    pub(crate) fn failed(&self, op: &'static str, doing: &str, e: rusqlite::Error) -> Error {
        match self.check_there(op) {
            Err(gone) if gone.kind() == ErrorKind::ContainerMissing => gone.with_source(e),
            _ => failed(op, doing, &self.path, e),
        }
    }

    /// Has the writer make a change.
    pub(crate) fn change(&self, op: &'static str, change: Change) -> Result<Done> {
        let done = self.changes(op, vec![change]).pop();
        done.unwrap_or_else(|| Err(Error::new(ErrorKind::Other, op, "the writer gave no answer")))
    }

    /// Has the writer make changes. The file must be there before and after: what went into one that was
    /// unlinked is lost.
    fn changes(&self, op: &'static str, changes: Vec<Change>) -> Vec<Result<Done>> {
        let others = changes.len().saturating_sub(1);
        let each = |e: Error| {
            let repeated: Vec<_> = (0..others).map(|_| repeat(&e)).collect();
            [e].into_iter().chain(repeated).map(Err).collect()
        };
        let writer = match self.check_there(op).and_then(|()| self.writer(op)) {
            Ok(writer) => writer,
            Err(e) => return each(e),
        };
        let failed = |trouble| match trouble {
            Trouble::Sqlite(e) => self.failed(op, "write to", e),
            Trouble::Store(e) => e,
        };
        let done: Vec<_> =
            writer.change(changes).into_iter().map(|outcome| outcome.map_err(failed)).collect();
        match self.check_there(op) {
            Ok(()) => done,
            Err(e) => each(e),
        }
    }

    fn writer(&self, op: &'static str) -> Result<&Writer> {
        self.writer.as_ref().ok_or_else(|| {
            let path = self.path.display();
            let message = format!("{path} cannot be written; look at its rights, or its folder's");
            Error::new(ErrorKind::ReadOnly, op, message)
        })
    }

    fn read<T>(
        &self,
        op: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<Option<T>>,
    ) -> Result<Option<T>> {
        self.check_there(op)?;
        let found = self.readers.with(read).map_err(|e| self.failed(op, "read", e))?;
        if found.is_none() {
            self.check_there(op)?;
        }
        Ok(found)
    }

    fn corrupt(&self, op: &'static str, id: ChunkId, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Corrupt, op, message.into()).with_chunk(id)
    }
}

fn put_outcome(id: ChunkId, done: Result<Done>) -> Result<PutOutcome> {
    match done.map_err(|e| e.with_chunk(id))? {
        Done::Put(outcome) => Ok(outcome),
        other => Err(Error::new(ErrorKind::Other, "put", format!("the writer answered {other:?}"))),
    }
}

/// What stands under a chunk's name.
struct Found {
    /// The length that listings give.
    told: u64,
    /// The length of the bytes; `None` if there are none.
    stored: Option<u64>,
    /// `None` if they are too long.
    data: Option<Bytes>,
}

fn find(conn: &Connection, id: ChunkId, max: u64) -> rusqlite::Result<Option<Found>> {
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    conn.prepare_cached(GET)?
        .query_row((id.as_bytes(), max), |row| {
            let data = row.get_ref(2)?.as_blob_or_null()?;
            Ok(Found { told: row.get(0)?, stored: row.get(1)?, data: data.map(Bytes::copy_from_slice) })
        })
        .optional()
}

#[deny(clippy::missing_trait_methods)]
impl BlockingEngine for SqliteEngine {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn info(&self) -> StoreInfo {
        StoreInfo::backend("sqlite", self.path.display())
    }

    fn put(&self, id: ChunkId, data: &Bytes) -> Result<PutOutcome> {
        put_outcome(id, self.change("put", Change::Put { id, data: data.clone() }))
    }

    fn put_many(&self, chunks: &[(ChunkId, Bytes)]) -> Option<Vec<Result<PutOutcome>>> {
        let put = |(id, data): &(ChunkId, Bytes)| Change::Put { id: *id, data: data.clone() };
        let done = self.changes("put", chunks.iter().map(put).collect());
        Some(chunks.iter().zip(done).map(|((id, _), done)| put_outcome(*id, done)).collect())
    }

    /// What one transaction takes: only one thread can write.
    fn group_bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, Writer::group_bytes)
    }

    fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let max = self.capabilities.max_chunk_len;
        let found = self.read("get", |conn| find(conn, id, max)).map_err(|e| e.with_chunk(id))?;
        let Some(Found { told, stored, data }) = found else { return Ok(None) };
        match (stored, data) {
            (Some(stored), Some(data)) if stored == told => Ok(Some(data)),
            (Some(stored), _) if stored > max => Err(self.corrupt(
                "get",
                id,
                format!("{stored} bytes, and the longest chunk has {max}; put it again"),
            )),
            (Some(stored), _) => {
                Err(self.corrupt("get", id, format!("{stored} bytes, and there were {told}; put it again")))
            }
            (None, _) => Err(self.corrupt("get", id, "its bytes are gone; put it again")),
        }
    }

    fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        let found = self.read("stat", |conn| {
            conn.prepare_cached("SELECT len FROM chunks WHERE id = ?1")?
                .query_row([id.as_bytes()], |row| row.get(0))
                .optional()
        });
        let found = found.map_err(|e| e.with_chunk(id))?;
        Ok(found.map(|len| ChunkMeta { id, len }))
    }

    fn delete(&self, id: ChunkId) -> Result<()> {
        self.change("delete", Change::Delete { id }).map(drop).map_err(|e| e.with_chunk(id))
    }

    /// One short statement: no transaction is held from page to page.
    fn page(&self, after: Option<ChunkId>) -> Result<Vec<ChunkMeta>> {
        let meta = |row: &rusqlite::Row<'_>| {
            let id: [u8; 32] = row.get(0)?;
            Ok(ChunkMeta { id: ChunkId::from_bytes(id), len: row.get(1)? })
        };
        let page = self.read("list", |conn| {
            let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
            let page: rusqlite::Result<Vec<_>> =
                conn.prepare_cached(PAGE_AFTER)?.query_map([after], meta)?.collect();
            page.map(|page| Some(page).filter(|page| !page.is_empty()))
        });
        Ok(page?.unwrap_or_default())
    }

    fn flush(&self) -> Result<()> {
        if self.writer.is_none() {
            // Nothing was put.
            return self.check_there("flush");
        }
        self.change("flush", Change::Sync)?;
        if let Some(writer) = &self.writer {
            writer.shrink();
        }
        Ok(())
    }

    fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.load_root(name)
    }

    fn swap(&self, name: &RootName, expect: &Expect, new: Option<Bytes>) -> Result<Swap> {
        self.swap_root(name, expect, new)
    }

    fn names(&self) -> Result<Vec<RootName>> {
        self.root_names()
    }
}
