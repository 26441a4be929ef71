use std::fmt;
use std::sync::Arc;

use super::chunk::Chunk;
use super::chunk_store::AnyStore;
use super::error::Result;
use super::functions::wait;
use super::held::Held;
use super::keys::KeyStore;
use super::setup::Setup;
use crate::blocking;
use crate::{Bytes, CpuPool, DataMap, EncryptionConfig, Scope};

/// Encrypts data that is in memory, or decrypts it, in one call.
///
/// ```
/// use selfenc::classic::SelfEncryptor;
/// # fn main() -> selfenc::classic::error::Result<()> {
///
/// let encryptor = SelfEncryptor::new("Hello, World! ".repeat(1000))?;
/// let (data_map, chunks) = encryptor.encrypt()?;
///
/// let decryptor = SelfEncryptor::from_data_map(data_map, chunks)?;
/// assert_eq!(decryptor.decrypt()?, "Hello, World! ".repeat(1000));
/// # Ok(())
/// # }
/// ```
///
/// The scope is [`Scope::Public`]: everyone who encrypts the same data gets the same chunks, and who sees them can
/// confirm a guess of it. [`Engine`](crate::Engine) has the others.
///
/// Its calls block. They may be made inside an async runtime too, except with a store of this crate (an
/// `Arc<dyn Backend>`), which needs the runtime for itself: [`StreamEncryptor`](super::streaming::StreamEncryptor)
/// is for there.
#[derive(Debug)]
pub struct SelfEncryptor<What = Plain>(What);

/// Why there is no cache.
pub(super) const ENCRYPTING: &str = "encrypting reads nothing back";

/// A [`SelfEncryptor`] that has data, and encrypts it.
pub struct Plain {
    data: Bytes,
    setup: Setup,
    store: Option<AnyStore>,
}

/// A [`SelfEncryptor`] that encrypts, and seals the data map.
#[derive(Debug)]
pub struct Sealing {
    plain: Plain,
    keys: Arc<KeyStore>,
}

/// A [`SelfEncryptor`] that has chunks and their map, and decrypts them.
pub struct Encrypted {
    map: DataMap,
    held: Held,
    setup: Setup,
}

impl SelfEncryptor {
    /// With the default configuration, and no store.
    ///
    /// # Errors
    /// [`Error::Encryption`](super::error::Error::Encryption) without threads.
    pub fn new(data: impl Into<Bytes>) -> Result<Self> {
        Self::with_config(data, EncryptionConfig::new())
    }

    /// With this configuration, which is checked here.
    ///
    /// ```
    /// use selfenc::EncryptionConfig;
    /// use selfenc::classic::{CompressionConfig, ParallelConfig, SelfEncryptor};
    /// # fn main() -> selfenc::classic::error::Result<()> {
    ///
    /// let config = EncryptionConfig::new()
    ///     .with_chunk_size(64 << 10)
    ///     .with_min_chunks(3)
    ///     .with_compression(CompressionConfig { algorithm: "zstd", level: 3 })
    ///     .with_parallel(ParallelConfig { max_threads: 2, chunk_size: 64 << 10 });
    /// let (data_map, chunks) = SelfEncryptor::with_config(vec![7; 100_000], config)?.encrypt()?;
    /// // Three parts of the data, of which two are equal.
    /// assert_eq!(data_map.len(), 100_000);
    /// assert!(chunks.len() <= 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidConfig`](super::error::Error::InvalidConfig) naming the setting and its range;
    /// [`Error::Unsupported`](super::error::Error::Unsupported) for a cache: nothing is read back.
    pub fn with_config(data: impl Into<Bytes>, config: EncryptionConfig) -> Result<Self> {
        let setup = Setup::new(config)?;
        setup.refuse_cache(ENCRYPTING)?;
        Ok(Self::from_setup(data.into(), setup))
    }

