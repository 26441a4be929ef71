//! Groups of settings, as the object style of self_encryption names them.

use std::fmt;
use std::time::Duration;

use super::codec::Compression;
use super::error::{Error, Result};

/// How to compress, by name: `"zstd"` with 1 to 22, `"brotli"` with 0 to 11, `"none"` with any level.
///
/// The name may be any text: a literal, or a `String` from a file of settings.
///
/// ```
/// use selfenc_core::engine::{Compression, CompressionConfig, EncryptionConfig};
///
/// let zstd = CompressionConfig { algorithm: "zstd", level: 9 };
/// assert_eq!(Compression::try_from(zstd).unwrap(), Compression::Zstd { level: 9 });
///
/// let unknown = CompressionConfig { algorithm: "gzip", level: 6 };
/// let refused = EncryptionConfig::new().with_compression(unknown).validate().unwrap_err();
/// assert!(refused.to_string().contains("there are none, zstd"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressionConfig<A = String> {
    /// `"zstd"`, `"brotli"` or `"none"`.
    pub algorithm: A,
    /// What that algorithm calls its level or quality.
    pub level: i32,
}

impl<A: AsRef<str>> TryFrom<CompressionConfig<A>> for Compression {
    type Error = Error;

    fn try_from(config: CompressionConfig<A>) -> Result<Self> {
        match config.algorithm.as_ref() {
            "none" => Ok(Self::None),
            name => format!("{name}:{}", config.level).parse(),
        }
    }
}

/// The threads of an engine that has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParallelConfig {
    /// Threads for hashing, compressing and encrypting; 0 is one for each core.
    pub max_threads: usize,
    /// Bytes of each chunk: the same number as the chunk size, which is 1 MiB unless set.
    pub chunk_size: usize,
}

/// What an engine may hold in memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Decoded chunks that a reader keeps for further small reads; 0 keeps none.
    pub max_chunk_cache: usize,
    /// All in all: that cache, and what one write or one read has in flight.
    pub max_total_memory: usize,
}

/// A cache of chunks in front of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Chunks that are kept at most, 1 or more. Their bytes are bounded by the chunk cache of the
    /// configuration.
    pub capacity: usize,
    /// How long a chunk is kept, more than nothing.
    pub ttl: Duration,
}

impl CacheConfig {
    pub(super) fn validate(&self) -> Result<()> {
        if self.capacity == 0 {
            return Err(Error::InvalidConfig("cache capacity: 1 entry or more".into()));
        }
        if self.ttl.is_zero() {
            return Err(Error::InvalidConfig("cache ttl: more than nothing".into()));
        }
        Ok(())
    }
}

/// 30 days.
const ROTATION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Below, a store in steady use would do little but make epochs.
const SHORTEST_ROTATION: Duration = Duration::from_secs(1);
/// What a key has at most, being 32 bytes.
const KEY_BITS: u32 = 256;
/// Fewer could be searched through some day.
const LEAST_BITS: u32 = 128;

/// How a key store makes keys that seal data maps, and takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyConfig {
    /// After this time a new epoch starts: 1 second or more, 30 days unless told otherwise. `Duration::MAX`
    /// is never.
    pub rotation_interval: Duration,
    /// The bits that imported key material must be able to have: 128 to 256, which is the default.
    pub min_entropy: u32,
    /// Symmetric primitives with 256-bit keys and nothing else; on by default. It refuses `se1`, and needs a
    /// `min_entropy` of 256. There are no recipients yet; none may come in that is not hybrid post-quantum.
    pub quantum_safe: bool,
}

impl KeyConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] naming the setting and its range.
    pub fn validate(&self) -> Result<()> {
        let wrong = |message: fmt::Arguments<'_>| Err(Error::InvalidConfig(message.to_string()));
        if self.rotation_interval < SHORTEST_ROTATION {
            return wrong(format_args!("rotation_interval: 1 second or more; Duration::MAX is never"));
        }
        if !(LEAST_BITS..=KEY_BITS).contains(&self.min_entropy) {
            return wrong(format_args!("min_entropy: {LEAST_BITS} to {KEY_BITS} bits"));
        }
        if self.quantum_safe && self.min_entropy < KEY_BITS {
            let remedy = "or set quantum_safe to false";
            return wrong(format_args!("min_entropy: {KEY_BITS} bits with quantum_safe; {remedy}"));
        }
        Ok(())
    }
}

impl Default for KeyConfig {
    fn default() -> Self {
        Self { rotation_interval: ROTATION, min_entropy: KEY_BITS, quantum_safe: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compression_has_a_name_and_a_level() {
        let parse = |algorithm: &str, level| Compression::try_from(CompressionConfig { algorithm, level });
        assert_eq!(parse("zstd", 3).unwrap(), Compression::Zstd { level: 3 });
        assert_eq!(parse("brotli", 0).unwrap(), Compression::Brotli { quality: 0 });
        assert_eq!(parse("none", 7).unwrap(), Compression::None);
        for (name, level) in [("zstd", 0), ("zstd", 23), ("brotli", -1), ("brotli", 12), ("gzip", 6), ("", 1)]
        {
            let message = parse(name, level).unwrap_err().to_string();
            assert!(message.starts_with("compression") && message.contains("to"), "{message}");
        }
        let owned = CompressionConfig { algorithm: String::from("zstd"), level: 22 };
        assert_eq!(Compression::try_from(owned).unwrap(), Compression::Zstd { level: 22 });
    }

    #[test]
    fn the_defaults_of_keys_are_those_of_the_page() {
        let config = KeyConfig::default();
        assert_eq!(config.rotation_interval.as_secs(), 2_592_000);
        assert_eq!((config.min_entropy, config.quantum_safe), (256, true));
        config.validate().unwrap();
    }

    #[test]
    fn a_wrong_setting_of_keys_is_named() {
        let good = KeyConfig::default();
        let lax = KeyConfig { quantum_safe: false, ..good };
        for (config, name) in [
            (KeyConfig { rotation_interval: Duration::ZERO, ..good }, "rotation_interval"),
            (KeyConfig { rotation_interval: Duration::from_nanos(999_999_999), ..good }, "rotation_interval"),
            (KeyConfig { min_entropy: 127, ..lax }, "min_entropy: 128 to 256"),
            (KeyConfig { min_entropy: 257, ..good }, "min_entropy: 128 to 256"),
            (KeyConfig { min_entropy: 255, ..good }, "quantum_safe"),
        ] {
            let Err(Error::InvalidConfig(message)) = config.validate() else { panic!("{config:?}") };
            assert!(message.contains(name), "{message}");
        }
        for config in [
            KeyConfig { rotation_interval: Duration::from_secs(1), ..good },
            KeyConfig { rotation_interval: Duration::MAX, ..good },
            KeyConfig { min_entropy: 128, ..lax },
        ] {
            config.validate().unwrap();
        }
    }
}
