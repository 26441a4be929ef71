//! Each stage of encrypting alone, on all cores, by the calls that the engine makes: what an engine of
//! nothing but its stages would take, and ours beside it.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use selfenc::Suite;
use selfenc_bench::Result;
use selfenc_bench::stages::{BATCH, CHUNK, Chunk, Stage, Worker};
use selfenc_bench::stats::Summary;

use super::{Bench, Held, name_of, say};
use crate::ours::Ours;
use crate::results::{self, Stages};

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
    let stage = |(n, stage): (usize, &Stage)| -> Result<results::Stage> {
        Ok(results::Stage { name: stage.name().to_owned(), seconds: summary(&|(stages, _)| stages[n])? })
    };
    Ok(Stages {
        suite: format!("0x{:02x}", suite.id()),
        data: data.name.to_owned(),
        bytes: data.bytes.len() as u64,
        stages: Stage::ALL.iter().enumerate().map(stage).collect::<Result<_>>()?,
        ceiling: summary(&|(stages, _)| stages.iter().sum())?,
        ours: summary(&|(_, ours)| *ours)?,
        fraction: summary(&|(stages, ours)| stages.iter().sum::<f64>() / ours)?,
    })
}

/// The seconds of each stage, and of the engine.
type Round = ([f64; Stage::ALL.len()], f64);

/// The seconds of each stage over all chunks.
fn stages(suite: Suite, workers: &mut [Worker], chunks: &mut [Chunk<'_>]) -> [f64; Stage::ALL.len()] {
    chunks.iter_mut().for_each(Chunk::reset);
    Stage::ALL.map(|stage| on_all_cores(workers, chunks, |worker, batch| stage.run(suite, worker, batch)))
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
