//! The originals' compressor, whose exact bytes are part of the format.

use brotli8::enc::{BrotliEncoderParams, StandardAlloc};
use brotli8::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::recycled::{self, Of};
pub(super) use crate::engine::shared::brotli::decompress;

/// What the originals compress with.
const QUALITY: i32 = 6;

/// How much goes into the compressor at once, in bytes. Its bytes depend on it: it takes what comes first for a hint of
/// the whole, and chooses how to hash.
const PIECE: usize = 4096;

/// What is made room for at first where the length is not known, in bytes.
const LEAST_ROOM: usize = 64 << 10;

/// Everything, even what grows. The defaults of the library count: a window of 2^22, and no hint of the size,
/// which would choose another way to hash.
pub(super) fn compress(content: &[u8], of: Of) -> Vec<u8> {
    let params = BrotliEncoderParams { quality: QUALITY, ..Default::default() };
    let mut compressed = Vec::with_capacity(content.len() / 2);
    let (mut input, mut output) = ([0; PIECE], [0; PIECE]);
    let memory = recycled::allocator(of);
    brotli8::BrotliCompressCustomAlloc(
        &mut &*content,
        &mut compressed,
        &mut input,
        &mut output,
        &params,
        memory,
    )
    .expect("memory to memory, nothing fails");
    compressed
}

/// What the stream holds, if it is one stream of no more than `most` bytes, with a window of at most 2^24.
pub(super) fn decompress_unknown(stream: &[u8], most: usize) -> Option<Vec<u8>> {
    let fresh = StandardAlloc::default;
    let mut state = BrotliState::new_strict(fresh(), fresh(), fresh());
    let (mut content, mut unread, mut read, mut written, mut total) = (Vec::new(), stream.len(), 0, 0, 0);
    loop {
        content.resize((2 * content.len()).clamp(LEAST_ROOM, most), 0);
        let mut room = content.len() - written;
        let result = BrotliDecompressStream(
            &mut unread,
            &mut read,
            stream,
            &mut room,
            &mut written,
            &mut content,
            &mut total,
            &mut state,
        );
        match result {
            BrotliResult::ResultSuccess if unread == 0 => {
                content.truncate(written);
                return Some(content);
            }
            BrotliResult::NeedsMoreOutput if content.len() < most => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::shared::Buffers;

    fn fresh(content: &[u8]) -> Vec<u8> {
        let params = BrotliEncoderParams { quality: QUALITY, ..Default::default() };
        let mut compressed = Vec::new();
        brotli8::BrotliCompress(&mut &*content, &mut compressed, &params).unwrap();
        compressed
    }

    fn random(seed: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// Kinds of data, one after another through the same memory, from long to short and back.
    #[test]
    fn used_memory_gives_the_bytes_of_fresh_memory() {
        let text =
            |len: usize| (0..).flat_map(|i: u32| format!("{}\n", i * 7 % 100_003).into_bytes()).take(len);
        let kinds: [fn(u64, usize) -> Vec<u8>; 4] = [
            random,
            |seed, len| {
                random(seed, len)
                    .into_iter()
                    .map(|byte| b"etaoin shrdlu.\n "[usize::from(byte % 16)])
                    .collect()
            },
            |seed, len| random(seed, 3000).into_iter().cycle().take(len).collect(),
            |_, len| vec![0; len],
        ];
        let lens = [1 << 20, 3, 70_000, 4_190_208, 16_384, 300_001, 0, 65_536, 2_500_000, 1024, 200_000];
        let buffers = Buffers::default();
        for (seed, len) in (0..).zip(lens) {
            for kind in kinds {
                let content = kind(seed, len);
                let compressed = compress(&content, Of::Data);
                assert!(compressed == fresh(&content), "{len} bytes");
                let back = decompress(&compressed, len, &buffers).unwrap();
                assert!(back[..] == content, "{len} bytes");
            }
            let content: Vec<u8> = text(len).collect();
            assert!(compress(&content, Of::Data) == fresh(&content), "{len} bytes of text");
        }
    }
}
