//! selfenc encrypts any data with keys made from the data itself, cuts it into chunks that deduplicate,
//! and keeps the chunks in any store.
//!
//! This crate is what programs depend on: it brings together the engine, the contract of stores
//! ([`store`]) and the backends, one feature each. `memory` and `fs` are on by default.
//!
//! # Encrypt and decrypt
//!
//! ```
//! use std::sync::Arc;
//! use selfenc::{Engine, EncryptionConfig, MemoryStore, Scope};
//! # #[tokio::main]
//! # async fn main() -> selfenc::Result<()> {
//! # let input = vec![7; 3 << 20];
//! let store = Arc::new(MemoryStore::new());
//! let engine = Engine::new(EncryptionConfig::new())?;
//! let written = engine.write_bytes(store.clone(), &Scope::Private, &input).await?;
//! let reader = engine.open(store, written.map);
//! let output = reader.read_at(0, input.len()).await?;
//! # assert_eq!(output, input);
//! # Ok(())
//! # }
//! ```
//!
//! [`Engine::write`] takes any `AsyncRead` of any length in constant memory, and [`Reader::stream`] gives
//! the data back the same way. The [`DataMap`] is all that is needed to read, and therefore a secret: keep
//! [`DataMap::to_secret_bytes`] as you would the data, or [`DataMap::seal`] it under a [`SealKey`].
//!
//! # Read a part
//!
//! Only the chunks that the range touches are fetched, and every one is checked before a byte of it is
//! handed out.
//!
//! ```
//! # use std::sync::Arc;
//! # use selfenc::{Engine, EncryptionConfig, MemoryStore, Scope};
//! # #[tokio::main]
//! # async fn main() -> selfenc::Result<()> {
//! # let store = Arc::new(MemoryStore::new());
//! let engine = Engine::new(EncryptionConfig::new().with_chunk_size(64 << 10))?;
//! let input: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
//! let map = engine.write_bytes(store.clone(), &Scope::Private, &input).await?.map;
//!
//! let part = engine.open(store, map).read_at(500_000, 1000).await?;
//! assert_eq!(part, &input[500_000..501_000]);
//! # Ok(())
//! # }
//! ```
//!
//! # Choose who shares chunks
//!
//! A [`Scope`] says who can deduplicate with whom, and therefore who can confirm a guessed file. With a
//! [`GroupSecret`] it is the holders of that secret, and nobody else; it is not needed for reading.
//!
//! ```
//! # use std::sync::Arc;
//! # use selfenc::{Engine, EncryptionConfig, MemoryStore};
//! use selfenc::{GroupSecret, Scope};
//! # #[tokio::main]
//! # async fn main() -> selfenc::Result<()> {
//! # let store = Arc::new(MemoryStore::new());
//! # let engine = Engine::new(EncryptionConfig::new())?;
//! # let input = vec![7; 3 << 20];
//! let ours = Scope::Group(GroupSecret::generate()?);
//! let theirs = Scope::Group(GroupSecret::generate()?);
//!
//! let first = engine.write_bytes(store.clone(), &ours, &input).await?;
//! let again = engine.write_bytes(store.clone(), &ours, &input).await?;
//! let other = engine.write_bytes(store.clone(), &theirs, &input).await?;
//! assert!(first.stats.bytes_stored > 0);
//! assert_eq!(again.stats.bytes_stored, 0);
//! assert_eq!(other.stats.bytes_stored, first.stats.bytes_stored);
//! # Ok(())
//! # }
//! ```
//!
//! # Open a store by its URL
//!
//! [`open_store`] opens what this build knows; [`registry`] is the list, and takes further backends.
//!
//! ```
//! use std::sync::Arc;
//! use selfenc::async_trait;
//! use selfenc::store::{Backend, OpenMode, Result, StoreFactory, StoreUrl};
//!
//! /// `scratch:` is a fresh store in memory.
//! #[derive(Debug)]
//! struct Scratch;
//!
//! #[async_trait]
//! impl StoreFactory for Scratch {
//!     fn scheme(&self) -> &'static str {
//!         "scratch"
//!     }
//!     async fn open(&self, _url: &StoreUrl, _mode: OpenMode) -> Result<Arc<dyn Backend>> {
//!         Ok(Arc::new(selfenc::MemoryStore::new()))
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<()> {
//! let registry = selfenc::registry().register(Scratch);
//! let store = registry.open("scratch:", OpenMode::Create).await?;
//! # assert!(store.capabilities().roots);
//! # Ok(())
//! # }
//! ```
//!
//! Stores beside memory and folders are features: `sqlite`, `sled`, `s3` (with `s3-credentials-chain` for
//! profiles and roles of AWS), `object-store` (any store of the crate `object_store`), and on top of it
//! `gcp`, `azure` and `http` for clouds by URL.
//!
//! # For programs that speak `object_store`
//!
//! With the feature `object-store-adapter`, `ObjectStoreAdapter` is an `object_store::ObjectStore` whose
//! objects are encrypted and deduplicated over any of these stores.
//!
//! # Put retries, limits and caches around a store
//!
//! The module [`wrap`] has stores around stores: [`Limit`](wrap::Limit), [`Timeout`](wrap::Timeout),
//! [`Retry`](wrap::Retry), [`Cache`](wrap::Cache), [`Mirror`](wrap::Mirror) and more. [`StoreSpec`] puts them
//! around a store by URL, and a `toml:` URL names a file that describes the same.
//!
//! # Data of self_encryption
//!
//! [`compat`] reads and writes what that crate does, in any store; [`classic`] has its functions by their names.
//!
//! # Without async
//!
//! [`blocking`] has the same engine and reader for programs that have no async runtime.
#![forbid(unsafe_code)]

#[cfg(feature = "classic")]
pub mod classic;
mod open;
mod spec;

pub use open::{open_store, registry};
#[cfg(feature = "compat")]
pub use selfenc_core::compat;
pub use selfenc_core::engine::{
    Binding, CacheConfig, ChunkInfo, Chunking, Compression, CompressionConfig, CpuPool, DataMap,
    EncryptionConfig, Engine, Error, FAN, GroupSecret, INLINE, KeyConfig, MAX_LEN, MAX_LEVEL, MAX_STORED,
    MapError, MemoryConfig, Observer, ParallelConfig, Progress, ReadHandle, Reader, Result, Scope, SealKey,
    Suite, Verified, Written, blocking, name_matches,
};
pub use selfenc_core::{Bytes, async_trait, store, wrap};
pub use spec::StoreSpec;
#[cfg(feature = "toml")]
pub use spec::TomlFactory;

#[cfg(feature = "fs")]
pub use selfenc_fs::{FsConfig, FsFactory, FsStore};
#[cfg(feature = "memory")]
pub use selfenc_memory::{MemoryFactory, MemoryStore};
#[cfg(feature = "object-store")]
pub use selfenc_object_store::{ObjectBackend, ObjectStoreConfig, ObjectStoreFactory};
#[cfg(feature = "object-store-adapter")]
pub use selfenc_object_store_adapter::ObjectStoreAdapter;
#[cfg(feature = "s3")]
pub use selfenc_s3::{self as s3, S3Backend, S3Config, S3Factory};
#[cfg(feature = "sled")]
pub use selfenc_sled::{SledConfig, SledFactory, SledStore};
#[cfg(feature = "sqlite")]
pub use selfenc_sqlite::{SqliteConfig, SqliteFactory, SqliteStore};
