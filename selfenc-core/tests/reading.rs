//! Ranges, positions, and what reading costs.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // in a test, a panic is the report

mod support;

use std::io::SeekFrom;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{StreamExt, TryStreamExt};
use selfenc_core::engine::{Chunking, Error, Reader, Scope, Verified};
use support::{TestStore, engine, random, small, text, write};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

async fn paged() -> (TestStore, Reader, Vec<u8>) {
    let (store, data) = (TestStore::default(), [random(1, 400 * 1024), text(400 * 1024 + 7)].concat());
    let map = write(small(), &store, &Scope::Private, &data).await.map;
    assert_eq!(map.level(), 1);
    let reader = engine(small()).open(store.shared(), map);
    (store, reader, data)
}

#[tokio::test]
#[allow(clippy::reversed_empty_ranges)] // what it does with one is the question
async fn every_kind_of_range() {
    let (_, reader, data) = paged().await;
    let len = data.len();
    let edges = [0, 1, 1023, 1024, 1025, 524_287, 524_288, 524_289, len - 1, len];
    for start in edges {
        for end in edges {
            let piece = reader.read_at(start as u64, end.saturating_sub(start)).await.unwrap();
            assert_eq!(piece, data[start..end.max(start)], "{start}..{end}");
        }
    }
    assert_eq!(reader.read_at(len as u64 - 3, 100).await.unwrap(), data[len - 3..], "short at the end");
    assert!(reader.read_at(len as u64, 1).await.unwrap().is_empty());
    assert!(reader.read_at(u64::MAX, usize::MAX).await.unwrap().is_empty());
    assert!(reader.stream(10..5).next().await.is_none());
}

#[tokio::test]
#[allow(clippy::reversed_empty_ranges)] // one more range without bytes
async fn a_stream_that_has_ended_may_be_asked_again() {
    let (_, reader, data) = paged().await;
    let len = data.len() as u64;
    for range in [0..0, 10..5, 0..1, len - 1..len, 0..len, len..len] {
        let mut pieces = reader.stream(range.clone());
        while pieces.next().await.is_some() {}
        assert!(pieces.next().await.is_none(), "{range:?}");
    }
    for mut chunks in [reader.chunks(), reader.check()] {
        while chunks.next().await.is_some() {}
        assert!(chunks.next().await.is_none());
    }
}

#[tokio::test]
async fn inline_data_has_ranges_too() {
    let store = TestStore::default();
    let map = write(small(), &store, &Scope::Public, b"hello world").await.map;
    let reader = engine(small()).open(store.shared(), map);
    assert_eq!(reader.read_at(6, 3).await.unwrap(), "wor");
    assert_eq!(reader.read_at(6, 300).await.unwrap(), "world");
    assert_eq!(reader.verify().await.unwrap(), Verified { bytes: 11, ..Verified::default() });
    assert!(store.names().is_empty());
}

#[tokio::test]
async fn four_kib_cost_two_chunks_and_the_pages_above() {
    let store = TestStore::default();
    let data = random(1, 3 << 20);
    let config = small().with_chunk_size(4096);
    let map = write(config, &store, &Scope::Private, &data).await.map;
    assert_eq!(map.level(), 1);
    let before = store.gets.load(Ordering::SeqCst);
    let reader = engine(small()).open(store.shared(), map);
    assert_eq!(reader.read_at(1_000_000, 4096).await.unwrap(), data[1_000_000..1_004_096]);
    assert_eq!(store.gets.load(Ordering::SeqCst) - before, 3);
    reader.read_at(1_010_000, 4096).await.unwrap();
    assert_eq!(store.gets.load(Ordering::SeqCst) - before, 5, "the page is known by now");
}

#[tokio::test]
async fn verify_counts_everything_once() {
    let (store, reader, data) = paged().await;
    let verified = reader.verify().await.unwrap();
    assert_eq!(verified, Verified { bytes: data.len() as u64, chunks: 801, pages: 2 });
    assert_eq!(store.gets.load(Ordering::SeqCst) as u64, verified.chunks + verified.pages);
}

