//! Section 2 and 6.3, 6.4: hashes, key expansion and decryption.

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use sha3::{Digest, Sha3_256};
use shake::{ExtendableOutput, Shake256, Update, XofReader};

/// Section 2: what a map's suite byte selects.
#[derive(Clone, Copy)]
pub(super) enum Suite {
    /// 10 (hex).
    Sha3Aes256Cbc,
    /// 11 (hex).
    Blake3ChaCha20Poly1305,
}

impl Suite {
    /// M4.
    pub(super) fn from_id(id: u8) -> Result<Self, String> {
        match id {
            0x10 => Ok(Self::Sha3Aes256Cbc),
            0x11 => Ok(Self::Blake3ChaCha20Poly1305),
            _ => Err(format!("M4: unknown suite {id:02x}")),
        }
    }

    fn id(self) -> u8 {
        match self {
            Self::Sha3Aes256Cbc => 0x10,
            Self::Blake3ChaCha20Poly1305 => 0x11,
        }
    }

    /// H: the name of a chunk, the digest of a root.
    pub(super) fn hash(self, bytes: &[u8]) -> [u8; 32] {
        match self {
            Self::Sha3Aes256Cbc => Sha3_256::digest(bytes).into(),
            Self::Blake3ChaCha20Poly1305 => blake3::hash(bytes).into(),
        }
    }

    /// Section 6.2: e.
    pub(super) fn content_hash(self, kind: u8, envelope: &[u8]) -> [u8; 32] {
        let head = [b"selfenc v1 content\0".as_slice(), &[self.id(), kind]].concat();
        self.hash(&[&head, envelope].concat())
    }

    /// From C to E.
    pub(super) fn decrypt(self, ck: &[u8; 32], kind: u8, stored: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Sha3Aes256Cbc => decrypt_aes(ck, stored),
            Self::Blake3ChaCha20Poly1305 => decrypt_chacha(ck, kind, stored),
        }
        .ok_or_else(|| "K3: does not decrypt".to_owned())
    }
}

/// Section 6.3: the pad comes off first.
fn decrypt_aes(ck: &[u8; 32], stored: &[u8]) -> Option<Vec<u8>> {
    let secrets: [u8; 112] = shake256(&[b"selfenc v1 expand\0", &[0x10], ck]);
    let (key, rest) = secrets.split_at(32);
    let (iv, pad) = rest.split_at(16);

    let mut buffer: Vec<u8> = stored.iter().zip(pad.iter().cycle()).map(|(byte, pad)| byte ^ pad).collect();
    let cbc = cbc::Decryptor::<Aes256>::new_from_slices(key, iv).ok()?;
    let len = cbc.decrypt_padded::<Pkcs7>(&mut buffer).ok()?.len();
    buffer.truncate(len);
    Some(buffer)
}

/// Section 6.4.
fn decrypt_chacha(ck: &[u8; 32], kind: u8, stored: &[u8]) -> Option<Vec<u8>> {
    let key = blake3::derive_key("selfenc v1 expand", &[&[0x11], ck.as_slice()].concat());
    open_chacha(&key, &[0; 12], &[0x11, kind], stored)
}

/// ChaCha20-Poly1305 with the tag at the end; `None` if the tag is wrong.
pub(super) fn open_chacha(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], ct: &[u8]) -> Option<Vec<u8>> {
    let cipher = ChaCha20Poly1305::new(&Key::from(*key));
    cipher.decrypt(&Nonce::from(*nonce), Payload { msg: ct, aad }).ok()
}

/// The first `N` bytes of SHAKE256 of the parts, one after the other.
pub(super) fn shake256<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut hasher = Shake256::default();
    for part in parts {
        Update::update(&mut hasher, part);
    }
    let mut out = [0; N];
    hasher.finalize_xof().read(&mut out);
    out
}
