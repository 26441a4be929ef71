//! For those who come from self_encryption: its functions by their names, with closures as storage.
//!
//! What is written is what release 0.36.2 of the published crate writes, byte for byte; what is read may be of any
//! release from 0.28 on, and is checked, which the originals mostly leave out. `docs/migrating.md` has the names of
//! both sides in a table. New programs are better off with the [`Engine`](crate::Engine).
//!
//! * [`functions`]: all of them, and their types.
//! * [`keys`]: epochs of keys that seal data maps of selfenc's own.
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

pub mod error;
pub mod functions;
pub mod keys;

pub use functions::{
    COMPRESSION_QUALITY, ChunkInfo, ChunkStream, DEFAULT_STREAM_DECRYPT_BATCH_SIZE, DataMap, DataMapIndex,
    DecryptionStream, EncryptedChunk, EncryptionStream, MAX_CHUNK_SIZE, MIN_CHUNK_SIZE,
    MIN_ENCRYPTABLE_BYTES, SelfEncryption, Serial, XorName, decrypt, decrypt_chunk, decrypt_from_storage,
    decrypt_full_set, deserialize, encrypt, encrypt_from_file, get_root_data_map, get_root_data_map_parallel,
    hash, serialize, shrink_data_map, stream_decrypt_batch_size, stream_encrypt, streaming_decrypt,
    streaming_decrypt_from_storage, streaming_decrypt_with_batch_size, streaming_encrypt_datamaps_from_file,
    streaming_encrypt_from_file, verify_chunk,
};
pub use keys::{KeyConfig, KeyStore};
