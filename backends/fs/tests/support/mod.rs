//! Operating systems for tests: one that fails on demand, and one that forgets what was not synced.

// Each test file uses its own part. The numbers are small.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::cast_possible_truncation)]

pub mod fault_os;
pub mod fault_table;
pub mod gate_os;
pub mod location;
pub mod machine;
pub mod sim_os;

use bytes::Bytes;
use selfenc_core::store::ChunkId;

/// A small generator (splitmix64): the same numbers for the same seed, everywhere.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }
}

/// Chunk number `n`: a few share each shard folder, and the lengths are from nothing to three pages.
pub fn chunk(n: u64) -> (ChunkId, Bytes) {
    let len = [0, 1, 300, 511, 513, 4095, 4097, 9000][n as usize % 8];
    let mut data = vec![0; len];
    blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut data);
    let mut id = [n as u8; 32];
    id[0] = (n % 5) as u8 * 50;
    (ChunkId::from_bytes(id), data.into())
}
