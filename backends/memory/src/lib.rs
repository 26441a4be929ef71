//! Chunks and roots in memory: the store for tests, examples and caches, and the model that other stores
//! are compared with. A second opening of one store is a clone of it; the URL `memory:` is a new store each
//! time.
//!
//! ```
//! use bytes::Bytes;
//! use selfenc_core::store::{ChunkId, ChunkStore, PutOutcome};
//! use selfenc_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> selfenc_core::store::Result<()> {
//! let store = MemoryStore::new();
//! let id = ChunkId::from_bytes([7; 32]);
//! assert_eq!(store.put(id, Bytes::from_static(b"bytes")).await?, PutOutcome::Inserted);
//! assert_eq!(store.get(id).await?.as_deref(), Some(&b"bytes"[..]));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod config;
mod roots;
mod store;

pub use config::MemoryFactory;
pub use store::MemoryStore;
