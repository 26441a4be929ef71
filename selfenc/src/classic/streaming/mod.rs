//! Data of any length, piece by piece, for async programs.
//!
//! ```
//! use std::sync::Arc;
//! use selfenc::classic::streaming::{StreamDecryptor, StreamEncryptor};
//! use selfenc::{EncryptionConfig, MemoryStore};
//! # #[tokio::main]
//! # async fn main() -> selfenc::classic::error::Result<()> {
//!
//! let store = Arc::new(MemoryStore::new());
//! let mut encryptor = StreamEncryptor::new(EncryptionConfig::new())?.with_store(Arc::clone(&store))?;
//! for piece in vec![7; 5_000_000].chunks(64 << 10) {
//!     encryptor.write(piece).await?;
//! }
//! let (data_map, names) = encryptor.finalize().await?;
//! # assert!(!names.is_empty());
//!
//! let mut decryptor = StreamDecryptor::from_data_map(data_map)?.with_store(store)?;
//! let mut len = 0;
//! while let Some(piece) = decryptor.next().await {
//!     len += piece?.len();
//! }
//! assert_eq!(len, 5_000_000);
//! # Ok(())
//! # }
//! ```

mod decryptor;
mod encryptor;

pub use decryptor::StreamDecryptor;
pub use encryptor::StreamEncryptor;
