//! The reader: from a data map back to the data, checking everything on every path.

mod cache;
mod fetch;
mod handle;
mod join;
mod leaf;
mod walk;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};

use self::cache::ChunkCache;
use self::fetch::{Fetcher, Wanted};
pub use self::handle::ReadHandle;
pub(crate) use self::join::join;
use self::leaf::Leaf;
use self::walk::Walk;
use super::budget::Budget;
use super::config::EncryptionConfig;
use super::error::{Error, Result};
use super::limits::FAN;
use super::map::{Body, ChunkInfo, DataMap};
use super::pool::CpuPool;
use super::progress::Meter;
use super::room::{Data, Room, gather, within};
use crate::store::ChunkStore;

/// Reads data back. Cheap to clone; clones share the map pages that were read, and the chunks that small reads
/// keep.
///
/// Every byte that comes out was checked: the stored length, the name of what was fetched, the cipher,
/// the content hash and the decoded length, in this order. Dropping a future or a stream cancels it.
#[derive(Clone)]
pub struct Reader {
    map: DataMap,
    fetcher: Arc<Fetcher>,
    chunks: Option<Arc<ChunkCache>>,
    memory: u64,
    concurrency: usize,
}

/// What a verification has seen, all of it sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Bytes of data.
    pub bytes: u64,
    /// Data chunks.
    pub chunks: u64,
    /// Map pages.
    pub pages: u64,
}

impl Reader {
    pub(super) fn new(
        store: Arc<dyn ChunkStore>,
        map: DataMap,
        config: &EncryptionConfig,
        pool: CpuPool,
        meter: Meter,
    ) -> Self {
        let fetcher = Fetcher::new(store, map.suite(), pool, meter);
        let chunks = (config.chunk_cache > 0).then(|| Arc::new(ChunkCache::new(config.chunk_cache)));
        let fetcher = Arc::new(fetcher);
        Self { map, fetcher, chunks, memory: config.memory, concurrency: config.concurrency }
    }

    /// The map that is read.
    #[must_use]
    pub fn map(&self) -> &DataMap {
        &self.map
    }

