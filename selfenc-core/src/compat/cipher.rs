//! From a chunk's content to what is stored, and back: `XOR(cipher(compress(content)), pad)`.

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use selfenc_kernels::{Path, cbc};
use zeroize::Zeroizing;

use super::brotli;
use super::generation::{Digest, Generation};
use super::recycled::Of;
use crate::engine::pkcs7;
use crate::engine::shared::{Buffer, Buffers};

/// AES's, in bytes.
const BLOCK: usize = 16;

/// Poly1305's, in bytes.
const TAG: usize = 16;

/// What the second generation derives its keys under.
const CONTEXT: &str = "self_encryption/chunk/v2";

/// The hashes of content that a chunk's key is made from, and its place.
#[derive(Clone, Copy)]
pub(super) struct Neighbours {
    pub(super) own: Digest,
    /// Of the chunk before; for the first, of the last.
    pub(super) before: Digest,
    /// Of the one before that.
    pub(super) two_before: Digest,
    pub(super) index: u64,
    /// 0 for data; `n` for the chunks of a map that was shrunk `n` times.
    pub(super) level: u64,
}

impl Neighbours {
    /// Of chunk `index` among all. There are three chunks or more.
    pub(super) fn of(index: usize, level: u64, count: usize, hash: impl Fn(usize) -> Digest) -> Self {
        let (before, two_before) = match index {
            0 => (count - 1, count - 2),
            1 => (0, count - 1),
            _ => (index - 1, index - 2),
        };
        let (own, before, two_before) = (hash(index), hash(before), hash(two_before));
        Self { own, before, two_before, index: index as u64, level }
    }
}

/// What is stored of this content.
#[cfg(test)]
pub(super) fn seal(generation: Generation, neighbours: &Neighbours, content: &[u8]) -> Vec<u8> {
    let mut data = brotli::compress(content, Of::level(neighbours.level));
    encrypt(generation, vec![(neighbours, &mut data)]);
    data
}

/// Encrypts compressed contents in place. One call for many: CBC is faster with several at once.
pub(super) fn encrypt(generation: Generation, mut chunks: Vec<(&Neighbours, &mut Vec<u8>)>) {
    match generation {
        Generation::One => {
            let keys: Vec<_> = chunks.iter().map(|(neighbours, _)| first_keys(neighbours)).collect();
            let jobs = chunks.iter_mut().zip(&keys).map(|((_, data), keys)| {
                pkcs7::pad(data);
                keys.job(data.as_chunks_mut().0)
            });
            cbc::seal(Path::current(), &mut jobs.collect::<Vec<_>>());
        }
        Generation::Two => {
            for (neighbours, data) in chunks {
                let keys = second_keys(neighbours);
                let cipher = ChaCha20Poly1305::new((&*keys.key).into());
                cipher
                    .encrypt_in_place((&*keys.nonce).into(), &[], data)
                    .expect("a chunk is far shorter than the cipher's limit of 256 GiB");
                xor(data, &*keys.pad);
            }
        }
    }
}

/// The `len` bytes of content of what is stored; `None` unless it is exactly that.
pub(super) fn open(
    generation: Generation,
    neighbours: &Neighbours,
    stored: &[u8],
    len: usize,
) -> Option<Buffer> {
    let content = decode(generation, neighbours, stored, len, &Buffers::default())?;
    (generation.hash(&content) == neighbours.own).then_some(content)
}

/// `len` bytes of content, whose hash is still to be compared.
pub(super) fn decode(
    generation: Generation,
    neighbours: &Neighbours,
    stored: &[u8],
    len: usize,
    buffers: &Buffers,
) -> Option<Buffer> {
    let fresh = Buffers::default();
    let buffers = if Of::level(neighbours.level) == Of::Data { buffers } else { &fresh };
    let mut data = buffers.take(stored.len());
    data.copy_from_slice(stored);
    let compressed = decrypt(generation, neighbours, &mut data)?;
    brotli::decompress(compressed, len, buffers)
}

/// The compressed content, not yet compared with anything: in the first generation it may be any bytes.
pub(super) fn decrypt<'a>(
    generation: Generation,
    neighbours: &Neighbours,
    data: &'a mut [u8],
) -> Option<&'a [u8]> {
    let len = match generation {
        Generation::One => {
            let (blocks, rest) = data.as_chunks_mut();
            if !rest.is_empty() {
                return None;
            }
            cbc::open(&mut first_keys(neighbours).job(blocks));
            pkcs7::unpadded_len(data)?
        }
        Generation::Two => {
            let keys = second_keys(neighbours);
            xor(data, &*keys.pad);
            let cipher = ChaCha20Poly1305::new((&*keys.key).into());
            let (ciphertext, tag) = data.split_last_chunk_mut::<TAG>()?;
            let nonce = (&*keys.nonce).into();
            cipher.decrypt_inout_detached(nonce, &[], (&mut *ciphertext).into(), (&*tag).into()).ok()?;
            ciphertext.len()
        }
    };
    Some(&data[..len])
}

struct FirstKeys {
    pad: Zeroizing<[u8; 64]>,
    key: Zeroizing<[u8; BLOCK]>,
    iv: Zeroizing<[u8; BLOCK]>,
}

impl FirstKeys {
    fn job<'a>(&'a self, blocks: &'a mut [[u8; BLOCK]]) -> cbc::Job<'a, [u8; BLOCK]> {
        cbc::Job { key: &self.key, iv: &self.iv, pad: &self.pad, blocks }
    }
}

fn first_keys(neighbours: &Neighbours) -> FirstKeys {
    let mut keys = FirstKeys {
        pad: Zeroizing::new([0; 64]),
        key: Zeroizing::new([0; BLOCK]),
        iv: Zeroizing::new([0; BLOCK]),
    };
    keys.pad[..32].copy_from_slice(&neighbours.own);
    keys.pad[32..].copy_from_slice(&neighbours.two_before);
    keys.key.copy_from_slice(&neighbours.before[..BLOCK]);
    keys.iv.copy_from_slice(&neighbours.before[BLOCK..]);
    keys
}

struct SecondKeys {
    pad: Zeroizing<[u8; 52]>,
    key: Zeroizing<[u8; 32]>,
    nonce: Zeroizing<[u8; 12]>,
}

fn second_keys(neighbours: &Neighbours) -> SecondKeys {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&neighbours.own).update(&neighbours.before).update(&neighbours.two_before);
    hasher.update(&neighbours.index.to_le_bytes()).update(&neighbours.level.to_le_bytes());
    let mut material = hasher.finalize_xof();
    let mut keys = SecondKeys {
        pad: Zeroizing::new([0; 52]),
        key: Zeroizing::new([0; 32]),
        nonce: Zeroizing::new([0; 12]),
    };
    material.fill(&mut *keys.pad);
    material.fill(&mut *keys.key);
    material.fill(&mut *keys.nonce);
    keys
}

fn xor(data: &mut [u8], pad: &[u8]) {
    for piece in data.chunks_mut(pad.len()) {
        piece.iter_mut().zip(pad).for_each(|(byte, mask)| *byte ^= mask);
    }
}
