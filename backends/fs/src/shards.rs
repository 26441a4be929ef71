//! What was done in the chunk folders and is not yet known to be durable.
//!
//! A rename is durable once its folder was synced. Several writers share a sync, so each shard keeps a
//! list of the changes that wait for one. When a sync fails, all of them are in doubt, and no later sync
//! settles it: the system may have dropped them and call the folder clean. So each chunk that waited is
//! remembered as lost until it is written anew. With `OnPut` those that were new are removed as well, for
//! their `put` fails; with `OnFlush` they were acknowledged, and perhaps made durable by another process
//! since, and stay.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use selfenc_core::store::ChunkId;

use crate::layout::{Layout, SHARDS};
use crate::os::Os;
use crate::session::Temporary;

/// The changes of one shard that may wait for a flush. Together the shards hold 65 536 of them, a few MiB.
const MAX_PENDING: usize = 256;

#[derive(Debug)]
pub(crate) struct Shards {
    os: Arc<dyn Os>,
    layout: Layout,
    shards: Box<[Shard]>,
    remove_lost: bool,
    /// Whether the folders above the shards were synced since this opening. Another process may have made
    /// them and died.
    folders_synced: Mutex<bool>,
}

#[derive(Debug, Default)]
struct Shard {
    /// Held during a sync, so that whoever waits for it knows how it ended.
    syncing: Mutex<()>,
    /// A chunk was seen in it by somebody who may rely on it, such as a copy, and the shard was not synced
    /// since: whoever put it there may have died before.
    seen: AtomicBool,
    changes: Mutex<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    pending: HashMap<ChunkId, Change>,
    lost: HashMap<ChunkId, Cause>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// It was not there, or had another length.
    New,
    /// It was there, perhaps renamed by another process and not yet synced.
    Kept,
    Deleted,
}

/// An I/O error, as far as it can be kept and repeated.
#[derive(Clone, Copy, Debug)]
struct Cause {
    code: Option<i32>,
    kind: io::ErrorKind,
}

impl Cause {
    fn of(e: &io::Error) -> Self {
        Self { code: e.raw_os_error(), kind: e.kind() }
    }

    fn error(self) -> io::Error {
        self.code.map_or_else(|| self.kind.into(), io::Error::from_raw_os_error)
    }
}

impl Shards {
    pub(crate) fn new(os: Arc<dyn Os>, layout: Layout, remove_lost: bool) -> Self {
        let shards = (0..=SHARDS).map(|_| Shard::default()).collect();
        Self { os, layout, shards, remove_lost, folders_synced: Mutex::new(false) }
    }

    fn shard(&self, first: u8) -> &Shard {
        // A flat store is one folder, whose sync succeeds or fails for all.
        let first = if self.layout.is_flat() { 0 } else { first };
        &self.shards[usize::from(first)]
    }

    /// Whether the chunk is there in this length and may count as put. If so, the next sync covers it.
    pub(crate) fn keep(&self, id: ChunkId, len: usize) -> io::Result<bool> {
        let mut changes = lock(&self.shard(id.as_bytes()[0]).changes);
        if changes.lost.contains_key(&id) || !self.stands(id, len)? {
            return Ok(false);
        }
        let change = changes.pending.entry(id).or_insert(Change::Kept);
        if *change == Change::Deleted {
            *change = Change::Kept;
        }
        Ok(true)
    }

    /// Renames a synced temporary of `len` bytes to the chunk's place.
    pub(crate) fn place(&self, id: ChunkId, temporary: &mut Temporary, len: usize) -> io::Result<()> {
        let path = self.layout.chunk(id);
        let mut changes = lock(&self.shard(id.as_bytes()[0]).changes);
        let stood = self.stands(id, len)?;
        temporary.rename(&path)?;
        changes.lost.remove(&id);
        let kept = stood && changes.pending.get(&id) != Some(&Change::New);
        changes.pending.insert(id, if kept { Change::Kept } else { Change::New });
        Ok(())
    }

    /// Removes the chunk's file; `NotFound` if there is none, with what that leaves to be synced noted.
    pub(crate) fn remove(&self, id: ChunkId) -> io::Result<()> {
        let mut changes = lock(&self.shard(id.as_bytes()[0]).changes);
        let removed = self.os.remove_file(&self.layout.chunk(id));
        if removed.as_ref().map_or_else(|e| e.kind() == io::ErrorKind::NotFound, |()| true) {
            changes.lost.remove(&id);
            changes.pending.insert(id, Change::Deleted);
        }
        removed
    }

