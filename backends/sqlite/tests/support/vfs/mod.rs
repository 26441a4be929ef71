//! A disk below SQLite that forgets what was not synced, fails on demand, freezes, and is killed.

// Each test file uses its own part. The numbers are small.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::cast_possible_truncation)]

pub mod content;
mod locks;
pub mod model;
mod process;
pub mod store;
pub mod world;

use std::sync::LazyLock;

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

/// Chunk number `n`, below 64: from nothing to several pages.
pub fn chunk(n: u64) -> (ChunkId, Bytes) {
    static CHUNKS: LazyLock<Vec<(ChunkId, Bytes)>> = LazyLock::new(|| (0..64).map(make_chunk).collect());
    CHUNKS[n as usize].clone()
}

fn make_chunk(n: u64) -> (ChunkId, Bytes) {
    let len = [0, 1, 300, 511, 4096, 9000, 20_000, 70_000][n as usize % 8];
    let mut rng = Rng(n);
    let data: Bytes = (0..len).map(|_| rng.next() as u8).collect();
    let mut id = [n as u8; 32];
    id[0] = (n % 5) as u8 * 50;
    (ChunkId::from_bytes(id), data)
}
