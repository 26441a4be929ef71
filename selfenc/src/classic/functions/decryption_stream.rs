use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use super::{DataMap, DataMapIndex, XorName, expand, get_root_data_map_parallel, stream_decrypt_batch_size};
use crate::{Bytes, Error, Result};

/// Reads data back in order, as an iterator, or any part of it. Made by [`streaming_decrypt`].
///
/// The iterator ends after an error.
pub struct DecryptionStream<F> {
    index: DataMapIndex,
    get_chunk_parallel: F,
    batch_size: usize,
    /// The chunk that the next batch begins with.
    next: usize,
    ready: VecDeque<Bytes>,
}

/// The data behind `data_map`, of either generation, in order or in parts.
///
/// `get_chunk_parallel` is given indices and names of no more than [`stream_decrypt_batch_size`] chunks at once,
/// and brings the index and what is stored of each, in any order. A batch is decrypted on all threads, and is in
/// memory as a whole.
///
/// ```
/// use std::collections::HashMap;
/// use selfenc::Result;
/// use selfenc::classic::functions::{XorName, encrypt, streaming_decrypt};
///
/// # fn main() -> Result<()> {
/// let data: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
/// let (data_map, chunks) = encrypt(data.clone().into())?;
/// let storage: HashMap<_, _> =
///     chunks.into_iter().map(|chunk| (XorName::from_content(&chunk.content), chunk.content)).collect();
///
/// let stream = streaming_decrypt(&data_map, |wanted: &[(usize, XorName)]| {
///     Ok(wanted.iter().map(|(index, name)| (*index, storage[name].clone())).collect())
/// })?;
/// assert_eq!(stream.get_range(5000, 100)?, data[5000..5100]);
/// assert_eq!(stream.range_from(9_990)?, data[9_990..]);
/// let pieces: Vec<_> = stream.collect::<Result<_>>()?;
/// assert_eq!(pieces.concat(), data);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::BadMap`] for what is no map; of one that was shrunk, as for [`get_root_data_map_parallel`]. The
/// stream has [`Error::Corrupt`] and [`Error::ChunkMissing`] naming the chunk, or what the function returns.
pub fn streaming_decrypt<F>(data_map: &DataMap, get_chunk_parallel: F) -> Result<DecryptionStream<F>>
where
    F: Fn(&[(usize, XorName)]) -> Result<Vec<(usize, Bytes)>>,
{
    DecryptionStream::new(data_map, get_chunk_parallel)
}

/// [`streaming_decrypt`] with no more than `batch_size` chunks at once.
///
/// # Errors
/// As there, and [`Error::InvalidConfig`] for a `batch_size` of 0.
pub fn streaming_decrypt_with_batch_size<F>(
    data_map: &DataMap,
    get_chunk_parallel: F,
    batch_size: usize,
) -> Result<DecryptionStream<F>>
where
    F: Fn(&[(usize, XorName)]) -> Result<Vec<(usize, Bytes)>>,
{
    DecryptionStream::new_with_batch_size(data_map, get_chunk_parallel, batch_size)
}

