//! MinIO killed with `SIGKILL` and started again, several times, under writers that know nothing of it.
//!
//! The test runs the program that `SELFENC_TEST_MINIO` names (`scripts/minio.sh test` sets it). What is
//! shown: every write that was acknowledged is there afterwards, every writer finishes, and the root tells
//! one story.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod minio;
mod service;
mod support;

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt;
use minio::Minio;
use selfenc_core::store::{
    ChunkId, ChunkStore, ErrorKind, Expect, OpenMode, PutOutcome, RetryPolicy, RootName, RootStore, Swap,
};
use selfenc_s3::{Credentials, S3Backend, S3Config, Timeouts};
use service::endpoint::not_exercised;

const WRITERS: usize = 16;
const KILLS: usize = 5;
/// Long enough that some of every writer's puts meet each kill.
const CHUNK: usize = 64 << 10;

fn chunk(writer: usize, n: usize) -> (ChunkId, Bytes) {
    let mut data = vec![0; CHUNK];
    let seed = ((writer as u64) << 32) | n as u64;
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut data);
    (ChunkId::from_bytes(*blake3::hash(&data).as_bytes()), data.into())
}

/// Patient: a restart takes a second, on a busy machine several.
fn config(minio: &Minio) -> S3Config {
    let policy = RetryPolicy::new()
        .with_max_attempts(60)
        .with_base_delay(Duration::from_millis(50))
        .with_longest_delay(Duration::from_secs(1))
        .with_budget(Duration::from_secs(90));
    S3Config::new(minio::BUCKET)
        .with_prefix("restart")
        .unwrap()
        .with_endpoint(&minio.endpoint())
        .unwrap()
        .with_region("us-east-1")
        .with_credentials(Credentials::fixed(minio::USER, &minio.secret))
        .with_retry(policy)
        .with_timeouts(Timeouts {
            attempt: Duration::from_secs(10),
            operation: Duration::from_secs(90),
            ..Timeouts::default()
        })
}

/// What the writers share.
struct Work {
    store: S3Backend,
    ends: AtomicBool,
    acknowledged: AtomicUsize,
    swaps: AtomicUsize,
}

impl Work {
    fn of(store: S3Backend) -> Self {
        let (acknowledged, swaps) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { store, ends: AtomicBool::new(false), acknowledged, swaps }
    }

    fn done(&self) -> (usize, usize) {
        (self.acknowledged.load(Ordering::SeqCst), self.swaps.load(Ordering::SeqCst))
    }

    /// Waits until every writer has probably written, and a root was swapped.
    async fn goes_on(&self) {
        let (start, (puts, swaps)) = (Instant::now(), self.done());
        let enough = |now: (usize, usize)| now.0 > puts + 2 * WRITERS && now.1 > swaps + 2;
        while !enough(self.done()) {
            assert!(start.elapsed() < Duration::from_secs(120), "the writers stand still");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Puts until the end; how many. Every put must be acknowledged in the end.
async fn write(work: Arc<Work>, writer: usize) -> usize {
    let mut n = 0;
    while !work.ends.load(Ordering::SeqCst) {
        let (id, data) = chunk(writer, n);
        let outcome = work.store.put(id, data).await;
        // A put whose answer was lost is found when it is sent again.
        assert!(matches!(outcome, Ok(PutOutcome::Inserted | PutOutcome::Present)), "{outcome:?}");
        work.acknowledged.fetch_add(1, Ordering::SeqCst);
        n += 1;
    }
    n
}

/// Counts upwards in a root, from what it finds. Nobody else does, so each value is the last that was
/// acknowledged or one whose fate was unclear.
async fn count_up(work: Arc<Work>, name: RootName) {
    let (mut acknowledged, mut tried) = (0, 0);
    while !work.ends.load(Ordering::SeqCst) {
        let found = work.store.load(&name).await.unwrap();
        let value = found.as_ref().map_or(0, number);
        assert!(value == acknowledged || value == tried, "{value} after {acknowledged} and perhaps {tried}");
        acknowledged = value;
        tried = value + 1;
        let next = Bytes::copy_from_slice(&tried.to_le_bytes());
        match work.store.swap(&name, Expect::from(found.as_ref()), Some(next)).await {
            Ok(Swap::Done(_)) => {
                acknowledged = tried;
                work.swaps.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Swap::Conflict(current)) => panic!("a conflict with {current:?}, and nobody else swaps"),
            // It may have happened or not; the next load tells.
            Err(e) => assert!(e.is_transient() || e.kind() == ErrorKind::Conflict, "{e}"),
        }
    }
    let last = work.store.load(&name).await.unwrap();
    let last = last.as_ref().map_or(0, number);
    assert!(last == acknowledged || last == tried, "{last} at the end, {acknowledged} acknowledged");
}

fn number(root: &selfenc_core::store::Root) -> u64 {
    u64::from_le_bytes(root.value[..].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_and_started_again_under_sixteen_writers() {
    let Some(program) = env::var_os("SELFENC_TEST_MINIO") else {
        return not_exercised("selfenc-s3 while MinIO is killed", "SELFENC_TEST_MINIO");
    };
    let mut minio = Minio::start(program);
    let store = config(&minio).open(OpenMode::Create).await.unwrap();
    let work = Arc::new(Work::of(store));
    let name = RootName::new("counter").unwrap();
    let counting = tokio::spawn(count_up(Arc::clone(&work), name));
    let writing: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(&work), writer))).collect();
    for kill in 0..KILLS {
        work.goes_on().await;
        minio.kill();
        // While it is away, and while it comes back, they wait.
        tokio::time::sleep(Duration::from_millis(100 * kill as u64)).await;
        tokio::task::block_in_place(|| minio.start_again());
    }
    work.goes_on().await;
    work.ends.store(true, Ordering::SeqCst);
    counting.await.unwrap();
    let mut total = 0;
    for (writer, done) in writing.into_iter().enumerate() {
        let count = done.await.unwrap();
        assert!(count > 0, "writer {writer} wrote nothing");
        total += count;
        // Through a store of its own, so that nothing is remembered.
        check_there(&minio, writer, count).await;
    }
    let listed: Vec<_> = work.store.list(None).try_collect().await.unwrap();
    assert_eq!(listed.len(), total);
    println!("{KILLS} kills, {total} chunks, {} swaps", work.done().1);
}

async fn check_there(minio: &Minio, writer: usize, count: usize) {
    let store = config(minio).open(OpenMode::Existing).await.unwrap();
    for n in 0..count {
        let (id, data) = chunk(writer, n);
        let got = store.get(id).await.unwrap();
        assert!(got == Some(data), "chunk {n} of writer {writer} was acknowledged and is lost or damaged");
    }
}
