//! MiB/s of every path that this CPU has, on one core.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use selfenc_kernels::cbc::{Job, open, seal};
use selfenc_kernels::{Parts, Path, sha3_256, shake256};

const LABEL: &[u8] = b"a label of 20 bytes.";
const LENGTHS: [(&str, usize); 2] = [("1 MiB", 1 << 20), ("100 KiB", 100 << 10)];

fn sha3(c: &mut Criterion) {
    for (name, len) in LENGTHS {
        let data = vec![vec![7; len]; 9];
        let messages: Vec<Parts<'_>> = data.iter().map(|data| [LABEL, data.as_slice()]).collect();
        let mut group = c.benchmark_group(format!("sha3-256 of {name}"));
        for (count, path) in
            (1..=9).flat_map(|count| Path::available().into_iter().map(move |path| (count, path)))
        {
            group.throughput(Throughput::Bytes((count * len) as u64));
            group.bench_function(BenchmarkId::new(path.name(), count), |b| {
                b.iter(|| sha3_256(path, &messages[..count]));
            });
        }
    }
}

/// The chunk keys' way into 112 bytes.
fn keys(c: &mut Criterion) {
    let messages = [[7; 32]; 8].each_ref().map(|key| [LABEL, key.as_slice()]);
    let mut group = c.benchmark_group("shake256 of 32 bytes");
    group.throughput(Throughput::Elements(8));
    for path in Path::available() {
        group.bench_function(BenchmarkId::new(path.name(), 8), |b| {
            b.iter(|| shake256::<112>(path, &messages));
        });
    }
}

fn cbc(c: &mut Criterion) {
    let (key, iv, pad) = ([1; 32], [2; 16], [3; 64]);
    for (name, len) in LENGTHS {
        let mut data = vec![vec![[7; 16]; len / 16]; 9];
        let mut group = c.benchmark_group(format!("aes-256-cbc of {name}"));
        for (count, path) in
            (1..=9).flat_map(|count| Path::available().into_iter().map(move |path| (count, path)))
        {
            group.throughput(Throughput::Bytes((count * len) as u64));
            group.bench_function(BenchmarkId::new(format!("seal {path}"), count), |b| {
                b.iter(|| {
                    let job = |blocks| Job { key: &key, iv: &iv, pad: &pad, blocks };
                    let mut jobs: Vec<_> =
                        data[..count].iter_mut().map(|data| job(data.as_mut_slice())).collect();
                    seal(path, &mut jobs);
                });
            });
        }
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function("open", |b| {
            b.iter(|| open(&mut Job { key: &key, iv: &iv, pad: &pad, blocks: &mut data[0] }));
        });
    }
}

criterion_group!(benches, sha3, keys, cbc);
criterion_main!(benches);
