//! The stages of encrypting, each by the calls that the engine makes.

use std::fmt;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use selfenc::Suite;
use selfenc_kernels::{Parts, Path, cbc, sha3_256, shake256};
use zstd_safe::CCtx;

use crate::Result;

/// The default chunk, in bytes.
pub const CHUNK: usize = 1 << 20;
/// As many chunks as the engine hands to a thread at once, with the default memory budget on two cores.
pub const BATCH: usize = 8;
/// The header of E, and what a cipher adds.
const HEADER: usize = 9;
const CIPHER_ROOM: usize = 16;
/// The length of the content hash's label, the suite and the kind.
const LABEL: [u8; 21] = [7; 21];
/// The key of a chunk: any will do for the time it takes.
const KEY: [u8; 32] = [9; 32];

/// What happens to a chunk, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From the source into the chunk's buffer.
    Copy,
    /// The probe, and zstd at level 3.
    Compress,
    /// Of E behind its label.
    ContentHash,
    /// The key's expansion, and in place.
    Cipher,
    /// Of what is stored.
    NameHash,
}

impl Stage {
    /// In order.
    pub const ALL: [Self; 5] = [Self::Copy, Self::Compress, Self::ContentHash, Self::Cipher, Self::NameHash];

    /// As tables call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Compress => "probe and zstd",
            Self::ContentHash => "content hash",
            Self::Cipher => "cipher",
            Self::NameHash => "name hash",
        }
    }

    /// Takes chunks that have come this far through it.
    pub fn run(self, suite: Suite, worker: &mut Worker, batch: &mut [Chunk<'_>]) {
        match self {
            Self::Copy => batch.iter_mut().for_each(Chunk::copy),
            Self::Compress => batch.iter_mut().for_each(|chunk| chunk.compress(worker)),
            Self::ContentHash => hash(suite, &LABEL, batch),
            Self::Cipher => seal(suite, batch),
            Self::NameHash => hash(suite, &[], batch),
        }
    }
}

