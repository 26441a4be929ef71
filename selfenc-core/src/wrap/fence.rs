use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::store::ChunkId;

/// Keeps a copy that is made on the side, a refill or a repair, from outliving what it was made of.
///
/// Whoever may make a copy takes a [`Ticket`] before reading its source, and later a [`Filling`] from it,
/// which is refused if the chunk was deleted or put in between: that is a [`Change`]. A change waits for
/// the fillings that had begun. Nothing is remembered of an id that is not in use.
///
/// A filling must go on while nobody polls the one who asked for it, or a change waits for ever.
#[derive(Debug, Default)]
pub(super) struct Fence {
    ids: Mutex<HashMap<ChunkId, Entry>>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Entry {
    /// Tickets and changes that refer to this entry.
    holders: usize,
    /// Changes that run now.
    changing: usize,
    /// Changes that ended since the entry was made.
    changed: u64,
    filling: bool,
}

impl Fence {
    /// Comes before the source is read.
    pub(super) fn ticket(self: &Arc<Self>, id: ChunkId) -> Ticket {
        let mut ids = self.lock();
        let entry = ids.entry(id).or_default();
        entry.holders += 1;
        Ticket { fence: Arc::clone(self), id, changed: entry.changed }
    }

    /// Comes before anything is changed, and stays until all is. From here on, no ticket's filling begins.
    pub(super) fn change(self: &Arc<Self>, ids: impl IntoIterator<Item = ChunkId>) -> Change {
        let mut entries = self.lock();
        let begin = |id| {
            let entry = entries.entry(id).or_default();
            entry.holders += 1;
            entry.changing += 1;
            (id, entry.changed)
        };
        let ids = ids.into_iter().map(begin).collect();
        drop(entries);
        Change { fence: Arc::clone(self), ids }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChunkId, Entry>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, id: ChunkId, change: impl FnOnce(&mut Entry)) {
        let mut ids = self.lock();
        if let Some(entry) = ids.get_mut(&id) {
            change(entry);
            entry.holders -= 1;
            if entry.holders == 0 {
                ids.remove(&id);
            }
        }
    }
}

/// The right to ask for a [`Filling`].
#[derive(Debug)]
pub(super) struct Ticket {
    fence: Arc<Fence>,
    id: ChunkId,
    changed: u64,
}

impl Ticket {
    /// `None` if the chunk was or is being changed, or if somebody else is filling it.
    pub(super) fn fill(self) -> Option<Filling> {
        let mut ids = self.fence.lock();
        let entry = ids.get_mut(&self.id)?;
        if entry.filling || entry.changing > 0 || entry.changed != self.changed {
            return None;
        }
        entry.filling = true;
        drop(ids);
        Some(Filling(self))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.fence.release(self.id, |_| ());
    }
}

/// A copy in the making: changes of this chunk wait.
#[derive(Debug)]
pub(super) struct Filling(Ticket);

impl Drop for Filling {
    fn drop(&mut self) {
        if let Some(entry) = self.0.fence.lock().get_mut(&self.0.id) {
            entry.filling = false;
        }
        self.0.fence.filled.notify_waiters();
    }
}

/// A running put or delete: what was read before its end is not copied.
#[derive(Debug)]
pub(super) struct Change {
    fence: Arc<Fence>,
    /// With the number of changes that had ended before.
    ids: Vec<(ChunkId, u64)>,
}

impl Change {
    /// The right to copy what this change has made of its `member`th chunk: `None` if another change of
    /// it, or a filling, overlaps this one, so that nobody knows which of them was last.
    pub(super) fn fill(&self, member: usize) -> Option<Filling> {
        let (id, changed) = *self.ids.get(member)?;
        let mut ids = self.fence.lock();
        let entry = ids.get_mut(&id)?;
        if entry.filling || entry.changing > 1 || entry.changed != changed {
            return None;
        }
        entry.filling = true;
        entry.holders += 1;
        drop(ids);
        Some(Filling(Ticket { fence: Arc::clone(&self.fence), id, changed }))
    }

    /// Waits for the fillings that had begun.
    pub(super) async fn settled(&self) {
        loop {
            // Made before the look, so that no end is missed in between.
            let filled = self.fence.filled.notified();
            if !self.filling() {
                return;
            }
            filled.await;
        }
    }

    fn filling(&self) -> bool {
        let ids = self.fence.lock();
        self.ids.iter().any(|(id, _)| ids.get(id).is_some_and(|entry| entry.filling))
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        for (id, _) in &self.ids {
            self.fence.release(*id, |entry| {
                entry.changing -= 1;
                entry.changed += 1;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ChunkId {
        ChunkId::from_bytes([7; 32])
    }

    #[test]
    fn a_change_ends_what_was_read_before_its_end() {
        let fence = Arc::new(Fence::default());
        let before = fence.ticket(id());
        let change = fence.change([id()]);
        let during = fence.ticket(id());
        assert!(fence.ticket(id()).fill().is_none(), "it is being changed");
        drop(change);
        assert!(before.fill().is_none() && during.fill().is_none());
        assert!(fence.ticket(id()).fill().is_some());
        assert!(fence.lock().is_empty(), "nothing is remembered");
    }

    #[test]
    fn one_filling_at_a_time() {
        let fence = Arc::new(Fence::default());
        let (first, second) = (fence.ticket(id()), fence.ticket(id()));
        let filling = first.fill();
        assert!(filling.is_some() && second.fill().is_none());
        drop(filling);
        assert!(fence.ticket(id()).fill().is_some());
    }

    #[tokio::test]
    async fn a_change_waits_for_the_filling_of_its_own_ids_only() {
        let fence = Arc::new(Fence::default());
        let filling = fence.ticket(id()).fill();
        let other = fence.change([ChunkId::from_bytes([8; 32])]);
        other.settled().await;
        let change = fence.change([id()]);
        let mut settled = Box::pin(change.settled());
        assert!(futures::poll!(&mut settled).is_pending());
        drop(filling);
        settled.await;
    }

    #[test]
    fn a_change_fills_only_if_it_was_alone() {
        let fence = Arc::new(Fence::default());
        let alone = fence.change([id()]);
        assert!(alone.fill(0).is_some() && alone.fill(1).is_none());
        let (first, second) = (alone, fence.change([id()]));
        assert!(first.fill(0).is_none() && second.fill(0).is_none());
        drop(first);
        assert!(second.fill(0).is_none(), "the first one ended after it began");
        drop(second);
        assert!(fence.change([id()]).fill(0).is_some());
        assert!(fence.lock().is_empty(), "nothing is remembered");
    }
}
