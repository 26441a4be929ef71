//! The originals' compressor, whose exact bytes are part of the format.

use brotli8::enc::{BrotliEncoderParams, StandardAlloc};
use brotli8::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::recycled;
use crate::engine::shared::{Buffer, Buffers};

/// What the originals compress with.
const QUALITY: i32 = 6;

/// How much goes into the compressor at once, in bytes. Its bytes depend on it: it takes what comes first for a hint of
/// the whole, and chooses how to hash.
const PIECE: usize = 4096;

/// Everything, even what grows. The defaults of the library count: a window of 2^22, and no hint of the size,
/// which would choose another way to hash.
pub(super) fn compress(content: &[u8]) -> Vec<u8> {
    let params = BrotliEncoderParams { quality: QUALITY, ..Default::default() };
    let mut compressed = Vec::with_capacity(content.len() / 2);
    let (mut input, mut output) = ([0; PIECE], [0; PIECE]);
    let memory = recycled::allocator();
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

/// The `len` bytes that the stream holds; `None` if it is anything but one stream of exactly that, with a window of at
/// most 2^24.
pub(super) fn decompress(stream: &[u8], len: usize, buffers: &Buffers) -> Option<Buffer> {
    let mut state = BrotliState::new_strict(recycled::bytes(), recycled::words(), StandardAlloc::default());
    let mut content = buffers.take(len);
    let (mut unread, mut read, mut room, mut written, mut total) = (stream.len(), 0, len, 0, 0);
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
    let done = matches!(result, BrotliResult::ResultSuccess);
    (done && unread == 0 && written == len).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

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
                let compressed = compress(&content);
                assert!(compressed == fresh(&content), "{len} bytes");
                let back = decompress(&compressed, len, &buffers).unwrap();
                assert!(back[..] == content, "{len} bytes");
            }
            let content: Vec<u8> = text(len).collect();
            assert!(compress(&content) == fresh(&content), "{len} bytes of text");
        }
    }
}
