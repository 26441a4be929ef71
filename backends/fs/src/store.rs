use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use selfenc_core::store::{
    Blocking, BlockingEngine, Capabilities, ChunkId, ChunkMeta, Durability, Error, ErrorKind, Expect,
    PutOutcome, Result, Root, RootName, StoreInfo, Swap,
};

use crate::error::{chunk_failed, failed};
use crate::layout::{Layout, SHARDS, parse_chunk, parse_flat};
use crate::os::Os;
use crate::session::{Session, Temporary, write_all};
use crate::shards::{Shards, Ticket};

/// Chunks in a page of a flat store's listing. The whole folder is read for each.
const FLAT_PAGE: usize = 16 << 10;

/// A store in a folder; opened by [`FsConfig`](crate::FsConfig).
pub type FsStore = Blocking<FsEngine>;

/// The blocking engine below [`FsStore`].
#[derive(Debug)]
pub struct FsEngine {
    pub(crate) os: Arc<dyn Os>,
    pub(crate) layout: Layout,
    pub(crate) shards: Shards,
    capabilities: Capabilities,
    /// Started by the first write, so that a folder that cannot be written can be read.
    session: Mutex<Option<Arc<Session>>>,
    /// Roots whose last swap failed and could not be undone.
    pub(crate) roots_in_doubt: Mutex<HashSet<RootName>>,
}

/// A put of which the bytes are durable and the name is not.
pub(crate) struct Staged {
    pub(crate) outcome: PutOutcome,
    pub(crate) step: Step,
}

/// What is to be done next.
pub(crate) enum Step {
    Place(Temporary),
    /// The chunk was there already.
    Wait(Ticket),
}

impl FsEngine {
    pub(crate) fn new(os: Arc<dyn Os>, layout: Layout, durability: Durability, max_chunk_len: u64) -> Self {
        let capabilities =
            Capabilities::new(durability).with_exact_outcome(false).with_max_chunk_len(max_chunk_len);
        let capabilities = capabilities.with_roots(!layout.is_flat());
        let shards = Shards::new(Arc::clone(&os), layout.clone(), durability == Durability::OnPut);
        Self { os, layout, shards, capabilities, session: Mutex::new(None), roots_in_doubt: Mutex::default() }
    }

    /// Writes `data` to a temporary and syncs it.
    pub(crate) fn write(&self, op: &'static str, data: &[u8]) -> Result<Temporary> {
        let tmp = &self.layout.tmp;
        let (temporary, mut file) = self
            .in_folder(op, tmp, || self.session()?.temporary())?
            .map_err(|e| failed(op, "write in", tmp, e))?;
        // A failed sync is not tried again: a second one may succeed without having written anything.
        write_all(&mut *file, data)
            .and_then(|()| file.sync())
            .map_err(|e| failed(op, "write", temporary.path(), e))?;
        Ok(temporary)
    }

