//! The limit: never exceeded, always given back, and never waited for by who holds it.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

#[path = "support/probe.rs"]
mod probe;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use probe::{At, Probe, id};
use selfenc_core::store::{ChunkStore, ErrorKind, RootStore};
use selfenc_core::wrap::Limit;
use tokio::time::timeout;

fn filled(count: u8) -> Probe {
    let probe = Probe::new();
    (0..count).for_each(|n| probe.plant(id(n), vec![n]));
    probe
}

/// The next request goes through at once: no permit is lost.
async fn assert_free(store: &Limit<Probe>, permits: usize) {
    let probe = store.inner();
    probe.hold("get", At::Start);
    let all = tokio::spawn({
        let store = store.clone();
        async move { stream::iter(0..permits).map(|_| store.get(id(0))).buffered(permits).count().await }
    });
    probe.until_waiting("get", permits).await;
    probe.release("get");
    all.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn limit_never_exceeded_and_released_on_drop_and_error() {
    let store = Limit::new(filled(40), 3);
    let probe = store.inner();
    for op in ["put", "get", "stat", "delete", "next", "flush", "load", "put_many"] {
        probe.delay(op, Duration::from_millis(5));
    }
    let work = |n: u8| {
        let store = store.clone();
        async move {
            match n % 7 {
                0 => drop(store.put(id(n), Bytes::from_static(b"x")).await.unwrap()),
                1 => drop(store.get(id(n)).await.unwrap()),
                2 => drop(store.stat(id(n)).await.unwrap()),
                3 => store.delete(id(n)).await.unwrap(),
                4 => drop(store.list(None).try_collect::<Vec<_>>().await.unwrap()),
                5 => store.flush().await.unwrap(),
                _ => drop(store.load(&probe::name("r")).await.unwrap()),
            }
        }
    };
    futures::future::join_all((0..70).map(|n| tokio::spawn(work(n)))).await;
    assert_eq!(probe.most_running(), 3, "as many as allowed, and no more");

    // Errors give their permits back,
    probe.break_down("get", ErrorKind::Unavailable);
    for _ in 0..10 {
        assert_eq!(store.get(id(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    probe.heal();
    assert_free(&store, 3).await;

    // and so do requests that are dropped while they run or while they wait.
    probe.hold("get", At::Start);
    let running: Vec<_> = (0..3).map(|n| Box::pin(store.get(id(n)))).collect();
    let waiting: Vec<_> = (0..3).map(|n| Box::pin(store.get(id(n)))).collect();
    let mut all: Vec<_> = running.into_iter().chain(waiting).collect();
    for request in &mut all {
        assert!(futures::poll!(request).is_pending());
    }
    probe.until_waiting("get", 3).await;
    drop(all);
    assert_eq!(probe.running(), 0, "gone before the drop returned");
    assert_free(&store, 3).await;
    assert_eq!(probe.most_running(), 3);
}

#[tokio::test(start_paused = true)]
async fn get_inside_list() {
    for delay in [0, 5] {
        let store = Limit::new(filled(10), 1);
        store.inner().delay("next", Duration::from_millis(delay));
        let work = async {
            let mut items = store.list(None);
            let mut seen = 0;
            while let Some(meta) = items.try_next().await.unwrap() {
                assert_eq!(store.get(meta.id).await.unwrap().unwrap().len() as u64, meta.len);
                seen += 1;
            }
            assert!(items.next().await.is_none(), "after its end, too");
            seen
        };
        let seen = timeout(Duration::from_secs(60), work).await;
        assert_eq!(seen.expect("it waits for itself"), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn who_reads_ahead_and_stops_polling_blocks_nobody() {
    let store = Limit::new(filled(9), 2);
    store.inner().delay("get", Duration::from_millis(5));
    let mut ahead = stream::iter(0..8).map(|n| store.get(id(n))).buffered(4);
    assert!(ahead.next().await.is_some());
    // Three more were begun and are not polled now.
    let other = timeout(Duration::from_secs(60), store.get(id(8))).await;
    assert!(other.expect("it waits for who is not polled").unwrap().is_some());
    assert_eq!(ahead.count().await, 7);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_nobody_polls_has_no_request_running() {
    let store = Limit::new(filled(5), 1);
    store.inner().delay("next", Duration::from_millis(5));
    let mut items = store.list(None);
    assert!(items.next().await.is_some());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((store.inner().running(), store.inner().calls("next")), (0, 1));
    // One that was dropped while it waited has none either.
    assert!(futures::poll!(items.next()).is_pending());
    drop(items);
    assert_eq!(store.inner().running(), 0);
    assert_free(&store, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_listing_waits_its_turn_and_ends_after_an_error() {
    let store = Arc::new(Limit::new(filled(5), 1));
    store.inner().hold("get", At::Start);
    let get = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.get(id(0)).await }
    });
    store.inner().until_waiting("get", 1).await;
    let mut items = store.list(None);
    assert!(timeout(Duration::from_secs(1), items.next()).await.is_err(), "the permit is taken");
    assert_eq!(store.inner().calls("next"), 0);
    store.inner().release("get");
    get.await.unwrap().unwrap();

    let mut items = store.list(None);
    assert!(items.next().await.unwrap().is_ok());
    store.inner().fail("next", ErrorKind::Unavailable, 1);
    assert_eq!(items.next().await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(items.next().await.is_none() && items.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn no_permits_at_all_are_one() {
    let store = Limit::new(filled(1), 0);
    assert!(timeout(Duration::from_secs(60), store.get(id(0))).await.expect("it waits for ever").is_ok());
    assert_eq!(store.info().to_string(), "limit(1, probe:x)");
}
