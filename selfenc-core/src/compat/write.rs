//! From an input to chunks in a store: hashed in order, sealed as soon as both neighbours before are known.

use futures::stream::{self, Stream, StreamExt};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use tokio::io::AsyncRead;

use super::brotli;
use super::cipher::{self, Neighbours};
use super::generation::{Digest, Generation};
use super::map::{ChunkInfo, LEAST_CHUNKS};
use super::recycled::Of;
use crate::engine::shared::{
    Budget, Buffers, Chunk, ChunkSource, Cutter, HEADER, Meter, Permit, Secret, Sink, batches, one_by_one,
};
use crate::engine::{Chunking, CpuPool, Error, Result, Suite};
use crate::store::{ChunkId, PutOutcome};

/// What one write works with.
pub(super) struct Writer<'a> {
    pub(super) generation: Generation,
    /// The largest chunk.
    pub(super) size: u32,
    /// 0 for data; `n` for a map that is shrunk for the `n`-th time.
    pub(super) level: u64,
    pub(super) pool: &'a CpuPool,
    pub(super) budget: Budget,
    pub(super) meter: &'a Meter,
    pub(super) sink: &'a Sink,
    pub(super) concurrency: usize,
}

/// A chunk whose hash is known, but not yet those of the chunks before it.
struct Hashed {
    chunk: Chunk,
    own: Digest,
}

impl Hashed {
    fn len(&self) -> u64 {
        (self.chunk.buffer.len() - HEADER) as u64
    }
}

type Bound = (Hashed, Neighbours);

struct Sealed {
    stored: Vec<u8>,
    info: ChunkInfo,
    permit: Permit,
}

impl Writer<'_> {
    /// The chunks of the input, all of them stored.
    pub(super) async fn write<R: AsyncRead + Send>(self, source: R) -> Result<Vec<ChunkInfo>> {
        let chunking = Chunking::Fixed { size: self.size, min_chunks: 3 };
        let cutter = Cutter::new(chunking, Suite::default(), &Secret::new([0; 32]), true);
        // A map is keys: its memory is not used again.
        let buffers = if self.level == 0 { self.pool.buffers().clone() } else { Buffers::default() };
        let source = ChunkSource::new(source, chunking, cutter, self.budget.clone(), buffers);
        let threads = self.pool.threads();
        let batch = self.budget.batch(threads);

        let lanes = threads + 1;
        let hashed = batches(source, batch).map(|chunks| self.hash(chunks)).buffered(lanes);
        let sealed = bind(hashed, self.level).map(|chunks| self.seal(chunks)).buffered(lanes);
        let stored = sealed.flat_map(one_by_one).map(|chunk| self.put(chunk)).buffered(4 * self.concurrency);

        let (mut infos, mut stored) = (Vec::new(), std::pin::pin!(stored));
        while let Some(result) = stored.next().await {
            let (info, len, outcome) = result?;
            // Those of maps are no input.
            let taken = if self.level == 0 { info.src_size } else { 0 };
            self.meter.wrote(taken, len, outcome)?;
            infos.push(info);
        }
        Ok(infos)
    }

    async fn hash(&self, chunks: Result<Vec<Chunk>>) -> Result<Vec<Hashed>> {
        let (generation, chunks) = (self.generation, chunks?);
        let hash = move || {
            let contents: Vec<_> = chunks.iter().map(|chunk| &chunk.buffer[HEADER..]).collect();
            let hashes = generation.hash_batch(&contents);
            chunks.into_iter().zip(hashes).map(|(chunk, own)| Hashed { chunk, own }).collect()
        };
        Ok(self.pool.run(hash).await)
    }

    async fn seal(&self, chunks: Result<Vec<Bound>>) -> Result<Vec<Sealed>> {
        let (generation, of, chunks) = (self.generation, Of::level(self.level), chunks?);
        let seal_all = move || {
            // Compressing takes long: the pool's other threads help, each with a chunk.
            let compress = |(hashed, _): &Bound| brotli::compress(&hashed.chunk.buffer[HEADER..], of);
            let mut stored: Vec<_> = chunks.par_iter().map(compress).collect();
            let neighbours = chunks.iter().map(|(_, neighbours)| neighbours);
            cipher::encrypt(generation, neighbours.zip(&mut stored).collect());
            let names = generation.hash_batch(&stored.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let sealed = chunks.into_iter().zip(stored).zip(names);
            sealed
                .map(|(((hashed, neighbours), stored), name)| {
                    let info = ChunkInfo {
                        index: neighbours.index,
                        dst_hash: ChunkId::from_bytes(name),
                        src_hash: neighbours.own,
                        src_size: hashed.len(),
                    };
                    Sealed { stored, info, permit: hashed.chunk.permit }
                })
                .collect()
        };
        Ok(self.pool.run(seal_all).await)
    }

    async fn put(&self, sealed: Result<Sealed>) -> Result<(ChunkInfo, u64, PutOutcome)> {
        let Sealed { stored, info, permit } = sealed?;
        let len = stored.len() as u64;
        let outcome = self.sink.put(info.dst_hash, stored.into()).await?;
        drop(permit);
        Ok((info, len, outcome))
    }
}

/// Gives chunks their neighbours. The first two wait for the last two.
fn bind(
    hashed: impl Stream<Item = Result<Vec<Hashed>>> + Send,
    level: u64,
) -> impl Stream<Item = Result<Vec<Bound>>> + Send {
    let state = Some((Box::pin(hashed), Ring { level, ..Ring::default() }));
    stream::unfold(state, |state| async move {
        let (mut hashed, mut ring) = state?;
        loop {
            match hashed.next().await {
                Some(Ok(chunks)) => {
                    let bound: Vec<_> = chunks.into_iter().filter_map(|chunk| ring.push(chunk)).collect();
                    if !bound.is_empty() {
                        return Some((Ok(bound), Some((hashed, ring))));
                    }
                }
                Some(Err(failure)) => return Some((Err(failure), None)),
                None => return Some((ring.close(), None)),
            }
        }
    })
}

/// The chunks as they stand in a ring: before the first is the last.
#[derive(Default)]
struct Ring {
    level: u64,
    count: u64,
    /// The first two, in order.
    first: Vec<Hashed>,
    /// The hashes of the last two, the latest first.
    before: [Digest; 2],
}

impl Ring {
    fn push(&mut self, hashed: Hashed) -> Option<Bound> {
        let [before, two_before] = self.before;
        let own = hashed.own;
        self.before = [own, before];
        self.count += 1;
        if self.count <= 2 {
            self.first.push(hashed);
            return None;
        }
        let index = self.count - 1;
        Some((hashed, Neighbours { own, before, two_before, index, level: self.level }))
    }

    fn close(self) -> Result<Vec<Bound>> {
        if self.count < LEAST_CHUNKS as u64 {
            let len = self.first.iter().map(Hashed::len).sum();
            return Err(Error::TooShort { len, least: LEAST_CHUNKS as u64 });
        }
        let [last, last_but_one] = self.before;
        let (level, mut before, mut two_before) = (self.level, last, last_but_one);
        let bind = |(index, hashed): (u64, Hashed)| {
            let own = hashed.own;
            let neighbours = Neighbours { own, before, two_before, index, level };
            (before, two_before) = (own, before);
            (hashed, neighbours)
        };
        Ok((0..).zip(self.first).map(bind).collect())
    }
}
