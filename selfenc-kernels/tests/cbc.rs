//! AES-CBC under a pad on every path, against published answers and against the crates.
#![allow(clippy::unwrap_used)]

mod common;

use ::cbc::cipher::array::Array;
use ::cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use aes::{Aes128, Aes256};
use common::{noise, paths};
use proptest::prelude::*;
use selfenc_kernels::Path;
use selfenc_kernels::cbc::{AesKey, Job, open, seal};

type Block = [u8; 16];

/// A chunk with a key of its own, cut from `bytes` at `from`.
struct Chunk<K> {
    key: K,
    iv: Block,
    pad: [u8; 64],
    plain: Vec<Block>,
    sealed: Vec<Block>,
}

trait Oracle: AesKey + Sized {
    fn cut(bytes: &[u8]) -> Self;
    fn encrypt(&self, iv: &Block, blocks: &mut [Block]);
}

impl Oracle for [u8; 16] {
    fn cut(bytes: &[u8]) -> Self {
        *bytes.first_chunk().unwrap()
    }

    fn encrypt(&self, iv: &Block, blocks: &mut [Block]) {
        let mut cipher = ::cbc::Encryptor::<Aes128>::new(self.into(), iv.into());
        cipher.encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
    }
}

impl Oracle for [u8; 32] {
    fn cut(bytes: &[u8]) -> Self {
        *bytes.first_chunk().unwrap()
    }

    fn encrypt(&self, iv: &Block, blocks: &mut [Block]) {
        let mut cipher = ::cbc::Encryptor::<Aes256>::new(self.into(), iv.into());
        cipher.encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
    }
}

impl<K: Oracle> Chunk<K> {
    fn new(bytes: &[u8], from: usize, blocks: usize) -> Self {
        let bytes = &bytes[from..];
        let key = K::cut(bytes);
        let (iv, pad) = (<[u8; 16]>::cut(&bytes[32..]), *bytes[48..].first_chunk().unwrap());
        let plain = bytes[112..][..16 * blocks].as_chunks().0.to_vec();
        let mut sealed = plain.clone();
        key.encrypt(&iv, &mut sealed);
        for (byte, mask) in sealed.as_flattened_mut().iter_mut().zip(pad.iter().cycle()) {
            *byte ^= mask;
        }
        Self { key, iv, pad, plain, sealed }
    }

    fn job<'a>(&'a self, blocks: &'a mut [Block]) -> Job<'a, K> {
        Job { key: &self.key, iv: &self.iv, pad: &self.pad, blocks }
    }
}

/// Sealed together they are what the oracle made of each; opened, what they were.
fn agree<K: Oracle>(path: Path, chunks: &[Chunk<K>]) {
    let mut data: Vec<_> = chunks.iter().map(|chunk| chunk.plain.clone()).collect();
    let mut jobs: Vec<_> = chunks.iter().zip(&mut data).map(|(chunk, data)| chunk.job(data)).collect();
    seal(path, &mut jobs);
    for (chunk, data) in chunks.iter().zip(&mut data) {
        assert!(*data == chunk.sealed, "{path} sealed {} blocks of {}", data.len(), chunks.len());
        open(&mut chunk.job(data));
        assert!(*data == chunk.plain, "{path} opened {} blocks", data.len());
    }
}

/// NIST SP 800-38A, sections F.2.1 and F.2.5, under a pad of zeros and another.
#[test]
fn published_answers() {
    fn hex<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    }
    fn check<K: Oracle>(key: &K, ciphertext: &str) {
        let iv = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let plain: [u8; 64] = hex(concat!(
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
        ));
        for pad in [[0; 64], std::array::from_fn(|at| u8::try_from(at).unwrap())] {
            let ciphertext: [u8; 64] = hex(ciphertext);
            let sealed: [u8; 64] = std::array::from_fn(|at| ciphertext[at] ^ pad[at]);
            for path in paths() {
                let mut data = plain.as_chunks().0.to_vec();
                seal(path, &mut [Job { key, iv: &iv, pad: &pad, blocks: &mut data }]);
                assert_eq!(data.as_flattened(), sealed, "{path}");
                open(&mut Job { key, iv: &iv, pad: &pad, blocks: &mut data });
                assert_eq!(data.as_flattened(), plain, "{path}");
            }
        }
    }
    check::<[u8; 16]>(
        &hex("2b7e151628aed2a6abf7158809cf4f3c"),
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2\
         73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
    );
    check::<[u8; 32]>(
        &hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
        "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d\
         39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
    );
}

fn every_length_and_every_number<K: Oracle>() {
    let bytes = noise(5000);
    for blocks in 0..=4096 / 16 {
        let chunks: Vec<Chunk<K>> = (1..=9).map(|from| Chunk::new(&bytes, from, blocks)).collect();
        for path in paths() {
            for count in 0..=9 {
                agree(path, &chunks[..count]);
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes hours")]
fn every_length_and_every_number_with_aes_256() {
    every_length_and_every_number::<[u8; 32]>();
}

#[test]
#[cfg_attr(miri, ignore = "takes hours")]
fn every_length_and_every_number_with_aes_128() {
    every_length_and_every_number::<[u8; 16]>();
}

/// Little enough for Miri: more chunks than lanes, of lengths that leave each lane elsewhere in its pad.
#[test]
fn eleven_chunks() {
    let bytes = noise(300);
    let chunks: Vec<Chunk<[u8; 32]>> = (0..11).map(|nth| Chunk::new(&bytes, nth, nth * 3 % 8)).collect();
    for path in paths() {
        agree(path, &chunks);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes hours")]
fn any_key_has_the_round_keys_of_the_standard() {
    let bytes = noise(8000);
    let chunks: Vec<Chunk<[u8; 32]>> = (0..1000).map(|nth| Chunk::new(&bytes, 7 * nth, 1)).collect();
    for path in paths() {
        agree(path, &chunks);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(miri, ignore = "takes hours")]
    fn lengths_in_any_mix(parts in prop::collection::vec((0..=256_usize, 0..4000_usize), 0..=20)) {
        let bytes = noise(8300);
        let chunks: Vec<Chunk<[u8; 32]>> =
            parts.iter().map(|&(blocks, from)| Chunk::new(&bytes, from, blocks)).collect();
        for path in paths() {
            agree(path, &chunks);
        }
    }
}
