use super::budget::Budget;
use super::chunking::Chunking;
use super::codec::Compression;
use super::error::{Error, Result};
use super::keys::Binding;
use super::pool::CpuPool;
use super::secret::Scope;
use super::settings::{CacheConfig, KeyConfig, MemoryConfig, ParallelConfig};
use super::suite::Suite;

/// 256 MiB.
const DEFAULT_MEMORY: u64 = 256 << 20;
/// Enough to hide the latency of a network without flooding a disk.
const DEFAULT_CONCURRENCY: usize = 16;
/// 32 MiB: some thirty chunks of the default size.
const DEFAULT_CHUNK_CACHE: u64 = 32 << 20;

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
    pub(super) chunk_cache: u64,
    /// Why the compression that was asked for is none.
    wrong_compression: Option<String>,
    parallel_chunk_size: Option<usize>,
    memory_limits: Option<MemoryConfig>,
    cache: Option<CacheConfig>,
    keys: Option<KeyConfig>,
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

    /// How to compress each chunk: a [`Compression`], or a [`CompressionConfig`](super::CompressionConfig).
    #[must_use]
    pub fn with_compression<C>(mut self, compression: C) -> Self
    where
        C: TryInto<Compression, Error: Into<Error>>,
    {
        self.wrong_compression = None;
        match compression.try_into() {
            Ok(compression) => self.compression = compression,
            Err(e) => self.wrong_compression = Some(e.into().to_string()),
        }
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
        self.memory_limits = None;
        self
    }

    /// The bytes of decoded chunks that a reader keeps beside that, so that small reads that come back to a
    /// chunk need no store; 0 keeps none.
    #[must_use]
    pub fn with_chunk_cache(mut self, bytes: u64) -> Self {
        self.chunk_cache = bytes;
        self.memory_limits = None;
        self
    }

    /// The two together: what is not for the cache of chunks is the memory budget.
    #[must_use]
    pub fn with_memory(mut self, limits: MemoryConfig) -> Self {
        let MemoryConfig { max_chunk_cache, max_total_memory } = limits;
        self.chunk_cache = max_chunk_cache as u64;
        self.memory = max_total_memory.saturating_sub(max_chunk_cache) as u64;
        self.memory_limits = Some(limits);
        self
    }

    /// Threads for hashing, compressing and encrypting; 0 is one for each core.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// The threads, by the number of them and the size of the chunks that each works on.
    #[must_use]
    pub fn with_parallel(mut self, parallel: ParallelConfig) -> Self {
        self.threads = parallel.max_threads;
        self.parallel_chunk_size = Some(parallel.chunk_size);
        self
    }

    /// A cache in front of the store. An [`Engine`](super::Engine) is given its store by the caller, and
    /// refuses this; [`wrap::Cache`](crate::wrap::Cache) is that cache.
    #[must_use]
    pub fn with_cache(mut self, cache: CacheConfig) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Have data maps sealed by a key store of these settings. An [`Engine`](super::Engine) has none, and
    /// refuses this.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyConfig) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Takes out what an engine refuses and somebody around it does: the cache and the keys.
    #[must_use]
    pub fn take_outer(&mut self) -> (Option<CacheConfig>, Option<KeyConfig>) {
        (self.cache.take(), self.keys.take())
    }

    /// Threads; 0 is one for each core.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The bytes of decoded chunks that a reader keeps.
    #[must_use]
    pub fn chunk_cache(&self) -> u64 {
        self.chunk_cache
    }

    /// The bytes that one write or one read may have in flight.
    #[must_use]
    pub fn memory_budget(&self) -> u64 {
        self.memory
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
        const MAX_CONCURRENCY: usize = 4096;
        let wrong = |message: String| Err(Error::InvalidConfig(message));
        self.chunking.validate()?;
        if let Some(message) = &self.wrong_compression {
            return wrong(message.clone());
        }
        self.compression.validate()?;
        if !(1..=MAX_CONCURRENCY).contains(&self.concurrency) {
            return wrong(format!("concurrency: 1 to {MAX_CONCURRENCY} store requests"));
        }
        CpuPool::check(self.threads)?;
        match (self.parallel_chunk_size, self.chunking) {
            (Some(asked), Chunking::Fixed { size, .. }) if asked != size as usize => {
                return wrong(format!(
                    "parallel chunk_size: {asked} is not the chunk size, which is {size} bytes"
                ));
            }
            (Some(_), Chunking::ContentDefined { .. }) => {
                return wrong("parallel chunk_size: content-defined chunks have no one size".into());
            }
            _ => {}
        }
        if let Some(MemoryConfig { max_chunk_cache, max_total_memory }) = self.memory_limits
            && max_chunk_cache >= max_total_memory
        {
            let range = format!("0 to less than max_total_memory, which is {max_total_memory} bytes");
            return wrong(format!("max_chunk_cache: {range}"));
        }
        if self.cache.is_some() && self.chunk_cache == 0 {
            return wrong("cache: its bytes are those of the chunk cache, which is 0".into());
        }
        self.cache.as_ref().map_or(Ok(()), CacheConfig::validate)?;
        self.keys.as_ref().map_or(Ok(()), KeyConfig::validate)
    }

    /// Checks every setting, that there is none but those of an engine, and what the environment forces.
    pub(super) fn validate_for_engine(&self) -> Result<()> {
        self.validate()?;
        selfenc_kernels::Path::forced().map_err(|e| Error::InvalidConfig(e.to_string()))?;
        let refused = match (self.cache, self.keys) {
            (Some(_), _) => "cache: an engine is given its store; give it one inside of wrap::Cache",
            (_, Some(_)) => "keys: an engine seals nothing; give the data map to a key store",
            (None, None) => return Ok(()),
        };
        Err(Error::Unsupported(refused.into()))
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
            chunk_cache: DEFAULT_CHUNK_CACHE,
            wrong_compression: None,
            parallel_chunk_size: None,
            memory_limits: None,
            cache: None,
            keys: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::settings::CompressionConfig;
    use super::*;

    fn refused(config: &EncryptionConfig) -> String {
        match config.validate() {
            Err(Error::InvalidConfig(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn groups_of_settings_say_what_is_wrong_with_them() {
        let new = EncryptionConfig::new;
        let parallel = |chunk_size| ParallelConfig { max_threads: 4, chunk_size };
        let memory = |max_chunk_cache, max_total_memory| MemoryConfig { max_chunk_cache, max_total_memory };
        let cache = |capacity, ttl| CacheConfig { capacity, ttl: Duration::from_secs(ttl) };
        let cdc = Chunking::ContentDefined { min: 1024, avg: 4096, max: 8192 };
        for (config, named) in [
            (new().with_parallel(parallel(4096)), "parallel chunk_size: 4096"),
            (new().with_chunking(cdc).with_parallel(parallel(4096)), "parallel chunk_size"),
            (new().with_memory(memory(10, 10)), "max_chunk_cache"),
            (new().with_cache(cache(0, 9)), "capacity"),
            (new().with_cache(cache(9, 0)), "ttl"),
            (new().with_keys(KeyConfig { min_entropy: 1, ..KeyConfig::default() }), "min_entropy"),
            (new().with_compression(CompressionConfig { algorithm: "lzma", level: 1 }), "'lzma:1'"),
        ] {
            assert!(refused(&config).contains(named), "{}", refused(&config));
        }
        new().with_chunk_size(4096).with_parallel(parallel(4096)).validate().unwrap();
        let mended = new().with_compression(CompressionConfig { algorithm: "lzma", level: 1 });
        mended.with_compression(Compression::None).validate().unwrap();
    }

    #[test]
    fn memory_is_the_cache_and_the_budget() {
        let limits = MemoryConfig { max_chunk_cache: 30 << 20, max_total_memory: 100 << 20 };
        let config = EncryptionConfig::new().with_memory(limits);
        assert_eq!((config.chunk_cache(), config.memory_budget()), (30 << 20, 70 << 20));
        config.with_memory_budget(1 << 20).validate().unwrap();
    }

    #[test]
    fn an_engine_refuses_what_others_do() {
        let cache = CacheConfig { capacity: 9, ttl: Duration::from_secs(9) };
        let mut config = EncryptionConfig::new().with_cache(cache).with_keys(KeyConfig::default());
        config.validate().unwrap();
        assert!(matches!(config.validate_for_engine(), Err(Error::Unsupported(_))));
        assert_eq!(config.take_outer(), (Some(cache), Some(KeyConfig::default())));
        config.validate_for_engine().unwrap();
        assert_eq!(config, EncryptionConfig::new());
    }
}
