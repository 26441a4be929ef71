use std::sync::LazyLock;

use crate::compat::Generation;

/// The fewest bytes that can be encrypted: three.
pub const MIN_ENCRYPTABLE_BYTES: usize = 3 * MIN_CHUNK_SIZE;

/// The longest content of a chunk that the functions of this module write, in bytes: 4 MiB − 4 KiB, as the
/// newest release. Another is chosen at run time, by
/// [`SelfEncryption::with_max_chunk_size`](super::SelfEncryption::with_max_chunk_size).
pub const MAX_CHUNK_SIZE: usize = Generation::Two.default_max_chunk_size() as usize;

/// The shortest content of a chunk, in bytes.
pub const MIN_CHUNK_SIZE: usize = 1;

/// The quality that Brotli compresses with, of 0 to 11. It is part of the format.
pub const COMPRESSION_QUALITY: i32 = 6;

/// How many chunks [`streaming_decrypt`](super::streaming_decrypt) asks for at once, unless told otherwise.
pub const DEFAULT_STREAM_DECRYPT_BATCH_SIZE: usize = 10;

/// How many chunks [`streaming_decrypt`](super::streaming_decrypt) asks for at once: what the environment
/// variable `STREAM_DECRYPT_BATCH_SIZE` says at the first call, or
/// [`DEFAULT_STREAM_DECRYPT_BATCH_SIZE`] if it says nothing, no number, or 0.
#[must_use]
pub fn stream_decrypt_batch_size() -> usize {
    static SIZE: LazyLock<usize> = LazyLock::new(|| {
        let told = std::env::var("STREAM_DECRYPT_BATCH_SIZE").ok().and_then(|text| text.parse().ok());
        told.filter(|size| *size > 0).unwrap_or(DEFAULT_STREAM_DECRYPT_BATCH_SIZE)
    });
    *SIZE
}
