//! MiB/s of each stage of encrypting, on one core: eight chunks of a MiB at a time, as the engine takes them.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use selfenc::Suite;
use selfenc_bench::data;
use selfenc_bench::stages::{BATCH, CHUNK, Chunk, Stage, Worker};

fn stages(c: &mut Criterion) {
    let len = BATCH * CHUNK;
    let sources = data::real(&data::cargo_sources().unwrap(), len).unwrap();
    for (name, bytes) in [("random", data::random(len)), ("sources", sources)] {
        for suite in Suite::ALL {
            let mut group = c.benchmark_group(format!("{suite}, {name}"));
            group.throughput(Throughput::Bytes(len as u64)).sample_size(20);
            for (n, stage) in Stage::ALL.into_iter().enumerate() {
                let mut worker = Worker::new().unwrap();
                let mut before: Vec<_> = bytes.chunks(CHUNK).map(Chunk::new).collect();
                before.iter_mut().for_each(Chunk::reset);
                for earlier in &Stage::ALL[..n] {
                    earlier.run(suite, &mut worker, &mut before);
                }
                group.bench_function(BenchmarkId::from_parameter(stage.name()), |b| {
                    let run = |batch: &mut Vec<Chunk<'_>>| stage.run(suite, &mut worker, batch);
                    b.iter_batched_ref(|| before.clone(), run, BatchSize::PerIteration);
                });
            }
        }
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
