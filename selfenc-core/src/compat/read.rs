//! The reader: everything is checked, which the originals mostly leave out.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use zeroize::Zeroizing;

use super::cipher;
use super::generation::{Digest, Generation};
use super::map::{ChunkInfo, DataMap};
use crate::engine::shared::{
    Budget, Buffer, Buffers, Data, Meter, Permit, Place, Room, Target, gather, join, slice, until,
};
use crate::engine::{CpuPool, Error, MapError, Result, Verified};
use crate::store::{ChunkId, ChunkStore};

/// Chunks that are looked at for the generation, in case some are damaged or missing.
const LOOKS: usize = 8;
/// Fetched chunks of the first generation that are opened together: SHA3 is faster with several at once.
const BATCH: usize = 4;

/// A chunk to be read, and the memory it holds.
struct Wanted {
    index: usize,
    permit: Permit,
    /// Where its data is to be; in memory of its own otherwise.
    place: Option<Place>,
}

/// With what came from the store.
type Fetched = Result<(Wanted, Result<Bytes>)>;

/// Where chunks come from, and what reading may use.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) store: Arc<dyn ChunkStore>,
    pub(super) pool: CpuPool,
    pub(super) meter: Meter,
    pub(super) memory: u64,
    pub(super) concurrency: usize,
}

/// Reads data of self_encryption back. Cheap to clone.
///
/// Every byte that comes out was checked: the name of what was fetched, the cipher, the decoded length and the
/// hash of the content. Dropping a future or a stream cancels it.
#[derive(Clone)]
pub struct Reader {
    inner: Arc<Inner>,
    source: Source,
}

struct Inner {
    map: DataMap,
    generation: Generation,
    /// What the chunks were encrypted as: 0, or more for those of a map.
    level: u64,
    /// Where each chunk ends.
    ends: Vec<u64>,
}

impl Reader {
    pub(super) async fn open(source: Source, mut map: DataMap) -> Result<Self> {
        loop {
            let Some(level) = map.child() else { return Self::at(source, map, 0).await };
            // A map is none of the data whose reading is told.
            let quiet = Source { meter: Meter::new(None), ..source.clone() };
            let child = Self::at(quiet, map, level).await?.read_map().await?;
            // Each level is one more than what is below: otherwise two maps could go round in circles.
            if child.child() != level.checked_sub(1).filter(|below| *below > 0) {
                return Err(MapError::Invalid("the map in it is not of the level below").into());
            }
            map = child;
        }
    }

    /// What the chunks of `map` hold, whatever it says itself about their level.
    pub(super) async fn at(source: Source, map: DataMap, level: u64) -> Result<Self> {
        let generation = source.generation(&map).await?;
        let ends = map.infos().iter().scan(0, |end, info| {
            *end += info.src_size;
            Some(*end)
        });
        let ends = ends.collect();
        Ok(Self { inner: Arc::new(Inner { map, generation, level, ends }), source })
    }

    /// The map of the data itself.
    #[must_use]
    pub fn map(&self) -> &DataMap {
        &self.inner.map
    }

