//! Data in memory, there and back.

use std::sync::Arc;

use selfenc::classic::error::Error;
use selfenc::classic::parallel::{ParallelEncryptor, WorkerPool};
use selfenc::classic::{Chunk, SelfEncryptor};
use selfenc::{Bytes, CpuPool, EncryptionConfig, Engine, MemoryStore};

use super::{PUBLIC, data_names, random, small};

#[test]
fn every_size_comes_back() {
    for len in [0, 1, 3, 4096, 4097, 100_000, 1 << 20, (3 << 20) + 17] {
        let data = random(len as u64 + 1, len);
        let (map, chunks) = SelfEncryptor::new(data.clone()).unwrap().encrypt().unwrap();
        assert_eq!(chunks.is_empty(), len <= 4096);
        assert_eq!(SelfEncryptor::from_data_map(map, chunks).unwrap().decrypt().unwrap(), data);
    }
}

#[tokio::test]
async fn it_is_the_engine_and_every_chunk_comes_once_in_order_and_pages_last() {
    // More than 512 chunks have a page; the second half is the first again.
    let half = random(1, 400 * 1024);
    let data = Bytes::from([&half[..], &half[..]].concat());
    let (map, chunks) = SelfEncryptor::with_config(data.clone(), small()).unwrap().encrypt().unwrap();

    let store = Arc::new(MemoryStore::new());
    let engine = Engine::new(small()).unwrap();
    let written = engine.write_bytes(store.clone(), &PUBLIC, &data).await.unwrap();
    assert_eq!(*written.map.to_secret_bytes(), *map.to_secret_bytes());

    let names: Vec<_> = chunks.iter().map(|chunk| chunk.name).collect();
    let of_data = data_names(&engine.open(store, written.map)).await;
    assert_eq!(names[..of_data.len()], of_data);
    assert_eq!(names.len() as u64, written.stats.chunks_new);
    assert_eq!(names.len() - of_data.len(), 2, "800 chunks have two pages");
}

#[test]
fn the_order_of_chunks_does_not_matter_nor_do_others_among_them() {
    let data = random(2, 50_000);
    let encryptor = SelfEncryptor::with_config(data.clone(), small()).unwrap();
    let (map, mut chunks) = encryptor.encrypt().unwrap();
    let (_, others) = SelfEncryptor::new(random(3, 50_000)).unwrap().encrypt().unwrap();
    chunks.extend(others);
    chunks.reverse();
    assert_eq!(SelfEncryptor::from_data_map(map, chunks).unwrap().decrypt().unwrap(), data);
    assert_eq!(encryptor.encrypt().unwrap().1.len(), 49, "and it can be done again");
}

#[test]
fn a_missing_or_damaged_chunk_is_invalid_data_and_named() {
    let (map, chunks) = SelfEncryptor::with_config(random(4, 50_000), small()).unwrap().encrypt().unwrap();
    let spoilt = |change: fn(&mut Vec<Chunk>)| {
        let mut chunks = chunks.clone();
        change(&mut chunks);
        SelfEncryptor::from_data_map(map.clone(), chunks).unwrap().decrypt().unwrap_err()
    };
    let bad = Chunk { content: Bytes::from(vec![0; 100]), ..chunks[7].clone() };
    for both in [[&[bad.clone()][..], &chunks].concat(), [&chunks[..], &[bad]].concat()] {
        let found = SelfEncryptor::from_data_map(map.clone(), both).unwrap().decrypt().unwrap();
        assert_eq!(found, random(4, 50_000), "of two, the right one counts");
    }
    let name = chunks[7].name.short().to_string();
    let missing = spoilt(|chunks| drop(chunks.remove(7)));
    let damaged = spoilt(|chunks| chunks[7].content = Bytes::from(vec![0; chunks[7].content.len()]));
    for e in [missing, damaged] {
        assert!(matches!(&e, Error::InvalidData(message) if message.contains(&name)), "{e:?}");
    }
}

#[test]
fn it_works_inside_a_runtime_of_any_kind() {
    use tokio::runtime::Builder;
    let there_and_back = || {
        let (map, chunks) = SelfEncryptor::new(vec![7; 3_000_000]).unwrap().encrypt().unwrap();
        assert_eq!(SelfEncryptor::from_data_map(map, chunks).unwrap().decrypt().unwrap().len(), 3_000_000);
    };
    Builder::new_current_thread().build().unwrap().block_on(async { there_and_back() });
    Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(async { there_and_back() });
}

#[test]
fn a_pool_of_too_many_threads_is_refused() {
    assert!(ParallelEncryptor::with_pool("x", WorkerPool::new(1 << 40)).is_err());
}

/// The threads of this process that hash and encrypt.
#[cfg(target_os = "linux")]
fn cpu_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    tasks.filter_map(name).filter(|name| name.starts_with("selfenc-cpu")).count()
}

/// The same, once there are so many: a pool does not wait until its threads have begun.
#[cfg(target_os = "linux")]
fn cpu_threads_from(least: usize) -> usize {
    let start = std::time::Instant::now();
    while cpu_threads() < least && start.elapsed().as_secs() < 30 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    cpu_threads()
}

/// Run alone, in a process of its own: other tests have threads too.
#[cfg(target_os = "linux")]
#[test]
fn clones_of_a_pool_have_its_threads_and_no_more() {
    const ALONE: &str = "SELFENC_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let me = std::env::current_exe().unwrap();
        let mut command = std::process::Command::new(me);
        let test = "whole::clones_of_a_pool_have_its_threads_and_no_more";
        let status = command.args(["--exact", test, "--test-threads=1"]).env(ALONE, "1").status().unwrap();
        assert!(status.success());
        return;
    }
    let pool = WorkerPool::new(3);
    assert_eq!(cpu_threads(), 0, "they start when they are needed");
    let encryptors: Vec<_> =
        (0..4).map(|i| ParallelEncryptor::with_pool(random(i, 100_000), pool.clone()).unwrap()).collect();
    encryptors.iter().for_each(|encryptor| drop(encryptor.encrypt().unwrap()));
    assert_eq!(cpu_threads_from(3), 3);

    // Those of an engine are the same too.
    let shared = CpuPool::new(2).unwrap();
    let engine = Engine::with_pool(EncryptionConfig::new(), shared.clone()).unwrap();
    let engine = selfenc::blocking::Engine::from_engine(engine).unwrap();
    let data = random(5, 3_000_000);
    let store = Arc::new(MemoryStore::new());
    let map = engine.write_bytes(store, &PUBLIC, &data).unwrap().map;
    let (other, chunks) = ParallelEncryptor::with_pool(data.clone(), shared).unwrap().encrypt().unwrap();
    assert_eq!(cpu_threads_from(5), 5);
    assert_eq!(*map.to_secret_bytes(), *other.to_secret_bytes());
    assert_eq!(SelfEncryptor::from_data_map(other, chunks).unwrap().decrypt().unwrap(), data);
}