fn hash(suite: Suite, label: &[u8], batch: &[Chunk<'_>]) {
    let messages: Vec<_> = batch.iter().map(|chunk| [label, chunk.body().as_slice()]).collect();
    std::hint::black_box(digests(suite, &messages));
}

/// What a thread reuses.
pub struct Worker {
    context: CCtx<'static>,
    frame: Vec<u8>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Worker {
    /// # Errors
    /// If there is no memory for it.
    pub fn new() -> Result<Self> {
        let context = CCtx::try_create().ok_or("no memory for zstd")?;
        Ok(Self { context, frame: vec![0; zstd_safe::compress_bound(CHUNK)] })
    }
}

/// A chunk and its buffers, which are touched before the first measured round.
#[derive(Clone, Debug)]
pub struct Chunk<'a> {
    source: &'a [u8],
    raw: Vec<u8>,
    compressed: Vec<u8>,
    is_compressed: bool,
}

impl<'a> Chunk<'a> {
    /// One of these bytes.
    #[must_use]
    pub fn new(source: &'a [u8]) -> Self {
        let buffer = || vec![0; HEADER + source.len() + CIPHER_ROOM];
        Self { source, raw: buffer(), compressed: buffer(), is_compressed: false }
    }

    /// As it was before the first stage.
    pub fn reset(&mut self) {
        self.raw.resize(HEADER + self.source.len(), 0);
        self.raw[..HEADER].fill(0); // the round before has encrypted it
        self.compressed.clear();
        self.compressed.resize(HEADER, 0);
        self.is_compressed = false;
    }

    fn copy(&mut self) {
        self.raw[HEADER..].copy_from_slice(self.source);
    }

    /// As the codec does: the probe, one frame, and a copy of it into a buffer of its own, if it is shorter by a
    /// sixteenth.
    fn compress(&mut self, Worker { context, frame }: &mut Worker) {
        let plain = &self.raw[HEADER..];
        if !worth_trying(plain) {
            return;
        }
        let most = plain.len() - plain.len() / 16;
        match context.compress(frame.as_mut_slice(), plain, 3) {
            Ok(len) if len <= most => {
                self.compressed.extend_from_slice(&frame[..len]);
                self.is_compressed = true;
            }
            _ => {}
        }
    }

    fn body(&self) -> &Vec<u8> {
        if self.is_compressed { &self.compressed } else { &self.raw }
    }

    fn body_mut(&mut self) -> &mut Vec<u8> {
        if self.is_compressed { &mut self.compressed } else { &mut self.raw }
    }
}

/// Probe P1 (docs/format.md): sixteen windows, the sum of the squares of how often each byte occurs.
fn worth_trying(plain: &[u8]) -> bool {
    const WINDOW: usize = 4096;
    if plain.len() < 64 << 10 {
        return true;
    }
    let mut counts = [0_u64; 256];
    for j in 0..16 {
        let start = j * (plain.len() - WINDOW) / 15;
        plain[start..start + WINDOW].iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    }
    counts.iter().map(|count| count * count).sum::<u64>() > (1 << 24) + (1 << 20)
}

fn digests(suite: Suite, messages: &[Parts<'_>]) -> Vec<[u8; 32]> {
    match suite {
        Suite::Sha3Aes256Cbc => sha3_256(Path::current(), messages),
        Suite::Blake3ChaCha20Poly1305 => {
            let hash = |[label, message]: &Parts<'_>| {
                *blake3::Hasher::new().update(label).update(message).finalize().as_bytes()
            };
            messages.iter().map(hash).collect()
        }
    }
}

/// Expands the keys and encrypts in place.
fn seal(suite: Suite, batch: &mut [Chunk<'_>]) {
    match suite {
        Suite::Sha3Aes256Cbc => {
            let keys: Vec<_> = batch.iter().map(|_| [LABEL.as_slice(), &KEY]).collect();
            let expanded = shake256::<112>(Path::current(), &keys);
            let jobs = batch.iter_mut().zip(expanded.iter()).map(|(chunk, expanded)| {
                let body = chunk.body_mut();
                body.resize(body.len() + 16 - body.len() % 16, 16); // as long as PKCS#7 makes it
                let parts = expanded.split_first_chunk().and_then(|(key, rest)| {
                    let (iv, pad) = rest.split_first_chunk()?;
                    Some((key, iv, pad.first_chunk()?))
                });
                let (key, iv, pad) = parts.expect("112 bytes are 32, 16 and 64");
                cbc::Job { key, iv, pad, blocks: body.as_chunks_mut().0 }
            });
            cbc::seal(Path::current(), &mut jobs.collect::<Vec<cbc::Job<'_>>>());
        }
        Suite::Blake3ChaCha20Poly1305 => {
            for chunk in batch {
                let key = blake3::derive_key("selfenc bench", &KEY);
                ChaCha20Poly1305::new((&key).into())
                    .encrypt_in_place(&Nonce::default(), &[0; 2], chunk.body_mut())
                    .expect("a chunk is shorter than the cipher's limit");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_goes_through_every_stage_every_round() {
        let text: Vec<u8> = (0_u32..).flat_map(|n| n.to_string().into_bytes()).take(CHUNK).collect();
        let random = crate::data::random(9 * CHUNK);
        let data = [&random[..], &text, &random[..100]].concat();
        let mut worker = Worker::new().unwrap();
        for suite in Suite::ALL {
            let mut chunks: Vec<_> = data.chunks(CHUNK).map(Chunk::new).collect();
            let mut bodies: Vec<Vec<_>> = Vec::new();
            for _ in 0..2 {
                chunks.iter_mut().for_each(Chunk::reset);
                for stage in Stage::ALL {
                    stage.run(suite, &mut worker, &mut chunks);
                }
                bodies.push(chunks.iter().map(|chunk| chunk.body().clone()).collect());
            }
            assert!(bodies[0] == bodies[1], "a second round is as the first");
            assert_eq!(chunks.iter().filter(|chunk| chunk.is_compressed).count(), 1, "the text");
            assert!(chunks.iter().all(|chunk| chunk.body()[HEADER..][..50] != chunk.source[..50]));
        }
    }
}
