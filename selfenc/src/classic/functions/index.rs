use std::ops::Range;

use super::{ChunkInfo, DataMap};
use crate::compat;
use crate::{Bytes, Result};

/// Where the bytes of a map's chunks are, for programs that fetch chunks in a way of their own. It fetches
/// nothing, and its positions have 64 bits.
///
/// What the chunks of a shrunk map hold is another map: see [`get_root_data_map`](super::get_root_data_map).
///
/// ```
/// use selfenc::classic::functions::{DataMapIndex, encrypt};
///
/// # fn main() -> selfenc::Result<()> {
/// let data: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
/// let (data_map, chunks) = encrypt(data.clone().into())?;
/// let index = DataMapIndex::new(&data_map)?;
/// assert_eq!(index.file_size(), 10_000);
///
/// let mut read = Vec::new();
/// for chunk in index.chunks_overlapping(4000..6000) {
///     // A program fetches `index.infos()[chunk].dst_hash`; here the chunks are in order.
///     let content = index.decrypt_chunk(chunk, &chunks[chunk].content)?;
///     let span = index.chunk_range(chunk);
///     let from = span.start.max(4000) - span.start;
///     let to = span.end.min(6000) - span.start;
///     read.extend_from_slice(&content[from as usize..to as usize]);
/// }
/// assert_eq!(read, data[4000..6000]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DataMapIndex {
    map: compat::DataMap,
    infos: Vec<ChunkInfo>,
    /// Where each chunk ends.
    ends: Vec<u64>,
}

impl DataMapIndex {
    /// Of this map's chunks.
    ///
    /// # Errors
    /// [`Error::BadMap`](crate::Error::BadMap) unless there are three chunks or more, of every index from 0
    /// one, each of 1 byte to 64 MiB.
    pub fn new(data_map: &DataMap) -> Result<Self> {
        let map = compat::DataMap::try_from(data_map)?;
        let ends = map.infos().iter().scan(0, |end, info| {
            *end += info.src_size;
            Some(*end)
        });
        let ends = ends.collect();
        Ok(Self { infos: DataMap::from(&map).chunk_identifiers, map, ends })
    }

    /// The bytes of what the chunks hold.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.ends.last().copied().unwrap_or_default()
    }

    /// The chunks, each at its index.
    #[must_use]
    pub fn infos(&self) -> &[ChunkInfo] {
        &self.infos
    }

    /// The bytes that chunk `index` holds; an empty range at the end if there is no such chunk.
    #[must_use]
    pub fn chunk_range(&self, index: usize) -> Range<u64> {
        let end = |index: usize| self.ends.get(index).copied().unwrap_or_else(|| self.file_size());
        index.checked_sub(1).map_or(0, end)..end(index)
    }

    /// The indices of the chunks that hold bytes of `range`.
    #[must_use]
    pub fn chunks_overlapping(&self, range: Range<u64>) -> Range<usize> {
        let end = range.end.min(self.file_size());
        if range.start >= end {
            return 0..0;
        }
        let holding = |position: u64| self.ends.partition_point(|end| *end <= position);
        holding(range.start)..holding(end - 1) + 1
    }

    /// The content of chunk `index`, of what is stored of it, in either generation. Its name, the cipher, the
    /// length and the hash of the content are checked.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) naming the chunk;
    /// [`Error::BadMap`](crate::Error::BadMap) if the map has no chunk of this index.
    pub fn decrypt_chunk(&self, index: usize, content: &Bytes) -> Result<Bytes> {
        self.map.decrypt_chunk(index, content)
    }

    pub(super) fn map(&self) -> &compat::DataMap {
        &self.map
    }
}
