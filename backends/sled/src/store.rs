use std::fmt;
use std::fs::File;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use selfenc_core::store::{
    Blocking, BlockingEngine, Capabilities, ChunkId, ChunkMeta, Durability, Error, ErrorKind, Expect,
    PutOutcome, Result, Root, RootName, StoreInfo, Swap,
};
use sled::{Db, IVec, Tree};

use crate::error::{failed, io_failed};
use crate::layout::Layout;
use crate::pieces;
use crate::worker::{Answer, Worker};

/// Entries of a page of a listing.
const PAGE: usize = 1000;

const GENERATION_LEN: usize = 8;

/// Bytes that may wait in sled's memory to be written. It would queue any amount.
const MAX_WAITING: u64 = 4 << 20;

/// A store in a sled database; opened by [`SledConfig`](crate::SledConfig).
pub type SledStore = Blocking<SledEngine>;

/// The blocking engine below [`SledStore`].
///
/// sled panics over some kinds of damage. Such a panic is caught, is the answer to the call that met it, and
/// every later call says [`ErrorKind::Closed`]: what sled holds in memory cannot be trusted any more.
pub struct SledEngine {
    pub(crate) layout: Layout,
    capabilities: Capabilities,
    worker: Worker,
    broken: AtomicBool,
    /// Held by the one who reads a chunk.
    turn: Mutex<()>,
}

/// The open database.
pub(crate) struct Database {
    pub(crate) db: Db,
    /// id -> length and generation: a chunk is there if it has an entry here.
    pub(crate) lengths: Tree,
    /// id, generation and index -> a piece.
    pub(crate) pieces: Tree,
    pub(crate) roots: Tree,
    pub(crate) root_values: Tree,
    /// sled's log, to sync it.
    pub(crate) log: File,
    pub(crate) layout: Layout,
    /// Bytes put since sled was last asked to write them.
    pub(crate) waiting: AtomicU64,
    pub(crate) sync: fn(&File) -> std::io::Result<()>,
    /// Set once a sync failed: a second one may succeed without having written anything.
    pub(crate) sync_failed: AtomicBool,
    /// Last: released when sled is done.
    pub(crate) _lock: File,
}

/// What the tree of lengths says of a chunk.
///
/// The generation is new for each write, so that a chunk is replaced at once: its new pieces stand beside
/// the old ones until the entry changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) len: u64,
    pub(crate) generation: [u8; GENERATION_LEN],
}

impl Entry {
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..].copy_from_slice(&self.generation);
        bytes
    }

    /// `None` if the bytes are no entry.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (len, generation) = bytes.split_first_chunk::<8>()?;
        Some(Self { len: u64::from_le_bytes(*len), generation: generation.try_into().ok()? })
    }

    /// The name of the pieces.
    pub(crate) fn pieces(self, id: ChunkId) -> Vec<u8> {
        [&id.as_bytes()[..], &self.generation].concat()
    }
}

impl SledEngine {
    pub(crate) fn new(database: Database, max_chunk_len: u64) -> Result<Self> {
        let capabilities = Capabilities::new(Durability::OnFlush).with_shared(false);
        Ok(Self {
            layout: database.layout.clone(),
            capabilities: capabilities.with_max_chunk_len(max_chunk_len),
            worker: Worker::start(database)?,
            broken: AtomicBool::new(false),
            turn: Mutex::default(),
        })
    }

    /// The trees of lengths and pieces, for tests that damage them.
    #[doc(hidden)]
    #[must_use]
    pub fn trees(&self) -> Option<(Tree, Tree)> {
        self.call("trees", |open| Ok((open.lengths.clone(), open.pieces.clone()))).ok()
    }

    /// Does something with the database, and catches its panics.
    fn call<T: Send + 'static>(
        &self,
        op: &'static str,
        work: impl FnOnce(&Database) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(closed(op));
        }
        self.check_container(op)?;
        match self.worker.ask(op, work) {
            Answer::Given(result) => result,
            Answer::Panicked(e) => {
                self.broken.store(true, Ordering::SeqCst);
                Err(e)
            }
            Answer::Nobody => Err(closed(op)),
        }
    }

    /// sled goes on with files that were moved or removed, and would not notice.
    fn check_container(&self, op: &'static str) -> Result<()> {
        let marker = &self.layout.marker;
        match std::fs::metadata(marker) {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let dir = self.layout.dir.display();
                let message = format!("the store {dir} is gone; was it moved, or a disk unmounted?");
                Err(Error::new(ErrorKind::ContainerMissing, op, message).with_source(e))
            }
            Err(e) => Err(io_failed(op, "look at", marker, e)),
        }
    }
}

