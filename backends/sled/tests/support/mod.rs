//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub)] // each test uses a part of it

pub mod gated;
pub mod location;

use std::path::Path;
use std::time::{Duration, Instant};

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

/// Opens the database of the store in `dir` by sled alone. Threads of an engine that was dropped may hold its
/// lock for a while.
pub fn by_sled_alone(dir: &Path) -> sled::Db {
    let start = Instant::now();
    loop {
        match sled::Config::new().segment_size(256 << 10).path(dir.join("sled")).open() {
            Ok(db) => return db,
            Err(e) => {
                let is_locked = e.to_string().contains("could not acquire lock");
                assert!(is_locked && start.elapsed() < Duration::from_secs(30), "{e}");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
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
