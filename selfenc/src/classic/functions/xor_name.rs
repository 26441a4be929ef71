use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::compat::Generation;
use crate::store::{ChunkId, ParseIdError};

/// A hash: the name of a chunk, or the hash of its content.
///
/// `Display` is 64 lower-case hex digits, and `FromStr` reads them back. `Debug` shows the first eight.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XorName(pub [u8; 32]);

impl XorName {
    /// The BLAKE3 hash of `content`: what release 0.35 and later name a chunk.
    ///
    /// For the SHA3-256 of earlier releases, `Generation::One.hash(content)` makes the 32 bytes.
    #[must_use]
    pub fn from_content(content: &[u8]) -> Self {
        Self(Generation::Two.hash(content))
    }

    /// The name of these 64 hex digits, of either case.
    ///
    /// # Errors
    /// [`ParseIdError`] for anything else.
    pub fn from_hex(digits: &str) -> Result<Self, ParseIdError> {
        digits.parse()
    }

    /// 64 lower-case hex digits: the file that the original keeps a chunk in.
    #[must_use]
    pub fn to_hex(&self) -> String {
        ChunkId::from(*self).to_string()
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The BLAKE3 hash of `content`: the original's `hash::content_hash`.
#[must_use]
pub fn content_hash(content: &[u8]) -> XorName {
    XorName::from_content(content)
}

impl fmt::Display for XorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ChunkId::from(*self), f)
    }
}

impl fmt::LowerHex for XorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for XorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "XorName({}…)", ChunkId::from(*self).short())
    }
}

impl FromStr for XorName {
    type Err = ParseIdError;

    fn from_str(digits: &str) -> Result<Self, ParseIdError> {
        digits.parse::<ChunkId>().map(Self::from)
    }
}

impl Deref for XorName {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for XorName {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; 32]> for XorName {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<ChunkId> for XorName {
    fn from(id: ChunkId) -> Self {
        Self(*id.as_bytes())
    }
}

impl From<XorName> for ChunkId {
    fn from(name: XorName) -> Self {
        Self::from_bytes(name.0)
    }
}

/// Hex digits for people, 32 bytes for machines.
impl Serialize for XorName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_newtype_struct("XorName", &self.0)
        }
    }
}

impl<'de> Deserialize<'de> for XorName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "XorName")]
        struct Bytes([u8; 32]);

        if deserializer.is_human_readable() {
            // What is wrong is not repeated in the error: it may be most of a secret.
            let no_hash = |_| de::Error::custom("a hash has 64 hexadecimal digits");
            String::deserialize(deserializer)?.parse().map_err(no_hash)
        } else {
            Bytes::deserialize(deserializer).map(|bytes| Self(bytes.0))
        }
    }
}
