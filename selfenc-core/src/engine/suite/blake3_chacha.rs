//! Suite 0x11: BLAKE3, and ChaCha20-Poly1305 with a key that is used once by construction.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use selfenc_kernels::Parts;
use zeroize::Zeroizing;

use super::{ChunkKey, Digest, EXPAND, Functions, Kind, Suite};

pub(super) static FUNCTIONS: Functions = Functions { hash, lanes, seal, open };

fn hash(messages: &[Parts<'_>]) -> Vec<Digest> {
    let hash = |[label, message]: &Parts<'_>| {
        *blake3::Hasher::new().update(label).update(message).finalize().as_bytes()
    };
    messages.iter().map(hash).collect()
}

/// One message fills them all.
fn lanes() -> usize {
    1
}

fn seal(suite: Suite, kind: Kind, chunks: Vec<(&ChunkKey, &mut Vec<u8>)>) {
    let aad = [suite.id(), kind as u8];
    for (key, data) in chunks {
        cipher(suite, key)
            .encrypt_in_place(&Nonce::default(), &aad, data)
            .expect("a chunk is far shorter than the cipher's limit of 256 GiB");
    }
}

fn open(suite: Suite, kind: Kind, key: &ChunkKey, data: &mut Vec<u8>) -> Option<()> {
    let aad = [suite.id(), kind as u8];
    cipher(suite, key).decrypt_in_place(&Nonce::default(), &aad, data).ok()
}

fn cipher(suite: Suite, key: &ChunkKey) -> ChaCha20Poly1305 {
    const CONTEXT: &str = match std::str::from_utf8(EXPAND) {
        Ok(text) => text,
        Err(_) => panic!("the context is ASCII"),
    };
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&[suite.id()]).update(key.as_slice());
    let expanded = Zeroizing::new(*hasher.finalize().as_bytes());
    ChaCha20Poly1305::new((&*expanded).into())
}
