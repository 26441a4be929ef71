//! The store that all of these tests break: every method asks which fault it is to have. With
//! [`Fault::None`] it keeps the contract.

use std::fmt;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::stream::BoxStream;
use selfenc_backend_tests::{Expected, Op, async_trait};
use selfenc_core::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Durability, Error, ErrorKind, PutOutcome, Result, StoreInfo,
};
use tokio::sync::{RwLock, Semaphore, watch};

use crate::disk::{Disk, Name, Thing};
use crate::faults::Fault;
use crate::list;

/// How late something lands that nobody waits for.
pub(crate) const LATE: Duration = Duration::from_millis(3);

/// A place where stores keep things; handles come and go.
#[derive(Debug)]
pub(crate) struct Location {
    disk: Mutex<Disk>,
    /// Grows with each crash: handles from before are dead.
    pub(crate) crashes: AtomicU64,
    pub(crate) paused: watch::Sender<bool>,
    // What only faults use.
    pub(crate) gate: Arc<RwLock<()>>,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) cursor: Mutex<Option<ChunkId>>,
    puts: AtomicU64,
    flushes: AtomicU64,
}

impl Location {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            disk: Mutex::default(),
            crashes: AtomicU64::new(0),
            paused: watch::channel(false).0,
            gate: Arc::default(),
            permits: Arc::new(Semaphore::new(16)),
            cursor: Mutex::default(),
            puts: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
        })
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A handle.
#[derive(Clone)]
pub(crate) struct Broken {
    pub(crate) at: Arc<Location>,
    pub(crate) fault: Fault,
    pub(crate) capabilities: Capabilities,
    pub(crate) read_only: bool,
    /// `Location::crashes` when it was opened.
    pub(crate) opened: u64,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what the disk holds.
        f.debug_struct("Broken").field("fault", &self.fault).finish_non_exhaustive()
    }
}

impl Broken {
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    pub(crate) fn on_put(&self) -> bool {
        self.capabilities.durability == Durability::OnPut
    }

    pub(crate) fn error(&self, kind: ErrorKind, op: &'static str, id: Option<ChunkId>, say: &str) -> Error {
        let kind =
            if self.has(Fault::FullIsOther) && kind == ErrorKind::Full { ErrorKind::Other } else { kind };
        let op = if self.has(Fault::ErrorsInTwoLines) { "put\nfailed" } else { op };
        let mut e = match id {
            Some(id) if self.has(Fault::ErrorsTellTheId) => Error::new(kind, op, format!("{say}: {id}")),
            _ => Error::new(kind, op, say.to_owned()),
        };
        if let (Some(id), false) = (id, self.has(Fault::ErrorsNameNoChunk)) {
            e = e.with_chunk(id);
        }
        if self.has(Fault::AllTransient) { e.with_transient(true) } else { e }
    }

    /// What every call does first: it may fail here, and it may be dropped here.
    pub(crate) async fn enter(&self, op: Op, id: Option<ChunkId>) -> Result<()> {
        tokio::task::yield_now().await;
        self.check(op, id)
    }

    pub(crate) fn check(&self, op: Op, id: Option<ChunkId>) -> Result<()> {
        let name = op.as_str();
        if self.opened != self.at.crashes.load(Ordering::SeqCst) {
            return Err(self.error(ErrorKind::Closed, name, id, "this handle is from before a crash"));
        }
        if self.at.disk().gone {
            return Err(self.error(ErrorKind::ContainerMissing, name, id, "make the location again"));
        }
        if self.read_only && matches!(op, Op::Put | Op::Delete | Op::Swap) {
            return Err(self.error(ErrorKind::ReadOnly, name, id, "it was opened for reading"));
        }
        if op == Op::Put { Ok(()) } else { self.meet(op, id) }
    }

    /// Fails if a fault of this operation is injected.
    pub(crate) fn meet(&self, op: Op, id: Option<ChunkId>) -> Result<()> {
        let mut disk = self.at.disk();
        let Some(injected) = disk.injected.as_ref().filter(|injected| injected.op == op) else {
            return Ok(());
        };
        let (cause, expected) = (injected.cause, injected.expected);
        if self.has(Fault::NeverRecovers) {
            disk.gone = true;
        }
        drop(disk);
        let Expected::Fails(kind, transient) = expected else { return Ok(()) };
        let e = self.error(kind, op.as_str(), id, cause);
        let e = if self.has(Fault::AllTransient) { e } else { e.with_transient(transient) };
        Err(if self.has(Fault::ErrorsLoseTheirCause) {
            e
        } else {
            e.with_source(std::io::Error::other(cause))
        })
    }

