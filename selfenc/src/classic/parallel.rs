//! Threads that many encryptors share.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::chunk::Chunk;
use super::encryptor::SelfEncryptor;
use super::error::Result;
use crate::{Bytes, CpuPool, DataMap};

pub use selfenc_core::engine::ParallelConfig;

/// Threads for hashing, compressing and encrypting. Clones share them; they start when they are first needed.
#[derive(Clone)]
pub struct WorkerPool {
    threads: usize,
    pool: Arc<OnceLock<CpuPool>>,
}

impl WorkerPool {
    /// A pool of `threads`, or of as many as there are cores for 0.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self { threads, pool: Arc::default() }
    }

    fn started(&self) -> Result<CpuPool> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool.clone());
        }
        let pool = CpuPool::new(self.threads)?;
        Ok(self.pool.get_or_init(|| pool).clone())
    }
}

/// The engine's own pool, shared with it.
impl From<CpuPool> for WorkerPool {
    fn from(pool: CpuPool) -> Self {
        Self { threads: pool.threads(), pool: Arc::new(OnceLock::from(pool)) }
    }
}

impl fmt::Debug for WorkerPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// A [`SelfEncryptor`] on threads that others use too.
///
/// ```
/// use selfenc::classic::SelfEncryptor;
/// use selfenc::classic::parallel::{ParallelEncryptor, WorkerPool};
/// # fn main() -> selfenc::classic::error::Result<()> {
///
/// let pool = WorkerPool::new(4);
/// let first = ParallelEncryptor::with_pool(vec![7; 3_000_000], pool.clone())?;
/// let second = ParallelEncryptor::with_pool(vec![8; 3_000_000], pool)?;
/// let (data_map, chunks) = first.encrypt()?;
/// # second.encrypt()?;
/// assert_eq!(SelfEncryptor::from_data_map(data_map, chunks)?.decrypt()?, vec![7; 3_000_000]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ParallelEncryptor(SelfEncryptor);

impl ParallelEncryptor {
    /// Encrypts `data` on the threads of `pool`.
    ///
    /// # Errors
    /// [`Error::Encryption`](super::error::Error::Encryption) if the threads cannot be started.
    pub fn with_pool(data: impl Into<Bytes>, pool: impl Into<WorkerPool>) -> Result<Self> {
        Ok(Self(SelfEncryptor::with_pool(data.into(), pool.into().started()?)?))
    }

    /// See [`SelfEncryptor::encrypt`].
    ///
    /// # Errors
    /// As there.
    pub fn encrypt(&self) -> Result<(DataMap, Vec<Chunk>)> {
        self.0.encrypt()
    }
}
