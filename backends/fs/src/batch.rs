//! Many puts at once: their files are synced side by side, and each folder once for all of them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use selfenc_core::store::{BlockingEngine, ChunkId, PutOutcome, Result};

use crate::FsEngine;
use crate::shards::Ticket;
use crate::store::Staged;

/// System calls in flight for one batch. More than there are cores, for each waits for the disk.
const IN_FLIGHT: usize = 16;

impl FsEngine {
    /// As many puts, but for the number of syncs: a temporary for each chunk is written and synced, all are
    /// renamed, and then each folder is synced once. At most 16 system calls wait at a time.
    ///
    /// A failed sync of a folder fails the chunks in that folder.
    pub(crate) fn put_batch(&self, chunks: &[(ChunkId, Bytes)]) -> Vec<Result<PutOutcome>> {
        let mut known = HashSet::with_capacity(chunks.len());
        let is_first: Vec<bool> = chunks.iter().map(|(id, _)| known.insert(*id)).collect();
        let staged = side_by_side(chunks.len(), |n| {
            let (id, data) = &chunks[n];
            is_first[n].then(|| self.stage(*id, data))
        });
        let placed: Vec<_> =
            staged.into_iter().zip(chunks).map(|(s, chunk)| Some(self.rename(s?, chunk))).collect();
        self.sync_each_folder_once(chunks, &placed);
        let settle = |(placed, (id, data)): (Option<Result<Placed>>, &(ChunkId, Bytes))| match placed {
            Some(placed) => placed.and_then(|(outcome, ticket)| self.settle(*id, &ticket).map(|()| outcome)),
            // The chunk came before in this batch, and is there, or failed.
            None => self.put(*id, data),
        };
        placed.into_iter().zip(chunks).map(settle).collect()
    }

    fn rename(&self, staged: Result<Staged>, (id, data): &(ChunkId, Bytes)) -> Result<Placed> {
        let Staged { outcome, step } = staged?;
        Ok((outcome, self.place(*id, data.len(), step)?))
    }

    /// Waits for the last chunk of each folder. The syncs of a folder are one after another, so those before
    /// it are covered by then, and find out at once how it ended.
    fn sync_each_folder_once(&self, chunks: &[(ChunkId, Bytes)], placed: &[Option<Result<Placed>>]) {
        let mut last = HashMap::new();
        for ((id, _), placed) in chunks.iter().zip(placed) {
            if let Some(Ok((_, ticket))) = placed {
                let folder = if self.layout.is_flat() { 0 } else { id.as_bytes()[0] };
                last.insert(folder, (*id, ticket));
            }
        }
        let last: Vec<_> = last.into_values().collect();
        side_by_side(last.len(), |n| {
            let (id, ticket) = last[n];
            drop(self.settle(id, ticket));
        });
    }
}

/// A chunk that has its name, and waits for its folder's sync.
type Placed = (PutOutcome, Ticket);

/// Does `work` for each number below `count`, on several threads if there are several; the answers in order.
fn side_by_side<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let some = || {
        let mine = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        mine.take_while(|n| *n < count).map(|n| (n, work(n))).collect::<Vec<_>>()
    };
    let mut done = thread::scope(|scope| {
        let helpers = 1..count.min(IN_FLIGHT);
        // If no more threads are to be had, it takes longer.
        let helpers: Vec<_> =
            helpers.map_while(|_| thread::Builder::new().spawn_scoped(scope, some).ok()).collect();
        let mut done = some();
        for helper in helpers {
            done.extend(helper.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
        }
        done
    });
    done.sort_unstable_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_in_order_and_each_is_worked_out_once() {
        for count in [0, 1, 2, IN_FLIGHT, 1000] {
            let calls = AtomicUsize::new(0);
            let answers = side_by_side(count, |n| {
                calls.fetch_add(1, Ordering::Relaxed);
                n * 2
            });
            assert_eq!(answers, (0..count).map(|n| n * 2).collect::<Vec<_>>());
            assert_eq!(calls.into_inner(), count);
        }
    }
}
