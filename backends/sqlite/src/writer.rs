//! Who writes when. Changes that wait at the same time are committed together.
//!
//! Each caller puts its changes in line. The one that finds nobody leading leads: it takes what waits, first
//! come first, commits all of it as one transaction, and tells each its outcome. A sync then serves many. It
//! leads until its own changes are done, so that a change which fits beside no other is not passed over, and then
//! wakes the first that waits. Nobody else is woken but those who have their outcomes: sixteen threads that
//! all look at each transaction cost more than the transaction.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use rusqlite::ErrorCode;
use selfenc_core::store::{Error, ErrorKind};

use crate::change::{Change, Done, Trouble};
use crate::error::{self, again, has_code};
use crate::link::{Link, Stage};

/// How many steps of giving back free pages one flush takes; the next takes as many.
const GIVE_BACK_STEPS: usize = 32;

/// What became of a change.
pub(crate) type Outcome = Result<Done, Trouble>;

#[derive(Debug)]
pub(crate) struct Writer {
    line: Mutex<Line>,
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
    /// Who waits for it.
    owner: Thread,
    outcome: Mutex<Option<Outcome>>,
}

impl Ticket {
    /// This thread's.
    fn new(change: Change) -> Arc<Self> {
        Arc::new(Self { change, owner: thread::current(), outcome: Mutex::new(None) })
    }

    fn is_settled(&self) -> bool {
        lock(&self.outcome).is_some()
    }

    fn take(&self) -> Option<Outcome> {
        lock(&self.outcome).take()
    }

    /// Nobody will do it any more.
    fn give_up(&self) {
        let message = "the thread that wrote this together with others panicked";
        let lost = || Err(Trouble::Store(Error::new(ErrorKind::Other, "write", message)));
        lock(&self.outcome).get_or_insert_with(lost);
        self.owner.unpark();
    }

    fn settle(&self, outcome: Outcome) {
        *lock(&self.outcome) = Some(outcome);
    }
}

impl Writer {
    pub(crate) fn new(link: Link, group_bytes: usize) -> Self {
        Self { line: Mutex::default(), link: Mutex::new(link), group_bytes }
    }

    pub(crate) fn group_bytes(&self) -> usize {
        self.group_bytes
    }

    /// Makes the changes, with whatever else waits. The outcomes are in their order.
    pub(crate) fn change(&self, changes: Vec<Change>) -> Vec<Outcome> {
        let own: Vec<_> = changes.into_iter().map(Ticket::new).collect();
        lock(&self.line).waiting.extend(own.iter().cloned());
        loop {
            let mut line = lock(&self.line);
            if own.iter().all(|ticket| ticket.is_settled()) {
                return own.iter().filter_map(|ticket| ticket.take()).collect();
            }
            if line.led {
                drop(line);
                thread::park();
                continue;
            }
            line.led = true;
            let batch = line.take_batch(self.group_bytes);
            drop(line);
            let leads = Leads { line: &self.line, own: &own, batch };
            self.lead(&leads.batch);
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
                    ticket.settle(Err(repeated(&e)));
                }
                if let Some(first) = batch.first() {
                    first.settle(Err(e));
                }
            }
        }
        batch.iter().for_each(|ticket| ticket.owner.unpark());
        // The others have their outcomes; the log is no affair of theirs.
        if batch.iter().any(|ticket| matches!(ticket.change, Change::Delete { .. })) {
            link.give_back();
        }
        link.tidy();
    }
}

impl Line {
    /// The first in line, and what fits beside it.
    fn take_batch(&mut self, group_bytes: usize) -> Vec<Arc<Ticket>> {
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
struct Leads<'a> {
    line: &'a Mutex<Line>,
    own: &'a [Arc<Ticket>],
    batch: Vec<Arc<Ticket>>,
}

impl Drop for Leads<'_> {
    fn drop(&mut self) {
        let panicked = thread::panicking();
        if panicked {
            self.batch.iter().for_each(|ticket| ticket.give_up());
        }
        let mut line = lock(self.line);
        if panicked {
            // Their owner waits no more, and would not lead when one is the first.
            line.waiting.retain(|ticket| !self.own.iter().any(|own| Arc::ptr_eq(ticket, own)));
        }
        line.led = false;
        if let Some(next) = line.waiting.front() {
            next.owner.unpark();
        }
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
fn repeated(trouble: &Trouble) -> Trouble {
    match trouble {
        Trouble::Sqlite(e) => Trouble::Sqlite(again(e)),
        Trouble::Store(e) => Trouble::Store(error::repeat(e)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use bytes::Bytes;
    use selfenc_core::store::ChunkId;

    use super::*;

    fn ticket(len: usize) -> Arc<Ticket> {
        let (id, data) = (ChunkId::from_bytes([7; 32]), Bytes::from(vec![7; len]));
        Ticket::new(Change::Put { id, data })
    }

    fn line<const N: usize>(waiting: [&Arc<Ticket>; N]) -> Line {
        Line { waiting: waiting.map(Arc::clone).into(), led: true }
    }

    #[test]
    fn whoever_leads_the_first_in_line_is_first() {
        let (large, small, last) = (ticket(100), ticket(1), ticket(1));
        let mut line = line([&large, &small, &last]);
        let batch = line.take_batch(10);
        assert!(
            batch.len() == 1 && Arc::ptr_eq(&batch[0], &large),
            "a large one waits until nobody else does"
        );
        let batch = line.take_batch(10);
        assert!(batch.len() == 2 && Arc::ptr_eq(&batch[0], &small) && Arc::ptr_eq(&batch[1], &last));
    }

    #[test]
    fn what_a_leader_took_and_dropped_is_told_and_who_waits_may_lead() {
        let (own, settled, lost, waiting) = (ticket(1), ticket(1), ticket(1), ticket(1));
        let line = Mutex::new(line([&own, &waiting]));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let batch = vec![Arc::clone(&settled), Arc::clone(&lost)];
            let leads = Leads { line: &line, own: &[own], batch };
            settled.settle(Ok(Done::Synced));
            let _leads = leads;
            panic!("on purpose");
        }));
        panicked.unwrap_err();
        assert!(matches!(settled.take(), Some(Ok(Done::Synced))));
        assert!(matches!(lost.take(), Some(Err(Trouble::Store(e))) if e.to_string().contains("panicked")));
        let line = lock(&line);
        assert!(!line.led && line.waiting.len() == 1 && Arc::ptr_eq(&line.waiting[0], &waiting));
    }

    #[test]
    fn the_first_in_line_is_woken_when_nobody_leads() {
        let line = Mutex::new(Line { led: true, ..Line::default() });
        thread::scope(|scope| {
            let waits = scope.spawn(|| {
                lock(&line).waiting.push_back(ticket(1));
                while lock(&line).led {
                    thread::park();
                }
            });
            while lock(&line).waiting.is_empty() {
                thread::yield_now();
            }
            drop(Leads { line: &line, own: &[], batch: Vec::new() });
            waits.join().unwrap();
        });
    }
}