    /// The name of the chunk's file.
    pub(crate) fn file(&self, id: ChunkId) -> Name {
        let alike: fn(ChunkId, ChunkId) -> bool = match self.fault {
            Fault::FoldsCase => |a, b| a.as_bytes().eq_ignore_ascii_case(b.as_bytes()),
            Fault::Ids31Bytes => |a, b| a.as_bytes()[..31] == b.as_bytes()[..31],
            Fault::Ids8Bytes => |a, b| a.as_bytes()[..8] == b.as_bytes()[..8],
            _ => return Name::Chunk(id),
        };
        let found = self.at.disk().chunks(Bound::Unbounded).map(|(other, _)| other).find(|o| alike(*o, id));
        Name::Chunk(found.unwrap_or(id))
    }

    /// The length that is stored, unless it is no file.
    fn stored(&self, id: ChunkId) -> Option<u64> {
        let name = self.file(id);
        match self.at.disk().get(&name)? {
            Thing::File(data) => Some(data.len() as u64),
            Thing::Folder | Thing::Link => None,
        }
    }

    fn is_present(&self, id: ChunkId, data: &Bytes) -> bool {
        let found = self.stored(id);
        match self.fault {
            Fault::FailedPutRemovesOld => false,
            Fault::KeepsWrongLength => found.is_some(),
            _ => found == Some(data.len() as u64),
        }
    }

    /// Writes a temporary, then gives it its name.
    async fn write(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        let name = self.file(id);
        let temporary = match self.fault {
            Fault::WritesInPlace => name.clone(),
            Fault::NamesTemporariesById => Name::Temporary(id, 0),
            _ => self.at.disk().new_temporary(id),
        };
        let mut half = Half { store: self, name: &name, temporary: &temporary, over: false };
        self.at.disk().write(&temporary, data.slice(..data.len() / 2));
        tokio::task::yield_now().await;
        // It cannot be closed: the location holds the sender.
        let _ = self.at.paused.subscribe().wait_for(|paused| !*paused).await;
        if let Err(e) = self.check(Op::Put, Some(id)).and_then(|()| self.meet(Op::Put, Some(id))) {
            match self.fault {
                Fault::FailedPutLeavesHalf => self.at.disk().rename(&temporary, &name),
                Fault::FailedPutRemovesOld => self.at.disk().remove(&name),
                _ => {}
            }
            return Err(e);
        }
        half.over = true;
        Ok(self.publish(&name, &temporary, data))
    }

    fn publish(&self, name: &Name, temporary: &Name, data: Bytes) -> PutOutcome {
        let mut disk = self.at.disk();
        let whole = match disk.get(temporary) {
            Some(Thing::File(half)) if self.has(Fault::NamesTemporariesById) => {
                [half.slice(..half.len().min(data.len() / 2)), data.slice(data.len() / 2..)].concat().into()
            }
            None if self.has(Fault::NamesTemporariesById) => return PutOutcome::Present,
            _ => data,
        };
        // Somebody else may have been faster.
        if temporary != name && matches!(disk.get(name), Some(Thing::File(old)) if old.len() == whole.len()) {
            disk.remove(temporary);
            return PutOutcome::Present;
        }
        disk.write(temporary, whole);
        if self.on_put() && !matches!(self.fault, Fault::SkipsFileSync | Fault::SyncsAfterRename) {
            disk.sync_file(temporary);
        }
        if temporary != name {
            disk.rename(temporary, name);
        }
        if self.has(Fault::SyncsAfterRename) {
            disk.sync_file(name);
        }
        match self.fault {
            Fault::ClaimsOnPut => disk.buffer(name),
            Fault::SkipsFolderSync => {}
            _ if self.on_put() => disk.sync_folder(name),
            _ => disk.buffer(name),
        }
        PutOutcome::Inserted
    }

