//! For those who come from self_encryption: its functions by their names, and the object style that Autonomi's page
//! describes.
//!
//! * [`functions`]: all of the functions, with closures as storage, and their types. What they write is what release
//!   0.36.2 of the published crate writes, byte for byte; what they read may be of any release from 0.28 on, and is
//!   checked, which the originals mostly leave out.
//! * [`SelfEncryptor`] and [`streaming`], [`parallel`], [`memory`], [`keys`], [`error`]: the objects. No release of
//!   the original ever had them. They write selfenc's own format, in the scope [`Scope::Public`](crate::Scope::Public).
//!
//! `docs/migrating.md` has the names of both sides in a table. New programs are better off with the
//! [`Engine`](crate::Engine).
//!
//! ```
//! use selfenc::Bytes;
//! use selfenc::classic::{decrypt, encrypt};
//! # fn main() -> selfenc::Result<()> {
//!
//! let (map, chunks) = encrypt(Bytes::from(vec![7; 10_000]))?;
//! assert_eq!(map.len(), 3);
//! assert_eq!(decrypt(&map, &chunks)?, vec![7; 10_000]);
//! # Ok(())
//! # }
//! ```
//!
//! Of both there is a `ChunkInfo`: here it is that of a [`ChunkStore`]; that of the functions' data map is
//! [`functions::ChunkInfo`].

mod bare;
mod chunk;
mod chunk_store;
mod encryptor;
pub mod error;
pub mod functions;
mod held;
pub mod keys;
pub mod memory;
pub mod parallel;
mod setup;
pub mod streaming;

pub use chunk::Chunk;
pub use chunk_store::{AnyStore, ChunkInfo, ChunkStore};
pub use encryptor::{Encrypted, Plain, Sealing, SelfEncryptor};
pub use error::Error;
pub use functions::{
    COMPRESSION_QUALITY, ChunkStream, DEFAULT_STREAM_DECRYPT_BATCH_SIZE, DataMap, DataMapIndex,
    DecryptionStream, EncryptedChunk, EncryptionStream, MAX_CHUNK_SIZE, MIN_CHUNK_SIZE,
    MIN_ENCRYPTABLE_BYTES, SelfEncryption, Serial, XorName, decrypt, decrypt_chunk, decrypt_from_storage,
    decrypt_full_set, deserialize, encrypt, encrypt_from_file, get_root_data_map, get_root_data_map_parallel,
    hash, serialize, shrink_data_map, stream_decrypt_batch_size, stream_encrypt, streaming_decrypt,
    streaming_decrypt_from_storage, streaming_decrypt_with_batch_size, streaming_encrypt_datamaps_from_file,
    streaming_encrypt_from_file, verify_chunk,
};
pub use keys::{KeyConfig, KeyStore};
pub use memory::{CacheConfig, MemoryConfig};
pub use parallel::{ParallelConfig, ParallelEncryptor, WorkerPool};
pub use selfenc_core::engine::{Chunking as ChunkConfig, CompressionConfig, EncryptionConfig};
pub use streaming::{StreamDecryptor, StreamEncryptor};
