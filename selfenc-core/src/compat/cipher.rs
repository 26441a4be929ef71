//! From a chunk's content to what is stored, and back: `XOR(cipher(compress(content)), pad)`.

use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use zeroize::Zeroizing;

use super::brotli;
use super::generation::{Digest, Generation};

/// AES's, in bytes.
const BLOCK: usize = 16;

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
pub(super) fn seal(generation: Generation, neighbours: &Neighbours, content: &[u8]) -> Vec<u8> {
    let mut data = brotli::compress(content);
    match generation {
        Generation::One => {
            let keys = first_keys(neighbours);
            let len = data.len();
            data.resize(len + BLOCK - len % BLOCK, 0);
            let cipher = cbc::Encryptor::<Aes128>::new((&*keys.key).into(), (&*keys.iv).into());
            cipher.encrypt_padded::<Pkcs7>(&mut data, len).expect("the buffer has room for the padding");
            xor(&mut data, &*keys.pad);
        }
        Generation::Two => {
            let keys = second_keys(neighbours);
            let cipher = ChaCha20Poly1305::new((&*keys.key).into());
            cipher
                .encrypt_in_place((&*keys.nonce).into(), &[], &mut data)
                .expect("a chunk is far shorter than the cipher's limit of 256 GiB");
            xor(&mut data, &*keys.pad);
        }
    }
    data
}

/// The `len` bytes of content of what is stored; `None` unless it is exactly that.
pub(super) fn open(
    generation: Generation,
    neighbours: &Neighbours,
    data: Vec<u8>,
    len: usize,
) -> Option<Vec<u8>> {
    let content = decode(generation, neighbours, data, len)?;
    (generation.hash(&content) == neighbours.own).then_some(content)
}

/// `len` bytes of content, whose hash is still to be compared.
pub(super) fn decode(
    generation: Generation,
    neighbours: &Neighbours,
    data: Vec<u8>,
    len: usize,
) -> Option<Vec<u8>> {
    brotli::decompress(&decrypt(generation, neighbours, data)?, len)
}

/// The compressed content, not yet compared with anything: in the first generation it may be any bytes.
pub(super) fn decrypt(generation: Generation, neighbours: &Neighbours, mut data: Vec<u8>) -> Option<Vec<u8>> {
    match generation {
        Generation::One => {
            let keys = first_keys(neighbours);
            xor(&mut data, &*keys.pad);
            let cipher = cbc::Decryptor::<Aes128>::new((&*keys.key).into(), (&*keys.iv).into());
            let unpadded = cipher.decrypt_padded::<Pkcs7>(&mut data).ok()?.len();
            data.truncate(unpadded);
        }
        Generation::Two => {
            let keys = second_keys(neighbours);
            xor(&mut data, &*keys.pad);
            let cipher = ChaCha20Poly1305::new((&*keys.key).into());
            cipher.decrypt_in_place((&*keys.nonce).into(), &[], &mut data).ok()?;
        }
    }
    Some(data)
}

struct FirstKeys {
    pad: Zeroizing<[u8; 64]>,
    key: Zeroizing<[u8; BLOCK]>,
    iv: Zeroizing<[u8; BLOCK]>,
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
