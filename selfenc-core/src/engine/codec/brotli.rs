//! Codec 1: one brotli stream (RFC 7932) with a window of at most 2^24 and nothing after it.

use brotli::enc::BrotliEncoderParams;
use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use burli_decode::Options;

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
pub(crate) fn decompress(stream: &[u8], len: usize, buffers: &Buffers) -> Option<Buffer> {
    let mut plain = buffers.take_empty(len);
    let most = Options::new().with_max_output_size(len);
    match burli_decode::decompress_into_with_options(stream, plain.vec(), &most) {
        Ok(written) => (written == len).then_some(plain),
        // It is young: what it refuses, the decoder that the world uses has to refuse as well.
        Err(_) => decompress_slowly(stream, len, buffers),
    }
}

fn decompress_slowly(stream: &[u8], len: usize, buffers: &Buffers) -> Option<Buffer> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the fast one alone says.
    fn fast(stream: &[u8], len: usize) -> Option<Vec<u8>> {
        let most = Options::new().with_max_output_size(len);
        burli_decode::decompress_with_options(stream, &most).ok().filter(|plain| plain.len() == len)
    }

    fn slow(stream: &[u8], len: usize) -> Option<Vec<u8>> {
        decompress_slowly(stream, len, &Buffers::default()).map(|plain| plain.to_vec())
    }

    fn random(seed: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// Words, with what is hard to compress between them.
    fn text(seed: u64, len: usize) -> Vec<u8> {
        let words =
            ["the ", "of\n", "and a ", "time ", "selfenc ", "0", "\u{0}\u{0}\u{0}\u{0}", "ü", "</div>\n"];
        let bytes = random(seed, len);
        let words = bytes.iter().flat_map(|byte| match words.get(usize::from(byte % 16)) {
            Some(word) => word.as_bytes(),
            None => std::slice::from_ref(byte),
        });
        words.copied().take(len).collect()
    }

    fn stream(plain: &[u8], quality: i32, lgwin: i32, large_window: bool) -> Vec<u8> {
        let params = BrotliEncoderParams { quality, lgwin, large_window, ..Default::default() };
        let mut encoded = Vec::new();
        brotli::BrotliCompress(&mut &*plain, &mut encoded, &params).unwrap();
        encoded
    }

    #[test]
    fn both_decoders_read_every_quality_and_window() {
        for (quality, lgwin) in (0..=11).flat_map(|quality| [10, 16, 22, 24].map(|lgwin| (quality, lgwin))) {
            let seed = u64::try_from(100 * quality + lgwin).unwrap();
            for len in [0, 1, 2, 77, 4096, if quality < 10 { 200_000 } else { 20_000 }] {
                for plain in [text(seed, len), random(seed, len), vec![7; len]] {
                    let encoded = stream(&plain, quality, lgwin, false);
                    let what = format!("quality {quality}, window {lgwin}, {len} bytes");
                    assert!(fast(&encoded, len).as_ref() == Some(&plain), "{what}");
                    assert!(slow(&encoded, len).as_ref() == Some(&plain), "{what}");
                    let other = len.wrapping_sub(1).min(len + 1);
                    assert!(fast(&encoded, other).is_none() && slow(&encoded, other).is_none(), "{what}");
                }
            }
        }
    }

    #[test]
    fn what_is_damaged_both_decoders_take_for_the_same() {
        let mut same = 0;
        for seed in 0..12 {
            let plain = text(seed, 2000);
            let encoded = stream(&plain, i32::try_from(seed).unwrap(), 16, false);
            for bit in 0..8 * encoded.len() {
                let mut damaged = encoded.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let (fast, slow) = (fast(&damaged, 2000), slow(&damaged, 2000));
                assert!(fast == slow, "seed {seed}, bit {bit}: {} and {}", fast.is_some(), slow.is_some());
                same += u64::from(fast.is_some());
            }
            for cut in 0..encoded.len() {
                assert!(fast(&encoded[..cut], 2000).is_none() && slow(&encoded[..cut], 2000).is_none());
            }
        }
        assert!(same > 0, "some damage gives another stream");
    }

    #[test]
    fn a_window_above_2_to_the_24_is_refused() {
        let plain = text(1, 100_000);
        let large = stream(&plain, 5, 26, true);
        assert!(decompress(&large, plain.len(), &Buffers::default()).is_none());
    }
}
