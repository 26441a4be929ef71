//! Chunks of different lengths, interleaved.

use zeroize::Zeroize;

use super::aesni::AesNi;
use super::schedule::Schedule;
use super::{AesKey, Block, Job};

/// Chunks sealed at once. An AES unit that starts two rounds a cycle, each four cycles long, is full
/// with eight; measured on Zen 3, 8 chunks take as long as one. `seal` has an arm for each number.
const LANES: usize = 8;

/// Seals every job; a lane that ends takes the next one. The longest go first, so that the last ones
/// end together.
pub(super) fn seal<K: AesKey>(aes: &AesNi, jobs: &mut [Job<'_, K>]) {
    let mut queue: Vec<_> = jobs.iter_mut().filter(|job| !job.blocks.is_empty()).collect();
    queue.sort_by_key(|job| job.blocks.len());
    let mut lanes: Vec<Lane<'_>> = Vec::with_capacity(LANES);
    loop {
        lanes.retain(|lane| !lane.blocks.is_empty());
        while lanes.len() < LANES
            && let Some(job) = queue.pop()
        {
            lanes.push(Lane::new(aes, job));
        }
        match lanes.len() {
            0 => return,
            1 => seal_lanes::<K, 1>(aes, &mut lanes),
            2 => seal_lanes::<K, 2>(aes, &mut lanes),
            3 => seal_lanes::<K, 3>(aes, &mut lanes),
            4 => seal_lanes::<K, 4>(aes, &mut lanes),
            5 => seal_lanes::<K, 5>(aes, &mut lanes),
            6 => seal_lanes::<K, 6>(aes, &mut lanes),
            7 => seal_lanes::<K, 7>(aes, &mut lanes),
            _ => seal_lanes::<K, 8>(aes, &mut lanes),
        }
    }
}

/// Seals as many blocks of the first `N` lanes as the shortest has.
fn seal_lanes<K: AesKey, const N: usize>(aes: &AesNi, lanes: &mut [Lane<'_>]) {
    if let Some(lanes) = lanes.first_chunk_mut::<N>() {
        let count = lanes.iter().map(|lane| lane.blocks.len()).min().unwrap_or(0);
        aes.seal::<K, N>(lanes, count);
    }
}

/// The pad in blocks.
fn quarters(pad: &[u8; 64]) -> &[Block; 4] {
    pad.as_chunks().0.as_array().expect("64 bytes are four blocks")
}

/// One chunk on its way.
pub(super) struct Lane<'a> {
    pub(super) keys: Schedule,
    pub(super) pad: &'a [Block; 4],
    /// The last block of ciphertext, before the pad.
    pub(super) chain: Block,
    /// How many blocks have been sealed.
    pub(super) sealed: usize,
    /// Those that have not.
    blocks: &'a mut [Block],
}

impl<'a> Lane<'a> {
    fn new<K: AesKey>(aes: &AesNi, job: &'a mut Job<'_, K>) -> Self {
        let keys = aes.expand(job.key);
        Self { keys, pad: quarters(job.pad), chain: *job.iv, sealed: 0, blocks: job.blocks }
    }

    /// The next `count` blocks, or all that are left.
    pub(super) fn take(&mut self, count: usize) -> &'a mut [Block] {
        let blocks = std::mem::take(&mut self.blocks);
        let (now, later) = blocks.split_at_mut(count.min(blocks.len()));
        self.blocks = later;
        now
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.chain.zeroize();
    }
}
