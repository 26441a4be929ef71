//! What small reads keep, and what they do not.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // in a test, a panic is the report

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future;
use selfenc_core::engine::{EncryptionConfig, Error, Reader, Scope};
use support::{TestStore, engine, random, small, write};

const CHUNK: usize = 1024;

async fn written(config: EncryptionConfig) -> (TestStore, Reader, Vec<u8>) {
    let (store, data) = (TestStore::default(), random(1, 100 * CHUNK));
    let map = write(small(), &store, &Scope::Private, &data).await.map;
    let reader = engine(config).open(store.shared(), map);
    (store, reader, data)
}

fn gets(store: &TestStore) -> usize {
    store.gets.swap(0, Ordering::SeqCst)
}

#[tokio::test]
async fn a_second_small_read_needs_no_store() {
    let (store, reader, data) = written(small()).await;
    assert_eq!(reader.read_at(10, 20).await.unwrap(), data[10..30]);
    assert_eq!(gets(&store), 1);
    assert_eq!(reader.read_at(500, 100).await.unwrap(), data[500..600]);
    assert_eq!(reader.clone().read_at(0, CHUNK - 1).await.unwrap(), data[..CHUNK - 1]);
    assert_eq!(gets(&store), 0);
    // Across a boundary: one is there, one is not.
    assert_eq!(reader.read_at(CHUNK as u64 - 5, 10).await.unwrap(), data[CHUNK - 5..CHUNK + 5]);
    assert_eq!(gets(&store), 1);
}

#[tokio::test]
async fn without_a_cache_each_read_asks_the_store_and_so_does_a_long_one() {
    let (store, reader, _) = written(small().with_chunk_cache(0)).await;
    for _ in 0..3 {
        reader.read_at(10, 20).await.unwrap();
        assert_eq!(gets(&store), 1);
    }
    let (store, reader, data) = written(small()).await;
    for _ in 0..2 {
        assert_eq!(reader.read_at(0, 10 * CHUNK).await.unwrap(), data[..10 * CHUNK]);
        assert_eq!(gets(&store), 10);
    }
}

#[tokio::test]
async fn many_that_want_one_chunk_fetch_it_once() {
    let (store, reader, data) = written(small()).await;
    let reads = (0..50).map(|i| {
        let reader = reader.clone();
        tokio::spawn(async move { reader.read_at(3 * CHUNK as u64 + i, 10).await })
    });
    for (i, read) in future::join_all(reads).await.into_iter().enumerate() {
        let start = 3 * CHUNK + i;
        assert_eq!(read.unwrap().unwrap(), data[start..start + 10]);
    }
    assert_eq!(gets(&store), 1);
}

#[tokio::test]
async fn what_is_wrong_is_told_each_time_and_not_kept() {
    let (store, reader, data) = written(small()).await;
    let chunk = {
        use futures::TryStreamExt;
        reader.chunks().try_next().await.unwrap().unwrap().name
    };
    let whole = store.lock().remove(&chunk).unwrap();
    for _ in 0..2 {
        assert!(matches!(reader.read_at(0, 9).await, Err(Error::ChunkMissing { chunk: c }) if c == chunk));
    }
    store.lock().insert(chunk, whole.clone());
    store.replace(chunk, |bytes| bytes[7] ^= 1);
    for _ in 0..2 {
        assert!(matches!(reader.read_at(0, 9).await, Err(Error::Corrupt { chunk: c }) if c == chunk));
    }
    store.lock().insert(chunk, whole);
    assert_eq!(reader.read_at(0, 9).await.unwrap(), data[..9]);
}

#[tokio::test]
async fn the_cache_is_bounded_by_bytes() {
    let (store, reader, data) = written(small().with_chunk_cache(10 * CHUNK as u64)).await;
    for round in 0..2 {
        for i in 0..100 {
            let start = i * CHUNK;
            assert_eq!(reader.read_at(start as u64, 8).await.unwrap(), data[start..start + 8]);
        }
        let asked = gets(&store);
        let least = if round == 0 { 100 } else { 90 };
        assert!((least..=100).contains(&asked), "{asked} of 100 were fetched in round {round}");
    }
}

#[tokio::test]
async fn a_reader_that_is_dropped_leaves_nothing_behind() {
    let (store, reader, _) = written(small()).await;
    let shared: Arc<TestStore> = Arc::new(store);
    let reader = engine(small()).open(shared.clone(), reader.map().clone());
    reader.read_at(0, 8).await.unwrap();
    assert_eq!(Arc::strong_count(&shared), 2);
    drop(reader);
    assert_eq!(Arc::strong_count(&shared), 1);
}
