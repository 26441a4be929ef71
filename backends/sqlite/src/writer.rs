//! Who writes when. Changes that wait at the same time are committed together.
//!
//! Each caller puts its change in line. The one that finds nobody leading leads: it takes what waits, first
//! come first, commits all of it as one transaction, and tells each its outcome. A sync then serves many. It
//! leads until its own change is done, so that a change which fits beside no other is not passed over. A
//! leader that panics leaves the changes that it took without an outcome, and their owners, who are woken,
//! lead for themselves.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::ErrorCode;

use crate::change::{Change, Done, Trouble};
use crate::error::{again, has_code};
use crate::link::{Link, Stage};

/// How many steps of giving back free pages one flush takes; the next takes as many.
const GIVE_BACK_STEPS: usize = 32;

/// What became of a change.
pub(crate) type Outcome = Result<Done, Trouble>;

#[derive(Debug)]
pub(crate) struct Writer {
    line: Mutex<Line>,
    /// Something about the line has changed: outcomes are there, or nobody leads.
    moved: Condvar,
    link: Mutex<Link>,
    /// What one transaction takes, in bytes of chunks, besides its first change.
    group_bytes: usize,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Arc<Ticket>>,
    led: bool,
}

/// A change in line.
#[derive(Debug)]
struct Ticket {
    change: Change,
    outcome: Mutex<Option<Outcome>>,
}

impl Ticket {
    fn take(&self) -> Option<Outcome> {
        lock(&self.outcome).take()
    }

    fn settle(&self, outcome: Outcome) {
        *lock(&self.outcome) = Some(outcome);
    }
}

impl Writer {
    pub(crate) fn new(link: Link, group_bytes: usize) -> Self {
        Self { line: Mutex::default(), moved: Condvar::new(), link: Mutex::new(link), group_bytes }
    }

    /// Makes the change, with whatever else waits.
    pub(crate) fn change(&self, change: Change) -> Outcome {
        let ticket = Arc::new(Ticket { change, outcome: Mutex::new(None) });
        let mut line = lock(&self.line);
        line.waiting.push_back(Arc::clone(&ticket));
        loop {
            if let Some(outcome) = ticket.take() {
                return outcome;
            }
            if line.led {
                line = self.moved.wait(line).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            line.led = true;
            let batch = line.take_batch(&ticket, self.group_bytes);
            drop(line);
            let leads = Leads(self);
            self.lead(&batch);
            drop(leads);
            line = lock(&self.line);
        }
    }

    /// Gives free pages back to the file system, as far as one flush goes.
    pub(crate) fn shrink(&self) {
        let mut link = lock(&self.link);
        for _ in 0..GIVE_BACK_STEPS {
            if !link.give_back() {
                break;
            }
        }
        link.shorten();
    }

    fn lead(&self, batch: &[Arc<Ticket>]) {
        let mut link = lock(&self.link);
        match commit(&mut link, batch) {
            Ok(outcomes) => {
                for (ticket, outcome) in batch.iter().zip(outcomes) {
                    ticket.settle(outcome);
                }
            }
            Err((stage, e)) if batch.len() > 1 && may_be_one_alone(stage, &e) => {
                for ticket in batch {
                    ticket.settle(commit_alone(&mut link, ticket));
                }
            }
            Err((_, e)) => {
                for ticket in batch.iter().skip(1) {
                    ticket.settle(Err(repeat(&e)));
                }
                if let Some(first) = batch.first() {
                    first.settle(Err(e));
                }
            }
        }
        self.wake();
        // The others have their outcomes; the log is no affair of theirs.
        if batch.iter().any(|ticket| matches!(ticket.change, Change::Delete { .. })) {
            link.give_back();
        }
        link.tidy();
    }

    fn wake(&self) {
        // Under the lock, so that nobody looks just before an outcome is there and sleeps just after.
        drop(lock(&self.line));
        self.moved.notify_all();
    }
}

impl Line {
    /// The first in line, and what fits beside it. `own` is in line again if a leader took it and was lost.
    fn take_batch(&mut self, own: &Arc<Ticket>, group_bytes: usize) -> Vec<Arc<Ticket>> {
        if !self.waiting.iter().any(|ticket| Arc::ptr_eq(ticket, own)) {
            self.waiting.push_front(Arc::clone(own));
        }
        let mut batch: Vec<_> = self.waiting.pop_front().into_iter().collect();
        if group_bytes == 0 {
            return batch;
        }
        let mut room = group_bytes.saturating_sub(batch.iter().map(|first| first.change.len()).sum());
        while let Some(next) = self.waiting.front()
            && next.change.len() <= room
        {
            room -= next.change.len();
            batch.extend(self.waiting.pop_front());
        }
        batch
    }
}

/// Leading, until dropped.
struct Leads<'a>(&'a Writer);