    /// Whether so many changes wait in the shard that it should be synced before the next flush.
    pub(crate) fn is_crowded(&self, first: u8) -> bool {
        lock(&self.shard(first).changes).pending.len() >= MAX_PENDING
    }

    /// Notes that a chunk was seen in the shard; the next sync covers it.
    pub(crate) fn note_seen(&self, first: u8) {
        self.shard(first).seen.store(true, Ordering::SeqCst);
    }

    /// Syncs a shard if anything waits for it.
    pub(crate) fn sync(&self, first: u8) -> io::Result<()> {
        let shard = self.shard(first);
        let _one_at_a_time = lock(&shard.syncing);
        let seen = shard.seen.swap(false, Ordering::SeqCst);
        let pending = std::mem::take(&mut lock(&shard.changes).pending);
        if pending.is_empty() && !seen {
            return Ok(());
        }
        let synced = self.sync_folders().and_then(|()| self.os.sync_dir(&self.layout.shard(first)));
        match synced {
            // The folder was removed by hand, and whatever was deleted in it is gone for good.
            Err(e) if e.kind() == io::ErrorKind::NotFound && only_deletes(&pending) => Ok(()),
            Err(e) => {
                self.lose(&mut lock(&shard.changes), pending, Cause::of(&e));
                Err(e)
            }
            Ok(()) => Ok(()),
        }
    }

    fn lose(&self, changes: &mut Changes, pending: HashMap<ChunkId, Change>, cause: Cause) {
        for (id, change) in pending {
            let deleted_since = changes.pending.get(&id) == Some(&Change::Deleted);
            match change {
                // A chunk that comes back after a crash is litter, not loss.
                Change::Deleted => drop(changes.pending.entry(id).or_insert(Change::Deleted)),
                _ if deleted_since => {}
                Change::New | Change::Kept => {
                    if change == Change::New
                        && self.remove_lost
                        && let Err(error) = self.os.remove_file(&self.layout.chunk(id))
                    {
                        tracing::debug!(chunk = id.short(), %error, "a chunk that is not durable stays");
                    }
                    changes.lost.insert(id, cause);
                }
            }
        }
    }

    /// Why the chunk was lost by a failed sync, if it was.
    pub(crate) fn check(&self, id: ChunkId) -> io::Result<()> {
        match lock(&self.shard(id.as_bytes()[0]).changes).lost.get(&id) {
            None => Ok(()),
            Some(cause) => Err(cause.error()),
        }
    }

    /// The number of chunks lost by failed syncs and not written anew, and why one of them was.
    pub(crate) fn lost(&self) -> Option<(usize, io::Error)> {
        let mut found = (0, None);
        for shard in &self.shards {
            let changes = lock(&shard.changes);
            found.0 += changes.lost.len();
            found.1 = found.1.or_else(|| changes.lost.values().next().copied());
        }
        found.1.map(|cause| (found.0, cause.error()))
    }

    /// Makes a folder of the store that was removed by hand. The next sync covers its entry.
    pub(crate) fn make_folder(&self, path: &Path) -> io::Result<()> {
        let mut synced = lock(&self.folders_synced);
        *synced = false;
        self.os
            .create_dir(path)
            .or_else(|e| if e.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) })
    }

    /// Syncs the folders above the shards and the roots, if that was not done yet.
    pub(crate) fn sync_folders(&self) -> io::Result<()> {
        let mut synced = lock(&self.folders_synced);
        if !*synced {
            self.os.sync_dir(&self.layout.dir)?;
            self.os.sync_dir(&self.layout.chunks)?;
            *synced = true;
        }
        Ok(())
    }

    fn stands(&self, id: ChunkId, len: usize) -> io::Result<bool> {
        match self.os.metadata(&self.layout.chunk(id)) {
            Ok(found) => Ok(found.is_file && found.len == len as u64),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }
}

fn only_deletes(pending: &HashMap<ChunkId, Change>) -> bool {
    pending.values().all(|change| *change == Change::Deleted)
}

/// Nothing panics while it holds one of these locks, so a poisoned state is a whole one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
