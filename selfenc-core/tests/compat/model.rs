//! Both generations, written down as plainly as they can be, with the originals' defect in shrinking.
//!
//! Nothing here is of the crate under test.

use aes::Aes128;
use brotli8::enc::BrotliEncoderParams;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit};
use selfenc_core::compat::Generation;
use sha3::{Digest, Sha3_256};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    pub(crate) index: u64,
    pub(crate) dst: [u8; 32],
    pub(crate) src: [u8; 32],
    pub(crate) size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) infos: Vec<Info>,
    pub(crate) child: Option<u64>,
}

/// An original, built with a largest chunk.
pub(crate) struct Model {
    pub(crate) generation: Generation,
    pub(crate) max: usize,
    pub(crate) stored: Vec<Vec<u8>>,
}

impl Map {
    /// The form since 0.32.
    pub(crate) fn v1(&self) -> Vec<u8> {
        [&[1][..], &self.v0_31()].concat()
    }

    pub(crate) fn v0_31(&self) -> Vec<u8> {
        let mut bytes = self.v0();
        match self.child {
            None => bytes.push(0),
            Some(child) => {
                bytes.push(1);
                bytes.extend(child.to_le_bytes());
            }
        }
        bytes
    }

    /// Without a child.
    pub(crate) fn v0(&self) -> Vec<u8> {
        let mut bytes = (self.infos.len() as u64).to_le_bytes().to_vec();
        for info in &self.infos {
            bytes.extend(info.index.to_le_bytes());
            bytes.extend(info.dst);
            bytes.extend(info.src);
            bytes.extend(info.size.to_le_bytes());
        }
        bytes
    }
}

impl Model {
    pub(crate) fn new(generation: Generation, max: usize) -> Self {
        Self { generation, max, stored: Vec::new() }
    }

    /// The map of the data, not shrunk.
    pub(crate) fn chunks(&mut self, data: &[u8], level: u64) -> Map {
        let pieces = split(data, self.max);
        let hashes: Vec<_> = pieces.iter().map(|piece| self.hash(piece)).collect();
        let mut infos = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            let k = pieces.len();
            let (a, b) = match i {
                0 => (k - 1, k - 2),
                1 => (0, k - 1),
                _ => (i - 1, i - 2),
            };
            let content = match self.generation {
                Generation::One => one(piece, &hashes[i], &hashes[a], &hashes[b]),
                Generation::Two => two(piece, &[hashes[i], hashes[a], hashes[b]].concat(), i as u64, level),
            };
            infos.push(Info {
                index: i as u64,
                dst: self.hash(&content),
                src: hashes[i],
                size: piece.len() as u64,
            });
            self.stored.push(content);
        }
        Map { infos, child: None }
    }

    /// As the originals do it: each shrinking shrinks inside of itself, from 0.
    pub(crate) fn encrypt(&mut self, data: &[u8], level: u64) -> Map {
        let mut map = self.chunks(data, level);
        while map.infos.len() > 3 {
            let level = map.child.unwrap_or(0) + 1;
            map = Map { child: Some(level), ..self.encrypt(&map.v1(), level) };
        }
        map
    }

    /// As it should be.
    pub(crate) fn encrypt_rightly(&mut self, data: &[u8]) -> Map {
        let map = self.chunks(data, 0);
        self.shrink(map, Map::v1)
    }

    pub(crate) fn shrink(&mut self, mut map: Map, form: fn(&Map) -> Vec<u8>) -> Map {
        while map.infos.len() > 3 {
            let level = map.child.unwrap_or(0) + 1;
            map = Map { child: Some(level), ..self.chunks(&form(&map), level) };
        }
        map
    }

    fn hash(&self, bytes: &[u8]) -> [u8; 32] {
        match self.generation {
            Generation::One => Sha3_256::digest(bytes).into(),
            Generation::Two => *blake3::hash(bytes).as_bytes(),
        }
    }
}

fn split(data: &[u8], max: usize) -> Vec<&[u8]> {
    if data.len() >= 3 * max {
        return data.chunks(max).collect();
    }
    let third = data.len() / 3;
    vec![&data[..third], &data[third..2 * third], &data[2 * third..]]
}

fn one(piece: &[u8], own: &[u8; 32], a: &[u8; 32], b: &[u8; 32]) -> Vec<u8> {
    one_of(&compressed(piece), own, a, b)
}

/// A chunk of generation 1 around any compressed bytes.
pub(crate) fn one_of(packed: &[u8], own: &[u8; 32], a: &[u8; 32], b: &[u8; 32]) -> Vec<u8> {
    let cipher = cbc::Encryptor::<Aes128>::new(a[..16].try_into().unwrap(), a[16..].try_into().unwrap());
    let mut buffer = [packed, &[0; 16]].concat();
    let len = cipher.encrypt_padded::<Pkcs7>(&mut buffer, packed.len()).unwrap().len();
    buffer.truncate(len);
    xor(buffer, &[*own, *b].concat())
}

fn two(piece: &[u8], hashes: &[u8], index: u64, level: u64) -> Vec<u8> {
    let mut okm = [0; 96];
    let mut hasher = blake3::Hasher::new_derive_key("self_encryption/chunk/v2");
    hasher.update(hashes).update(&index.to_le_bytes()).update(&level.to_le_bytes());
    hasher.finalize_xof().fill(&mut okm);
    let cipher = ChaCha20Poly1305::new(okm[52..84].try_into().unwrap());
    let nonce = okm[84..].try_into().unwrap();
    xor(cipher.encrypt(nonce, &compressed(piece)[..]).unwrap(), &okm[..52])
}

pub(crate) fn compressed(piece: &[u8]) -> Vec<u8> {
    let params = BrotliEncoderParams { quality: 6, ..Default::default() };
    let mut out = Vec::new();
    brotli8::BrotliCompress(&mut &*piece, &mut out, &params).unwrap();
    out
}

fn xor(mut data: Vec<u8>, pad: &[u8]) -> Vec<u8> {
    data.iter_mut().zip(pad.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    data
}
