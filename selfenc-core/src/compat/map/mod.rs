//! The originals' data map, in all its encodings.

mod binary;
mod json;

use std::fmt;
use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use super::cipher::Neighbours;
use super::generation::Digest;
use crate::engine::{MAX_LEN, MapError};
use crate::store::ChunkId;

/// Chunks that every input makes.
pub(super) const LEAST_CHUNKS: usize = 3;
/// The shortest input, in bytes: one for each of the fewest chunks.
pub const MIN_LEN: u64 = LEAST_CHUNKS as u64;

/// Maps of maps that are read at most, as in the originals.
pub(super) const MAX_CHILD: u64 = 100;

/// All that is needed to read data that self_encryption wrote, and therefore a secret.
///
/// It lists the chunks of the data, or, with a [`child`](Self::child), those of another map. Cheap to clone;
/// `Debug` shows no hash.
#[derive(Clone, PartialEq, Eq)]
pub struct DataMap {
    chunks: Arc<Zeroizing<Vec<ChunkInfo>>>,
    child: Option<u64>,
}

/// One chunk in a data map.
#[derive(Clone, PartialEq, Eq, Zeroize)]
pub struct ChunkInfo {
    /// Its place, from 0.
    pub index: u64,
    /// The name it is stored under.
    #[zeroize(skip)]
    pub dst_hash: ChunkId,
    /// The hash of its content, which keys are made from: a secret.
    pub src_hash: [u8; 32],
    /// The bytes of its content.
    pub src_size: u64,
}

impl DataMap {
    /// A map of chunks, in any order, of data.
    ///
    /// # Errors
    /// [`MapError::Invalid`] unless there are three chunks or more, of every index from 0 one, each of 1 byte
    /// to 64 MiB.
    pub fn new(chunks: Vec<ChunkInfo>) -> Result<Self, MapError> {
        Self::build(chunks, None)
    }

    /// A map of the chunks of another map, which was shrunk `child` times.
    ///
    /// # Errors
    /// As for [`new`](Self::new), and [`MapError::Invalid`] unless `child` is 1 to 100.
    pub fn with_child(chunks: Vec<ChunkInfo>, child: u64) -> Result<Self, MapError> {
        Self::build(chunks, Some(child))
    }

    fn build(mut chunks: Vec<ChunkInfo>, child: Option<u64>) -> Result<Self, MapError> {
        if chunks.len() < LEAST_CHUNKS {
            return Err(MapError::Invalid("it has fewer than three chunks"));
        }
        if child.is_some_and(|child| !(1..=MAX_CHILD).contains(&child)) {
            return Err(MapError::Invalid("the number of its levels is not from 1 to 100"));
        }
        chunks.sort_by_key(|chunk| chunk.index);
        if chunks.iter().zip(0..).any(|(chunk, index)| chunk.index != index) {
            return Err(MapError::Invalid("its chunks are not numbered from 0"));
        }
        if chunks.iter().any(|chunk| chunk.src_size == 0 || chunk.src_size > u64::from(MAX_LEN)) {
            return Err(MapError::Invalid("a chunk is not of 1 byte to 64 MiB"));
        }
        Ok(Self { chunks: Arc::new(Zeroizing::new(chunks)), child })
    }

    /// The map of these bytes: binary of any release, or JSON.
    ///
    /// A binary map is told by its length, which must be exact: the releases' own trial of one form after the
    /// other takes some for what they are not.
    ///
    /// # Errors
    /// [`MapError::NotADataMap`], [`MapError::Damaged`], or [`MapError::Invalid`] as for [`new`](Self::new).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MapError> {
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{' | b'[') if let Ok(text) = std::str::from_utf8(bytes) => Self::from_json(text),
            _ => binary::parse(bytes),
        }
    }

    /// The binary form of releases since 0.32: version byte 1, and 80 bytes for each chunk.
    #[must_use]
    pub fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        binary::write(self)
    }

    /// The map of this JSON, or of a bare array of chunks, as old releases wrote it.
    ///
    /// # Errors
    /// As for [`from_bytes`](Self::from_bytes).
    pub fn from_json(text: &str) -> Result<Self, MapError> {
        json::parse(text)
    }

    /// The JSON of the newest release.
    #[must_use]
    pub fn to_secret_json(&self) -> Zeroizing<String> {
        json::write(self)
    }

    /// Its chunks, in order.
    #[must_use]
    pub fn infos(&self) -> &[ChunkInfo] {
        &self.chunks
    }

    /// How often the map was shrunk whose chunks these are; `None` if they are of data.
    #[must_use]
    pub fn child(&self) -> Option<u64> {
        self.child
    }

    /// How many chunks it lists: three or more.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // none is
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// The bytes of what its chunks hold: of the data, or of another map.
    #[must_use]
    pub fn original_file_size(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.src_size).sum()
    }

    pub(super) fn neighbours(&self, index: usize, level: u64) -> Neighbours {
        let hash = |index: usize| -> Digest { self.chunks[index].src_hash };
        Neighbours::of(index, level, self.chunks.len(), hash)
    }

    /// Whether bytes of this length may be a map of a release that shrinks maps.
    pub(super) fn may_have_len(len: u64) -> bool {
        binary::may_be(len)
    }

    /// Whether what begins with these nine bytes may be such a map.
    pub(super) fn may_begin(head: &[u8], len: u64) -> bool {
        binary::may_begin(head, len)
    }

    /// The map of these bytes, which must be binary: the originals store no other.
    pub(super) fn from_binary(bytes: &[u8]) -> Result<Self, MapError> {
        binary::parse(bytes)
    }

    /// Whether an input that is cut by the originals' rule, whatever its largest chunk, gives these sizes.
    pub(super) fn is_plausible(&self) -> bool {
        let size = |index: usize| self.chunks[index].src_size;
        let (first, last) = (size(0), size(self.len() - 1));
        let is_even = self.chunks[..self.len() - 1].iter().all(|chunk| chunk.src_size == first);
        // Thirds, whose last takes what is left; or pieces of one size, whose last may be shorter.
        is_even && (last <= first || self.len() == LEAST_CHUNKS && last <= first + 2)
    }
}

impl fmt::Debug for DataMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataMap")
            .field("chunks", &self.len())
            .field("bytes", &self.original_file_size())
            .field("child", &self.child)
            .finish_non_exhaustive()
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
