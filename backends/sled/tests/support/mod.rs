//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub)] // each test uses a part of it

pub mod gated;
pub mod location;

use bytes::Bytes;
use selfenc_core::store::ChunkId;

/// Chunk `n` of `len` bytes that do not repeat. Its id is the same for any length.
pub fn chunk(n: u64, len: usize) -> (ChunkId, Bytes) {
    let mut rng = Rng(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut id = [0; 32];
    for part in id.chunks_mut(8) {
        part.copy_from_slice(&rng.next().to_le_bytes());
    }
    let data: Vec<u8> = std::iter::repeat_with(|| rng.next().to_le_bytes()).flatten().take(len).collect();
    (ChunkId::from_bytes(id), data.into())
}

/// Numbers by chance.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
