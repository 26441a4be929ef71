//! Data maps through serde, and the original's two functions around its binary form.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ChunkInfo, DataMap, XorName};
use crate::compat;
use crate::{MapError, Result};

/// The form that is written for machines, and its first byte.
const VERSION: u8 = 1;

/// What people read, and an old release's bare list of it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Map {
        chunk_identifiers: Vec<Chunk>,
        #[serde(default)]
        child: Option<usize>,
    },
    List(Vec<Chunk>),
}

#[derive(Deserialize)]
struct Binary {
    version: u8,
    chunk_identifiers: Vec<Chunk>,
    child: Option<usize>,
}

#[derive(Deserialize)]
struct Chunk {
    index: usize,
    dst_hash: XorName,
    src_hash: XorName,
    src_size: usize,
}

#[derive(Serialize)]
#[serde(rename = "DataMap")]
struct TextRef<'a> {
    chunk_identifiers: &'a [ChunkInfo],
    child: Option<usize>,
}

#[derive(Serialize)]
struct BinaryRef<'a> {
    version: u8,
    chunk_identifiers: &'a [ChunkInfo],
    child: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename = "ChunkInfo")]
struct ChunkRef<'a> {
    index: usize,
    dst_hash: &'a XorName,
    src_hash: &'a XorName,
    src_size: usize,
}

/// As the original: its JSON for people, and the binary form of releases since 0.32 for machines.
impl Serialize for DataMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { chunk_identifiers, child } = self;
        let child = *child;
        if serializer.is_human_readable() {
            TextRef { chunk_identifiers, child }.serialize(serializer)
        } else {
            BinaryRef { version: VERSION, chunk_identifiers, child }.serialize(serializer)
        }
    }
}

/// Reads what [`Serialize`] writes and, of old releases, a bare list; from readers and values as well. What
/// breaks a rule of maps is refused.
impl<'de> Deserialize<'de> for DataMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (chunks, child) = if deserializer.is_human_readable() {
            // What serde says of a choice of shapes helps nobody, and may repeat a secret.
            match Text::deserialize(deserializer).map_err(|_| D::Error::custom(MapError::NotADataMap))? {
                Text::Map { chunk_identifiers, child } => (chunk_identifiers, child),
                Text::List(chunks) => (chunks, None),
            }
        } else {
            let Binary { version, chunk_identifiers, child } = Binary::deserialize(deserializer)?;
            if version != VERSION {
                return Err(D::Error::custom(MapError::NotADataMap));
            }
            (chunk_identifiers, child)
        };
        let map = Self { chunk_identifiers: chunks.into_iter().map(ChunkInfo::from).collect(), child };
        compat::DataMap::try_from(&map).map(Self::from).map_err(D::Error::custom)
    }
}

impl Serialize for ChunkInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { index, dst_hash, src_hash, src_size } = self;
        ChunkRef { index: *index, dst_hash, src_hash, src_size: *src_size }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ChunkInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Chunk::deserialize(deserializer).map(Self::from)
    }
}

impl From<Chunk> for ChunkInfo {
    fn from(chunk: Chunk) -> Self {
        let Chunk { index, dst_hash, src_hash, src_size } = chunk;
        Self { index, dst_hash, src_hash, src_size }
    }
}

/// What has a binary form: [`DataMap`], [`ChunkInfo`] and [`XorName`].
pub trait Serial: sealed::Sealed {}

impl<T: sealed::Sealed> Serial for T {}

mod sealed {
    use crate::Result;

    pub trait Sealed: Sized {
        fn write(&self) -> Result<Vec<u8>>;
        fn read(bytes: &[u8]) -> Result<Self>;
    }
}

/// The binary form of a map, a chunk or a name.
///
/// # Errors
/// As [`DataMap::to_bytes`]; the others always have one.
pub fn serialize<T: Serial>(data: &T) -> Result<Vec<u8>> {
    data.write()
}

/// The map, chunk or name of exactly these bytes.
///
/// # Errors
/// [`Error::BadMap`](crate::Error::BadMap) if they are none.
pub fn deserialize<T: Serial>(bytes: &[u8]) -> Result<T> {
    T::read(bytes)
}

impl sealed::Sealed for DataMap {
    fn write(&self) -> Result<Vec<u8>> {
        self.to_bytes()
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes(bytes)
    }
}

impl sealed::Sealed for XorName {
    fn write(&self) -> Result<Vec<u8>> {
        Ok(self.to_vec())
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        Ok(Self(bytes.try_into().map_err(|_| MapError::Invalid("a name has 32 bytes"))?))
    }
}

impl sealed::Sealed for ChunkInfo {
    fn write(&self) -> Result<Vec<u8>> {
        let (index, size) = ((self.index as u64).to_le_bytes(), (self.src_size as u64).to_le_bytes());
        Ok([&index[..], &self.dst_hash, &self.src_hash, &size].concat())
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        const NO_CHUNK: MapError = MapError::Invalid("a chunk has 80 bytes");
        let bytes: &[u8; 80] = bytes.try_into().map_err(|_| NO_CHUNK)?;
        let number = |at: usize| {
            let bytes = bytes[at..at + 8].try_into().map_err(|_| NO_CHUNK)?;
            usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| NO_CHUNK)
        };
        let name = |at: usize| deserialize::<XorName>(&bytes[at..at + 32]);
        Ok(Self { index: number(0)?, dst_hash: name(8)?, src_hash: name(40)?, src_size: number(72)? })
    }
}
