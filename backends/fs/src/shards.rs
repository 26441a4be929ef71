//! What was done in the chunk folders and is not yet known to be durable.
//!
//! A rename is durable once its folder was synced by a sync that began after it. Several writers share
//! one: each shard keeps a list of the changes that wait, and those who wait for them are a [`Group`]. The
//! first who finds no sync running leads: takes the list, syncs for the whole group, and tells it. Who
//! comes while a sync runs belongs to the next group.
//!
//! When a sync fails, all that waited is in doubt, and what was changed while it ran as well. No later
//! sync settles it: the system may have dropped the changes and call the folder clean. So each of these
//! chunks is remembered as lost until it is written anew. With `OnPut` those that were new are removed as
//! well, for their `put` fails; with `OnFlush` they were acknowledged, and perhaps made durable by another
//! process since, and stay.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

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
    /// A chunk was seen in it by somebody who may rely on it, such as a copy, and the shard was not synced
    /// since: whoever put it there may have died before.
    seen: AtomicBool,
    changes: Mutex<Changes>,
    /// A sync of it ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Changes {
    /// What the next sync covers.
    pending: Pending,
    /// Those who wait for the next sync.
    open: Arc<Group>,
    /// Those whose sync is running.
    running: Option<Arc<Group>>,
    lost: HashMap<ChunkId, Cause>,
    /// A sync failed that somebody who had seen a chunk relied on, and no flush has said so yet.
    untold: Option<Cause>,
}

impl Changes {
    fn ticket(&self, id: ChunkId) -> Ticket {
        Ticket { first: id.as_bytes()[0], group: Arc::clone(&self.open) }
    }
}

type Pending = HashMap<ChunkId, Change>;

/// Those who share one sync, and how it ended.
#[derive(Debug, Default)]
struct Group {
    outcome: OnceLock<Result<(), Cause>>,
}

impl Group {
    /// Called once, by whoever leads.
    fn end(&self, outcome: Result<(), Cause>) {
        let _ = self.outcome.set(outcome);
    }
}

/// A place in a group: a change of this shard that the group's sync covers.
#[derive(Debug)]
pub(crate) struct Ticket {
    first: u8,
    group: Arc<Group>,
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

    /// A ticket if the chunk is there in this length and may count as put.
    pub(crate) fn keep(&self, id: ChunkId, len: usize) -> io::Result<Option<Ticket>> {
        let mut changes = lock(&self.shard(id.as_bytes()[0]).changes);
        if changes.lost.contains_key(&id) || !self.stands(id, len)? {
            return Ok(None);
        }
        let change = changes.pending.entry(id).or_insert(Change::Kept);
        if *change == Change::Deleted {
            *change = Change::Kept;
        }
        Ok(Some(changes.ticket(id)))
    }

    /// Renames a synced temporary of `len` bytes to the chunk's place.
    pub(crate) fn place(&self, id: ChunkId, temporary: &mut Temporary, len: usize) -> io::Result<Ticket> {
        let path = self.layout.chunk(id);
        let mut changes = lock(&self.shard(id.as_bytes()[0]).changes);
        let stood = self.stands(id, len)?;
        temporary.rename(&path)?;
        changes.lost.remove(&id);
        let kept = stood && changes.pending.get(&id) != Some(&Change::New);
        changes.pending.insert(id, if kept { Change::Kept } else { Change::New });
        Ok(changes.ticket(id))
    }

    /// Removes the chunk's file; whether there was one. That there is none has to be synced as well.
    pub(crate) fn remove(&self, id: ChunkId) -> io::Result<(bool, Ticket)> {
        let mut changes = lock(&self.shard(id.as_bytes()[0]).changes);
        let removed = match self.os.remove_file(&self.layout.chunk(id)) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(e),
        };
        changes.lost.remove(&id);
        changes.pending.insert(id, Change::Deleted);
        Ok((removed, changes.ticket(id)))
    }

    /// Whether so many changes wait in the shard that it should be synced before the next flush.
    pub(crate) fn is_crowded(&self, first: u8) -> bool {
        lock(&self.shard(first).changes).pending.len() >= MAX_PENDING
    }

    /// Notes that a chunk was seen in the shard; the next sync covers it.
    pub(crate) fn note_seen(&self, first: u8) {
        self.shard(first).seen.store(true, Ordering::SeqCst);
    }

    /// Waits for a sync of the shard that began after the ticket was given, or makes it.
    pub(crate) fn wait(&self, ticket: &Ticket) -> io::Result<()> {
        let changes = lock(&self.shard(ticket.first).changes);
        self.wait_for(ticket.first, changes, &ticket.group)
    }

    /// Syncs a shard if anything waits for it. Also fails if a sync failed before on which somebody relied
    /// who has not been told.
    pub(crate) fn flush(&self, first: u8) -> io::Result<()> {
        let shard = self.shard(first);
        let mut changes = lock(&shard.changes);
        if let Some(cause) = changes.untold.take() {
            return Err(cause.error());
        }
        let is_clean = changes.pending.is_empty() && !shard.seen.load(Ordering::SeqCst);
        let group = match &changes.running {
            Some(running) if is_clean => Arc::clone(running),
            None if is_clean => return Ok(()),
            _ => Arc::clone(&changes.open),
        };
        self.wait_for(first, changes, &group).inspect_err(|_| lock(&shard.changes).untold = None)
    }

    fn wait_for(&self, first: u8, mut changes: MutexGuard<'_, Changes>, group: &Group) -> io::Result<()> {
        loop {
            if let Some(outcome) = group.outcome.get() {
                return outcome.map_err(Cause::error);
            }
            // A group that has not ended and does not run is the open one.
            if changes.running.is_none() {
                return self.lead(first, changes);
            }
            changes = self.shard(first).ended.wait(changes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Syncs the shard for the open group. Nobody else syncs it meanwhile.
    fn lead(&self, first: u8, mut changes: MutexGuard<'_, Changes>) -> io::Result<()> {
        let shard = self.shard(first);
        let group = std::mem::take(&mut changes.open);
        changes.running = Some(Arc::clone(&group));
        let pending = std::mem::take(&mut changes.pending);
        let seen = shard.seen.swap(false, Ordering::SeqCst);
        drop(changes);
        let mut synced = self.sync_folders().and_then(|()| self.os.sync_dir(&self.layout.shard(first)));
        // The folder was removed by hand, and whatever was deleted in it is gone for good.
        if synced.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) && only_deletes(&pending) {
            synced = Ok(());
        }
        let mut changes = lock(&shard.changes);
        if let Err(e) = &synced {
            let cause = Cause::of(e);
            let since = std::mem::take(&mut changes.pending);
            self.lose(&mut changes, pending, &since, cause);
            self.lose(&mut changes, since, &HashMap::new(), cause);
            std::mem::take(&mut changes.open).end(Err(cause));
            if seen || shard.seen.swap(false, Ordering::SeqCst) {
                changes.untold = Some(cause);
            }
        }
        group.end(synced.as_ref().copied().map_err(Cause::of));
        changes.running = None;
        shard.ended.notify_all();
        synced
    }

    /// Gives up changes whose sync failed, but for what was deleted `since`.
    fn lose(&self, changes: &mut Changes, pending: Pending, since: &Pending, cause: Cause) {
        for (id, change) in pending {
            let deleted_since = since.get(&id) == Some(&Change::Deleted);
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

fn only_deletes(pending: &Pending) -> bool {
    pending.values().all(|change| *change == Change::Deleted)
}

/// Nothing panics while it holds one of these locks, so a poisoned state is a whole one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