impl Database {
    fn entry(&self, op: &'static str, id: ChunkId) -> Result<Option<Entry>> {
        let found = self.lengths.get(id.as_bytes()).map_err(|e| failed(op, e))?;
        found.map(|bytes| Entry::parse(&bytes).ok_or_else(|| damaged(op, "its entry"))).transpose()
    }

    fn put(&self, id: ChunkId, data: &[u8]) -> Result<PutOutcome> {
        let say = |e| failed("put", e);
        let old = self.entry("put", id)?;
        match old {
            // Not by its entry alone: a damaged chunk is to be replaced.
            Some(old) if old.len == data.len() as u64 => {
                if pieces::is_whole(&self.pieces, &old.pieces(id), data.len()).map_err(say)? {
                    return Ok(PutOutcome::Present);
                }
            }
            Some(_) => {}
            // What a crash left between the pieces and the entry.
            None => pieces::clear(&self.pieces, id.as_bytes()).map_err(say)?,
        }
        let new = Entry { len: data.len() as u64, generation: random("put")? };
        pieces::write(&self.pieces, &new.pieces(id), data).map_err(say)?;
        self.lengths.insert(id.as_bytes(), &new.to_bytes()).map_err(say)?;
        if let Some(old) = old {
            pieces::clear(&self.pieces, &old.pieces(id)).map_err(say)?;
        }
        self.limit_waiting(new.len);
        Ok(PutOutcome::Inserted)
    }

    fn limit_waiting(&self, len: u64) {
        let before = self.waiting.fetch_add(len, Ordering::Relaxed);
        if before.saturating_add(len) < MAX_WAITING {
            return;
        }
        self.waiting.store(0, Ordering::Relaxed);
        if let Err(error) = self.db.flush() {
            // sled repeats it, so the next flush says so.
            tracing::debug!(%error, "an early write failed");
        }
    }

    /// The bytes of the chunk that had this entry, in `data`, which is empty and better has room for them;
    /// `None` if it is absent by now.
    fn get(&self, id: ChunkId, max: u64, entry: Entry, mut data: Vec<u8>) -> Result<Option<Vec<u8>>> {
        let mut entry = Some(entry);
        loop {
            let Some(found) = entry else { return Ok(None) };
            let len = usize::try_from(found.len).ok().filter(|_| found.len <= max);
            let Some(len) = len else {
                let message = format!("it is longer than the longest chunk, {max} bytes; put it again");
                return Err(Error::new(ErrorKind::Corrupt, "get", message));
            };
            data.clear();
            let read = pieces::read(&self.pieces, &found.pieces(id), len, &mut data);
            if read.map_err(|e| failed("get", e))? {
                return Ok(Some(data));
            }
            entry = self.entry("get", id)?;
            // Not replaced or deleted in the meantime, so it is not for that.
            if entry == Some(found) {
                return Err(damaged("get", "what stands there"));
            }
        }
    }

    fn delete(&self, id: ChunkId) -> Result<()> {
        let say = |e| failed("delete", e);
        self.lengths.remove(id.as_bytes()).map_err(say)?;
        pieces::clear(&self.pieces, id.as_bytes()).map_err(say)
    }

    fn page(&self, after: Option<ChunkId>) -> Result<Vec<ChunkMeta>> {
        let from = after.map_or(Unbounded, |id| Excluded(id.as_bytes().to_vec()));
        let meta = |item: sled::Result<(IVec, IVec)>| {
            let (key, entry) = item.map_err(|e| failed("list", e))?;
            let id = <[u8; 32]>::try_from(&key[..]).ok().map(ChunkId::from_bytes);
            let found = id.zip(Entry::parse(&entry));
            let (id, entry) = found.ok_or_else(|| damaged("list", "an entry"))?;
            Ok(ChunkMeta { id, len: entry.len })
        };
        self.lengths.range::<Vec<u8>, _>((from, Unbounded)).take(PAGE).map(meta).collect()
    }

