//! Data of [self_encryption](https://docs.rs/self_encryption), read and written bit for bit.
//!
//! Two [generations](Generation) of its releases differ in hash and cipher. Both cut an input into three chunks
//! or more, compress each, and make its key from the hashes of its own content and that of two neighbours. Where
//! its programs check nothing, everything is checked here: names, sizes, hashes, levels.
//!
//! ```
//! use std::sync::Arc;
//! use selfenc_core::compat::{DataMap, Engine, Generation};
//! use selfenc_core::engine::{self, EncryptionConfig};
//! # use selfenc_core::store::ChunkStore;
//!
//! # async fn example(store: Arc<dyn ChunkStore>) -> engine::Result<()> {
//! let native = engine::Engine::new(EncryptionConfig::new())?;
//! let engine = Engine::new(&native, Generation::Two);
//! let written = engine.write(Arc::clone(&store), &b"some bytes"[..]).await?;
//! let file = written.map.to_secret_bytes();
//!
//! let reader = engine.open(store, DataMap::from_bytes(&file)?).await?;
//! assert_eq!(reader.read_at(5, 100).await?, &b"bytes"[..]);
//! # Ok(())
//! # }
//! ```

mod any_map;
mod brotli;
mod chunk;
mod cipher;
mod engine;
mod generation;
mod map;
mod read;
mod recycled;
mod repair;
mod write;

pub use any_map::AnyMap;
pub use chunk::decrypt_chunk;
pub use engine::{Engine, Written};
pub use generation::Generation;
pub use map::{ChunkInfo, DataMap, MIN_LEN};
pub use read::Reader;
