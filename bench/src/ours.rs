//! selfenc, writing into the memory store and reading back through the prefetching stream.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::TryStreamExt;
use selfenc::{Compression, EncryptionConfig, Engine, MemoryStore, Scope, Suite};
use tokio::runtime::Runtime;

use crate::Result;
use crate::report::Run;

/// One configuration of ours, ready to run.
pub(crate) struct Ours {
    pub(crate) name: String,
    engine: Engine,
    runtime: Runtime,
}

impl Ours {
    /// The default configuration with this suite, and this compression if it is given. It writes
    /// in the public scope, as the peer always does.
    pub(crate) fn new(name: String, suite: Suite, compression: Option<Compression>) -> Result<Self> {
        let mut config = EncryptionConfig::new().with_suite(suite);
        if let Some(compression) = compression {
            config = config.with_compression(compression);
        }
        Ok(Self { name, engine: Engine::new(config)?, runtime: Runtime::new()? })
    }

    /// Encrypts `data` into an empty store and decrypts it again, timing both.
    pub(crate) fn round_trip(&self, data: &Bytes) -> Result<Run> {
        self.runtime.block_on(async {
            let store = Arc::new(MemoryStore::new());

            let start = Instant::now();
            let written = self.engine.write_bytes(store.clone(), &Scope::Public, data).await?;
            let encrypt = start.elapsed();

            let start = Instant::now();
            let reader = self.engine.open(store, written.map);
            let mut stream = reader.stream(0..reader.len());
            let mut back = Vec::with_capacity(data.len());
            while let Some(piece) = stream.try_next().await? {
                back.extend_from_slice(&piece);
            }
            let decrypt = start.elapsed();

            if back != *data {
                return Err(format!("{}: other bytes came back", self.name).into());
            }
            Ok(Run { encrypt, decrypt, stored: written.stats.bytes_stored })
        })
    }
}
