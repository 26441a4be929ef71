//! Each stage of encrypting alone, on all cores, by the calls that the engine makes: what an engine of
//! nothing but its stages would take, and ours beside it.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use selfenc::Suite;
use selfenc_bench::Result;
use selfenc_bench::stats::Summary;
use selfenc_kernels::{Parts, Path, cbc, sha3_256, shake256};
use zstd_safe::CCtx;

use super::{Bench, Held, name_of, say};
use crate::ours::Ours;
use crate::results::{Stage, Stages};

/// The default chunk, the header of E, and what a cipher adds.
const CHUNK: usize = 1 << 20;
const HEADER: usize = 9;
const CIPHER_ROOM: usize = 16;
/// As many chunks as the engine hands to a thread at once, with the default memory budget on two cores.
const BATCH: usize = 8;
/// The length of the content hash's label, the suite and the kind.
const LABEL: [u8; 21] = [7; 21];
/// The key of a chunk: any will do for the time it takes.
const KEY: [u8; 32] = [9; 32];

const NAMES: [&str; 5] = ["copy", "probe and zstd", "content hash", "cipher", "name hash"];

/// Measures one suite on one data set, round by round: the stages, then the engine.
pub(crate) fn measure(bench: &Bench, data: &Held, suite: Suite) -> Result<Stages> {
    say(&format!("{}: stages of {suite}", data.name));
    let ours = Ours::new(name_of(suite), suite, None)?;
    let mut chunks: Vec<_> = data.bytes.chunks(CHUNK).map(Chunk::new).collect();
    let threads = thread::available_parallelism()?.get();
    let mut workers: Vec<_> = (0..threads).map(|_| Worker::new()).collect::<Result<_>>()?;

    let mut rounds = Vec::new();
    for round in 0..=bench.rounds {
        let stages = stages(suite, &mut workers, &mut chunks);
        let engine = ours.encrypt(&data.bytes, 1)?[0].as_secs_f64();
        // The first round warms caches and allocators.
        if round > 0 {
            rounds.push((stages, engine));
        }
    }
    let summary = |of: &dyn Fn(&Round) -> f64| -> Result<Summary> {
        Ok(Summary::of(rounds.iter().map(of)).ok_or("no rounds")?)
    };
    let stage = |(n, name): (usize, &&str)| -> Result<Stage> {
        Ok(Stage { name: (*name).to_owned(), seconds: summary(&|(stages, _)| stages[n])? })
    };
    Ok(Stages {
        suite: format!("0x{:02x}", suite.id()),
        data: data.name.to_owned(),
        bytes: data.bytes.len() as u64,
        stages: NAMES.iter().enumerate().map(stage).collect::<Result<_>>()?,
        ceiling: summary(&|(stages, _)| stages.iter().sum())?,
        ours: summary(&|(_, ours)| *ours)?,
        fraction: summary(&|(stages, ours)| stages.iter().sum::<f64>() / ours)?,
    })
}

/// The seconds of each stage, and of the engine.
type Round = ([f64; NAMES.len()], f64);

/// The seconds of each stage over all chunks.
fn stages(suite: Suite, workers: &mut [Worker], chunks: &mut [Chunk<'_>]) -> [f64; NAMES.len()] {
    let hash = |label: &'static [u8]| {
        move |_: &mut Worker, batch: &mut [Chunk<'_>]| {
            let messages: Vec<_> = batch.iter().map(|chunk| [label, chunk.body().as_slice()]).collect();
            std::hint::black_box(digests(suite, &messages));
        }
    };
    chunks.iter_mut().for_each(Chunk::reset);
    [
        on_all_cores(workers, chunks, |_, batch| batch.iter_mut().for_each(Chunk::copy)),
        on_all_cores(workers, chunks, |worker, batch| batch.iter_mut().for_each(|c| c.compress(worker))),
        on_all_cores(workers, chunks, hash(&LABEL)),
        on_all_cores(workers, chunks, |_, batch| seal(suite, batch)),
        on_all_cores(workers, chunks, hash(&[])),
    ]
}