    /// With a store that the chunks go to as well: a [`ChunkStore`](super::ChunkStore) of your own, or any store
    /// of this crate.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_store(data: impl Into<Bytes>, store: impl Into<AnyStore>) -> Result<Self> {
        Self::new(data)?.store_in(store)
    }

    /// The same encryptor with a store, for one that has a configuration of its own.
    ///
    /// # Errors
    /// None today.
    pub fn store_in(mut self, store: impl Into<AnyStore>) -> Result<Self> {
        self.0.store = Some(store.into());
        Ok(self)
    }

    /// The same encryptor, whose data map comes back sealed.
    ///
    /// ```
    /// use selfenc::EncryptionConfig;
    /// use selfenc::classic::SelfEncryptor;
    /// use selfenc::classic::keys::{KeyConfig, KeyStore};
    /// # fn main() -> selfenc::classic::error::Result<()> {
    ///
    /// let settings = KeyConfig { min_entropy: 256, quantum_safe: true, ..KeyConfig::default() };
    /// let config = EncryptionConfig::new().with_keys(settings);
    /// let encryptor = SelfEncryptor::with_config(vec![7; 100_000], config)?;
    /// let (sealed, chunks) = encryptor.seal_with(KeyStore::new(settings)?)?.encrypt()?;
    /// assert!(KeyStore::is_sealed(&sealed));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidConfig`](super::error::Error::InvalidConfig) if the configuration asks for a key store of
    /// other settings.
    pub fn seal_with(self, keys: impl Into<Arc<KeyStore>>) -> Result<SelfEncryptor<Sealing>> {
        let keys = keys.into();
        self.0.setup.check_keys(Some(&keys))?;
        Ok(SelfEncryptor(Sealing { plain: self.0, keys }))
    }

    /// The data map, and every chunk once: those of the data in its order, then those of the map, if it is large.
    ///
    /// With a store, they are written to it as well and flushed before this returns.
    ///
    /// # Errors
    /// [`Error::ChunkStore`](super::error::Error::ChunkStore) as the store fails;
    /// [`Error::Unsupported`](super::error::Error::Unsupported) if the configuration has keys and no key store was
    /// given.
    pub fn encrypt(&self) -> Result<(DataMap, Vec<Chunk>)> {
        self.0.setup.check_keys(None)?;
        self.0.encrypt()
    }

    pub(super) fn with_pool(data: Bytes, pool: CpuPool) -> Result<Self> {
        Ok(Self::from_setup(data, Setup::with_pool(EncryptionConfig::new(), pool)?))
    }

    fn from_setup(data: Bytes, setup: Setup) -> Self {
        Self(Plain { data, setup, store: None })
    }
}

impl SelfEncryptor<Sealing> {
    /// With a key store, under whose newest epoch the data map is sealed.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use selfenc::classic::SelfEncryptor;
    /// use selfenc::classic::keys::{KeyConfig, KeyStore};
    /// # fn main() -> selfenc::classic::error::Result<()> {
    ///
    /// let keys = Arc::new(KeyStore::new(KeyConfig::default())?);
    /// let (sealed, chunks) = SelfEncryptor::with_key_store(vec![7; 100_000], Arc::clone(&keys))?.encrypt()?;
    ///
    /// let data_map = keys.unseal(&sealed)?;
    /// assert_eq!(SelfEncryptor::from_data_map(data_map, chunks)?.decrypt()?, vec![7; 100_000]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`SelfEncryptor::new`].
    pub fn with_key_store(data: impl Into<Bytes>, keys: impl Into<Arc<KeyStore>>) -> Result<Self> {
        SelfEncryptor::new(data)?.seal_with(keys)
    }

    /// The sealed data map, and the chunks as [`SelfEncryptor::encrypt`] gives them.
    ///
    /// # Errors
    /// As there, and if there is no randomness.
    pub fn encrypt(&self) -> Result<(Vec<u8>, Vec<Chunk>)> {
        let (map, chunks) = self.0.plain.encrypt()?;
        Ok((self.0.keys.seal(&map)?, chunks))
    }
}

impl SelfEncryptor<Encrypted> {
    /// With a data map and its chunks, in any order; others may be among them.
    ///
    /// # Errors
    /// As for [`SelfEncryptor::new`].
    pub fn from_data_map(data_map: DataMap, chunks: impl IntoIterator<Item = Chunk>) -> Result<Self> {
        let setup = Setup::new(EncryptionConfig::new())?;
        Ok(Self(Encrypted { map: data_map, held: Held::of(chunks), setup }))
    }

    /// The data.
    ///
    /// # Errors
    /// [`Error::InvalidData`](super::error::Error::InvalidData) naming the chunk that is missing or damaged.
    pub fn decrypt(&self) -> Result<Bytes> {
        let Encrypted { map, held, setup } = &self.0;
        let reader = setup.engine.open(held.before(None), map.clone());
        Ok(wait(reader.read_at(0, usize::MAX))?)
    }
}

impl Plain {
    fn encrypt(&self) -> Result<(DataMap, Vec<Chunk>)> {
        let Self { data, setup, store } = self;
        let held = Held::up_to(u64::MAX);
        let engine = &setup.engine;
        let on_the_spot = store.as_ref().map(AnyStore::on_the_spot);
        let map = match (store, on_the_spot) {
            (Some(store), Some(None)) => {
                let engine = blocking::Engine::from_engine(engine.clone())?;
                let store = held.before(Some(store.clone().into_store()));
                engine.write_bytes(store, &Scope::Public, data)?.map
            }
            (_, on_the_spot) => {
                let store = held.before(on_the_spot.flatten());
                wait(engine.write_bytes(store, &Scope::Public, data))?.map
            }
        };
        let chunks = wait(held.take(engine, &map))?;
        Ok((map, chunks))
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain")
            .field("len", &self.data.len())
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted").field("map", &self.map).finish_non_exhaustive()
    }
}
