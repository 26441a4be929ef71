//! The suite's data: pseudo-random, the same in every run.

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use selfenc_core::store::{ChunkId, ChunkMeta, ChunkStore, Error, RootName};

use crate::Failure;

/// A chunk as an honest caller has it: named by its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) id: ChunkId,
    pub(crate) data: Bytes,
}

impl Sample {
    pub(crate) fn of(data: impl Into<Bytes>) -> Self {
        let data = data.into();
        Self { id: ChunkId::from_bytes(*blake3::hash(&data).as_bytes()), data }
    }

    pub(crate) fn meta(&self) -> ChunkMeta {
        ChunkMeta { id: self.id, len: self.data.len() as u64 }
    }
}

/// `len` bytes that depend on `seed` alone.
pub(crate) fn noise(seed: u64, len: usize) -> Bytes {
    let mut data = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut data);
    data.into()
}

pub(crate) fn sample(seed: u64, len: usize) -> Sample {
    Sample::of(noise(seed, len))
}

/// `n` different samples of about `len` bytes (at least 8).
pub(crate) fn samples(seed: u64, n: u64, len: usize) -> Vec<Sample> {
    (0..n).map(|i| sample(seed << 32 | i, len.max(8) + (i % 7) as usize)).collect()
}

/// What a full listing of exactly these samples must be.
pub(crate) fn metas<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Vec<ChunkMeta> {
    let mut metas: Vec<_> = samples.into_iter().map(Sample::meta).collect();
    metas.sort_unstable();
    metas.dedup();
    metas
}

/// More than any case stores: where a listing that never ends is cut.
const ENDLESS: usize = 200_000;

/// A listing that ends, whatever the store does: no deadline can end one that is always ready.
pub(crate) fn list(
    store: &(impl ChunkStore + ?Sized),
    after: Option<ChunkId>,
) -> BoxStream<'static, Result<ChunkMeta, Error>> {
    store.list(after).take(ENDLESS).boxed()
}

pub(crate) async fn listed(
    store: &(impl ChunkStore + ?Sized),
    after: Option<ChunkId>,
) -> Result<Vec<ChunkMeta>, Error> {
    list(store, after).try_collect().await
}

/// `len`, or the longest chunk that the store takes.
pub(crate) fn fit(store: &(impl ChunkStore + ?Sized), len: usize) -> usize {
    usize::try_from(store.capabilities().max_chunk_len).map_or(len, |max| len.min(max))
}

/// Puts every sample, in a batch for speed.
pub(crate) async fn put_all(store: &(impl ChunkStore + ?Sized), samples: &[Sample]) -> Result<(), Failure> {
    for batch in samples.chunks(1000) {
        for outcome in store.put_many(batch.iter().map(|x| (x.id, x.data.clone())).collect()).await {
            must!(G1, outcome);
        }
    }
    Ok(())
}

pub(crate) fn root(name: &str) -> RootName {
    RootName::new(name).expect("the suite's own names are valid")
}

/// A small generator (splitmix64): the same numbers for the same seed, everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `n` - 1; 0 if `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// One of `all`, which is not empty.
    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        // The remainder fits, as the length does.
        &all[usize::try_from(self.below(all.len() as u64)).unwrap_or_default()]
    }
}
