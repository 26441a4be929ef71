use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use selfenc_core::store::{Backend, ChunkId, Result};

/// How the suite gets at a store. Only [`open`](Self::open) is required.
///
/// Every case gets a harness of its own, and a harness is one location: a temporary folder, a new bucket,
/// a fresh map. A hook that returns `None` does not exist, and the cases that need it are reported as not
/// exercised.
#[async_trait]
pub trait Harness: Debug + Send + Sync + 'static {
    /// Makes the store and opens it, empty. Called once, first.
    ///
    /// # Errors
    /// As the store fails, which fails the case.
    async fn open(&self) -> Result<Arc<dyn Backend>>;

    /// Opens the location again, after every handle was dropped. For a store that is gone with its last
    /// handle this is a new, empty one.
    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        None
    }

    /// Opens the location a second time while the first handle lives.
    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        None
    }

    /// Damages what is stored under `id`, behind the store's back.
    async fn corrupt(&self, _id: ChunkId, _damage: Damage) -> Option<Result<()>> {
        None
    }

    /// Leaves things in the location that are no chunks or roots: temporaries of a crashed process, files
    /// of other programs, names that are nearly right.
    async fn litter(&self) -> Option<Result<()>> {
        None
    }
}

/// What [`Harness::corrupt`] does to a stored chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The second half is cut off.
    Truncate,
    /// One bit in the middle is flipped.
    FlipBit,
    /// Something is appended.
    Extend,
    /// All bytes are zero.
    Zero,
    /// It is one byte longer than the store's `max_chunk_len`.
    TooLong,
}
