//! What encryption and reading may hold in memory.
//!
//! ```
//! use std::time::Duration;
//! use selfenc::EncryptionConfig;
//! use selfenc::classic::memory::{CacheConfig, MemoryConfig};
//! use selfenc::classic::streaming::StreamDecryptor;
//! use selfenc::classic::{ChunkInfo, ChunkStore, SelfEncryptor};
//! # use std::collections::HashMap;
//! # #[derive(Default)]
//! # struct Shelf(HashMap<ChunkInfo, Vec<u8>>);
//! # impl ChunkStore for Shelf {
//! #     fn store(&mut self, data: &[u8]) -> selfenc::classic::error::Result<ChunkInfo> {
//! #         self.0.insert(ChunkInfo::of(data), data.to_vec());
//! #         Ok(ChunkInfo::of(data))
//! #     }
//! #     fn retrieve(&self, info: &ChunkInfo) -> selfenc::classic::error::Result<Vec<u8>> {
//! #         Ok(self.0[info].clone())
//! #     }
//! # }
//! # #[tokio::main]
//! # async fn main() -> selfenc::classic::error::Result<()> {
//!
//! let limits = MemoryConfig { max_chunk_cache: 16 << 20, max_total_memory: 128 << 20 };
//! let config = EncryptionConfig::new().with_memory(limits);
//! let store = selfenc::classic::AnyStore::from(Shelf::default());
//! let encryptor = SelfEncryptor::with_config(vec![7; 5_000_000], config.clone())?;
//! let (data_map, _) = encryptor.store_in(store.clone())?.encrypt()?;
//!
//! // A hundred chunks, and ten minutes: equal chunks are retrieved once.
//! let cached = config.with_cache(CacheConfig { capacity: 100, ttl: Duration::from_secs(600) });
//! let mut data = StreamDecryptor::from_data_map(data_map)?.with_config(cached)?.with_store(store)?;
//! let mut len = 0;
//! while let Some(piece) = data.next().await {
//!     len += piece?.len();
//! }
//! assert_eq!(len, 5_000_000);
//! # Ok(())
//! # }
//! ```

pub use selfenc_core::engine::{CacheConfig, MemoryConfig};