    fn erase(&self, id: ChunkId) {
        let name = self.file(id);
        let mut disk = self.at.disk();
        let mut names = vec![name];
        if self.has(Fault::DeleteErasesShard) {
            let shard = |other: &ChunkId| other.as_bytes()[..2] == id.as_bytes()[..2];
            names
                .extend(disk.chunks(Bound::Unbounded).map(|(other, _)| other).filter(shard).map(Name::Chunk));
        }
        for name in names {
            disk.remove(&name);
            match self.fault {
                Fault::ForgetsDeletes => {}
                _ if self.on_put() => disk.sync_folder(&name),
                _ => disk.buffer(&name),
            }
        }
    }
}

/// A put on its way: what is half-written goes when it is dropped.
struct Half<'a> {
    store: &'a Broken,
    name: &'a Name,
    temporary: &'a Name,
    over: bool,
}

impl Drop for Half<'_> {
    fn drop(&mut self) {
        let crashed = self.store.opened != self.store.at.crashes.load(Ordering::SeqCst);
        if self.over || crashed || self.store.has(Fault::LeavesTemporaries) {
            return;
        }
        let mut disk = self.store.at.disk();
        match self.store.fault {
            Fault::WritesInPlace => {}
            Fault::DroppedPutLeavesHalf => disk.rename(self.temporary, self.name),
            _ => disk.remove(self.temporary),
        }
    }
}

#[async_trait]
impl ChunkStore for Broken {
    fn capabilities(&self) -> Capabilities {
        let used = self.at.puts.load(Ordering::Relaxed) > 0;
        if used && self.has(Fault::CapabilitiesChange) {
            return self.capabilities.with_exact_outcome(false);
        }
        self.capabilities
    }

    async fn put(&self, id: ChunkId, mut data: Bytes) -> Result<PutOutcome> {
        let n = self.at.puts.fetch_add(1, Ordering::Relaxed);
        if self.read_only && self.has(Fault::ReadOnlyPretends) {
            return Ok(PutOutcome::Inserted);
        }
        self.enter(Op::Put, Some(id)).await?;
        if data.len() as u64 > self.capabilities.max_chunk_len && !self.has(Fault::LimitNotEnforced) {
            return Err(self.error(ErrorKind::ChunkTooLarge, "put", Some(id), "it is above the limit"));
        }
        let _gate = match self.fault {
            Fault::ListBlocksWriters => Some(self.at.gate.write().await),
            _ => None,
        };
        match self.fault {
            Fault::DropsPuts if n % 100 == 99 => return Ok(PutOutcome::Inserted),
            Fault::TruncatesAt64KiB => data.truncate(64 << 10),
            Fault::Blocks => std::thread::sleep(Duration::from_millis(data.len() as u64 >> 16)),
            Fault::NeedsThreads => tokio::task::block_in_place(|| {}),
            _ => {}
        }
        let outcome =
            if self.is_present(id, &data) { PutOutcome::Present } else { self.write(id, data).await? };
        Ok(match self.fault {
            Fault::AlwaysInserted => PutOutcome::Inserted,
            Fault::AlwaysPresent => PutOutcome::Present,
            _ if !self.capabilities.exact_outcome => PutOutcome::Unchecked,
            _ => outcome,
        })
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        if self.has(Fault::MissingContainerIsAbsence) && self.at.disk().gone {
            return Ok(None);
        }
        let permit = match self.fault {
            Fault::DroppedGetLeaks | Fault::ListHoldsPermit => self.at.permits.acquire().await.ok(),
            _ => None,
        };
        if let (Some(permit), Fault::DroppedGetLeaks) = (permit, self.fault) {
            permit.forget();
        }
        self.enter(Op::Get, Some(id)).await?;
        if self.has(Fault::DroppedGetLeaks) {
            self.at.permits.add_permits(1);
        }
        let name = self.file(id);
        let thing = self.at.disk().get(&name).cloned();
        match thing {
            Some(Thing::File(data)) => {
                if data.len() as u64 > self.capabilities.max_chunk_len && !self.has(Fault::ReadsAboveLimit) {
                    return Err(self.error(ErrorKind::Corrupt, "get", Some(id), "it is above the limit"));
                }
                Ok(Some(data).filter(|data| !(self.has(Fault::EmptyIsAbsent) && data.is_empty())))
            }
            Some(Thing::Folder) if self.has(Fault::PanicsOnDamage) => panic!("a chunk is a file"),
            Some(Thing::Folder | Thing::Link) if !self.has(Fault::DamageIsAbsence) => {
                Err(self.error(ErrorKind::Corrupt, "get", Some(id), "no file stands there"))
            }
            _ => Ok(None),
        }
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        if !self.capabilities.deletes {
            return Err(self.error(ErrorKind::Unsupported, "delete", Some(id), "this store only grows"));
        }
        self.enter(Op::Delete, Some(id)).await?;
        let _gate = match self.fault {
            Fault::ListBlocksWriters => Some(self.at.gate.write().await),
            _ => None,
        };
        if self.has(Fault::DeleteAbsentFails) && self.stored(id).is_none() {
            return Err(self.error(ErrorKind::Other, "delete", Some(id), "no such chunk"));
        }
        if self.has(Fault::LateDeletes) {
            let store = self.clone();
            let late = tokio::spawn(async move {
                tokio::time::sleep(LATE).await;
                store.erase(id);
            });
            let _ = late.await;
        } else {
            self.erase(id);
        }
        Ok(())
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        list::list(self.clone(), after)
    }

