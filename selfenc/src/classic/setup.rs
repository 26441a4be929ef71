//! What the objects of this module work with: an engine, and the settings that are not an engine's.

use super::chunk_store::AnyStore;
use super::error::{Error, Result};
use super::functions::SelfEncryption;
use super::keys::{KeyConfig, KeyStore};
use super::memory::CacheConfig;
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

    /// An engine that leaves half of the memory to others, as far as one can do with that.
    pub(super) fn engine_of_half_the_memory(&self) -> Result<Engine> {
        let config = self.engine.config().clone();
        let half = config.memory_budget() / 2;
        let config = config.with_memory_budget(half);
        match config.check_budget() {
            Ok(()) => Ok(Engine::with_pool(config, self.pool.clone())?),
            Err(_) => Ok(self.engine.clone()),
        }
    }

    /// The store, in its cache if there is to be one.
    pub(super) fn store(&self, store: AnyStore) -> AnyStore {
        match self.cache {
            Some(cache) => store.cached(self.engine.config().chunk_cache(), cache),
            None => store,
        }
    }

    /// Checks that there is a store for the cache.
    pub(super) fn check_cache(&self, has_store: bool) -> Result<()> {
        if self.cache.is_some() && !has_store {
            return Err(Error::Unsupported(
                "cache: there is no store to put it in front of; give one".into(),
            ));
        }
        Ok(())
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
