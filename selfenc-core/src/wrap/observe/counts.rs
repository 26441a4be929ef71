use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::PutOutcome;
use crate::wrap::Op;

/// What went through an [`Observe`](super::Observe) so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    ops: [OpCounts; Op::ALL.len()],
    /// Bytes of chunks that were put, acknowledged ones only.
    pub bytes_in: u64,
    /// Bytes of chunks that `get` gave.
    pub bytes_out: u64,
    /// Calls of `get` that gave a chunk.
    pub hits: u64,
    /// Calls of `get` whose chunk was absent.
    pub misses: u64,
    /// Puts, batch members included, that answered [`PutOutcome::Inserted`].
    pub inserted: u64,
    /// Puts that answered [`PutOutcome::Present`].
    pub present: u64,
    /// Puts that answered [`PutOutcome::Unchecked`].
    pub unchecked: u64,
}

/// How often one operation was called, and what became of the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpCounts {
    /// Calls that began: a future or stream that nobody polled never did. A batch is one call.
    pub calls: u64,
    /// Errors; in a batch each failed member is one.
    pub errors: u64,
    /// Calls that were dropped before their end, listings too.
    pub cancelled: u64,
    /// Members of batches, items of listings; 0 for other operations.
    pub items: u64,
}

impl Counts {
    /// The counts of one operation.
    #[must_use]
    pub fn of(&self, op: Op) -> OpCounts {
        self.ops[op as usize]
    }
}

/// The counters behind [`Counts`]. They only ever grow.
#[derive(Debug, Default)]
pub(super) struct Counters {
    ops: [OpCounters; Op::ALL.len()],
    bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    inserted: AtomicU64,
    present: AtomicU64,
    unchecked: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct OpCounters {
    pub(super) calls: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) items: AtomicU64,
}

impl Counters {
    pub(super) fn op(&self, op: Op) -> &OpCounters {
        &self.ops[op as usize]
    }

    pub(super) fn stored(&self, outcome: PutOutcome, bytes: u64) {
        add(&self.bytes_in, bytes);
        let counter = match outcome {
            PutOutcome::Inserted => &self.inserted,
            PutOutcome::Present => &self.present,
            PutOutcome::Unchecked => &self.unchecked,
        };
        add(counter, 1);
    }

    pub(super) fn now(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            ops: std::array::from_fn(|i| OpCounts {
                calls: read(&self.ops[i].calls),
                errors: read(&self.ops[i].errors),
                cancelled: read(&self.ops[i].cancelled),
                items: read(&self.ops[i].items),
            }),
            bytes_in: read(&self.bytes_in),
            bytes_out: read(&self.bytes_out),
            hits: read(&self.hits),
            misses: read(&self.misses),
            inserted: read(&self.inserted),
            present: read(&self.present),
            unchecked: read(&self.unchecked),
        }
    }
}

pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