#[tokio::test]
async fn chunks_are_listed_without_fetching_them() {
    let (store, reader, data) = paged().await;
    let chunks: Vec<_> = reader.chunks().try_collect().await.unwrap();
    assert_eq!(chunks.len(), 801);
    assert_eq!(chunks.iter().map(|chunk| chunk.len).sum::<u64>(), data.len() as u64);
    assert!(chunks.windows(2).all(|pair| pair[0].offset + pair[0].len == pair[1].offset));
    assert_eq!(store.gets.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_handle_reads_and_seeks_like_a_file() {
    let (_, reader, data) = paged().await;
    let mut handle = reader.into_async_read();
    let mut whole = Vec::new();
    handle.read_to_end(&mut whole).await.unwrap();
    assert!(whole == data);
    assert_eq!(handle.read(&mut [0; 10]).await.unwrap(), 0);
    for (to, at) in [
        (SeekFrom::Start(700_000), 700_000),
        (SeekFrom::Current(-5), 700_005),
        (SeekFrom::Current(100), 700_115),
        (SeekFrom::Current(4000), 704_125),
        (SeekFrom::End(-20), data.len() - 20),
    ] {
        assert_eq!(handle.seek(to).await.unwrap(), at as u64);
        let mut ten = [0; 10];
        handle.read_exact(&mut ten).await.unwrap();
        assert_eq!(ten, data[at..at + 10], "{to:?}");
    }
    assert_eq!(handle.seek(SeekFrom::End(50)).await.unwrap(), data.len() as u64 + 50);
    assert_eq!(handle.read(&mut [0; 10]).await.unwrap(), 0, "past the end there is nothing");
    assert!(handle.seek(SeekFrom::Current(-10_000_000)).await.is_err());
}

#[tokio::test]
async fn two_handles_of_one_reader_do_not_wait_for_each_other() {
    let (_, reader, data) = paged().await;
    let (mut a, mut b) = (reader.clone().into_async_read(), reader.into_async_read());
    let (mut from_a, mut from_b) = (Vec::new(), Vec::new());
    let mut piece = [0; 3000];
    loop {
        let n = a.read(&mut piece).await.unwrap();
        from_a.extend_from_slice(&piece[..n]);
        let m = b.read(&mut piece[..1500]).await.unwrap();
        from_b.extend_from_slice(&piece[..m]);
        if n + m == 0 {
            break;
        }
    }
    assert!(from_a == data && from_b == data);
}

#[tokio::test]
async fn a_budget_too_small_for_one_chunk_says_what_it_needs() {
    let store = TestStore::default();
    let data = random(1, 1 << 20);
    let map = write(small().with_chunk_size(256 << 10), &store, &Scope::Private, &data).await.map;
    let tiny = engine(small().with_memory_budget(100 << 10)).open(store.shared(), map.clone());
    let Err(Error::BudgetTooSmall { needed, .. }) = tiny.read_at(0, 1).await else {
        panic!("a chunk of 256 KiB does not fit into 100 KiB")
    };
    let enough = engine(small().with_memory_budget(needed)).open(store.shared(), map);
    assert_eq!(enough.read_at(0, data.len()).await.unwrap(), data);
}

#[tokio::test]
async fn the_order_of_a_stream_is_the_order_of_the_data() {
    let (store, data) = (TestStore::default(), text(300_000));
    let chunking = Chunking::ContentDefined { min: 256, avg: 1024, max: 4096 };
    let config = small().with_chunking(chunking).with_concurrency(64).with_threads(8);
    let map = write(config.clone(), &store, &Scope::Private, &data).await.map;
    let reader = engine(config).open(Arc::new(store), map);
    for start in [0, 1, 77_777] {
        let pieces: Vec<_> = reader.stream(start..290_000).try_collect().await.unwrap();
        assert!(pieces.concat() == data[start as usize..290_000]);
    }
}
