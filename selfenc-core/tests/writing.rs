//! What a write does to its store, and how it fails.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // in a test, a panic is the report

mod support;

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use selfenc_core::engine::{
    Chunking, Compression, CpuPool, EncryptionConfig, Engine, Error, GroupSecret, Observer, Progress, Scope,
    Suite, blocking,
};
use selfenc_core::store::ErrorKind;
use support::{Dribble, TestStore, engine, random, read, small, text, write};
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;

#[tokio::test]
async fn the_store_is_flushed_before_the_map_is_given() {
    let store = TestStore::default();
    write(small(), &store, &Scope::Public, &text(50_000)).await;
    assert_eq!(store.flushes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn requests_are_concurrent_and_limited() {
    let store = TestStore { jitter: true, ..TestStore::default() };
    write(small().with_concurrency(5), &store, &Scope::Private, &random(1, 600 * 1024)).await;
    assert_eq!(store.most_in_flight.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn one_name_is_put_once_at_a_time() {
    let store = TestStore { jitter: true, ..TestStore::default() };
    let stats = write(small(), &store, &Scope::Private, &vec![7; 200 * 1024]).await.stats;
    assert_eq!((stats.chunks_new, stats.chunks_present), (1, 199));
    assert_eq!(store.most_in_flight.load(Ordering::SeqCst), 1);
    assert!(store.puts.load(Ordering::SeqCst) < 200);
}

#[tokio::test]
async fn a_failing_store_ends_the_write_with_its_error() {
    for full_after in [0, 1, 5, 100] {
        let store = TestStore { full_after: Some(full_after), ..TestStore::default() };
        let error =
            engine(small()).write_bytes(store.shared(), &Scope::Public, &text(400_000)).await.unwrap_err();
        assert!(matches!(&error, Error::Store(e) if e.kind() == ErrorKind::Full), "{error:?}");
        assert_eq!(store.flushes.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn a_failing_input_ends_the_write_with_its_error() {
    for good in [0, 100, 4097, 50_000] {
        let store = TestStore::default();
        let pieces = vec![Ok(Bytes::from(text(good))), Err(io::Error::other("the disk caught fire"))];
        let error = engine(small())
            .write_stream(store.shared(), &Scope::Public, stream::iter(pieces))
            .await
            .unwrap_err();
        assert!(matches!(&error, Error::Source(e) if e.to_string().contains("fire")), "{error:?}");
    }
}

#[tokio::test]
async fn the_failure_nearest_the_start_wins() {
    // The store fails at once, the input only later.
    let store = TestStore { full_after: Some(0), ..TestStore::default() };
    let pieces = vec![Ok(Bytes::from(text(20_000))), Err(io::Error::other("later"))];
    let error =
        engine(small()).write_stream(store.shared(), &Scope::Public, stream::iter(pieces)).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
}

#[tokio::test]
async fn streams_and_readers_of_any_grain_give_one_map() {
    let data = text(123_456);
    let reference = write(small(), &TestStore::default(), &Scope::Public, &data).await.map.to_secret_bytes();
    let engine = engine(small());
    for grain in [1, 100, 4096, 4097, 100_000] {
        let pieces = data.chunks(grain).map(|piece| Ok(Bytes::copy_from_slice(piece)));
        let store = TestStore::default().shared();
        let map = engine.write_stream(store, &Scope::Public, stream::iter(pieces)).await.unwrap().map;
        assert_eq!(map.to_secret_bytes(), reference, "{grain}");
    }
    let store = TestStore::default().shared();
    let map = engine.write(store, &Scope::Public, Dribble::new(&data)).await.unwrap().map;
    assert_eq!(map.to_secret_bytes(), reference);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_write_leaves_whole_chunks_only() {
    let data = random(1, 2 << 20);
    let complete = TestStore::default();
    let scope = Scope::Group(GroupSecret::generate().unwrap());
    write(small(), &complete, &scope, &data).await;
    // Fewer than there are chunks, so that it cannot end.
    let permits = Arc::new(Semaphore::new(100));
    let store = TestStore { jitter: true, permits: Some(Arc::clone(&permits)), ..TestStore::default() };
    let engine = engine(small());
    let begun = async {
        while store.names().len() < 50 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = engine.write(store.shared(), &scope, Dribble::new(&data)) => panic!("it cannot have ended"),
        begun = tokio::time::timeout(Duration::from_secs(60), begun) => begun.expect("it begins"),
    }
    // Whatever is left of it may go on.
    permits.add_permits(1 << 20);
    tokio::time::sleep(Duration::from_millis(50)).await;
    for (name, stored) in store.lock().iter() {
        assert_eq!(complete.lock().get(name), Some(stored));
    }
}

#[derive(Default)]
struct Watch {
    seen: Mutex<Vec<Progress>>,
    stop_at: AtomicU64,
}

impl Observer for Watch {
    fn progress(&self, progress: &Progress) -> ControlFlow<()> {
        self.seen.lock().unwrap().push(*progress);
        let stop_at = self.stop_at.load(Ordering::SeqCst);
        if stop_at != 0 && progress.bytes_in.max(progress.bytes_out) >= stop_at {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

#[tokio::test]
async fn the_observer_sees_it_all_and_may_stop_it() {
    let (watch, store, data) = (Arc::new(Watch::default()), TestStore::default(), random(1, 700 * 1024));
    let engine = engine(small()).with_observer(watch.clone());
    let written = engine.write_bytes(store.shared(), &Scope::Private, &data).await.unwrap();
    let seen = std::mem::take(&mut *watch.seen.lock().unwrap());
    assert_eq!(seen.len(), 702, "700 chunks and 2 pages");
    assert_eq!(seen.last(), Some(&written.stats));
    assert!(seen.windows(2).all(|pair| pair[0].bytes_in <= pair[1].bytes_in));

    watch.stop_at.store(100 * 1024, Ordering::SeqCst);
    let reader = engine.open(store.shared(), written.map);
    assert!(matches!(reader.verify().await, Err(Error::Cancelled)));
    let again = engine.write_bytes(store.shared(), &Scope::Private, &data).await;
    assert!(matches!(again, Err(Error::Cancelled)));
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let base = EncryptionConfig::new;
    for (config, word) in [
        (base().with_chunk_size(1023), "chunk size"),
        (base().with_chunk_size((64 << 20) + 1), "chunk size"),
        (base().with_min_chunks(2), "min_chunks"),
        (base().with_chunk_size(64 << 20).with_min_chunks(3), "min_chunks"),
        (base().with_chunking(Chunking::ContentDefined { min: 63, avg: 1024, max: 4096 }), "min"),
        (base().with_chunking(Chunking::ContentDefined { min: 64, avg: 255, max: 4096 }), "avg"),
        (base().with_chunking(Chunking::ContentDefined { min: 64, avg: 512, max: 17 << 20 }), "max"),
        (base().with_chunking(Chunking::ContentDefined { min: 2048, avg: 1024, max: 4096 }), "ascend"),
        (base().with_chunking(Chunking::ContentDefined { min: 64, avg: 1025, max: 4096 }), "even"),
        (base().with_compression(Compression::Zstd { level: 23 }), "zstd"),
        (base().with_compression(Compression::Brotli { quality: 12 }), "brotli"),
        (base().with_concurrency(0), "concurrency"),
        (base().with_concurrency(usize::MAX), "concurrency"),
        (base().with_threads(5000), "threads"),
    ] {
        let error = Engine::new(config).expect_err(word);
        assert!(matches!(&error, Error::InvalidConfig(text) if text.contains(word)), "{error}");
    }
    assert!(GroupSecret::from_bytes([0; 32]).is_err());
}

#[tokio::test]
async fn a_budget_that_is_too_small_says_what_is_needed() {
    let tight = small().with_chunk_size(1 << 20).with_memory_budget(1 << 20);
    let refused = engine(tight.clone()).write_bytes(TestStore::default().shared(), &Scope::Public, &[]).await;
    let Err(Error::BudgetTooSmall { needed, budget }) = refused else { panic!("{refused:?}") };
    assert_eq!(budget, 1 << 20);
    assert!(tight.with_memory_budget(needed).check_budget().is_ok());
}

#[tokio::test]
async fn engines_share_a_pool() {
    let pool = CpuPool::new(1).unwrap();
    let (store, data) = (TestStore::default(), text(50_000));
    let engines = Suite::ALL.map(|suite| Engine::with_pool(small().with_suite(suite), pool.clone()).unwrap());
    let writes = engines.iter().map(|engine| engine.write_bytes(store.shared(), &Scope::Public, &data));
    for written in futures::future::try_join_all(writes).await.unwrap() {
        assert_eq!(read(&store, &written.map).await.unwrap(), data);
    }
}

#[test]
fn the_blocking_face_does_the_same() {
    use std::io::{Read, Seek, SeekFrom};
    let (store, data) = (TestStore::default(), text(100_000));
    let engine = blocking::Engine::new(small()).unwrap();
    let written = engine.write(store.shared(), &Scope::Public, data.as_slice()).unwrap();
    assert_eq!(engine.write_bytes(store.shared(), &Scope::Public, &data).unwrap().stats.bytes_stored, 0);
    let mut reader = engine.open(store.shared(), written.map);
    assert_eq!(reader.verify().unwrap().bytes, 100_000);
    assert_eq!(reader.read_at(5000, 10).unwrap(), data[5000..5010]);
    let mut back = Vec::new();
    reader.read_to_end(&mut back).unwrap();
    assert!(back == data);
    reader.seek(SeekFrom::Start(99_990)).unwrap();
    back.clear();
    reader.read_to_end(&mut back).unwrap();
    assert_eq!(back, data[99_990..]);
}

#[test]
fn a_blocking_reader_feeds_a_blocking_writer() {
    let (from, to, data) = (TestStore::default(), TestStore::default(), text(300_000));
    let engine = blocking::Engine::new(small()).unwrap();
    let first = engine.write_bytes(from.shared(), &Scope::Public, &data).unwrap();
    let reader = engine.open(from.shared(), first.map);
    let second = engine.write(to.shared(), &Scope::Private, reader).unwrap();
    assert_eq!(engine.open(to.shared(), second.map).read_at(0, 300_000).unwrap(), data);
    let refused = TestStore { full_after: Some(1), ..TestStore::default() };
    let error = engine.write(refused.shared(), &Scope::Private, data.as_slice()).unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
}

/// A file that grows after it was said to have ended.
struct Growing(u32);

impl tokio::io::AsyncRead for Growing {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        self.0 += 1;
        if self.0 != 4 {
            buf.put_slice(&[7; 2500][..buf.remaining().min(2500)]);
        }
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_input_that_has_ended_is_not_asked_again() {
    for chunking in [Chunking::fixed(1 << 20), Chunking::ContentDefined { min: 64, avg: 256, max: 65536 }] {
        let engine = engine(small().with_chunking(chunking));
        let store = TestStore::default().shared();
        let map = engine.write(store, &Scope::Public, Growing(0)).await.unwrap().map;
        assert_eq!(map.len(), 4097 + 2500, "{chunking:?}");
    }
}

#[test]
fn the_blocking_face_refuses_to_block_a_runtime() {
    let engine = blocking::Engine::new(small()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async move {
        let refused = engine.write_bytes(TestStore::default().shared(), &Scope::Public, b"x");
        assert!(matches!(refused, Err(Error::InsideRuntime)));
        assert!(matches!(blocking::Engine::new(small()), Err(Error::InsideRuntime)));
        // And it may be dropped in here.
        drop(engine);
    });
}

#[tokio::test]
async fn the_source_is_read_to_its_end_and_no_further() {
    let data = text(10_000);
    let mut source = data.as_slice().chain(&b""[..]);
    let store = TestStore::default();
    let written = engine(small()).write(store.shared(), &Scope::Public, &mut source).await.unwrap();
    assert_eq!(written.map.len(), 10_000);
    assert_eq!(source.read(&mut [0; 1]).await.unwrap(), 0);
}
