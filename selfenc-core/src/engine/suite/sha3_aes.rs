//! Suite 0x10: SHA3-256, and AES-256-CBC with PKCS#7 padding under a repeated 64-byte XOR pad.

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use sha3::{Digest as _, Sha3_256};
use shake::{ExtendableOutput, Shake256, Update, XofReader};
use zeroize::Zeroizing;

use super::{ChunkKey, Digest, EXPAND, Functions, Kind, Suite};

pub(super) static FUNCTIONS: Functions = Functions { hash, seal, open };

const BLOCK: usize = 16;
const PAD: usize = 64;

fn hash(prefix: &[u8], message: &[u8]) -> Digest {
    Sha3_256::new().chain_update(prefix).chain_update(message).finalize().into()
}

fn seal(suite: Suite, _: Kind, key: &ChunkKey, mut data: Vec<u8>) -> Vec<u8> {
    let expanded = Expanded::new(suite, key);
    let len = data.len();
    data.resize(len + BLOCK - len % BLOCK, 0);
    let cipher = cbc::Encryptor::<Aes256>::new(expanded.key().into(), expanded.iv().into());
    cipher.encrypt_padded::<Pkcs7>(&mut data, len).expect("the buffer has room for the padding");
    xor(&mut data, expanded.pad());
    data
}

fn open(suite: Suite, _: Kind, key: &ChunkKey, mut data: Vec<u8>) -> Option<Vec<u8>> {
    let expanded = Expanded::new(suite, key);
    xor(&mut data, expanded.pad());
    let cipher = cbc::Decryptor::<Aes256>::new(expanded.key().into(), expanded.iv().into());
    let len = cipher.decrypt_padded::<Pkcs7>(&mut data).ok()?.len();
    data.truncate(len);
    Some(data)
}

fn xor(data: &mut [u8], pad: &[u8; PAD]) {
    for block in data.chunks_mut(PAD) {
        for (byte, mask) in block.iter_mut().zip(pad) {
            *byte ^= mask;
        }
    }
}

/// A chunk key's 112 bytes for the cipher: key, IV and XOR pad.
struct Expanded {
    key: Zeroizing<[u8; 32]>,
    iv: Zeroizing<[u8; BLOCK]>,
    pad: Zeroizing<[u8; PAD]>,
}

impl Expanded {
    fn new(suite: Suite, key: &ChunkKey) -> Self {
        let mut shake = Shake256::default();
        shake.update(EXPAND);
        shake.update(&[0, suite.id()]);
        shake.update(key.as_slice());
        let mut reader = shake.finalize_xof();
        let mut expanded = Self {
            key: Zeroizing::new([0; 32]),
            iv: Zeroizing::new([0; BLOCK]),
            pad: Zeroizing::new([0; PAD]),
        };
        reader.read(expanded.key.as_mut());
        reader.read(expanded.iv.as_mut());
        reader.read(expanded.pad.as_mut());
        expanded
    }

    fn key(&self) -> &[u8; 32] {
        &self.key
    }

    fn iv(&self) -> &[u8; BLOCK] {
        &self.iv
    }

    fn pad(&self) -> &[u8; PAD] {
        &self.pad
    }
}
