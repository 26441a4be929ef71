//! Stores of one's own, which are synchronous, and every other store, behind one type.

use std::sync::{Arc, PoisonError, RwLock};

use sha3::{Digest, Sha3_256};
use tokio::runtime::Handle;

use super::bare::{Bare, PutGet};
use super::error::{Error, Result};
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
pub struct AnyStore(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// The caller's own, for calls that block their thread and for such as must not.
    Own { on_the_spot: Arc<dyn store::ChunkStore>, off_the_executor: Arc<dyn store::ChunkStore> },
    /// Of this crate, which may count on the runtime of tokio.
    Ours(Arc<dyn store::ChunkStore>),
}

impl AnyStore {
    /// For async programs.
    pub(super) fn into_store(self) -> Arc<dyn store::ChunkStore> {
        match self.0 {
            Kind::Own { off_the_executor, .. } => off_the_executor,
            Kind::Ours(store) => store,
        }
    }

    /// For a call that blocks its thread, if that can drive it: a store of this crate wants a runtime.
    pub(super) fn on_the_spot(&self) -> Option<Arc<dyn store::ChunkStore>> {
        match &self.0 {
            Kind::Own { on_the_spot, .. } => Some(Arc::clone(on_the_spot)),
            Kind::Ours(_) => None,
        }
    }
}

impl<S: ChunkStore + Send + Sync + 'static> From<S> for AnyStore {
    fn from(store: S) -> Self {
        let store = Arc::new(RwLock::new(store));
        let own = |on_the_spot| Arc::new(Bare(Own { store: Arc::clone(&store), on_the_spot }));
        Self(Kind::Own { on_the_spot: own(true), off_the_executor: own(false) })
    }
}

impl From<Arc<dyn Backend>> for AnyStore {
    fn from(store: Arc<dyn Backend>) -> Self {
        Self(Kind::Ours(store))
    }
}

impl From<Arc<dyn store::ChunkStore>> for AnyStore {
    fn from(store: Arc<dyn store::ChunkStore>) -> Self {
        Self(Kind::Ours(store))
    }
}

impl<S: store::ChunkStore> From<Arc<S>> for AnyStore {
    fn from(store: Arc<S>) -> Self {
        Self(Kind::Ours(store))
    }
}

/// A store of the caller's own as one of ours.
struct Own<S> {
    store: Arc<RwLock<S>>,
    on_the_spot: bool,
}

impl<S: ChunkStore + Send + Sync + 'static> Own<S> {
    /// On this thread, if it is blocked anyway or there is no executor; else on another one.
    async fn call<T: Send + 'static>(
        &self,
        op: &'static str,
        call: impl FnOnce(&RwLock<S>) -> store::Result<T> + Send + 'static,
    ) -> store::Result<T> {
        if self.on_the_spot || Handle::try_current().is_err() {
            return call(&self.store);
        }
        let store = Arc::clone(&self.store);
        off_the_executor(op, move || call(&store)).await
    }
}

/// Nobody knows how far a call came that panicked.
fn poisoned<T>(op: &'static str) -> impl FnOnce(PoisonError<T>) -> store::Error {
    move |_| store::Error::new(ErrorKind::Closed, op, "an earlier call of the store has panicked")
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
            let mut store = store.write().map_err(poisoned("put"))?;
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
            let store = store.read().map_err(poisoned("get"))?;
            match store.retrieve(&ChunkInfo { hash: *id.as_bytes() }) {
                Ok(data) => Ok(Some(Bytes::from(data))),
                Err(Error::InvalidData(_)) => Ok(None),
                Err(e) => Err(failed("get", id, e)),
            }
        };
        self.call("get", get).await
    }
}
