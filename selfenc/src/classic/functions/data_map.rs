use std::fmt;

use super::XorName;
use crate::compat;
use crate::{Bytes, MapError, Result};

/// All that is needed to read data back, and therefore a secret.
///
/// It lists the chunks of the data, or, with a [`child`](Self::child), those of another map. Its fields are as
/// open as the original's, so it may hold anything: every function checks first what it is given. `Debug`
/// shows no hash of content.
///
/// [`compat::DataMap`] is the same with its rules kept; each converts into the other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataMap {
    /// The chunks, in order.
    pub chunk_identifiers: Vec<ChunkInfo>,
    /// How often the map was shrunk whose chunks these are; `None` if they are of data.
    pub child: Option<usize>,
}

/// One chunk in a [`DataMap`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChunkInfo {
    /// Its place, from 0.
    pub index: usize,
    /// The name it is stored under: the hash of what is stored.
    pub dst_hash: XorName,
    /// The hash of its content, which keys are made from: a secret.
    pub src_hash: XorName,
    /// The bytes of its content.
    pub src_size: usize,
}

/// What is stored of one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedChunk {
    /// The encrypted bytes, whose hash is the chunk's name.
    pub content: Bytes,
}

impl DataMap {
    /// A map of the chunks of data, in any order.
    #[must_use]
    pub fn new(mut keys: Vec<ChunkInfo>) -> Self {
        keys.sort_by_key(|info| info.index);
        Self { chunk_identifiers: keys, child: None }
    }

    /// A map of the chunks of another map, which was shrunk `child` times.
    #[must_use]
    pub fn with_child(keys: Vec<ChunkInfo>, child: usize) -> Self {
        Self { child: Some(child), ..Self::new(keys) }
    }

    /// The binary form of releases since 0.32. It is a secret.
    ///
    /// # Errors
    /// [`MapError::Invalid`], if it is no map that can be read back.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(compat::DataMap::try_from(self)?.to_secret_bytes().to_vec())
    }

    /// The map of these bytes: binary or JSON, of any release.
    ///
    /// # Errors
    /// [`Error::BadMap`](crate::Error::BadMap), unless they are exactly one map of three chunks or more.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(compat::DataMap::from_bytes(bytes)?.into())
    }

    /// Its chunks.
    #[must_use]
    pub fn infos(&self) -> &[ChunkInfo] {
        &self.chunk_identifiers
    }

    /// How many chunks it lists.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // the original's; a map that can be read is not empty
    pub fn len(&self) -> usize {
        self.chunk_identifiers.len()
    }

    /// How often the map was shrunk whose chunks these are; `None` if they are of data.
    #[must_use]
    pub fn child(&self) -> Option<usize> {
        self.child
    }

    /// Whether its chunks hold another map.
    #[must_use]
    pub fn is_child(&self) -> bool {
        self.child.is_some()
    }

    /// The bytes of what its chunks hold: of the data, or of another map.
    #[must_use]
    pub fn original_file_size(&self) -> usize {
        self.chunk_identifiers.iter().fold(0, |sum, info| sum.saturating_add(info.src_size))
    }
}

impl TryFrom<&DataMap> for compat::DataMap {
    type Error = MapError;

    fn try_from(map: &DataMap) -> Result<Self, MapError> {
        let chunks = map.chunk_identifiers.iter().map(|info| compat::ChunkInfo {
            index: info.index as u64,
            dst_hash: info.dst_hash.into(),
            src_hash: info.src_hash.0,
            src_size: info.src_size as u64,
        });
        match map.child {
            None => Self::new(chunks.collect()),
            Some(child) => Self::with_child(chunks.collect(), child as u64),
        }
    }
}

impl TryFrom<DataMap> for compat::DataMap {
    type Error = MapError;

    fn try_from(map: DataMap) -> Result<Self, MapError> {
        Self::try_from(&map)
    }
}

impl From<&compat::DataMap> for DataMap {
    fn from(map: &compat::DataMap) -> Self {
        // 64 MiB and 100 at most, which fit everywhere.
        let small = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let chunk = |(index, info): (usize, &compat::ChunkInfo)| ChunkInfo {
            index,
            dst_hash: info.dst_hash.into(),
            src_hash: info.src_hash.into(),
            src_size: small(info.src_size),
        };
        let chunk_identifiers = map.infos().iter().enumerate().map(chunk).collect();
        Self { chunk_identifiers, child: map.child().map(small) }
    }
}

impl From<compat::DataMap> for DataMap {
    fn from(map: compat::DataMap) -> Self {
        Self::from(&map)
    }
}

impl fmt::Debug for DataMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataMap")
            .field("chunk_identifiers", &self.chunk_identifiers)
            .field("child", &self.child)
            .finish()
    }
}

impl fmt::Debug for ChunkInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkInfo")
            .field("index", &self.index)
            .field("dst_hash", &self.dst_hash)
            .field("src_size", &self.src_size)
            .finish_non_exhaustive()
    }
}