impl Drop for Leads<'_> {
    fn drop(&mut self) {
        lock(&self.0.line).led = false;
        self.0.moved.notify_all();
    }
}

/// All of it in one transaction. An outcome that is an error is that change's own, which then wrote nothing.
fn commit(link: &mut Link, batch: &[Arc<Ticket>]) -> Result<Vec<Outcome>, (Stage, Trouble)> {
    let durable = batch.iter().any(|ticket| ticket.change.is_durable());
    let bytes = batch.iter().map(|ticket| ticket.change.len()).sum();
    link.transaction(durable, (batch.len(), bytes), |conn| {
        batch
            .iter()
            .map(|ticket| match ticket.change.apply(conn) {
                Err(Trouble::Sqlite(e)) => Err(Trouble::Sqlite(e)),
                outcome => Ok(outcome),
            })
            .collect()
    })
}

fn commit_alone(link: &mut Link, ticket: &Arc<Ticket>) -> Outcome {
    let mut outcomes = commit(link, std::slice::from_ref(ticket)).map_err(|(_, e)| e)?;
    outcomes.pop().unwrap_or(Err(Trouble::Sqlite(rusqlite::Error::QueryReturnedNoRows)))
}

/// Whether one change may have spoiled it for the others: then each is tried alone. What holds for all,
/// such as a lock or a failing disk, would only be waited for again and again.
fn may_be_one_alone(stage: Stage, trouble: &Trouble) -> bool {
    match (stage, trouble) {
        (Stage::Begin, _) => false,
        (Stage::Work, _) => true,
        // Less may fit where all did not.
        (Stage::Commit, Trouble::Sqlite(e)) => has_code(e, ErrorCode::DiskFull),
        (Stage::Commit, Trouble::Store(_)) => false,
    }
}

/// The same for one more of those who were in the transaction.
fn repeat(trouble: &Trouble) -> Trouble {
    match trouble {
        Trouble::Sqlite(e) => Trouble::Sqlite(again(e)),
        Trouble::Store(e) => Trouble::Store(selfenc_core::store::Error::new(e.kind(), e.op(), e.to_string())),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use selfenc_core::store::ChunkId;

    use super::*;

    fn ticket(len: usize) -> Arc<Ticket> {
        let (id, data) = (ChunkId::from_bytes([7; 32]), Bytes::from(vec![7; len]));
        Arc::new(Ticket { change: Change::Put { id, data }, outcome: Mutex::new(None) })
    }

    #[test]
    fn whoever_leads_the_first_in_line_is_first() {
        let (large, own, last) = (ticket(100), ticket(1), ticket(1));
        let mut line = Line { waiting: [&large, &own, &last].map(Arc::clone).into(), led: true };
        let batch = line.take_batch(&own, 10);
        assert!(
            batch.len() == 1 && Arc::ptr_eq(&batch[0], &large),
            "a large one waits until nobody else does"
        );
        let batch = line.take_batch(&own, 10);
        assert!(batch.len() == 2 && Arc::ptr_eq(&batch[0], &own) && Arc::ptr_eq(&batch[1], &last));
    }

    #[test]
    fn a_change_that_a_leader_took_and_dropped_is_led_by_its_owner() {
        let (own, other) = (ticket(1), ticket(1));
        let mut line = Line { waiting: [Arc::clone(&other)].into(), led: true };
        let batch = line.take_batch(&own, 0);
        assert!(batch.len() == 1 && Arc::ptr_eq(&batch[0], &own));
        assert_eq!(line.waiting.len(), 1);
    }
}
