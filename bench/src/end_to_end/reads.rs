//! 4 KiB at random offsets: of chunks that were not read before, and of one that was.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use self_encryption::hash::content_hash;
use self_encryption::{MAX_CHUNK_SIZE, XorName, streaming_decrypt};
use selfenc::{DataMap, EncryptionConfig, Engine, MemoryStore, Scope, Suite};
use selfenc_bench::{Result, data};
use tokio::runtime::Runtime;

use super::rounds::interleave;
use super::{Bench, name_of, say};
use crate::results::{Measurement, Run, Work};

const LEN: usize = 4 << 10;
/// Reads of one chunk in one round.
const CACHED: usize = 2000;

/// Measures both suites and the peer, on random bytes. Seconds are of one read, the mean of a round.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    say("4 KiB at random offsets");
    let data = data::random(usize::try_from(bench.large)?);
    let cold = offsets(data.len());
    let ours = Suite::ALL.map(|suite| Ours::new(suite, &data));
    let ours: Vec<_> = ours.into_iter().collect::<Result<_>>()?;
    let theirs = Theirs::new(&data)?;
    let read_theirs = theirs.reader()?;

    let names = Suite::ALL.map(name_of);
    let names: Vec<_> = names.iter().map(String::as_str).chain(["self_encryption"]).collect();
    let runs = interleave(bench.rounds, names.len(), |i| match ours.get(i) {
        Some(ours) => ours.read(&data, &cold, None),
        None => timed(&cold, |offset| compare(&data, offset, &read_theirs(offset)?)),
    })?;
    let mut found = measurements(Work::ReadCold, &names, runs)?;

    let chunk = data.len() / 2;
    let cached: Vec<_> = offsets_in(chunk, CACHED);
    let runs = interleave(bench.rounds, ours.len(), |i| ours[i].read(&data, &cached, Some(chunk)))?;
    found.extend(measurements(Work::ReadCached, &names, runs)?);
    Ok(found)
}

fn measurements(work: Work, names: &[&str], runs: Vec<Vec<Run>>) -> Result<Vec<Measurement>> {
    let one = |(name, runs): (&&str, _)| Measurement::new(work, "random", LEN as u64, name, runs);
    names.iter().zip(runs).map(one).collect()
}

/// One in each of the peer's chunks, which are larger than ours, in no order: nobody meets a chunk twice.
fn offsets(len: usize) -> Vec<usize> {
    let mut offsets: Vec<_> = (0..len / MAX_CHUNK_SIZE)
        .zip(numbers())
        .map(|(chunk, number)| (number, chunk * MAX_CHUNK_SIZE + number % (MAX_CHUNK_SIZE - LEN)))
        .collect();
    offsets.sort_unstable_by_key(|(number, _)| number.rotate_left(32));
    offsets.into_iter().map(|(_, offset)| offset).collect()
}

/// `count` in the MiB from `chunk`.
fn offsets_in(chunk: usize, count: usize) -> Vec<usize> {
    numbers().take(count).map(|number| chunk + number % ((1 << 20) - LEN)).collect()
}

fn numbers() -> impl Iterator<Item = usize> {
    let random = data::random(1 << 16);
    let words: Vec<_> = random.as_chunks().0.iter().map(|word| usize::from_le_bytes(*word)).collect();
    words.into_iter().cycle()
}

/// Ours, with everything in a memory store.
struct Ours {
    engine: Engine,
    store: Arc<MemoryStore>,
    map: DataMap,
    runtime: Runtime,
}

impl Ours {
    fn new(suite: Suite, data: &Bytes) -> Result<Self> {
        let engine = Engine::new(EncryptionConfig::new().with_suite(suite))?;
        let (store, runtime) = (Arc::new(MemoryStore::new()), Runtime::new()?);
        let written = runtime.block_on(engine.write_bytes(store.clone(), &Scope::Public, data))?;
        Ok(Self { engine, store, map: written.map, runtime })
    }

    /// One round by a fresh reader, which first reads at `before`.
    fn read(&self, data: &Bytes, offsets: &[usize], before: Option<usize>) -> Result<Run> {
        let reader = self.engine.open(self.store.clone(), self.map.clone());
        self.runtime.block_on(async {
            if let Some(before) = before {
                reader.read_at(before as u64, LEN).await?;
            }
            let start = Instant::now();
            for offset in offsets {
                let read = reader.read_at(*offset as u64, LEN).await?;
                compare(data, *offset, &read)?;
            }
            Ok(per_read(start, offsets.len()))
        })
    }
}

/// The peer's chunks, by name.
struct Theirs {
    map: self_encryption::DataMap,
    chunks: HashMap<XorName, Bytes>,
}

impl Theirs {
    fn new(data: &Bytes) -> Result<Self> {
        let (map, chunks) = self_encryption::encrypt(data.clone())?;
        let chunks = chunks.into_iter().map(|chunk| (content_hash(&chunk.content), chunk.content)).collect();
        Ok(Self { map, chunks })
    }

    /// Its way to a range. It has read the maps already, and keeps no chunks.
    fn reader(&self) -> Result<impl Fn(usize) -> Result<Bytes>> {
        let fetch = |wanted: &[(usize, XorName)]| {
            Ok(wanted.iter().map(|(index, name)| (*index, self.chunks[name].clone())).collect())
        };
        let stream = streaming_decrypt(&self.map, fetch)?;
        Ok(move |offset: usize| -> Result<Bytes> { Ok(stream.get_range(offset, LEN)?) })
    }
}

fn timed(offsets: &[usize], read: impl Fn(usize) -> Result<()>) -> Result<Run> {
    let start = Instant::now();
    offsets.iter().try_for_each(|offset| read(*offset))?;
    Ok(per_read(start, offsets.len()))
}

fn per_read(start: Instant, reads: usize) -> Run {
    Run::of_seconds(start.elapsed().as_secs_f64() / reads as f64)
}

/// Within the measured time, on both sides: a fraction of a microsecond.
fn compare(data: &Bytes, offset: usize, read: &Bytes) -> Result<()> {
    if data[offset..offset + LEN] == **read { Ok(()) } else { Err("other bytes were read".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_chunk_is_met_twice() {
        let offsets = offsets(40 * MAX_CHUNK_SIZE);
        let mut chunks: Vec<_> = offsets.iter().map(|offset| offset / MAX_CHUNK_SIZE).collect();
        assert!(!chunks.is_sorted());
        chunks.sort_unstable();
        assert_eq!(chunks, (0..40).collect::<Vec<_>>());
        assert!(offsets.iter().all(|o| o / MAX_CHUNK_SIZE == (o + LEN - 1) / MAX_CHUNK_SIZE));
        assert!(offsets_in(7 << 20, 1000).iter().all(|o| o >> 20 == 7 && (o + LEN - 1) >> 20 == 7));
    }
}
