//! The figures of the README:
//! `cargo test -p selfenc-sled --test measure -- --ignored --nocapture` (sled is optimised in tests too).
//!
//! Each size in a process of its own, for its memory.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::print_stdout)]
#![cfg(unix)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bytes::Bytes;
use selfenc_core::store::{BlockingEngine, ChunkId, OpenMode};
use selfenc_sled::{SledConfig, SledEngine};
use support::chunk;

const CHILD: &str = "SELFENC_SLED_MEASURE";

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Chunks that differ, made quickly.
struct Chunks(Vec<u8>);

impl Chunks {
    fn new(len: usize) -> Self {
        Self(chunk(0, len).1.to_vec())
    }

    fn get(&mut self, n: u64) -> (ChunkId, Bytes) {
        for piece in self.0.chunks_mut(4096) {
            piece[..8].copy_from_slice(&n.to_le_bytes());
        }
        (chunk(n, 0).0, Bytes::copy_from_slice(&self.0))
    }
}

/// What the files take on the disk.
fn on_disk(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let of = |entry: std::fs::DirEntry| {
        let found = entry.metadata().unwrap();
        if found.is_dir() { on_disk(&entry.path()) } else { found.blocks() * 512 }
    };
    std::fs::read_dir(dir).unwrap().map(|entry| of(entry.unwrap())).sum()
}

/// The most memory that this process had until now, in MiB; 0 where the system does not say.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn measure(len: usize, total: u64) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let open = |mode| SledConfig::new(&dir).open_engine(mode).unwrap();
    let count = total / len as u64;
    let report = |what: &str, start: Instant| {
        let (took, disk) = (start.elapsed().as_secs_f64(), on_disk(&dir));
        let (rate, factor) = (mib(total) / took, disk as f64 / total as f64);
        println!(
            "| {len} | {:.0} MiB | {what:<24} | {took:>7.2} s | {rate:>8.1} MiB/s | {factor:.2} | {} MiB |",
            mib(total),
            most_memory()
        );
    };
    let mut chunks = Chunks::new(len);
    let mut put = |engine: &SledEngine, from: u64| {
        for n in from..from + count {
            let (id, data) = chunks.get(n);
            engine.put(id, &data).unwrap();
            if n % 64 == 63 {
                engine.flush().unwrap();
            }
        }
        engine.flush().unwrap();
    };
    let engine = open(OpenMode::Create);
    let start = Instant::now();
    put(&engine, 0);
    report("put, a flush for each 64", start);
    let start = Instant::now();
    for n in 0..count {
        assert_eq!(engine.get(chunk(n, 0).0).unwrap().unwrap().len(), len);
    }
    report("get", start);
    let (start, mut after, mut listed) = (Instant::now(), None, 0);
    loop {
        let page = engine.page(after).unwrap();
        let Some(last) = page.last() else { break };
        (after, listed) = (Some(last.id), listed + page.len() as u64);
    }
    assert_eq!(listed, count);
    report("list", start);
    let start = Instant::now();
    drop(engine);
    let engine = open(OpenMode::Existing);
    report("close and open", start);
    let start = Instant::now();
    for n in 0..count {
        engine.delete(chunk(n, 0).0).unwrap();
    }
    engine.flush().unwrap();
    report("delete all", start);
    let start = Instant::now();
    put(&engine, count);
    report("put as much anew", start);
}

/// The same straight into a tree of sled's, a value for each chunk.
fn measure_raw(len: usize, total: u64) {
    let folder = tempfile::tempdir().unwrap();
    let db =
        sled::Config::new().path(folder.path()).cache_capacity(16 << 20).flush_every_ms(None).open().unwrap();
    let (mut chunks, count, start) = (Chunks::new(len), total / len as u64, Instant::now());
    for n in 0..count {
        let (id, data) = chunks.get(n);
        db.insert(id.as_bytes(), &data[..]).unwrap();
        if n % 64 == 63 {
            db.flush().unwrap();
        }
    }
    db.flush().unwrap();
    let (took, disk) = (start.elapsed().as_secs_f64(), on_disk(folder.path()));
    let (rate, factor) = (mib(total) / took, disk as f64 / total as f64);
    println!(
        "| {len} | {:.0} MiB | {:<24} | {took:>7.2} s | {rate:>8.1} MiB/s | {factor:.2} | {} MiB |",
        mib(total),
        "sled alone: put",
        most_memory()
    );
    for n in 0..count {
        db.remove(chunk(n, 0).0.as_bytes()).unwrap();
    }
    db.flush().unwrap();
    println!(
        "| {len} | {:.0} MiB | {:<24} | | | {:.2} | {} MiB |",
        mib(total),
        "sled alone: delete all",
        on_disk(folder.path()) as f64 / total as f64,
        most_memory()
    );
}

#[test]
#[ignore = "minutes: it prints the figures of the README"]
fn figures() {
    if let Ok(which) = std::env::var(CHILD) {
        let words: Vec<_> = which.split(' ').collect();
        let work = if words[0] == "raw" { measure_raw } else { measure };
        return work(words[1].parse().unwrap(), words[2].parse::<u64>().unwrap() << 20);
    }
    println!("| chunk | in all | what | took | | on disk for each byte | most memory |");
    let small = ["store 4096 256", "raw 4096 256", "store 65536 256", "raw 65536 256"];
    for which in small.into_iter().chain(["store 1048576 256", "raw 1048576 256", "store 1048576 1024"]) {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["figures", "--exact", "--nocapture", "--include-ignored"]).env(CHILD, which);
        let output = child.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter(|line| line.starts_with('|')).for_each(|line| println!("{line}"));
    }
}
