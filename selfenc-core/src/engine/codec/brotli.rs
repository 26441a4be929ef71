//! Codec 1: one brotli stream (RFC 7932) with a window of at most 2^24 and nothing after it.

use brotli::enc::BrotliEncoderParams;
use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::{CIPHER_ROOM, HEADER};
use crate::engine::buffers::{Buffer, Buffers};

/// The window that is written, as a power of two; the encoder's own default.
const WINDOW_LOG: i32 = 22;

/// The stream after room for a header, if it is at most `most` bytes.
pub(super) fn compress(plain: &[u8], quality: u32, most: usize) -> Option<Vec<u8>> {
    let params = BrotliEncoderParams {
        quality: i32::try_from(quality).ok()?,
        lgwin: WINDOW_LOG,
        large_window: false,
        size_hint: plain.len(),
        ..Default::default()
    };
    let mut encoded = super::buffer(most);
    let len = brotli::BrotliCompress(&mut &*plain, &mut encoded, &params).ok()?;
    // The room that was not needed counts in no budget.
    encoded.shrink_to(HEADER + len + CIPHER_ROOM);
    (len <= most).then_some(encoded)
}

/// The `len` bytes that the stream holds; `None` if it is anything but one stream of exactly that.
pub(super) fn decompress(stream: &[u8], len: usize, buffers: &Buffers) -> Option<Buffer> {
    let mut state =
        BrotliState::new_strict(StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
    let mut plain = buffers.take(len);
    let (mut unread, mut read, mut room, mut written, mut total) = (stream.len(), 0, len, 0, 0);
    let result = BrotliDecompressStream(
        &mut unread,
        &mut read,
        stream,
        &mut room,
        &mut written,
        &mut plain,
        &mut total,
        &mut state,
    );
    let done = matches!(result, BrotliResult::ResultSuccess);
    (done && unread == 0 && written == len).then_some(plain)
}
