//! The time-out: a peer that falls silent is given up on, a caller that is slow is not.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

#[path = "support/probe.rs"]
mod probe;

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use probe::{At, Probe, id, name};
use selfenc_core::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, ErrorKind, Expect, PutOutcome, Result, RootStore,
    RootStoreExt,
};
use selfenc_core::wrap::Timeout;
use tokio::time::{Instant, sleep, timeout};

const LIMIT: Duration = Duration::from_secs(10);
const OPS: [&str; 10] =
    ["put", "get", "stat", "delete", "flush", "put_many", "delete_many", "load", "swap", "next"];

fn filled(count: u8) -> Timeout<Probe> {
    let probe = Probe::new();
    (0..count).for_each(|n| probe.plant(id(n), vec![n]));
    Timeout::new(probe, LIMIT)
}

async fn call(store: &Timeout<Probe>, op: &str) -> selfenc_core::store::Result<()> {
    let (id, data, root) = (id(1), Bytes::from_static(b"x"), name("root"));
    match op {
        "put" => store.put(id, data).await.map(drop),
        "get" => store.get(id).await.map(drop),
        "stat" => store.stat(id).await.map(drop),
        "delete" => store.delete(id).await,
        "flush" => store.flush().await,
        "put_many" => store.put_many(vec![(id, data)]).await.remove(0).map(drop),
        "delete_many" => store.delete_many(vec![id]).await.remove(0),
        "load" => store.load(&root).await.map(drop),
        "swap" => store.swap(&root, Expect::Absent, Some(data)).await.map(drop),
        "next" => store.list(None).try_collect::<Vec<_>>().await.map(drop),
        _ => store.names().try_collect::<Vec<_>>().await.map(drop),
    }
}

#[tokio::test(start_paused = true)]
async fn timeout_bounds_a_silent_peer() {
    for op in OPS.into_iter().chain(["name"]) {
        let store = filled(3);
        store.inner().hold(op, At::Start);
        let start = Instant::now();
        let silent = timeout(LIMIT * 10, call(&store, op)).await.expect(op).expect_err(op);
        assert_eq!(start.elapsed(), LIMIT, "{op}");
        assert_eq!((silent.kind(), silent.is_transient()), (ErrorKind::Timeout, true), "{op}");
        let named = match op {
            "next" => "list",
            "name" => "names",
            op => op,
        };
        assert_eq!(silent.op(), named);
        assert!(silent.to_string().ends_with("no answer within 10s"), "{silent}");
        let about_a_chunk = ["put", "get", "stat", "delete", "put_many", "delete_many"].contains(&op);
        assert_eq!(silent.chunk(), about_a_chunk.then_some(id(1)), "{op}");
        assert_eq!(store.inner().running(), 0, "{op}: what timed out is dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn who_answers_in_time_is_left_alone() {
    let store = filled(3);
    for op in OPS {
        store.inner().delay(op, LIMIT - Duration::from_millis(1));
        call(&store, op).await.expect(op);
    }
}

#[tokio::test(start_paused = true)]
async fn each_item_of_a_listing_has_its_own_time() {
    let store = filled(4);
    store.inner().delay("next", LIMIT / 2);
    let mut items = store.list(None);
    for _ in 0..3 {
        assert!(items.next().await.unwrap().is_ok());
        sleep(LIMIT * 3).await; // the consumer's time is not the store's
    }
    store.inner().delay("next", LIMIT * 2);
    assert_eq!(items.next().await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert!(items.next().await.is_none() && items.next().await.is_none(), "it ends after an error");
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_the_time_of_its_members() {
    let batch = |n: u8| (0..n).map(|n| (id(n), Bytes::from_static(b"x"))).collect::<Vec<_>>();
    for (members, shares) in [(1, 1), (8, 1), (9, 2), (16, 2), (80, 10)] {
        let store = filled(0);
        store.inner().hold("put_many", At::Start);
        let start = Instant::now();
        let results = store.put_many(batch(members)).await;
        assert_eq!(start.elapsed(), LIMIT * shares, "{members}");
        for (n, result) in (0_u8..).zip(&results) {
            let e = result.as_ref().unwrap_err();
            assert_eq!((e.kind(), e.chunk()), (ErrorKind::Timeout, Some(id(n))));
        }
        assert_eq!(results.len(), usize::from(members), "an answer for each");
    }
    assert!(filled(0).put_many(Vec::new()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_clock_does_not_measure_the_caller() {
    let store = filled(5);
    store.inner().delay("get", LIMIT / 2);
    let mut ahead = stream::iter(0..5).map(|n| store.get(id(n))).buffered(5);
    // Polls once and then does something else for a long time.
    assert!(futures::poll!(ahead.next()).is_pending());
    sleep(LIMIT * 5).await;
    let all: Vec<_> = ahead.collect().await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_swap_whose_answer_is_late_is_found_out_by_update() {
    let store = filled(0);
    store.inner().hold("swap", At::End);
    let release = async {
        sleep(LIMIT * 2).await;
        store.inner().release("swap");
    };
    let root = name("root");
    let update = store.update(&root, |_| Ok(Some(Bytes::from_static(b"new"))));
    let (updated, ()) = futures::join!(update, release);
    assert_eq!(updated.unwrap().unwrap().value, "new");
    assert_eq!(store.inner().calls("swap"), 1, "it happened once");
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_the_time_of_all_its_rounds() {
    // Eight at once, as the default batch does: nine take two rounds.
    let store = Timeout::new(OneByOne(Probe::new()), Duration::from_secs(1));
    store.inner().0.delay("put", Duration::from_millis(600));
    for n in [1, 8, 9, 15, 16, 17] {
        let results = store.put_many((0..n).map(|n| (id(n), Bytes::new())).collect()).await;
        let failed = results.iter().filter(|result| result.is_err()).count();
        assert_eq!(failed, 0, "of {n}");
    }
}

/// A store with the trait's own batches.
#[derive(Debug)]
struct OneByOne(Probe);

#[selfenc_core::async_trait]
impl ChunkStore for OneByOne {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.0.put(id, data).await
    }
    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.0.get(id).await
    }
    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.0.delete(id).await
    }
    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.0.list(after)
    }
}
