//! Stores of one's own, which are synchronous, and every other store, behind one type.

use std::sync::{Arc, PoisonError, RwLock};

use sha3::{Digest, Sha3_256};
use tokio::runtime::Handle;

use super::bare::{Bare, PutGet};
use super::error::{Error, Result};
use super::memory::CacheConfig;
use crate::store::{self, Backend, ChunkId, ErrorKind, StoreInfo, off_the_executor};
use crate::{Bytes, async_trait};

/// A store of your own, for chunks under their hashes.
///
/// ```
/// use std::collections::HashMap;
/// use selfenc::classic::error::{Error, Result};
/// use selfenc::classic::{ChunkInfo, ChunkStore, SelfEncryptor};
///
/// #[derive(Default)]
/// struct Shelf(HashMap<ChunkInfo, Vec<u8>>);
///
/// impl ChunkStore for Shelf {
///     fn store(&mut self, data: &[u8]) -> Result<ChunkInfo> {
///         let info = ChunkInfo::of(data);
///         self.0.insert(info, data.to_vec());
///         Ok(info)
///     }
///
///     fn retrieve(&self, info: &ChunkInfo) -> Result<Vec<u8>> {
///         self.0.get(info).cloned().ok_or_else(|| Error::InvalidData("it is not on the shelf".into()))
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let encryptor = SelfEncryptor::with_store(vec![7; 100_000], Shelf::default())?;
/// let (data_map, chunks) = encryptor.encrypt()?;
/// assert_eq!(SelfEncryptor::from_data_map(data_map, chunks)?.decrypt()?, vec![7; 100_000]);
/// # Ok(())
/// # }
/// ```
///
/// Its methods may block. Stores that are to keep data for good are better written against
/// [`store::ChunkStore`](crate::store::ChunkStore), which has a suite of tests for them.
pub trait ChunkStore {
    /// Keeps a chunk, and says under which hash: that of [`ChunkInfo::of`]. Another one is noticed, and fails
    /// the encryption.
    ///
    /// # Errors
    /// Whatever stands in the way, as [`Error::chunk_store`].
    fn store(&mut self, data: &[u8]) -> Result<ChunkInfo>;

    /// The chunk that was stored under this hash. Other bytes are noticed, and fail the decryption.
    ///
    /// # Errors
    /// [`Error::InvalidData`] if it is not there; whatever else stands in the way, as [`Error::chunk_store`].
    fn retrieve(&self, info: &ChunkInfo) -> Result<Vec<u8>>;
}

/// What a [`ChunkStore`] knows a chunk by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkInfo {
    /// The hash of the chunk's bytes.
    pub hash: [u8; 32],
}

impl ChunkInfo {
    /// The SHA3-256 of these bytes, which is how the default suite names a chunk.
    /// ([`Suite::Blake3ChaCha20Poly1305`](crate::Suite::Blake3ChaCha20Poly1305) names it by its BLAKE3 hash.)
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        Self { hash: Sha3_256::digest(data).into() }
    }
}

/// Any store that the objects of this module take: a [`ChunkStore`] of your own, or a store of this crate in an
/// `Arc`. Clones are the same store.
///
/// ```
/// use std::sync::Arc;
/// use selfenc::MemoryStore;
/// use selfenc::classic::SelfEncryptor;
/// use selfenc::store::Backend;
/// # fn main() -> selfenc::classic::error::Result<()> {
///
/// let store: Arc<dyn Backend> = Arc::new(MemoryStore::new());
/// let (data_map, chunks) = SelfEncryptor::with_store(vec![7; 100_000], store)?.encrypt()?;
/// # assert_eq!((data_map.len(), chunks.len()), (100_000, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AnyStore {
    store: Arc<dyn store::ChunkStore>,
    needs_runtime: bool,
}

impl AnyStore {
    /// With a cache in front of it, of chunks as they are stored.
    pub(super) fn cached(self, bytes: u64, cache: CacheConfig) -> Self {
        let cache =
            crate::wrap::Cache::new(self.store, bytes).with_max_entries(cache.capacity).with_ttl(cache.ttl);
        Self { store: Arc::new(cache), ..self }
    }

    /// Whether it is of this crate, and may count on the runtime of tokio.
    pub(super) fn needs_runtime(&self) -> bool {
        self.needs_runtime
    }

    pub(super) fn into_store(self) -> Arc<dyn store::ChunkStore> {
        self.store
    }
}

impl<S: ChunkStore + Send + Sync + 'static> From<S> for AnyStore {
    fn from(store: S) -> Self {
        Self { store: Arc::new(Bare(Own(Arc::new(RwLock::new(store))))), needs_runtime: false }
    }
}

impl From<Arc<dyn Backend>> for AnyStore {
    fn from(store: Arc<dyn Backend>) -> Self {
        Self { store, needs_runtime: true }
    }
}

impl From<Arc<dyn store::ChunkStore>> for AnyStore {
    fn from(store: Arc<dyn store::ChunkStore>) -> Self {
        Self { store, needs_runtime: true }
    }
}

impl<S: store::ChunkStore> From<Arc<S>> for AnyStore {
    fn from(store: Arc<S>) -> Self {
        Self { store, needs_runtime: true }
    }
}

/// A store of the caller's own as one of ours.
struct Own<S>(Arc<RwLock<S>>);

impl<S: ChunkStore + Send + Sync + 'static> Own<S> {
    /// Off the executor if there is one.
    async fn call<T: Send + 'static>(
        &self,
        op: &'static str,
        call: impl FnOnce(&RwLock<S>) -> store::Result<T> + Send + 'static,
    ) -> store::Result<T> {
        if Handle::try_current().is_err() {
            return call(&self.0);
        }
        let store = Arc::clone(&self.0);
        off_the_executor(op, move || call(&store)).await
    }
}

fn failed(op: &'static str, id: ChunkId, e: Error) -> store::Error {
    store::Error::new(ErrorKind::Other, op, e.to_string()).with_chunk(id).with_source(e)
}

#[async_trait]
impl<S: ChunkStore + Send + Sync + 'static> PutGet for Own<S> {
    fn info(&self) -> StoreInfo {
        StoreInfo::backend("own", std::any::type_name::<S>())
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> store::Result<()> {
        let put = move |store: &RwLock<S>| {
            let mut store = store.write().unwrap_or_else(PoisonError::into_inner);
            let found = ChunkId::from_bytes(store.store(&data).map_err(|e| failed("put", id, e))?.hash);
            if found == id {
                return Ok(());
            }
            let message = format!("the store calls it {}, which is not its hash", found.short());
            Err(store::Error::new(ErrorKind::InvalidInput, "put", message).with_chunk(id))
        };
        self.call("put", put).await
    }

    async fn get(&self, id: ChunkId) -> store::Result<Option<Bytes>> {
        let get = move |store: &RwLock<S>| {
            let store = store.read().unwrap_or_else(PoisonError::into_inner);
            match store.retrieve(&ChunkInfo { hash: *id.as_bytes() }) {
                Ok(data) => Ok(Some(Bytes::from(data))),
                Err(Error::InvalidData(_)) => Ok(None),
                Err(e) => Err(failed("get", id, e)),
            }
        };
        self.call("get", get).await
    }
}
