//! The originals' compressor, whose exact bytes are part of the format.

use std::io::Cursor;

use brotli8::enc::BrotliEncoderParams;

pub(super) use crate::engine::shared::decompress_brotli as decompress;

/// What the originals compress with.
const QUALITY: i32 = 6;

/// Everything, even what grows. The defaults of the library count: a window of 2^22, and no hint of the size,
/// which would choose another way to hash.
pub(super) fn compress(content: &[u8]) -> Vec<u8> {
    let params = BrotliEncoderParams { quality: QUALITY, ..Default::default() };
    let mut compressed = Vec::with_capacity(content.len() / 2);
    brotli8::BrotliCompress(&mut Cursor::new(content), &mut compressed, &params)
        .expect("memory to memory, nothing fails");
    compressed
}
