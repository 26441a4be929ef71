use std::fmt;
use std::time::Duration;

use crate::store::rng::Rng;
use crate::store::{ChunkId, ErrorKind, RootName};
use crate::wrap::Op;

/// What a [`Faulty`](super::Faulty) store does wrong and how often, in calls per thousand.
///
/// Whether a call goes wrong depends on the seed, the operation, the chunk or root, and how many such
/// calls there were before: not on other calls or on the clock. So the same calls meet the same faults,
/// also when they run at the same time.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    pub(super) seed: u64,
    before: u64,
    after: u64,
    damage: u64,
    truncation: u64,
    list_errors: u64,
    delay: Duration,
}

impl FaultPlan {
    /// Nothing goes wrong yet.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        let (before, after, damage, truncation, list_errors) = (0, 0, 0, 0, 0);
        Self { seed, before, after, damage, truncation, list_errors, delay: Duration::ZERO }
    }

    /// Fails with [`ErrorKind::Unavailable`] before anything happened.
    #[must_use]
    pub fn with_failures_before(mut self, per_mille: u16) -> Self {
        self.before = per_mille.into();
        self
    }

    /// Does what was asked, and then fails with [`ErrorKind::Timeout`]: the reply is lost.
    #[must_use]
    pub fn with_failures_after(mut self, per_mille: u16) -> Self {
        self.after = per_mille.into();
        self
    }

    /// Flips one bit of what `get` gives.
    #[must_use]
    pub fn with_damage(mut self, per_mille: u16) -> Self {
        self.damage = per_mille.into();
        self
    }

    /// Cuts what `get` gives short, by at least a byte.
    #[must_use]
    pub fn with_truncation(mut self, per_mille: u16) -> Self {
        self.truncation = per_mille.into();
        self
    }

    /// Ends a listing, also one of names, with [`ErrorKind::Unavailable`] in place of an item, or of its
    /// end: so often per thousand items.
    #[must_use]
    pub fn with_list_errors(mut self, per_mille: u16) -> Self {
        self.list_errors = per_mille.into();
        self
    }

    /// Lets each call wait for a while, at most this long, before it does anything.
    #[must_use]
    pub const fn with_delay(mut self, longest: Duration) -> Self {
        self.delay = longest;
        self
    }

    /// What becomes of the `call`th call of `op` on `subject`. Every fault has its own throw, so that
    /// changing one rate changes no other fault.
    pub(super) fn draw(&self, op: Op, subject: &Subject, call: u64) -> Draw {
        // The seed is mixed first, or neighbouring seeds would give neighbouring operations the same.
        let call_of_op = fold(fold(fold(0, self.seed), op as u64), call);
        let mut rng = Rng::new(subject.fold(call_of_op));
        let mut throw = |per_mille: u64| rng.below(1000) < per_mille;
        let (before, after) = (throw(self.before), throw(self.after));
        let (flip, cut, list) = (throw(self.damage), throw(self.truncation), throw(self.list_errors));
        let (flip_at, cut_at) = (rng.next(), rng.next());
        let delay = rng.below(u64::try_from(self.delay.as_nanos()).unwrap_or(u64::MAX));
        Draw {
            call,
            delay: Duration::from_nanos(delay),
            before: before.then_some(ErrorKind::Unavailable),
            after: after.then_some(ErrorKind::Timeout),
            flip: flip.then_some(flip_at),
            cut: cut.then_some(cut_at),
            list: list.then_some(ErrorKind::Unavailable),
        }
    }
}

/// What one call meets.
#[derive(Debug)]
pub(super) struct Draw {
    pub(super) call: u64,
    pub(super) delay: Duration,
    pub(super) before: Option<ErrorKind>,
    pub(super) after: Option<ErrorKind>,
    /// The bit to flip and the length to cut to, modulo what there is.
    pub(super) flip: Option<u64>,
    pub(super) cut: Option<u64>,
    pub(super) list: Option<ErrorKind>,
}

/// What a call is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Store,
    Chunk(ChunkId),
    Root(RootName),
    /// The end of a listing.
    End,
}

impl Subject {
    fn fold(&self, hash: u64) -> u64 {
        match self {
            Self::Store => fold(hash, 0),
            Self::End => fold(hash, 1),
            Self::Chunk(id) => fold_bytes(fold(hash, 2), id.as_bytes()),
            Self::Root(name) => fold_bytes(fold(hash, 3), name.as_str().as_bytes()),
        }
    }
}

fn fold(hash: u64, word: u64) -> u64 {
    Rng::new(hash ^ word).next()
}

fn fold_bytes(hash: u64, bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(fold(hash, bytes.len() as u64), |hash, part| {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        fold(hash, u64::from_le_bytes(word))
    })
}

/// How every call of an armed operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing happens; a listing gives no item.
    Before(ErrorKind),
    /// It happens, and the reply is lost; a listing gives all its items, then the error.
    After(ErrorKind),
}

/// A fault that was injected. `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The operation; of a member of a batch, the single one.
    pub op: Op,
    /// The chunk that it was about, or in a listing the item that the error came in place of.
    pub chunk: Option<ChunkId>,
    /// The same for a root.
    pub root: Option<RootName>,
    /// How many calls of this operation on this chunk or root there were before.
    pub call: u64,
    /// What went wrong.
    pub what: FaultKind,
}

/// What goes wrong in a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// It failed before anything happened.
    Before(ErrorKind),
    /// It happened, and the reply was lost.
    After(ErrorKind),
    /// This bit of the data was flipped, the lowest of the first byte being 0.
    Flipped(u64),
    /// Only so many bytes were given.
    Cut(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.op)?;
        if let Some(id) = self.chunk {
            write!(f, " {}", id.short())?;
        }
        if let Some(name) = &self.root {
            write!(f, " '{name}'")?;
        }
        write!(f, ", call {}: ", self.call)?;
        match self.what {
            FaultKind::Before(kind) => write!(f, "{kind:?} before it began"),
            FaultKind::After(kind) => write!(f, "{kind:?} after it happened"),
            FaultKind::Flipped(bit) => write!(f, "bit {bit} flipped"),
            FaultKind::Cut(len) => write!(f, "cut to {len} bytes"),
        }
    }
}
