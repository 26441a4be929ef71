//! The functions of [self_encryption](https://docs.rs/self_encryption) by their names, with closures as storage.
//!
//! What they write is, byte for byte, what release 0.36.2 writes; [`SelfEncryption`] has the same functions for
//! earlier releases, and for any longest chunk. What they read may be of any release since 0.28. Everything that
//! is read is checked, which the original mostly leaves out.
//!
//! ```
//! use std::collections::HashMap;
//! use selfenc::{Bytes, Error};
//! use selfenc::classic::functions::{decrypt_from_storage, streaming_encrypt_from_file};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = std::env::temp_dir().join(format!("selfenc-closures-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir)?;
//! # let (input, output) = (dir.join("input"), dir.join("output"));
//! # std::fs::write(&input, "Hello, World!".repeat(1000))?;
//! let mut storage = HashMap::new();
//! let data_map = streaming_encrypt_from_file(&input, |name, content| {
//!     storage.insert(name, content);
//!     Ok(())
//! })?;
//! decrypt_from_storage(&data_map, &output, |name| {
//!     storage.get(&name).cloned().ok_or(Error::ChunkMissing { chunk: name.into() })
//! })?;
//! # assert_eq!(std::fs::read(&input)?, std::fs::read(&output)?);
//! # std::fs::remove_dir_all(dir)?;
//! # Ok(())
//! # }
//! ```
//!
//! The closures are called on the caller's thread, while the threads of a shared pool hash, compress and encrypt.
//! They need not be `Send`, and may fail or panic: that ends the call. All functions block, and work outside of
//! an async runtime as well as inside of one, whose thread they then keep busy; [`compat::Engine`] is the same
//! for async programs, over any store.
//!
//! The errors are those of this crate: a closure returns one of them too, for example a [`store::Error`], which
//! `?` converts.
//!
//! [`compat::Engine`]: crate::compat::Engine
//! [`store::Error`]: crate::store::Error

/// The hash that names chunks since release 0.35.
pub mod hash {
    pub use super::xor_name::content_hash;
}

mod constants;
mod data_map;
mod decrypt;
mod decryption_stream;
mod driver;
mod encrypt;
mod encryption_stream;
mod expand;
mod index;
mod output;
mod serial;
mod storage;
mod xor_name;

pub use constants::{
    COMPRESSION_QUALITY, DEFAULT_STREAM_DECRYPT_BATCH_SIZE, MAX_CHUNK_SIZE, MIN_CHUNK_SIZE,
    MIN_ENCRYPTABLE_BYTES, stream_decrypt_batch_size,
};
pub(super) use driver::wait;

pub use data_map::{ChunkInfo, DataMap, EncryptedChunk};
pub use decrypt::{
    decrypt, decrypt_chunk, decrypt_from_storage, decrypt_full_set, streaming_decrypt_from_storage,
    verify_chunk,
};
pub use decryption_stream::{DecryptionStream, streaming_decrypt, streaming_decrypt_with_batch_size};
pub use encrypt::{
    SelfEncryption, encrypt, encrypt_from_file, shrink_data_map, stream_encrypt,
    streaming_encrypt_datamaps_from_file, streaming_encrypt_from_file,
};
pub use encryption_stream::{ChunkStream, EncryptionStream};
pub use expand::{get_root_data_map, get_root_data_map_parallel};
pub use index::DataMapIndex;
pub use serial::{Serial, deserialize, serialize};
pub use xor_name::XorName;
