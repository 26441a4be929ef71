//! What is stored: bytes that do not compress, under names that look like hashes.

use bytes::Bytes;
use selfenc::store::ChunkId;
use selfenc_bench::data;

const ID: usize = 32;

/// Chunks of one length.
#[derive(Debug)]
pub(crate) struct Chunks {
    pub(crate) len: usize,
    pub(crate) items: Vec<(ChunkId, Bytes)>,
}

impl Chunks {
    /// The two lengths that are measured: 4096 chunks of 4 KiB, and `large` of 1 MiB.
    pub(crate) fn sizes(large: usize) -> [Self; 2] {
        [Self::new(4 << 10, 4096), Self::new(1 << 20, large)]
    }

    fn new(len: usize, count: usize) -> Self {
        let mut random = data::random(count * (ID + len));
        let items = (0..count)
            .map(|_| {
                let id: [u8; ID] = random.split_to(ID)[..].try_into().expect("that many were split off");
                (ChunkId::from_bytes(id), random.split_to(len))
            })
            .collect();
        Self { len, items }
    }

    /// All of them together, in MiB.
    pub(crate) fn mib(&self) -> f64 {
        (self.len * self.items.len()) as f64 / f64::from(1 << 20)
    }
}
