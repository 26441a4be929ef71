//! Suites: a hash and a cipher each. The pipeline does not know which one it runs.

mod blake3_chacha;
mod sha3_aes;

use std::fmt;
use std::str::FromStr;

use selfenc_kernels::Parts;
use zeroize::Zeroizing;

use super::error::Error;

/// A hash value: of content, or of what is stored.
pub(super) type Digest = [u8; 32];

/// The algorithms of a data map and all its chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Suite {
    /// 0x10: SHA3-256 and AES-256-CBC under an XOR pad.
    #[default]
    Sha3Aes256Cbc = 0x10,
    /// 0x11: BLAKE3 and ChaCha20-Poly1305.
    Blake3ChaCha20Poly1305 = 0x11,
}

impl Suite {
    /// Every suite that is written here.
    pub const ALL: [Self; 2] = [Self::Sha3Aes256Cbc, Self::Blake3ChaCha20Poly1305];

    /// The suite's byte in a data map.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The suite's name, as the command line writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha3Aes256Cbc => "sha3-aes256cbc",
            Self::Blake3ChaCha20Poly1305 => "blake3-chacha20poly1305",
        }
    }

    pub(super) fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.id() == id)
    }

    const fn functions(self) -> &'static Functions {
        match self {
            Self::Sha3Aes256Cbc => &sha3_aes::FUNCTIONS,
            Self::Blake3ChaCha20Poly1305 => &blake3_chacha::FUNCTIONS,
        }
    }

    /// The hash of `label` followed by `message`.
    pub(super) fn hash(self, label: &[u8], message: &[u8]) -> Digest {
        (self.functions().hash)(&[[label, message]])[0]
    }

    /// The hash of each: a label followed by a message. One call for many, so that lanes can be filled.
    pub(super) fn hash_batch<'a>(self, messages: impl IntoIterator<Item = Parts<'a>>) -> Vec<Digest> {
        let messages: Vec<_> = messages.into_iter().collect();
        (self.functions().hash)(&messages)
    }

    /// How many long messages this CPU hashes in about the time of one.
    pub(super) fn lanes(self) -> usize {
        (self.functions().lanes)()
    }

    /// Encrypts an encoded chunk in place; the result is what is stored.
    #[cfg(test)]
    pub(super) fn seal(self, kind: Kind, key: &ChunkKey, mut encoded: Vec<u8>) -> Vec<u8> {
        self.seal_batch(kind, vec![(key, &mut encoded)]);
        encoded
    }

    /// Encrypts encoded chunks in place, each under its key. One call for many, as for hashing.
    pub(super) fn seal_batch(self, kind: Kind, chunks: Vec<(&ChunkKey, &mut Vec<u8>)>) {
        (self.functions().seal)(self, kind, chunks);
    }

    /// Decrypts what is stored, in place; `None` if it cannot be right.
    pub(super) fn open(self, kind: Kind, key: &ChunkKey, stored: &mut Vec<u8>) -> Option<()> {
        (self.functions().open)(self, kind, key, stored)
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Suite {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL
            .into_iter()
            .find(|suite| text == suite.name() || text.eq_ignore_ascii_case(&format!("{:#x}", suite.id())));
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::InvalidConfig(format!("no suite is called '{text}'; there are {names}"))
        })
    }
}

/// What a chunk holds. The byte enters its hashes, so that one can never stand for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Data = 0,
    Page = 1,
}

/// The key that one chunk is encrypted under, before it is expanded for the cipher.
pub(super) type ChunkKey = Zeroizing<[u8; 32]>;

/// The bytes that open every expansion of a chunk key.
const EXPAND: &[u8] = b"selfenc v1 expand";

/// What makes a suite.
struct Functions {
    hash: fn(&[Parts<'_>]) -> Vec<Digest>,
    lanes: fn() -> usize,
    seal: Seal,
    open: Open,
}

type Seal = fn(Suite, Kind, Vec<(&ChunkKey, &mut Vec<u8>)>);
type Open = fn(Suite, Kind, &ChunkKey, &mut Vec<u8>) -> Option<()>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_go_there_and_back() {
        for suite in Suite::ALL {
            assert_eq!(suite.name().parse::<Suite>().unwrap(), suite);
            assert_eq!(format!("0x{:X}", suite.id()).parse::<Suite>().unwrap(), suite);
            assert_eq!(Suite::from_id(suite.id()), Some(suite));
        }
        assert!("se1".parse::<Suite>().unwrap_err().to_string().contains("sha3-aes256cbc"));
    }

    #[test]
    fn seal_and_open_are_inverse_and_keyed() {
        let key = ChunkKey::new([7; 32]);
        let open = |suite: Suite, key: &ChunkKey, mut stored: Vec<u8>| {
            suite.open(Kind::Data, key, &mut stored).map(|()| stored)
        };
        for suite in Suite::ALL {
            for len in [0, 1, 15, 16, 17, 63, 64, 65, 1000] {
                let plain: Vec<u8> = (0..len).map(|i: u32| i.to_le_bytes()[0]).collect();
                let stored = suite.seal(Kind::Data, &key, plain.clone());
                assert_eq!(open(suite, &key, stored.clone()).unwrap(), plain);
                let other = open(suite, &ChunkKey::new([8; 32]), stored);
                assert_ne!(other.as_ref(), Some(&plain));
            }
            assert_eq!(open(suite, &key, Vec::new()), None);
            assert_eq!(open(suite, &key, vec![0; 15]), None);
        }
    }
}