    fn info(&self) -> StoreInfo {
        match self.fault {
            Fault::InfoCounts => StoreInfo::backend("broken", self.at.puts.load(Ordering::Relaxed)),
            _ => StoreInfo::backend("broken", ""),
        }
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.enter(Op::Stat, Some(id)).await?;
        let header = if self.has(Fault::StatCountsHeader) { 16 } else { 0 };
        Ok(self.stored(id).map(|len| ChunkMeta { id, len: len + header }))
    }

    async fn flush(&self) -> Result<()> {
        let running = self.at.flushes.fetch_add(1, Ordering::SeqCst);
        let entered = self.enter(Op::Flush, None).await;
        self.at.flushes.fetch_sub(1, Ordering::SeqCst);
        if self.has(Fault::FlushFailsWhenBusy) && running > 0 {
            return Err(self.error(ErrorKind::Locked, "flush", None, "another flush is running"));
        }
        let mut disk = self.at.disk();
        if let Err(e) = entered {
            if self.has(Fault::FailedFlushForgets) {
                disk.forget_buffered();
            }
            return if self.has(Fault::FlushSwallowsErrors) { Ok(()) } else { Err(e) };
        }
        let me = tokio::task::try_id();
        for (name, task) in disk.buffered() {
            let removed = disk.get(&name).is_none();
            match self.fault {
                Fault::FlushDoesNothing => continue,
                Fault::FlushKeepsDeletes if removed => continue,
                Fault::FlushesOwnTask if task != me => continue,
                _ => {}
            }
            disk.write_back(&name);
        }
        Ok(())
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        match self.fault {
            Fault::BatchOutOfOrder => {
                let (odd, even): (Vec<_>, Vec<_>) =
                    chunks.into_iter().enumerate().partition(|(n, _)| n % 2 == 1);
                join_all(odd.into_iter().chain(even).map(|(_, (id, data))| self.put(id, data))).await
            }
            Fault::BatchStopsAtError => {
                let mut answers = Vec::new();
                for (id, data) in chunks {
                    let stopped = matches!(answers.last(), Some(Err(_)));
                    answers.push(match stopped {
                        true => Err(self.error(ErrorKind::Other, "put", Some(id), "an earlier one failed")),
                        false => self.put(id, data).await,
                    });
                }
                answers
            }
            Fault::BatchRefusesDuplicates => {
                let ids: std::collections::BTreeSet<_> = chunks.iter().map(|(id, _)| *id).collect();
                let twice = ids.len() < chunks.len();
                join_all(chunks.into_iter().map(|(id, data)| async move {
                    match twice {
                        true => {
                            Err(self.error(ErrorKind::InvalidInput, "put", Some(id), "a key occurs twice"))
                        }
                        false => self.put(id, data).await,
                    }
                }))
                .await
            }
            _ => join_all(chunks.into_iter().map(|(id, data)| self.put(id, data))).await,
        }
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        let known = self.has(Fault::BatchSkipsAbsent);
        let ids = ids.into_iter().filter(|id| !known || self.stored(*id).is_some());
        join_all(ids.map(|id| self.delete(id))).await
    }
}