    fn session(&self) -> io::Result<Arc<Session>> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &*session {
            return Ok(Arc::clone(session));
        }
        let started = Arc::new(Session::start(&self.os, &self.layout)?);
        Ok(Arc::clone(session.insert(started)))
    }

    /// Tries something in a folder of the store; if the folder was removed by hand, makes it and tries
    /// again.
    pub(crate) fn in_folder<T>(
        &self,
        op: &'static str,
        folder: &Path,
        mut work: impl FnMut() -> io::Result<T>,
    ) -> Result<io::Result<T>> {
        match work() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.check_container(op)?;
                self.shards.make_folder(folder).map_err(|e| failed(op, "make the folder", folder, e))?;
                Ok(work())
            }
            result => Ok(result),
        }
    }

    /// Tells a missing file from a missing store.
    pub(crate) fn check_container(&self, op: &'static str) -> Result<()> {
        // A flat store has no marker: then it is the folder that must be there.
        let marker = if self.layout.is_flat() { &self.layout.dir } else { &self.layout.marker };
        match self.os.metadata(marker) {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let dir = self.layout.dir.display();
                let message = format!("the store {dir} is gone; was it moved, or a disk unmounted?");
                Err(Error::new(ErrorKind::ContainerMissing, op, message).with_source(e))
            }
            Err(e) => Err(failed(op, "look at", marker, e)),
        }
    }

    fn chunk_failed(&self, op: &'static str, doing: &str, id: ChunkId, e: io::Error) -> Error {
        chunk_failed(op, doing, &self.layout.shard(id.as_bytes()[0]), id, e)
    }

    /// The first half of a put: the chunk's bytes are in a synced file, in place or in a temporary.
    pub(crate) fn stage(&self, id: ChunkId, data: &Bytes) -> Result<Staged> {
        if self.layout.is_flat() {
            // A file may be torn or not synced, since others write them in place: it is never taken for the
            // chunk, but written anew.
            let is_there = self.file_len("put", id)? == Some(data.len() as u64)
                && self.get(id)?.is_some_and(|found| found == *data);
            let outcome = if is_there { PutOutcome::Present } else { PutOutcome::Inserted };
            return Ok(Staged { outcome, step: Step::Place(self.write_chunk(id, data)?) });
        }
        let kept =
            self.shards.keep(id, data.len()).map_err(|e| self.chunk_failed("put", "look at", id, e))?;
        Ok(match kept {
            Some(ticket) => Staged { outcome: PutOutcome::Present, step: Step::Wait(ticket) },
            None => Staged { outcome: PutOutcome::Inserted, step: Step::Place(self.write_chunk(id, data)?) },
        })
    }

    fn write_chunk(&self, id: ChunkId, data: &Bytes) -> Result<Temporary> {
        self.write("put", data).map_err(|e| e.with_chunk(id))
    }

    /// The second: the file gets the chunk's name.
    pub(crate) fn place(&self, id: ChunkId, len: usize, step: Step) -> Result<Ticket> {
        let mut temporary = match step {
            Step::Wait(ticket) => return Ok(ticket),
            Step::Place(temporary) => temporary,
        };
        let shard = self.layout.shard(id.as_bytes()[0]);
        self.in_folder("put", &shard, || self.shards.place(id, &mut temporary, len))?
            .map_err(|e| self.chunk_failed("put", "rename a temporary to", id, e))
    }

    /// The end: waits for the sync of the folder, and finds out whether that, or another one since, lost the
    /// chunk.
    pub(crate) fn settle(&self, id: ChunkId, ticket: &Ticket) -> Result<()> {
        if self.is_on_put() {
            let synced = self.shards.wait(ticket).and_then(|()| self.shards.check(id));
            return synced.map_err(|e| self.chunk_failed("put", "sync the folder of", id, e));
        }
        if self.shards.is_crowded(id.as_bytes()[0])
            && let Err(error) = self.shards.wait(ticket)
        {
            // The shard remembers what was lost, and the next flush says so.
            tracing::debug!(%error, "an early sync failed");
        }
        Ok(())
    }

    fn is_on_put(&self) -> bool {
        self.capabilities.durability == Durability::OnPut
    }

    /// The length of the chunk's file, if there is one.
    fn file_len(&self, op: &'static str, id: ChunkId) -> Result<Option<u64>> {
        match self.os.metadata(&self.layout.chunk(id)) {
            Ok(found) if found.is_file => Ok(Some(found.len)),
            // Not opened: opening a named pipe would hang.
            Ok(_) => {
                Err(self.corrupt(op, id, "what stands in its place is not a regular file; move it away"))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.check_container(op).map(|()| None),
            Err(e) => Err(self.chunk_failed(op, "look at", id, e)),
        }
    }

    fn corrupt(&self, op: &'static str, id: ChunkId, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Corrupt, op, message.into()).with_chunk(id)
    }

    fn too_long(&self, id: ChunkId) -> Error {
        let max = self.capabilities.max_chunk_len;
        self.corrupt("get", id, format!("its file is longer than the longest chunk, {max} bytes"))
    }

    /// The chunks of one shard after `after`, ascending; `None` if there is no such folder.
    fn shard_page(&self, shard: u8, after: Option<ChunkId>) -> Result<Option<Vec<ChunkMeta>>> {
        let folder = self.layout.shard(shard);
        let names = match self.os.read_dir(&folder) {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed("list", "read the folder", &folder, e)),
        };
        let mut ids: Vec<_> = names.iter().filter_map(|name| parse_chunk(shard, name)).collect();
        ids.retain(|id| after.is_none_or(|after| *id > after));
        self.metas(ids).map(Some)
    }

    /// The next chunks of a flat store after `after`, ascending.
    fn flat_page(&self, after: Option<ChunkId>) -> Result<Vec<ChunkMeta>> {
        let folder = &self.layout.dir;
        let names = match self.os.read_dir(folder) {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return self.check_container("list").map(|()| Vec::new());
            }
            Err(e) => return Err(failed("list", "read the folder", folder, e)),
        };
        let mut ids: Vec<_> = names.iter().filter_map(|name| parse_flat(name)).collect();
        ids.retain(|id| after.is_none_or(|after| *id > after));
        ids.sort_unstable();
        for some in ids.chunks(FLAT_PAGE) {
            let page = self.metas(some.to_vec())?;
            // All of them may have been removed meanwhile, and an empty page is the end.
            if !page.is_empty() {
                return Ok(page);
            }
        }
        Ok(Vec::new())
    }

    fn metas(&self, mut ids: Vec<ChunkId>) -> Result<Vec<ChunkMeta>> {
        ids.sort_unstable();
        // A file renamed over while the folder is read may be seen twice.
        ids.dedup();
        let mut page = Vec::with_capacity(ids.len());
        for id in ids {
            match self.os.metadata(&self.layout.chunk(id)) {
                Ok(found) if found.is_file => page.push(ChunkMeta { id, len: found.len }),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(self.chunk_failed("list", "look at", id, e)),
            }
        }
        Ok(page)
    }

    fn check_has_roots(&self, op: &'static str) -> Result<()> {
        if self.capabilities.roots {
            return Ok(());
        }
        let message = "a flat folder of chunks has no roots; use a store with another layout";
        Err(Error::new(ErrorKind::Unsupported, op, message))
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlockingEngine for FsEngine {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn info(&self) -> StoreInfo {
        StoreInfo::backend("file", self.layout.dir.display())
    }

    fn put(&self, id: ChunkId, data: &Bytes) -> Result<PutOutcome> {
        let Staged { outcome, step } = self.stage(id, data)?;
        let ticket = self.place(id, data.len(), step)?;
        self.settle(id, &ticket)?;
        Ok(outcome)
    }

    fn put_many(&self, chunks: &[(ChunkId, Bytes)]) -> Option<Vec<Result<PutOutcome>>> {
        Some(self.put_batch(chunks))
    }

    fn group_bytes(&self) -> usize {
        0
    }

    fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let max = self.capabilities.max_chunk_len;
        match self.file_len("get", id)? {
            None => return Ok(None),
            Some(len) if len > max => return Err(self.too_long(id)),
            Some(_) => {}
        }
        match self.os.read(&self.layout.chunk(id), max.saturating_add(1)) {
            Ok(data) if data.len() as u64 > max => Err(self.too_long(id)),
            Ok(data) => Ok(Some(data.into())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.check_container("get").map(|()| None),
            Err(e) => Err(self.chunk_failed("get", "read", id, e)),
        }
    }

    fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        let found = self.file_len("stat", id)?.map(|len| ChunkMeta { id, len });
        if found.is_some() {
            self.shards.note_seen(id.as_bytes()[0]);
        }
        Ok(found)
    }

    fn delete(&self, id: ChunkId) -> Result<()> {
        let removed = self.shards.remove(id);
        let (was_there, ticket) = removed.map_err(|e| self.chunk_failed("delete", "remove", id, e))?;
        if !was_there {
            self.check_container("delete")?;
        }
        if self.is_on_put() {
            let shard = self.layout.shard(id.as_bytes()[0]);
            let synced = self.shards.wait(&ticket);
            synced.map_err(|e| failed("delete", "sync", &shard, e).with_chunk(id))?;
        }
        Ok(())
    }

    fn page(&self, after: Option<ChunkId>) -> Result<Vec<ChunkMeta>> {
        if self.layout.is_flat() {
            return self.flat_page(after);
        }
        let mut folder_missing = false;
        for shard in after.map_or(0, |id| id.as_bytes()[0])..=SHARDS {
            match self.shard_page(shard, after)? {
                Some(page) if page.is_empty() => {}
                Some(page) => return Ok(page),
                None => folder_missing = true,
            }
        }
        if folder_missing {
            self.check_container("list")?;
        }
        Ok(Vec::new())
    }

    fn flush(&self) -> Result<()> {
        let mut first = None;
        for shard in 0..=SHARDS {
            if let Err(e) = self.shards.flush(shard) {
                first.get_or_insert_with(|| failed("flush", "sync", &self.layout.shard(shard), e));
            }
        }
        if let Some(e) = first {
            return Err(e);
        }
        // With `OnPut` whoever put a lost chunk was told so.
        match self.shards.lost() {
            Some((count, e)) if !self.is_on_put() => {
                let doing =
                    format!("flush: {count} chunks were lost by an earlier failed sync (put them again) in");
                Err(failed("flush", &doing, &self.layout.dir, e))
            }
            _ => Ok(()),
        }
    }

    fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.check_has_roots("load")?;
        self.load_root(name)
    }

    fn swap(&self, name: &RootName, expect: &Expect, new: Option<Bytes>) -> Result<Swap> {
        self.check_has_roots("swap")?;
        self.swap_root(name, expect, new.as_deref())
    }

    fn names(&self) -> Result<Vec<RootName>> {
        self.check_has_roots("names")?;
        self.root_names()
    }
}
