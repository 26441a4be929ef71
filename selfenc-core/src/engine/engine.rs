//! The engine: what programs call.

use std::fmt;
use std::io::{self, Cursor};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::Stream;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;
use zeroize::Zeroizing;

use super::budget::Budget;
use super::config::EncryptionConfig;
use super::error::{Error, Result};
use super::keys::Binding;
use super::limits::INLINE;
use super::map::{Body, DataMap, Header};
use super::pool::CpuPool;
use super::progress::{Meter, Observer};
use super::read::Reader;
use super::secret::Scope;
use super::write::{Writer, Written};
use crate::store::ChunkStore;

/// Encrypts into stores and reads back. Cheap to clone; clones share the threads.
#[derive(Clone)]
pub struct Engine {
    config: EncryptionConfig,
    pool: CpuPool,
    observer: Option<Arc<dyn Observer>>,
}

impl Engine {
    /// An engine with threads of its own.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] naming a setting that is out of range; [`Error::Unsupported`] for a cache or keys,
    /// which are not an engine's; [`Error::System`] without threads.
    pub fn new(config: EncryptionConfig) -> Result<Self> {
        config.validate_for_engine()?;
        let pool = CpuPool::new(config.threads)?;
        Ok(Self { config, pool, observer: None })
    }

    /// An engine on threads that others use too; the configuration's own number does not count.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] naming a setting that is out of range; [`Error::Unsupported`] for a cache or keys.
    pub fn with_pool(config: EncryptionConfig, pool: CpuPool) -> Result<Self> {
        config.validate_for_engine()?;
        Ok(Self { config, pool, observer: None })
    }

    /// The same engine, telling `observer` of every chunk.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The same engine on the same threads, with this [budget](EncryptionConfig::with_memory_budget): for one of two
    /// that work at a time.
    #[must_use]
    pub fn with_memory_budget(mut self, bytes: u64) -> Self {
        self.config = self.config.with_memory_budget(bytes);
        self
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &EncryptionConfig {
        &self.config
    }

    /// Reads `source` to its end, stores it as chunks, flushes the store, and returns the map.
    ///
    /// Equal input, scope and configuration give an equal map and equal chunks, whatever the number of
    /// threads and however the source delivers its bytes. Dropping the future cancels: whole chunks may
    /// stay in the store, and there is no map.
    ///
    /// # Errors
    /// [`Error::BudgetTooSmall`] before anything is read; [`Error::Source`] if the input fails;
    /// [`Error::Store`] if the store does; [`Error::Cancelled`] if the observer says so. Of several
    /// failures, the one nearest the start of the input is returned.
    pub async fn write<R>(&self, store: Arc<dyn ChunkStore>, scope: &Scope, source: R) -> Result<Written>
    where
        R: AsyncRead + Send,
    {
        let budget = Budget::for_chunks(self.config.memory, self.config.chunking.max_len())?;
        let meter = Meter::new(self.observer.clone());
        let mut source = Box::pin(source);
        // Twice the longest inline input: a buffer that grows leaves copies behind.
        let mut head = Zeroizing::new(Vec::with_capacity(8 << 10));
        (&mut source).take(INLINE + 1).read_to_end(&mut head).await.map_err(Error::Source)?;
        if head.len() as u64 <= INLINE {
            return self.write_inline(head, &meter);
        }
        let source = Cursor::new(std::mem::take(&mut *head)).chain(source);
        let writer = Writer { config: &self.config, pool: &self.pool, budget, meter: &meter };
        writer.write(store, scope, source).await
    }

    /// [`write`](Self::write) of bytes in memory.
    ///
    /// # Errors
    /// As there.
    pub async fn write_bytes(
        &self,
        store: Arc<dyn ChunkStore>,
        scope: &Scope,
        data: &[u8],
    ) -> Result<Written> {
        self.write(store, scope, data).await
    }

    /// [`write`](Self::write) of a stream of byte strings of any length.
    ///
    /// # Errors
    /// As there.
    pub async fn write_stream<S>(
        &self,
        store: Arc<dyn ChunkStore>,
        scope: &Scope,
        stream: S,
    ) -> Result<Written>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        self.write(store, scope, StreamReader::new(stream)).await
    }

    /// The data behind `map`, whose chunks are in `store`. Nothing is fetched yet.
    #[must_use]
    pub fn open(&self, store: Arc<dyn ChunkStore>, map: DataMap) -> Reader {
        let meter = Meter::new(self.observer.clone());
        Reader::new(store, map, &self.config, self.pool.clone(), meter)
    }

    #[cfg(feature = "compat")]
    pub(crate) fn pool(&self) -> &CpuPool {
        &self.pool
    }

    #[cfg(feature = "compat")]
    pub(crate) fn meter(&self) -> Meter {
        Meter::new(self.observer.clone())
    }

    fn write_inline(&self, data: Zeroizing<Vec<u8>>, meter: &Meter) -> Result<Written> {
        let total = data.len() as u64;
        meter.took_inline(total)?;
        let header = Header { suite: self.config.suite, binding: Binding::Own, chunking: None, total };
        Ok(Written { map: DataMap::new(header, Body::Inline(Arc::new(data))), stats: meter.total() })
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.config)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
