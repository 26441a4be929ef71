use super::budget::Budget;
use super::chunking::Chunking;
use super::codec::Compression;
use super::error::{Error, Result};
use super::keys::Binding;
use super::secret::Scope;
use super::suite::Suite;

/// 256 MiB.
const DEFAULT_MEMORY: u64 = 256 << 20;
/// Enough to hide the latency of a network without flooding a disk.
const DEFAULT_CONCURRENCY: usize = 16;

/// How to encrypt, and what reading and writing may use. The one configuration type.
///
/// The defaults are writer profile P1: suite 0x10, chunks of 1 MiB, zstd at level 3. Every method takes
/// any value; [`validate`](Self::validate), which [`Engine::new`](super::Engine::new) calls, names the
/// wrong one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptionConfig {
    pub(super) suite: Suite,
    pub(super) chunking: Chunking,
    pub(super) compression: Compression,
    binding: Option<Binding>,
    pub(crate) memory: u64,
    pub(super) threads: usize,
    pub(crate) concurrency: usize,
    pub(crate) verify_present: bool,
}

impl EncryptionConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The algorithms to write with.
    #[must_use]
    pub fn with_suite(mut self, suite: Suite) -> Self {
        self.suite = suite;
        self
    }

    /// Where to cut.
    #[must_use]
    pub fn with_chunking(mut self, chunking: Chunking) -> Self {
        self.chunking = chunking;
        self
    }

    /// Cut every `bytes`, 1 KiB to 64 MiB.
    #[must_use]
    pub fn with_chunk_size(mut self, bytes: u32) -> Self {
        let min_chunks = match self.chunking {
            Chunking::Fixed { min_chunks, .. } => min_chunks,
            Chunking::ContentDefined { .. } => 0,
        };
        self.chunking = Chunking::Fixed { size: bytes, min_chunks };
        self
    }

    /// With 3, cut inputs shorter than three chunks into three parts, as the original does; 0 is off.
    /// Content-defined chunking becomes fixed.
    #[must_use]
    pub fn with_min_chunks(mut self, min_chunks: u32) -> Self {
        let size = match self.chunking {
            Chunking::Fixed { size, .. } => size,
            Chunking::ContentDefined { .. } => Chunking::default().max_len(),
        };
        self.chunking = Chunking::Fixed { size, min_chunks };
        self
    }

    /// How to compress each chunk.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// What to bind chunk keys to. Without this call: `Next` for fixed chunks in the public scope, where
    /// it widens a guess to a window of three chunks, and `Own` for everything else.
    #[must_use]
    pub fn with_binding(mut self, binding: Binding) -> Self {
        self.binding = Some(binding);
        self
    }

    /// The bytes that one write or one read may have in flight. At least four chunks must fit, twice each.
    #[must_use]
    pub fn with_memory_budget(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Threads for hashing, compressing and encrypting; 0 is one for each core.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Store requests in flight at once, 1 to 4096.
    #[must_use]
    pub fn with_concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests;
        self
    }

    /// Read back each chunk that the store says it has already, so that garbage which a stranger put
    /// first under its name cannot swallow data.
    #[must_use]
    pub fn with_verify_present(mut self, on: bool) -> Self {
        self.verify_present = on;
        self
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] naming the setting and its range.
    pub fn validate(&self) -> Result<()> {
        const MAX_THREADS: usize = 1024;
        const MAX_CONCURRENCY: usize = 4096;
        self.chunking.validate()?;
        self.compression.validate()?;
        if !(1..=MAX_CONCURRENCY).contains(&self.concurrency) {
            return Err(Error::InvalidConfig(format!("concurrency: 1 to {MAX_CONCURRENCY} store requests")));
        }
        if self.threads > MAX_THREADS {
            return Err(Error::InvalidConfig(format!("threads: 0 to {MAX_THREADS}")));
        }
        Ok(())
    }

    /// Checks that the memory budget is enough to write with this chunking, as every write does first.
    ///
    /// # Errors
    /// [`Error::BudgetTooSmall`], saying what is needed.
    pub fn check_budget(&self) -> Result<()> {
        Budget::for_chunks(self.memory, self.chunking.max_len()).map(drop)
    }

    pub(super) fn binding_for(&self, scope: &Scope) -> Binding {
        let fixed = matches!(self.chunking, Chunking::Fixed { .. });
        let default = if scope.is_public() && fixed { Binding::Next } else { Binding::Own };
        self.binding.unwrap_or(default)
    }
}

impl Default for EncryptionConfig {
    fn default() -> Self {
        Self {
            suite: Suite::default(),
            chunking: Chunking::default(),
            compression: Compression::default(),
            binding: None,
            memory: DEFAULT_MEMORY,
            threads: 0,
            concurrency: DEFAULT_CONCURRENCY,
            verify_present: false,
        }
    }
}
