//! What the objects of this module work with: an engine, and the settings that are not an engine's.

use std::sync::Arc;

use super::error::{Error, Result};
use super::functions::SelfEncryption;
use super::keys::{KeyConfig, KeyStore};
use super::memory::CacheConfig;
use crate::store::ChunkStore;
use crate::wrap::Cache;
use crate::{CpuPool, EncryptionConfig, Engine};

#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) engine: Engine,
    pool: CpuPool,
    cache: Option<CacheConfig>,
    keys: Option<KeyConfig>,
}

impl Setup {
    /// On threads of its own, if there is a number of them; else on those that all objects share.
    pub(super) fn new(config: EncryptionConfig) -> Result<Self> {
        config.validate()?;
        let pool = match config.threads() {
            0 => SelfEncryption::pool()?,
            threads => CpuPool::new(threads)?,
        };
        Self::with_pool(config, pool)
    }

    pub(super) fn with_pool(mut config: EncryptionConfig, pool: CpuPool) -> Result<Self> {
        config.validate()?;
        let (cache, keys) = config.take_outer();
        Ok(Self { engine: Engine::with_pool(config, pool.clone())?, pool, cache, keys })
    }

    /// An engine that leaves memory to chunks that are held, half of it if it can; and how many bytes it leaves.
    pub(super) fn sharing_memory(&self) -> Result<(Engine, u64)> {
        let budget = self.engine.config().memory_budget();
        let config = |memory| self.engine.config().clone().with_memory_budget(memory);
        let memory = match config(budget / 2).check_budget() {
            Err(crate::Error::BudgetTooSmall { needed, .. }) => needed.min(budget),
            _ => budget / 2,
        };
        Ok((Engine::with_pool(config(memory), self.pool.clone())?, budget - memory))
    }

    /// The store to read from, in its cache if there is to be one.
    pub(super) fn reading(&self, store: Arc<dyn ChunkStore>) -> Arc<dyn ChunkStore> {
        let Some(CacheConfig { capacity, ttl }) = self.cache else { return store };
        let bytes = self.engine.config().chunk_cache();
        Arc::new(Cache::new(store, bytes).with_max_entries(capacity).with_ttl(ttl))
    }

    /// Checks that there is no cache where none would be of use.
    pub(super) fn refuse_cache(&self, why: &str) -> Result<()> {
        match self.cache {
            Some(_) => {
                Err(Error::Unsupported(format!("cache: {why}; it is for a StreamDecryptor with a store")))
            }
            None => Ok(()),
        }
    }

    /// Checks that the key store, or its absence, is what the settings ask for.
    pub(super) fn check_keys(&self, keys: Option<&KeyStore>) -> Result<()> {
        match (&self.keys, keys) {
            (None, _) => Ok(()),
            (Some(asked), Some(keys)) if asked == keys.config() => Ok(()),
            (Some(_), Some(_)) => {
                Err(Error::InvalidConfig("keys: the key store was made with other settings".into()))
            }
            (Some(_), None) => Err(Error::Unsupported(
                "keys: no key store is there to seal the data map; give a SelfEncryptor one with seal_with, or \
                 seal the map with KeyStore::seal"
                    .into(),
            )),
        }
    }
}