impl<F> DecryptionStream<F>
where
    F: Fn(&[(usize, XorName)]) -> Result<Vec<(usize, Bytes)>>,
{
    /// See [`streaming_decrypt`].
    ///
    /// # Errors
    /// As there.
    pub fn new(data_map: &DataMap, get_chunk_parallel: F) -> Result<Self> {
        Self::new_with_batch_size(data_map, get_chunk_parallel, stream_decrypt_batch_size())
    }

    /// See [`streaming_decrypt_with_batch_size`].
    ///
    /// # Errors
    /// As there.
    pub fn new_with_batch_size(data_map: &DataMap, get_chunk_parallel: F, batch_size: usize) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::InvalidConfig("batch_size: 1 or more chunks".to_owned()));
        }
        let index = if data_map.is_child() {
            DataMapIndex::new(&get_root_data_map_parallel(data_map.clone(), &get_chunk_parallel)?)?
        } else {
            DataMapIndex::new(data_map)?
        };
        Ok(Self { index, get_chunk_parallel, batch_size, next: 0, ready: VecDeque::new() })
    }

    /// `len` bytes from `start`, fewer at the end of the data. All of it is in memory at once.
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::ChunkMissing`] naming the chunk, or what the function returns.
    pub fn get_range(&self, start: usize, len: usize) -> Result<Bytes> {
        let (start, end) = (start as u64, (start as u64).saturating_add(len as u64));
        let chunks = self.index.chunks_overlapping(start..end);
        let mut part = Vec::new();
        for batch in self.batches(chunks) {
            for (index, content) in batch.clone().zip(self.read(batch)?) {
                let span = self.index.chunk_range(index);
                let within = |at: u64| usize::try_from(at.clamp(span.start, span.end) - span.start).ok();
                part.extend_from_slice(
                    &content[within(start).unwrap_or(0)..within(end).unwrap_or(content.len())],
                );
            }
        }
        Ok(part.into())
    }

    /// The bytes of `range`, as far as there are any.
    ///
    /// # Errors
    /// As for [`get_range`](Self::get_range).
    pub fn range(&self, range: Range<usize>) -> Result<Bytes> {
        self.get_range(range.start, range.end.saturating_sub(range.start))
    }

    /// The bytes from `start` to the end.
    ///
    /// # Errors
    /// As for [`get_range`](Self::get_range).
    pub fn range_from(&self, start: usize) -> Result<Bytes> {
        self.get_range(start, usize::MAX)
    }

    /// The bytes before `end`.
    ///
    /// # Errors
    /// As for [`get_range`](Self::get_range).
    pub fn range_to(&self, end: usize) -> Result<Bytes> {
        self.get_range(0, end)
    }

    /// All bytes.
    ///
    /// # Errors
    /// As for [`get_range`](Self::get_range).
    pub fn range_full(&self) -> Result<Bytes> {
        self.get_range(0, usize::MAX)
    }

    /// The bytes from `start` to `end`, that one included.
    ///
    /// # Errors
    /// As for [`get_range`](Self::get_range).
    pub fn range_inclusive(&self, start: usize, end: usize) -> Result<Bytes> {
        self.range(start..end.saturating_add(1))
    }

    fn batches(&self, chunks: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<F> {
        let (end, size) = (chunks.end, self.batch_size);
        chunks.step_by(size).map(move |first| first..first.saturating_add(size).min(end))
    }

    fn read(&self, chunks: Range<usize>) -> Result<Vec<Bytes>> {
        let map = self.index.map();
        let stored = expand::fetch(&self.get_chunk_parallel, &expand::wanted(map, chunks))?;
        expand::decrypt(map, stored)
    }
}

impl<F> DecryptionStream<F> {
    /// The length of the data in bytes, or `usize::MAX` if it is more.
    #[must_use]
    pub fn file_size(&self) -> usize {
        usize::try_from(self.index.file_size()).unwrap_or(usize::MAX)
    }
}

impl<F> Iterator for DecryptionStream<F>
where
    F: Fn(&[(usize, XorName)]) -> Result<Vec<(usize, Bytes)>>,
{
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            let len = self.index.infos().len();
            let batch = self.batches(self.next..len).next()?;
            // After a failure there is nothing more.
            self.next = len;
            let end = batch.end;
            match self.read(batch) {
                Ok(contents) => self.ready = contents.into(),
                Err(e) => return Some(Err(e)),
            }
            self.next = end;
        }
        self.ready.pop_front().map(Ok)
    }
}

impl<F> fmt::Debug for DecryptionStream<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptionStream")
            .field("bytes", &self.index.file_size())
            .field("batch_size", &self.batch_size)
            .finish_non_exhaustive()
    }
}
