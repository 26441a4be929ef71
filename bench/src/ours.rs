//! selfenc, writing into the memory store and reading back into one buffer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use selfenc::compat::{self, Generation};
use selfenc::{Compression, EncryptionConfig, Engine, Error, MemoryStore, Scope, Suite};
use tokio::runtime::Runtime;

use crate::Result;
use crate::report::Run;

/// One configuration of ours, ready to run.
pub(crate) struct Ours {
    pub(crate) name: String,
    engine: AnyEngine,
    runtime: Runtime,
}

enum AnyEngine {
    Native(Engine),
    /// Writes what the peer writes.
    Compat(compat::Engine),
}

impl Ours {
    /// The default configuration with this suite, and this compression if it is given. It writes
    /// in the public scope, as the peer always does.
    pub(crate) fn new(name: String, suite: Suite, compression: Option<Compression>) -> Result<Self> {
        let mut config = EncryptionConfig::new().with_suite(suite);
        if let Some(compression) = compression {
            config = config.with_compression(compression);
        }
        Ok(Self { name, engine: AnyEngine::Native(Engine::new(config)?), runtime: Runtime::new()? })
    }

    /// A format of self_encryption, in chunks as large as the peer's.
    pub(crate) fn compat(generation: Generation) -> Result<Self> {
        let engine = Engine::new(EncryptionConfig::new())?;
        let engine = compat::Engine::new(&engine, generation)
            .with_max_chunk_size(Generation::Two.default_max_chunk_size())?;
        Ok(Self { name: generation.to_string(), engine: AnyEngine::Compat(engine), runtime: Runtime::new()? })
    }

    /// Encrypts `data` into an empty store and decrypts it again, timing both.
    pub(crate) fn round_trip(&self, data: &Bytes) -> Result<Run> {
        self.runtime.block_on(async {
            let store = Arc::new(MemoryStore::new());

            let start = Instant::now();
            let (map, stored) = self.write(&store, data).await?;
            let encrypt = start.elapsed();

            let start = Instant::now();
            let back = self.read(&store, map.clone()).await?;
            let decrypt = start.elapsed();

            if back != *data {
                return Err(format!("{}: other bytes came back", self.name).into());
            }
            drop(back);

            let start = Instant::now();
            let mut pieces = self.stream(&store, map).await?;
            let mut streamed = 0;
            while let Some(piece) = pieces.try_next().await? {
                streamed += piece.len();
            }
            let stream = start.elapsed();

            if streamed != data.len() {
                return Err(format!("{}: other bytes were streamed", self.name).into());
            }
            Ok(Run { encrypt, decrypt, stream, stored })
        })
    }

    /// Encrypts `data` into one store as often as is said, and times each.
    pub(crate) fn encrypt(&self, data: &Bytes, times: usize) -> Result<Vec<Duration>> {
        self.runtime.block_on(async {
            let store = Arc::new(MemoryStore::new());
            let mut took = Vec::new();
            for _ in 0..times {
                let start = Instant::now();
                self.write(&store, data).await?;
                took.push(start.elapsed());
            }
            Ok(took)
        })
    }

    async fn write(&self, store: &Arc<MemoryStore>, data: &[u8]) -> Result<(compat::AnyMap, u64)> {
        Ok(match &self.engine {
            AnyEngine::Native(engine) => {
                let written = engine.write_bytes(store.clone(), &Scope::Public, data).await?;
                (compat::AnyMap::Native(written.map), written.stats.bytes_stored)
            }
            AnyEngine::Compat(engine) => {
                let written = engine.write(store.clone(), data).await?;
                (compat::AnyMap::Compat(written.map), written.stats.bytes_stored)
            }
        })
    }

    async fn read(&self, store: &Arc<MemoryStore>, map: compat::AnyMap) -> Result<Bytes> {
        Ok(match (&self.engine, map) {
            (AnyEngine::Native(engine), compat::AnyMap::Native(map)) => {
                engine.open(store.clone(), map).read_at(0, usize::MAX).await?
            }
            (AnyEngine::Compat(engine), compat::AnyMap::Compat(map)) => {
                engine.open(store.clone(), map).await?.read_at(0, usize::MAX).await?
            }
            _ => unreachable!("an engine reads what it wrote"),
        })
    }

    async fn stream(
        &self,
        store: &Arc<MemoryStore>,
        map: compat::AnyMap,
    ) -> Result<BoxStream<'static, Result<Bytes, Error>>> {
        Ok(match (&self.engine, map) {
            (AnyEngine::Native(engine), compat::AnyMap::Native(map)) => {
                let reader = engine.open(store.clone(), map);
                reader.stream(0..reader.len())
            }
            (AnyEngine::Compat(engine), compat::AnyMap::Compat(map)) => {
                let reader = engine.open(store.clone(), map).await?;
                reader.stream(0..reader.len())
            }
            _ => unreachable!("an engine reads what it wrote"),
        })
    }
}
