use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use selfenc_core::store::{Backend, ChunkId, ErrorKind, Result, RootStore};
use selfenc_core::wrap::Op;

/// How the suite gets at a store. Only [`open`](Self::open) is required.
///
/// A hook that returns `None` does not exist, and the cases that need it are reported as not exercised.
/// Hooks may be asked for more than the medium can do (a database has no symbolic links): then they
/// return `None` for that as well.
#[async_trait]
pub trait Harness: Debug + Send + Sync + 'static {
    /// Makes a new location (a temporary folder, a fresh prefix, an empty map) and opens the store in it.
    ///
    /// Each case opens once, first. The hooks are about the location that was made last.
    ///
    /// # Errors
    /// As the store fails, which fails the case.
    async fn open(&self) -> Result<Arc<dyn Backend>>;

    /// Opens the location again, after every handle was dropped or the store crashed. For a store that is
    /// gone with its last handle this is a new, empty one.
    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        None
    }

    /// Opens the location a second time while the first handle lives.
    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        None
    }

    /// The roots of the location, if something else than the opened store keeps them.
    async fn roots(&self) -> Option<Result<Arc<dyn RootStore>>> {
        None
    }

    /// Crashes the store at this moment. Handles from before are dead: their calls may fail in any way.
    /// `seed` decides what chance decides, such as which of the unsynced bytes survive.
    async fn crash(&self, _how: Crash, _seed: u64) -> Option<Result<()>> {
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

    /// The faults that [`fault`](Self::fault) can inject: the backend's own table of what can go wrong
    /// below it, and what its callers are to see.
    fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }

    /// From now on every call that can meet this fault meets it; `None` ends all faults.
    async fn fault(&self, _fault: Option<&Fault>) -> Option<Result<()>> {
        None
    }

    /// Takes the location itself away: the folder, the bucket, the database.
    async fn remove_container(&self) -> Option<Result<()>> {
        None
    }

    /// Opens the location, after every handle was dropped, where nothing in it can be changed.
    async fn readonly(&self) -> Option<Result<Arc<dyn Backend>>> {
        None
    }

    /// Holds every put halfway (some bytes have been written, the chunk is not visible) while `on`; `false`
    /// lets them go on.
    async fn pause(&self, _on: bool) -> Option<Result<()>> {
        None
    }

    /// What the store did to its medium since the last call of this, in order.
    async fn trace(&self) -> Option<Vec<Step>> {
        None
    }

    /// Temporaries that the location holds now, by whatever name, such as half-written files.
    async fn temporaries(&self) -> Option<Result<u64>> {
        None
    }

    /// Cases that this store fails, as `group::case`, and why. They must still fail: a declaration that is
    /// no longer true is a failure of its own.
    fn known_failures(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}

/// What a [`Harness::crash`] takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process, as `SIGKILL` does: what the store had in its own memory is gone.
    Process,
    /// The machine, as a power cut does: so is what was not synced.
    Power,
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
    /// It changes places with another chunk.
    SwapWith(ChunkId),
    /// A directory stands in its place.
    Directory,
    /// A symbolic link to nowhere stands in its place.
    Symlink,
    /// The page of the database that holds it is overwritten.
    Page,
}

/// Something that goes wrong below a store, and what the store's caller is to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The cause, for example `ENOSPC on write`.
    pub cause: &'static str,
    /// The operation whose call meets it; a batch meets the faults of its members.
    pub op: Op,
    /// What that call is to answer.
    pub expected: Expected,
}

/// What a call that meets a [`Fault`] is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// An error of this kind, transient or not.
    Fails(ErrorKind, bool),
    /// `Ok`: the store copes with it.
    Succeeds,
}

/// What a store did to its medium; see [`Harness::trace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bytes of a file were written.
    Write,
    /// A file was synced.
    SyncFile,
    /// A file got its final name.
    Rename,
    /// A folder was synced.
    SyncFolder,
}
