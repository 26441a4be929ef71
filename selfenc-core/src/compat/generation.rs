//! The two families of releases of self_encryption, and what each hashes with.

use std::fmt;
use std::str::FromStr;

use selfenc_kernels::{Path, sha3_256};
use sha3::{Digest as _, Sha3_256};

use crate::engine::{Error, KeyConfig, Result};
use crate::store::ChunkId;

/// A hash value: of a chunk's content, or of what is stored.
pub(super) type Digest = [u8; 32];

/// Which releases of self_encryption read and write the same chunks. A data map does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// `se1`, releases 0.28 to 0.34: SHA3-256, and AES-128-CBC under an XOR pad. Nothing in it is
    /// authenticated but the names of chunks.
    One,
    /// `se2`, releases since 0.35: BLAKE3, and ChaCha20-Poly1305 under an XOR pad.
    Two,
}

impl Generation {
    /// Both.
    pub const ALL: [Self; 2] = [Self::One, Self::Two];

    /// `se1` or `se2`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "se1",
            Self::Two => "se2",
        }
    }

    /// The `MAX_CHUNK_SIZE` that the original is built with unless told otherwise, in bytes: 1 MiB up to
    /// release 0.34.1, 4 MiB − 4 KiB since 0.35. (0.34.2 and 0.34.3 have 4 MiB.)
    #[must_use]
    pub const fn default_max_chunk_size(self) -> u32 {
        match self {
            Self::One => 1 << 20,
            Self::Two => (4 << 20) - (4 << 10),
        }
    }

    /// The name of what is stored, and the hash of content: SHA3-256 or BLAKE3.
    #[must_use]
    pub fn hash(self, bytes: &[u8]) -> [u8; 32] {
        match self {
            Self::One => Sha3_256::digest(bytes).into(),
            Self::Two => *blake3::hash(bytes).as_bytes(),
        }
    }

    /// The hash of each. One call for many, so that lanes can be filled.
    pub(super) fn hash_batch(self, messages: &[&[u8]]) -> Vec<Digest> {
        match self {
            Self::One => {
                let messages: Vec<_> = messages.iter().map(|message| [*message, &[]]).collect();
                sha3_256(Path::current(), &messages)
            }
            Self::Two => messages.iter().map(|message| self.hash(message)).collect(),
        }
    }

    /// The generation that gives a chunk of these bytes this name, if one does.
    #[must_use]
    pub fn of_chunk(name: ChunkId, stored: &[u8]) -> Option<Self> {
        // The faster hash first.
        [Self::Two, Self::One].into_iter().find(|generation| generation.hash(stored) == *name.as_bytes())
    }
}

impl KeyConfig {
    /// Checks that data of this generation may be written under these settings. Every native
    /// [`Suite`](crate::engine::Suite) has 256-bit keys and needs no such check.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for `se1`, which is AES-128, if [`quantum_safe`](Self::quantum_safe) is on.
    pub fn check_generation(&self, generation: Generation) -> Result<()> {
        match generation {
            Generation::One if self.quantum_safe => Err(Error::Unsupported(
                "quantum_safe refuses se1, which is AES-128; use another suite, or set quantum_safe to false"
                    .into(),
            )),
            Generation::One | Generation::Two => Ok(()),
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Generation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|generation| generation.name() == text);
        found.ok_or_else(|| {
            Error::InvalidConfig(format!("there is no suite '{text}' here; there are se1 and se2"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantum_safe_refuses_aes_128_and_nothing_else() {
        let strict = KeyConfig::default();
        let refused = strict.check_generation(Generation::One);
        assert!(matches!(refused, Err(Error::Unsupported(message)) if message.contains("se1")));
        strict.check_generation(Generation::Two).unwrap();
        let lax = KeyConfig { quantum_safe: false, ..strict };
        Generation::ALL.into_iter().for_each(|generation| lax.check_generation(generation).unwrap());
    }
}