/// The seconds until every chunk was in a batch of `work`, on as many threads as there are workers.
fn on_all_cores<'a>(
    workers: &mut [Worker],
    chunks: &mut [Chunk<'a>],
    work: impl Fn(&mut Worker, &mut [Chunk<'a>]) + Sync,
) -> f64 {
    let batches = Mutex::new(chunks.chunks_mut(BATCH));
    let next = || batches.lock().unwrap_or_else(PoisonError::into_inner).next();
    let (next, work) = (&next, &work);
    let start = Instant::now();
    thread::scope(|scope| {
        for worker in workers {
            scope.spawn(move || {
                while let Some(batch) = next() {
                    work(worker, batch);
                }
            });
        }
    });
    start.elapsed().as_secs_f64()
}

/// What a thread reuses.
struct Worker {
    context: CCtx<'static>,
    frame: Vec<u8>,
}

impl Worker {
    fn new() -> Result<Self> {
        let context = CCtx::try_create().ok_or("no memory for zstd")?;
        Ok(Self { context, frame: vec![0; zstd_safe::compress_bound(CHUNK)] })
    }
}

/// A chunk and its buffers, which are touched before the first measured round.
struct Chunk<'a> {
    source: &'a [u8],
    raw: Vec<u8>,
    compressed: Vec<u8>,
    is_compressed: bool,
}

impl<'a> Chunk<'a> {
    fn new(source: &'a [u8]) -> Self {
        let buffer = || vec![0; HEADER + source.len() + CIPHER_ROOM];
        Self { source, raw: buffer(), compressed: buffer(), is_compressed: false }
    }

    fn reset(&mut self) {
        self.raw.resize(HEADER + self.source.len(), 0);
        self.raw[..HEADER].fill(0); // the round before has encrypted it
        self.compressed.clear();
        self.compressed.resize(HEADER, 0);
        self.is_compressed = false;
    }

    fn copy(&mut self) {
        self.raw[HEADER..].copy_from_slice(self.source);
    }

    /// As the codec does: the probe, one frame, and a copy of it into a buffer of its own, if it is shorter by a
    /// sixteenth.
    fn compress(&mut self, Worker { context, frame }: &mut Worker) {
        let plain = &self.raw[HEADER..];
        if !worth_trying(plain) {
            return;
        }
        let most = plain.len() - plain.len() / 16;
        match context.compress(frame.as_mut_slice(), plain, 3) {
            Ok(len) if len <= most => {
                self.compressed.extend_from_slice(&frame[..len]);
                self.is_compressed = true;
            }
            _ => {}
        }
    }

    fn body(&self) -> &Vec<u8> {
        if self.is_compressed { &self.compressed } else { &self.raw }
    }

    fn body_mut(&mut self) -> &mut Vec<u8> {
        if self.is_compressed { &mut self.compressed } else { &mut self.raw }
    }
}

/// Probe P1 (docs/format.md): sixteen windows, the sum of the squares of how often each byte occurs.
fn worth_trying(plain: &[u8]) -> bool {
    const WINDOW: usize = 4096;
    if plain.len() < 64 << 10 {
        return true;
    }
    let mut counts = [0_u64; 256];
    for j in 0..16 {
        let start = j * (plain.len() - WINDOW) / 15;
        plain[start..start + WINDOW].iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    }
    counts.iter().map(|count| count * count).sum::<u64>() > (1 << 24) + (1 << 20)
}

fn digests(suite: Suite, messages: &[Parts<'_>]) -> Vec<[u8; 32]> {
    match suite {
        Suite::Sha3Aes256Cbc => sha3_256(Path::current(), messages),
        Suite::Blake3ChaCha20Poly1305 => {
            let hash = |[label, message]: &Parts<'_>| {
                *blake3::Hasher::new().update(label).update(message).finalize().as_bytes()
            };
            messages.iter().map(hash).collect()
        }
    }
}

/// Expands the keys and encrypts in place.
fn seal(suite: Suite, batch: &mut [Chunk<'_>]) {
    match suite {
        Suite::Sha3Aes256Cbc => {
            let keys: Vec<_> = batch.iter().map(|_| [LABEL.as_slice(), &KEY]).collect();
            let expanded = shake256::<112>(Path::current(), &keys);
            let jobs = batch.iter_mut().zip(expanded.iter()).map(|(chunk, expanded)| {
                let body = chunk.body_mut();
                body.resize(body.len() + 16 - body.len() % 16, 16); // as long as PKCS#7 makes it
                let parts = expanded.split_first_chunk().and_then(|(key, rest)| {
                    let (iv, pad) = rest.split_first_chunk()?;
                    Some((key, iv, pad.first_chunk()?))
                });
                let (key, iv, pad) = parts.expect("112 bytes are 32, 16 and 64");
                cbc::Job { key, iv, pad, blocks: body.as_chunks_mut().0 }
            });
            cbc::seal(Path::current(), &mut jobs.collect::<Vec<cbc::Job<'_>>>());
        }
        Suite::Blake3ChaCha20Poly1305 => {
            for chunk in batch {
                let key = blake3::derive_key("selfenc bench", &KEY);
                ChaCha20Poly1305::new((&key).into())
                    .encrypt_in_place(&Nonce::default(), &[0; 2], chunk.body_mut())
                    .expect("a chunk is shorter than the cipher's limit");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_goes_through_every_stage_every_round() {
        let text: Vec<u8> = (0_u32..).flat_map(|n| n.to_string().into_bytes()).take(CHUNK).collect();
        let random = selfenc_bench::data::random(9 * CHUNK);
        let data = [&random[..], &text, &random[..100]].concat();
        let mut workers = [Worker::new().unwrap(), Worker::new().unwrap()];
        for suite in Suite::ALL {
            let mut chunks: Vec<_> = data.chunks(CHUNK).map(Chunk::new).collect();
            let mut bodies: Vec<Vec<_>> = Vec::new();
            for _ in 0..2 {
                assert!(stages(suite, &mut workers, &mut chunks).iter().all(|seconds| *seconds > 0.0));
                bodies.push(chunks.iter().map(|chunk| chunk.body().clone()).collect());
            }
            assert!(bodies[0] == bodies[1], "a second round is as the first");
            assert_eq!(chunks.iter().filter(|chunk| chunk.is_compressed).count(), 1, "the text");
            assert!(chunks.iter().all(|chunk| chunk.body()[HEADER..][..50] != chunk.source[..50]));
        }
    }
}
