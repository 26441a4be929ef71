//! What programs call: data in the formats of self_encryption, in any store.

use std::sync::Arc;

use tokio::io::AsyncRead;

use super::generation::Generation;
use super::map::{DataMap, LEAST_CHUNKS};
use super::read::{Reader, Source};
use super::write::Writer;
use crate::engine::shared::{Budget, Meter, Sink};
use crate::engine::{self, Error, MAX_LEN, Progress, Result};
use crate::store::ChunkStore;

/// Of a smaller largest chunk, a map of four chunks would be cut into four again, and never shrink to three:
/// three must hold `1 + 8 + 4 · 80 + 9` bytes.
const LEAST_MAX_CHUNK_SIZE: u32 = 113;

/// Encrypts into stores as self_encryption does, bit for bit, and reads that back. Cheap to clone.
///
/// What it may use is the native engine's: threads, memory, requests in flight, who is told.
#[derive(Clone, Debug)]
pub struct Engine {
    engine: engine::Engine,
    generation: Generation,
    max_chunk_size: u32,
}

/// What a write gives.
#[derive(Clone, Debug)]
pub struct Written {
    /// The map that the original returns: of three chunks, with a child if the data has more.
    pub map: DataMap,
    /// The map of the data itself.
    pub root: DataMap,
    /// What was stored, and what the store had already.
    pub stats: Progress,
}

impl Engine {
    /// Writes this generation, in chunks of at most its own default.
    #[must_use]
    pub fn new(engine: &engine::Engine, generation: Generation) -> Self {
        Self { engine: engine.clone(), generation, max_chunk_size: generation.default_max_chunk_size() }
    }

    /// With another `MAX_CHUNK_SIZE`: what the original was built with whose chunks are to be the same, in
    /// bytes.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] unless it is 113 bytes to 64 MiB − 1: the last of three chunks may have one byte
    /// more than the largest.
    pub fn with_max_chunk_size(mut self, bytes: u32) -> Result<Self> {
        if !(LEAST_MAX_CHUNK_SIZE..MAX_LEN).contains(&bytes) {
            let most = MAX_LEN - 1;
            let message = format!("largest chunk: {LEAST_MAX_CHUNK_SIZE} to {most} bytes in se1 and se2");
            return Err(Error::InvalidConfig(message));
        }
        self.max_chunk_size = bytes;
        Ok(self)
    }

    /// Checks that the memory budget is enough to write chunks of this size, as every write does first.
    ///
    /// # Errors
    /// [`Error::BudgetTooSmall`], saying what is needed.
    pub fn check_budget(&self) -> Result<()> {
        Budget::for_chunks(self.engine.config().memory, self.max_chunk_size).map(drop)
    }

    /// What it writes.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Reads `source` to its end, stores it as chunks, flushes the store, and returns the map.
    ///
    /// Beside the memory budget, a write needs 160 bytes for each chunk: the map is one piece.
    ///
    /// # Errors
    /// [`Error::TooShort`] for fewer than three bytes; otherwise as for the native
    /// [`Engine::write`](engine::Engine::write).
    pub async fn write<R>(&self, store: Arc<dyn ChunkStore>, source: R) -> Result<Written>
    where
        R: AsyncRead + Send,
    {
        let (meter, sink) = (self.engine.meter(), self.sink(store));
        let chunks = self.writer(0, &meter, &sink)?.write(source).await?;
        let root = DataMap::new(chunks)?;
        let map = self.shrink_with(root.clone(), &meter, &sink).await?;
        sink.flush().await?;
        Ok(Written { map, root, stats: meter.total() })
    }

    /// Stores `map` itself as chunks, and their map, until it has three: what [`write`](Self::write) does at
    /// its end.
    ///
    /// The original does this inside of itself and loses count of the levels beyond some ten thousand chunks;
    /// below, its maps are the same.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub async fn shrink(&self, store: Arc<dyn ChunkStore>, map: DataMap) -> Result<DataMap> {
        let (meter, sink) = (self.engine.meter(), self.sink(store));
        let map = self.shrink_with(map, &meter, &sink).await?;
        sink.flush().await?;
        Ok(map)
    }

    /// The data behind `map`, of either generation, whose chunks are in `store`. Fetches the maps behind it
    /// and the first chunk, which tells the generation.
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::ChunkMissing`] naming the chunk; [`Error::BadMap`] for a child that is
    /// no map, or not of the level below; [`Error::BudgetTooSmall`] for a map that does not fit; or as the
    /// store fails.
    pub async fn open(&self, store: Arc<dyn ChunkStore>, map: DataMap) -> Result<Reader> {
        Reader::open(self.source(store), map).await
    }

    /// The same for a map that the original has damaged by shrinking inside of shrinking, which happens
    /// beyond some ten thousand chunks; and how many levels had to be repaired.
    ///
    /// Only for such maps: data that happens to be a data map itself is taken for one.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_repairing(&self, store: Arc<dyn ChunkStore>, map: DataMap) -> Result<(Reader, u32)> {
        super::repair::open(self.source(store), map).await
    }

    async fn shrink_with(&self, mut map: DataMap, meter: &Meter, sink: &Sink) -> Result<DataMap> {
        while map.len() > LEAST_CHUNKS {
            let bytes = map.to_secret_bytes();
            let level = map.child().unwrap_or(0) + 1;
            let chunks = self.writer(level, meter, sink)?.write(&bytes[..]).await?;
            map = DataMap::with_child(chunks, level)?;
        }
        Ok(map)
    }

    fn writer<'a>(&'a self, level: u64, meter: &'a Meter, sink: &'a Sink) -> Result<Writer<'a>> {
        let config = self.engine.config();
        Ok(Writer {
            generation: self.generation,
            size: self.max_chunk_size,
            level,
            pool: self.engine.pool(),
            budget: Budget::for_chunks(config.memory, self.max_chunk_size)?,
            meter,
            sink,
            concurrency: config.concurrency,
        })
    }

    fn sink(&self, store: Arc<dyn ChunkStore>) -> Sink {
        let config = self.engine.config();
        Sink::new(store, config.concurrency, config.verify_present)
    }

    fn source(&self, store: Arc<dyn ChunkStore>) -> Source {
        let config = self.engine.config();
        Source {
            store,
            pool: self.engine.pool().clone(),
            meter: self.engine.meter(),
            memory: config.memory,
            concurrency: config.concurrency,
        }
    }
}