    /// Which releases wrote the chunks.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.inner.generation
    }

    /// The length of the data in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // it has three bytes at least
    pub fn len(&self) -> u64 {
        self.inner.ends.last().copied().unwrap_or_default()
    }

    /// `len` bytes from `offset`, fewer at the end of the data. All of it is in memory at once: for more
    /// than a few chunks, use [`stream`](Self::stream).
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::ChunkMissing`] naming the chunk, or as the store fails.
    pub async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let end = offset.saturating_add(len as u64).min(self.len());
        let range = offset..end;
        let first_end = self.inner.ends.get(self.inner.first(offset));
        if first_end.is_none_or(|first_end| end <= *first_end) {
            return join(self.stream(range), &self.source.pool).await;
        }
        let inner = Arc::clone(&self.inner);
        let room = Room::new(end - offset, self.source.memory);
        let chunks = self.opened(range.clone(), Some(room));
        gather(chunks.map_ok(move |(index, data)| (inner.start(index), data)), &range).await
    }

    /// The bytes of `range` in order, as far as there are any, fetching ahead within the memory budget.
    ///
    /// The stream ends after an error.
    pub fn stream(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let inner = Arc::clone(&self.inner);
        let pieces = self.opened(range.clone(), None);
        let pieces = pieces.map_ok(move |(index, data)| slice(&data.into(), inner.start(index), &range));
        until(pieces, |_| true).boxed()
    }

    /// Fetches and checks every chunk, in order, and gives no data. Goes on after a damaged or missing chunk.
    pub fn check(&self) -> BoxStream<'static, Result<ChunkInfo>> {
        let inner = Arc::clone(&self.inner);
        let checked =
            self.opened(0..self.len(), None).map_ok(move |(index, _)| inner.map.infos()[index].clone());
        until(checked, |e| matches!(e, Error::Cancelled)).boxed()
    }

    /// Fetches and checks everything.
    ///
    /// # Errors
    /// The first problem, as for [`read_at`](Self::read_at).
    pub async fn verify(&self) -> Result<Verified> {
        let mut verified = Verified::default();
        let mut chunks = self.check();
        while let Some(info) = chunks.try_next().await? {
            verified.bytes += info.src_size;
            verified.chunks += 1;
        }
        Ok(verified)
    }

    /// The map that the chunks hold.
    pub(super) async fn read_map(&self) -> Result<DataMap> {
        // Its bytes, the map made of them, and what is in flight.
        let (needed, budget) = (self.len().saturating_mul(3), self.source.memory);
        if needed > budget {
            return Err(Error::BudgetTooSmall { needed, budget });
        }
        let len = usize::try_from(self.len()).map_err(|_| Error::BudgetTooSmall { needed, budget })?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(len));
        let mut pieces = self.stream(0..self.len());
        while let Some(piece) = pieces.try_next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(DataMap::from_binary(&bytes)?)
    }

    /// Whether the first chunk is what the map says, at this level.
    pub(super) async fn has_first(&self) -> Result<bool> {
        match self.source.chunk(&self.inner, 0).await {
            Ok(_) => Ok(true),
            Err(Error::Corrupt { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The chunks that hold `range`, fetched and checked, in order; in their places if there is `room`.
    fn opened(
        &self,
        range: Range<u64>,
        mut room: Option<Room>,
    ) -> impl Stream<Item = Result<(usize, Data)>> + Send + use<> {
        let (inner, source) = (Arc::clone(&self.inner), self.source.clone());
        let budget = Budget::new(source.memory, 0);
        let first = inner.first(range.start);
        let within = {
            let range = range.clone();
            move |index: &usize| {
                !range.is_empty() && index < &inner.ends.len() && inner.start(*index) < range.end
            }
        };
        let inner = Arc::clone(&self.inner);
        let indices = stream::iter((first..).take_while(within));
        // As in the native reader: permits are taken in order and kept until the data is handed over.
        let admitted = indices.then(move |index| {
            let (budget, len) = (budget.clone(), inner.map.infos()[index].src_size);
            let place = room
                .as_mut()
                .map(|room| room.place(inner.start(index), usize::try_from(len).unwrap_or_default(), &range));
            async move { Ok::<_, Error>(Wanted { index, permit: budget.admit_bytes(2 * len).await?, place }) }
        });
        let inner = Arc::clone(&self.inner);
        let threads = source.pool.threads();
        let batch = match inner.generation {
            Generation::One => BATCH,
            Generation::Two => 1,
        };
        let fetched = admitted.map({
            let (inner, source) = (Arc::clone(&inner), source.clone());
            move |admitted| {
                let (inner, source) = (Arc::clone(&inner), source.clone());
                async move {
                    let wanted: Wanted = admitted?;
                    let stored = source.fetch(inner.map.infos()[wanted.index].dst_hash).await;
                    Ok((wanted, stored))
                }
            }
        });
        let opened = fetched.buffered(self.source.concurrency).ready_chunks(batch).map(move |batch| {
            let (inner, source) = (Arc::clone(&inner), source.clone());
            async move { source.open_batch(&inner, batch).await }
        });
        opened.buffered(threads + 1).flat_map(stream::iter).map_ok(|(index, data, _permit)| (index, data))
    }
}

impl Inner {
    /// The contents of these chunks, each of which is `None` unless everything about it is as the map says.
    fn decode(&self, stored: Vec<(usize, Bytes, Option<Place>)>, buffers: &Buffers) -> Vec<Option<Data>> {
        let (generation, infos) = (self.generation, self.map.infos());
        let bytes: Vec<_> = stored.iter().map(|(_, bytes, _)| &bytes[..]).collect();
        let names = generation.hash_batch(&bytes);
        let decode = |((index, bytes, place), name): ((usize, Bytes, _), Digest)| {
            let info = &infos[index];
            if name != *info.dst_hash.as_bytes() {
                return (index, None, place);
            }
            let neighbours = self.map.neighbours(index, self.level);
            let len = usize::try_from(info.src_size).ok();
            (index, len.and_then(|len| cipher::decode(generation, &neighbours, &bytes, len, buffers)), place)
        };
        // The pool's other threads help, each with a chunk.
        let decoded: Vec<_> = stored.into_par_iter().zip(names).map(decode).collect();
        let contents: Vec<_> = decoded.iter().filter_map(|(_, content, _)| content.as_deref()).collect();
        let mut hashes = generation.hash_batch(&contents).into_iter();
        let compare = |(index, content, place): (usize, Option<Buffer>, _)| {
            let content = content?;
            (hashes.next()? == infos[index].src_hash).then_some(Target::Own(content, place))
        };
        let checked: Vec<_> = decoded.into_iter().map(compare).collect();
        checked.into_par_iter().map(|content| content.map(Target::finish)).collect()
    }

    /// The first chunk that ends after `offset`; how many there are, if none does.
    fn first(&self, offset: u64) -> usize {
        self.ends.partition_point(|end| *end <= offset)
    }

    fn start(&self, index: usize) -> u64 {
        index.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

impl Source {
    /// Which hash names the first chunk that is there and whole: a map does not say.
    async fn generation(&self, map: &DataMap) -> Result<Generation> {
        let mut first = None;
        for info in &map.infos()[..map.len().min(LOOKS)] {
            match self.generation_of(info.dst_hash).await {
                Ok(found) => return Ok(found),
                Err(e @ (Error::Corrupt { .. } | Error::ChunkMissing { .. })) => {
                    first.get_or_insert(e);
                }
                Err(e) => return Err(e),
            }
        }
        Err(first.unwrap_or(Error::BadMap(MapError::NotADataMap)))
    }

    async fn generation_of(&self, chunk: ChunkId) -> Result<Generation> {
        for _ in 0..2 {
            let stored = self.fetch(chunk).await?;
            let found = self.pool.run(move || Generation::of_chunk(chunk, &stored)).await;
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Err(Error::Corrupt { chunk })
    }

    async fn chunk(&self, inner: &Arc<Inner>, index: usize) -> Result<Bytes> {
        let stored = self.fetch(inner.map.infos()[index].dst_hash).await?;
        self.open(inner, index, stored).await
    }

    async fn fetch(&self, chunk: ChunkId) -> Result<Bytes> {
        self.store.get(chunk).await?.ok_or(Error::ChunkMissing { chunk })
    }

    /// Checks and decodes; each answer is a chunk's own.
    async fn open_batch(
        &self,
        inner: &Arc<Inner>,
        batch: Vec<Fetched>,
    ) -> Vec<Result<(usize, Data, Permit)>> {
        let (mut stored, mut waiting) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for fetched in batch {
            waiting.push(match fetched {
                Err(e) | Ok((_, Err(e))) => Err(e),
                Ok((Wanted { index, permit, place }, Ok(bytes))) => {
                    stored.push((index, bytes, place));
                    Ok((index, permit))
                }
            });
        }
        let (of, buffers) = (Arc::clone(inner), self.pool.buffers().clone());
        let mut decoded = self.pool.run(move || of.decode(stored, &buffers)).await.into_iter();
        let mut opened = Vec::with_capacity(waiting.len());
        for fetched in waiting {
            opened.push(match fetched {
                Err(e) => Err(e),
                Ok((index, permit)) => {
                    let data = match decoded.next().flatten() {
                        Some(data) => Ok(data),
                        None => self.open_again(inner, index).await.map(Data::Own),
                    };
                    let len = inner.map.infos()[index].src_size;
                    data.and_then(|data| self.meter.read(len).map(|()| (index, data, permit)))
                }
            });
        }
        opened
    }

    /// Checks and decodes; what was damaged on its way only is read once more.
    async fn open(&self, inner: &Arc<Inner>, index: usize, stored: Bytes) -> Result<Bytes> {
        match self.decode(inner, index, stored).await {
            Some(data) => Ok(data),
            None => self.open_again(inner, index).await,
        }
    }

    async fn open_again(&self, inner: &Arc<Inner>, index: usize) -> Result<Bytes> {
        let chunk = inner.map.infos()[index].dst_hash;
        let stored = self.fetch(chunk).await?;
        self.decode(inner, index, stored).await.ok_or(Error::Corrupt { chunk })
    }

    async fn decode(&self, inner: &Arc<Inner>, index: usize, stored: Bytes) -> Option<Bytes> {
        let (inner, buffers) = (Arc::clone(inner), self.pool.buffers().clone());
        let decode = move || inner.decode(vec![(index, stored, None)], &buffers);
        self.pool.run(decode).await.pop().flatten().map(Bytes::from)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("map", &self.inner.map)
            .field("generation", &self.inner.generation)
            .finish_non_exhaustive()
    }
}