    /// Writes what sled has in memory, and syncs its log. sled itself asks Linux only to write the pages,
    /// not the disk to keep them.
    pub(crate) fn flush(&self, op: &'static str) -> Result<()> {
        if self.sync_failed.load(Ordering::SeqCst) {
            let message = "an earlier sync failed, and what it was to keep may be lost; open the store again";
            return Err(Error::new(ErrorKind::Other, op, message));
        }
        self.db.flush().map_err(|e| failed(op, e))?;
        (self.sync)(&self.log).map_err(|e| {
            self.sync_failed.store(true, Ordering::SeqCst);
            io_failed(op, "sync", &self.layout.log, e)
        })
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlockingEngine for SledEngine {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn info(&self) -> StoreInfo {
        StoreInfo::backend("sled", self.layout.dir.display())
    }

    fn put(&self, id: ChunkId, data: &Bytes) -> Result<PutOutcome> {
        let data = data.clone();
        self.call("put", move |db| db.put(id, &data)).map_err(|e| e.with_chunk(id))
    }

    /// One thread does all of them, and nothing is synced.
    fn put_many(&self, _: &[(ChunkId, Bytes)]) -> Option<Vec<Result<PutOutcome>>> {
        None
    }

    fn group_bytes(&self) -> usize {
        0
    }

    fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let max = self.capabilities.max_chunk_len;
        let get = || {
            // The buffer is not made among sled's small pieces, nor before it is this one's turn.
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(entry) = self.call("get", move |db| db.entry("get", id))? else { return Ok(None) };
            let room = usize::try_from(entry.len.min(max)).unwrap_or(0);
            let data = Vec::with_capacity(room);
            self.call("get", move |db| db.get(id, max, entry, data))
        };
        let data = get().map_err(|e| e.with_chunk(id))?;
        Ok(data.map(Bytes::from))
    }

    fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        let entry = self.call("stat", move |db| db.entry("stat", id)).map_err(|e| e.with_chunk(id))?;
        Ok(entry.map(|entry| ChunkMeta { id, len: entry.len }))
    }

    fn delete(&self, id: ChunkId) -> Result<()> {
        self.call("delete", move |db| db.delete(id)).map_err(|e| e.with_chunk(id))
    }

    fn page(&self, after: Option<ChunkId>) -> Result<Vec<ChunkMeta>> {
        self.call("list", move |db| db.page(after))
    }

    fn flush(&self) -> Result<()> {
        self.call("flush", |db| db.flush("flush"))
    }

    fn load(&self, name: &RootName) -> Result<Option<Root>> {
        let name = name.clone();
        self.call("load", move |db| db.load_root("load", &name))
    }

    fn swap(&self, name: &RootName, expect: &Expect, new: Option<Bytes>) -> Result<Swap> {
        let (name, expect) = (name.clone(), expect.clone());
        self.call("swap", move |db| db.swap_root(&name, &expect, new.as_deref()))
    }

    fn names(&self) -> Result<Vec<RootName>> {
        self.call("names", Database::root_names)
    }
}

/// sled's own `Debug` prints what is stored.
impl fmt::Debug for SledEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledEngine").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// Bytes that were never there before.
pub(crate) fn random<const N: usize>(op: &'static str) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::new(ErrorKind::Other, op, "the system gives no randomness for a version").with_source(e)
    })?;
    Ok(bytes)
}

fn closed(op: &'static str) -> Error {
    let message = "sled panicked earlier and is not to be trusted; open the store again";
    Error::new(ErrorKind::Closed, op, message)
}

fn damaged(op: &'static str, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, op, format!("{what} is damaged; put the chunk again, or delete it"))
}

#[cfg(test)]
mod tests {
    use selfenc_core::store::OpenMode;

    use super::*;
    use crate::SledConfig;

    #[test]
    fn after_a_panic_nothing_is_asked_of_sled() {
        let folder = tempfile::tempdir().unwrap();
        let open = |mode| SledConfig::new(folder.path().join("s")).open_engine(mode);
        let engine = open(OpenMode::Create).unwrap();
        let id = ChunkId::from_bytes([7; 32]);
        engine.put(id, &Bytes::from_static(b"bytes")).unwrap();
        engine.flush().unwrap();
        let e = engine.call("get", |_| -> Result<()> { panic!("on purpose") }).unwrap_err();
        assert!(e.kind() == ErrorKind::Corrupt && e.to_string().contains("on purpose"), "{e}");
        for e in [engine.get(id).unwrap_err(), engine.flush().unwrap_err()] {
            assert!(e.kind() == ErrorKind::Closed && e.to_string().contains("open the store again"), "{e}");
        }
        drop(engine);
        assert!(open(OpenMode::Existing).unwrap().get(id).unwrap().is_some());
    }

    #[test]
    fn an_entry_is_these_bytes_and_no_others() {
        let entry = Entry { len: 300, generation: [7; 8] };
        let bytes = [44, 1, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7];
        assert_eq!(entry.to_bytes(), bytes);
        assert_eq!(Entry::parse(&bytes), Some(entry));
        for bad in [&bytes[..15], &[0; 17], &[]] {
            assert_eq!(Entry::parse(bad), None);
        }
    }
}
