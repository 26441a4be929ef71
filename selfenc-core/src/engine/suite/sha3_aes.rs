//! Suite 0x10: SHA3-256, and AES-256-CBC with PKCS#7 padding under a repeated 64-byte XOR pad.

use selfenc_kernels::{Parts, Path, cbc, sha3_256, shake256};
use zeroize::Zeroizing;

use super::{ChunkKey, Digest, EXPAND, Functions, Kind, Suite};
use crate::engine::pkcs7;

pub(super) static FUNCTIONS: Functions = Functions { hash, lanes, seal, open };

const KEY: usize = 32;
const BLOCK: usize = 16;
const PAD: usize = 64;

fn hash(messages: &[Parts<'_>]) -> Vec<Digest> {
    sha3_256(Path::current(), messages)
}

fn lanes() -> usize {
    Path::current().lanes()
}

fn seal(suite: Suite, _: Kind, mut chunks: Vec<(&ChunkKey, &mut Vec<u8>)>) {
    let keys: Vec<_> = chunks.iter().map(|(key, _)| key.as_slice()).collect();
    let expanded = expand(suite, &keys);
    let jobs = chunks.iter_mut().zip(expanded.iter()).map(|((_, data), expanded)| {
        pkcs7::pad(data);
        expanded.job(data.as_chunks_mut().0)
    });
    cbc::seal(Path::current(), &mut jobs.collect::<Vec<_>>());
}

fn open(suite: Suite, _: Kind, key: &ChunkKey, data: &mut Vec<u8>) -> Option<()> {
    let (blocks, rest) = data.as_chunks_mut();
    if !rest.is_empty() {
        return None;
    }
    cbc::open(&mut expand(suite, &[key.as_slice()])[0].job(blocks));
    pkcs7::unpad(data)
}

/// Chunk keys' 112 bytes each for the cipher: key, IV and XOR pad.
fn expand(suite: Suite, keys: &[&[u8]]) -> Vec<Expanded> {
    let label = [EXPAND, &[0, suite.id()]].concat();
    let keys: Vec<_> = keys.iter().map(|key| [label.as_slice(), key]).collect();
    let expanded = shake256::<{ KEY + BLOCK + PAD }>(Path::current(), &keys);
    expanded.iter().map(Expanded::new).collect()
}

struct Expanded {
    key: Zeroizing<[u8; KEY]>,
    iv: Zeroizing<[u8; BLOCK]>,
    pad: Zeroizing<[u8; PAD]>,
}

impl Expanded {
    fn new(bytes: &[u8; KEY + BLOCK + PAD]) -> Self {
        let mut expanded = Self {
            key: Zeroizing::new([0; KEY]),
            iv: Zeroizing::new([0; BLOCK]),
            pad: Zeroizing::new([0; PAD]),
        };
        expanded.key.copy_from_slice(&bytes[..KEY]);
        expanded.iv.copy_from_slice(&bytes[KEY..KEY + BLOCK]);
        expanded.pad.copy_from_slice(&bytes[KEY + BLOCK..]);
        expanded
    }

    fn job<'a>(&'a self, blocks: &'a mut [[u8; BLOCK]]) -> cbc::Job<'a> {
        cbc::Job { key: &self.key, iv: &self.iv, pad: &self.pad, blocks }
    }
}