    /// The length of the data in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.map.len()
    }

    /// Whether the data is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// `len` bytes from `offset`, fewer at the end of the data. All of it is in memory at once: for more
    /// than a few chunks, use [`stream`](Self::stream).
    ///
    /// Of a read that is shorter than a chunk, the whole chunk is kept for the next, as far as the
    /// configuration's [chunk cache](EncryptionConfig::with_chunk_cache) allows.
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::ChunkMissing`]
    /// naming the chunk, or as the store fails.
    pub async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let range = offset..offset.saturating_add(len as u64).min(self.len());
        let longest = self.map.chunking().map_or(0, |chunking| u64::from(chunking.max_len()));
        let len = range.end.saturating_sub(range.start);
        let pieces = match &self.chunks {
            _ if self.map.is_inline() => self.stream(range),
            _ if len > longest => {
                let room = Room::new(len, self.memory);
                let chunks = self.opened(range.clone(), Some(room));
                return gather(chunks.map_ok(|(info, data)| (info.offset, data)), &range).await;
            }
            Some(chunks) if len < longest => self.small(range, Arc::clone(chunks)).boxed(),
            _ => self.stream(range),
        };
        join(pieces, self.fetcher.pool()).await
    }

    /// The bytes of `range` in order, as far as there are any, fetching ahead within the memory budget.
    ///
    /// The stream ends after an error.
    pub fn stream(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let range = range.start..range.end.min(self.len());
        if let Body::Inline(data) = self.map.body() {
            let piece = (!range.is_empty()).then(|| Ok(slice(&Bytes::copy_from_slice(data), 0, &range)));
            return stream::iter(piece).boxed();
        }
        let pieces = self.opened(range.clone(), None);
        let pieces = pieces.map_ok(move |(info, data)| slice(&data.into(), info.offset, &range));
        until(pieces, |_| true).boxed()
    }

    /// Every data chunk in order, from the map and its pages; chunks themselves are not fetched.
    ///
    /// The stream ends after an error.
    pub fn chunks(&self) -> BoxStream<'static, Result<ChunkInfo>> {
        let fetcher = Arc::clone(&self.fetcher);
        Walk::new(&self.map, 0..self.len()).leaves(fetcher).map_ok(|leaf| leaf.info()).fuse().boxed()
    }

    /// Fetches and checks every chunk, in order, and gives no data.
    ///
    /// Goes on after a damaged or missing chunk, and ends after a map page that cannot be read.
    pub fn check(&self) -> BoxStream<'static, Result<ChunkInfo>> {
        let checked = self.opened(0..self.len(), None).map_ok(|(info, _)| info);
        until(checked, |e| matches!(e, Error::Cancelled)).boxed()
    }

    /// Fetches and checks everything.
    ///
    /// # Errors
    /// The first problem, as for [`read_at`](Self::read_at).
    pub async fn verify(&self) -> Result<Verified> {
        let mut verified = Verified::default();
        if self.map.is_inline() {
            verified.bytes = self.len();
            return Ok(verified);
        }
        let mut chunks = self.check();
        while let Some(info) = chunks.try_next().await? {
            verified.bytes += info.len;
            verified.chunks += 1;
        }
        verified.pages = pages_of(verified.chunks);
        Ok(verified)
    }

    /// A handle with a position, for `AsyncRead` and `AsyncSeek`.
    #[must_use]
    pub fn into_async_read(self) -> ReadHandle {
        ReadHandle::new(self)
    }

    /// The pieces of a range of few chunks, by way of the cache.
    fn small(
        &self,
        range: Range<u64>,
        chunks: Arc<ChunkCache>,
    ) -> impl Stream<Item = Result<Bytes>> + Send + use<> {
        let (fetcher, memory) = (Arc::clone(&self.fetcher), self.memory);
        let leaves = Walk::new(&self.map, range.clone()).leaves(Arc::clone(&fetcher));
        let piece = move |leaf: Result<Leaf>| {
            let (fetcher, chunks, range) = (Arc::clone(&fetcher), Arc::clone(&chunks), range.clone());
            async move {
                let leaf = leaf?;
                let info = leaf.info();
                let open = || open_alone(Arc::clone(&fetcher), leaf.clone(), memory);
                let mut data = chunks.get(leaf.entry().content, open).await?;
                if data.len() as u64 != info.len {
                    // Two entries of one content and two lengths: this one is wrong, and says so when opened.
                    data = open().await?;
                }
                let piece = slice(&data, info.offset, &range);
                // A few bytes that somebody keeps should not keep a chunk.
                let few = piece.len() < data.len() / 4;
                Ok(if few { Bytes::copy_from_slice(&piece) } else { piece })
            }
        };
        leaves.map(piece).buffered(self.concurrency)
    }

    /// The chunks that hold `range`, fetched and checked, in order; in their places if there is `room`.
    fn opened(
        &self,
        range: Range<u64>,
        mut room: Option<Room>,
    ) -> impl Stream<Item = Result<(ChunkInfo, Data)>> + Send + use<> {
        let budget = Budget::new(self.memory, 0);
        let threads = self.fetcher.pool().threads();
        let leaves = Walk::new(&self.map, range.clone()).leaves(Arc::clone(&self.fetcher));
        // Permits are taken in order and kept until the data is handed over: whoever is next to be handed
        // over never waits for memory that a later chunk has.
        let admitted = leaves.then(move |leaf| {
            let budget = budget.clone();
            let place = leaf.as_ref().ok().zip(room.as_mut()).map(|(leaf, room)| {
                let ChunkInfo { offset, len, .. } = leaf.info();
                room.place(offset, usize::try_from(len).unwrap_or_default(), &range)
            });
            async move {
                let leaf = leaf?;
                let permit = budget.admit_bytes(leaf.memory()).await?;
                Ok::<_, Error>(Wanted { leaf, permit, place })
            }
        });
        let (fetcher, opener) = (Arc::clone(&self.fetcher), Arc::clone(&self.fetcher));
        let fetched = admitted.map(move |admitted| {
            let fetcher = Arc::clone(&fetcher);
            async move {
                let wanted = admitted?;
                let stored = fetcher.fetch(&wanted.leaf).await;
                Ok((wanted, stored))
            }
        });
        let opened = fetched
            .buffered(self.concurrency)
            .ready_chunks(BATCH)
            .map(move |batch| Arc::clone(&opener).open_batch(batch))
            .buffered(threads + 1);
        opened.flat_map(stream::iter).map_ok(|(info, data, _permit)| (info, data))
    }
}

/// One chunk, fetched and checked.
async fn open_alone(fetcher: Arc<Fetcher>, leaf: Leaf, memory: u64) -> Result<Bytes> {
    let permit = Budget::new(memory, 0).admit_bytes(leaf.memory()).await?;
    let stored = fetcher.fetch(&leaf).await;
    let mut opened = fetcher.open_batch(vec![Ok((Wanted { leaf, permit, place: None }, stored))]).await;
    let (_, data, _permit) = opened.pop().expect("one goes in and one comes out")?;
    Ok(data.into())
}

/// Fetched chunks that are opened together on one thread.
const BATCH: usize = 4;

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("map", &self.map).finish_non_exhaustive()
    }
}

/// What of a chunk that begins at `offset` lies in `range`.
pub(crate) fn slice(data: &Bytes, offset: u64, range: &Range<u64>) -> Bytes {
    data.slice(within(offset, data.len(), range))
}

/// Ends after an error that `last` tells, without asking for more.
pub(crate) fn until<T>(
    stream: impl Stream<Item = Result<T>> + Send,
    last: fn(&Error) -> bool,
) -> impl Stream<Item = Result<T>> + Send {
    stream::unfold(Some(Box::pin(stream)), move |stream| async move {
        let mut stream = stream?;
        let item = stream.next().await?;
        let ended = item.as_ref().is_err_and(last);
        Some((item, (!ended).then_some(stream)))
    })
    // Whoever collects pieces may well ask once more.
    .fuse()
}

/// How many pages stand between a root and `chunks` data chunks.
fn pages_of(chunks: u64) -> u64 {
    let (mut entries, mut pages) = (chunks, 0);
    while entries > FAN as u64 {
        entries = entries.div_ceil(FAN as u64);
        pages += entries;
    }
    pages
}
