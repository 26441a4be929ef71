//! `Tiered`: the slow store is the truth, and the fast one never says more than it.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

#[path = "support/probe.rs"]
mod probe;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use probe::{At, Probe, Step, id, is_named, name, named};
use selfenc_core::store::{
    Capabilities, ChunkStore, ChunkStoreExt, Durability, ErrorKind, Expect, PutOutcome, RootStore,
};
use selfenc_core::wrap::{Prefix, Tiered};

fn pair() -> (Probe, Probe, Arc<Tiered<Probe, Probe>>) {
    let (fast, slow) = (Probe::called("fast"), Probe::called("slow"));
    let store = Tiered::new(fast.clone(), slow.clone()).with_check(is_named);
    (fast, slow, Arc::new(store))
}

#[tokio::test]
async fn a_read_fills_the_fast_store_once() {
    let (fast, slow, store) = pair();
    let (id, data) = named(b"chunk");
    slow.plant(id, data.clone());
    assert_eq!(store.get(id).await.unwrap().unwrap(), data);
    assert_eq!(fast.peek(id).unwrap(), data);
    assert_eq!(store.get(id).await.unwrap().unwrap(), data);
    assert_eq!(slow.calls("get"), 1);
    assert!(store.get(probe::id(9)).await.unwrap().is_none());
    let stats = store.stats();
    assert_eq!((stats.hits, stats.misses, stats.damaged, stats.fast_errors), (1, 2, 0, 0));
    assert_eq!(store.info().to_string(), "tiered(probe:fast, probe:slow)");
}

#[tokio::test]
async fn a_put_is_done_when_the_slow_store_has_it() {
    let (fast, slow, store) = pair();
    let chunks = [named(b"0"), named(b"1"), named(b"2"), named(b"3")];
    slow.fail("put", ErrorKind::Full, 1);
    let (id, data) = chunks[0].clone();
    assert_eq!(store.put(id, data.clone()).await.unwrap_err().kind(), ErrorKind::Full);
    assert!(fast.ids().is_empty(), "the fast store never has what the slow one has not");
    fast.fail("put", ErrorKind::Full, 1);
    assert_eq!(store.put(id, data).await.unwrap(), PutOutcome::Inserted);
    assert!(fast.ids().is_empty() && slow.ids() == [id]);
    assert_eq!(store.stats().fast_errors, 1);
    // A batch: the slow store refuses the first, the fast one the last.
    slow.script("item", [Step::Before(ErrorKind::Full)]);
    fast.script("item", [Step::Pass, Step::Before(ErrorKind::Full)]);
    let results = store.put_many(chunks[1..].to_vec()).await;
    let kinds: Vec<_> = results.into_iter().map(|result| result.map_err(|e| e.kind())).collect();
    assert_eq!(kinds, [Err(ErrorKind::Full), Ok(PutOutcome::Inserted), Ok(PutOutcome::Inserted)]);
    assert_eq!(fast.ids(), [chunks[2].0]);
    assert_eq!((fast.calls("put_many"), slow.calls("put_many")), (1, 1));
    assert_eq!(store.stats().fast_errors, 2);
}

#[tokio::test]
async fn damage_in_the_fast_store_heals() {
    let (fast, slow, store) = pair();
    let (id, data) = named(b"chunk");
    slow.plant(id, data.clone());
    // Of the same length, so that a put alone would leave it.
    fast.plant(id, Bytes::from_static(b"CHUNK"));
    assert_eq!(store.get(id).await.unwrap().unwrap(), data);
    assert_eq!(fast.peek(id).unwrap(), data);
    // What the fast store itself calls corrupt.
    fast.fail("get", ErrorKind::Corrupt, 1);
    fast.plant(id, Bytes::from_static(b"KCHUN"));
    assert_eq!(store.get(id).await.unwrap().unwrap(), data);
    assert_eq!(fast.peek(id).unwrap(), data);
    assert_eq!((store.stats().damaged, store.stats().hits), (2, 0));
    // What neither has is only removed.
    slow.uproot(id);
    fast.plant(id, Bytes::from_static(b"xxxxx"));
    assert!(store.get(id).await.unwrap().is_none());
    assert!(fast.ids().is_empty());
}

#[tokio::test]
async fn damage_in_the_slow_store_does_not_spread() {
    let (fast, slow, store) = pair();
    let (id, _) = named(b"chunk");
    slow.plant(id, Bytes::from_static(b"CHUNK"));
    let e = store.get(id).await.unwrap_err();
    assert_eq!((e.kind(), e.chunk()), (ErrorKind::Corrupt, Some(id)));
    assert!(fast.ids().is_empty());
}

#[tokio::test]
async fn a_broken_fast_store_costs_only_time() {
    let (fast, slow, store) = pair();
    let (id, data) = named(b"chunk");
    slow.plant(id, data.clone());
    fast.break_down("get", ErrorKind::Unavailable);
    for n in 1..4 {
        assert_eq!(store.get(id).await.unwrap().unwrap(), data);
        assert_eq!(store.stats().fast_errors, n);
    }
    assert_eq!(fast.calls("put"), 0, "what does not answer is not filled");
    fast.heal();
    fast.fail("put", ErrorKind::Full, 1);
    assert_eq!(store.get(id).await.unwrap().unwrap(), data);
    assert_eq!((store.stats().fast_errors, fast.ids().len()), (4, 0));
}

#[tokio::test]
async fn the_truth_is_asked_of_the_slow_store() {
    let (fast, slow, store) = pair();
    let (id, data) = named(b"chunk");
    fast.plant(id, data.clone());
    assert!(!store.contains(id).await.unwrap(), "a copy is not the source");
    assert_eq!(store.count().await.unwrap(), 0);
    slow.plant(id, data);
    assert!(store.contains(id).await.unwrap());
    store.flush().await.unwrap();
    store.swap(&name("map"), Expect::Absent, Some(Bytes::from_static(b"v"))).await.unwrap();
    assert_eq!(store.load(&name("map")).await.unwrap().unwrap().value, "v");
    assert_eq!(store.names().try_collect::<Vec<_>>().await.unwrap(), [name("map")]);
    assert_eq!(slow.calls("flush"), 1);
    assert_eq!(fast.all_calls(), []);
}

#[tokio::test]
async fn what_is_too_long_for_the_fast_store_passes_by() {
    let small = Capabilities::new(Durability::Volatile).with_max_chunk_len(4);
    let (fast, slow) = (Probe::with_capabilities(small.with_drop_ordered(false)), Probe::new());
    let store = Tiered::new(fast.clone(), slow.clone());
    assert_eq!(store.capabilities(), slow.capabilities().with_drop_ordered(false));
    let long = Bytes::from_static(b"12345");
    store.put(id(1), long.clone()).await.unwrap();
    store.put_many(vec![(id(2), long.clone()), (id(3), Bytes::from_static(b"1234"))]).await;
    assert_eq!(store.get(id(1)).await.unwrap().unwrap(), long);
    assert_eq!(fast.ids(), [id(3)]);
    assert_eq!((fast.calls("put"), store.stats().fast_errors), (1, 0));
}

#[tokio::test]
async fn tier_delete_reaches_both() {
    let (fast, slow, store) = pair();
    let chunks = [named(b"a"), named(b"b"), named(b"c")];
    assert!(store.put_many(chunks.to_vec()).await.iter().all(Result::is_ok));
    assert_eq!((fast.ids().len(), slow.ids().len()), (3, 3));
    store.delete(chunks[0].0).await.unwrap();
    assert_eq!((fast.ids().len(), slow.ids().len()), (2, 2));
    // An error of either is an error, and leaves nothing in the fast store alone.
    for broken in [&fast, &slow] {
        broken.fail("delete", ErrorKind::Unavailable, 1);
        assert_eq!(store.delete(chunks[1].0).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(fast.ids().iter().all(|id| slow.ids().contains(id)));
    }
    assert!(slow.ids().contains(&chunks[1].0));
    let ids = chunks.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    fast.script("item", [Step::Pass, Step::Before(ErrorKind::Unavailable)]);
    let results = store.delete_many(ids.clone()).await;
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(slow.ids(), [ids[1]]);
    store.delete_many(ids).await.into_iter().for_each(|result| result.unwrap());
    assert_eq!((fast.ids(), slow.ids()), (vec![], vec![]));
    assert_eq!((fast.calls("delete_many"), slow.calls("delete_many")), (2, 2));
}

#[tokio::test]
async fn a_read_under_way_brings_nothing_back() {
    let (fast, slow, store) = pair();
    let (id, data) = named(b"chunk");
    slow.plant(id, data.clone());
    // It has read the slow store when the delete comes and goes.
    slow.hold("get", At::End);
    let reader = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.get(id).await }
    });
    slow.until_waiting("get", 1).await;
    store.delete(id).await.unwrap();
    slow.release("get");
    assert_eq!(reader.await.unwrap().unwrap().unwrap(), data);
    assert!(fast.ids().is_empty(), "it came back");
    assert!(store.get(id).await.unwrap().is_none());
}

#[tokio::test]
async fn neither_does_a_put_whose_reply_is_late() {
    let (fast, slow, store) = pair();
    let (id, data) = named(b"chunk");
    slow.hold("put", At::End);
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.put(id, data).await }
    });
    slow.until_waiting("put", 1).await;
    store.delete(id).await.unwrap();
    slow.release("put");
    writer.await.unwrap().unwrap();
    assert!(fast.ids().is_empty() && slow.ids().is_empty());
}

#[tokio::test]
async fn a_delete_waits_for_a_refill_even_if_nobody_polls_the_reader() {
    let (fast, slow, store) = pair();
    let (id, data) = named(b"chunk");
    slow.plant(id, data);
    fast.hold("put", At::Start);
    let mut reader = store.get(id);
    assert!(futures::poll!(&mut reader).is_pending());
    fast.until_waiting("put", 1).await;
    let delete = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.delete(id).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!delete.is_finished(), "the refill would come after it");
    fast.release("put");
    tokio::time::timeout(Duration::from_secs(10), delete).await.expect("it ends").unwrap().unwrap();
    assert!(fast.ids().is_empty() && slow.ids().is_empty());
    reader.await.unwrap();
    assert!(fast.ids().is_empty());
}

#[tokio::test]
async fn dropped_halfway_it_leaves_nothing_in_the_fast_store_alone() {
    let (fast, slow, store) = pair();
    let (id, data) = named(b"chunk");
    for at in [At::Start, At::End] {
        for tier in [&fast, &slow] {
            store.put(id, data.clone()).await.unwrap();
            tier.hold("delete", at);
            let dropped = tokio::time::timeout(Duration::from_millis(10), store.delete(id)).await;
            assert!(dropped.is_err(), "it waits at the gate");
            tier.release("delete");
            let (in_fast, in_slow) = (fast.peek(id).is_some(), slow.peek(id).is_some());
            assert!(in_slow || !in_fast, "{at:?}");
            assert_eq!(store.get(id).await.unwrap().is_some(), in_slow);
            // A delete that was dropped is not taken for one that still runs.
            store.put(id, data.clone()).await.unwrap();
            store.get(id).await.unwrap();
            assert!(fast.peek(id).is_some());
        }
    }
}

#[tokio::test]
async fn what_the_slow_store_had_already_is_not_copied() {
    let (fast, slow, store) = pair();
    let (id, data) = named(b"chunk");
    slow.plant(id, data.clone());
    assert_eq!(store.put(id, data.clone()).await.unwrap(), PutOutcome::Present);
    assert_eq!(store.put_many(vec![(id, data)]).await.remove(0).unwrap(), PutOutcome::Present);
    assert_eq!(fast.all_calls(), []);
}

#[tokio::test]
async fn a_chunk_healed_by_a_put_is_healed_in_both() {
    // Without a check, a truncated chunk is read and copied like any other.
    let (fast, slow) = (Probe::called("fast"), Probe::called("slow"));
    let store = Tiered::new(fast.clone(), slow.clone());
    slow.plant(id(1), Bytes::from_static(b"chu"));
    assert_eq!(store.get(id(1)).await.unwrap().unwrap(), "chu");
    assert_eq!(store.put(id(1), Bytes::from_static(b"chunk")).await.unwrap(), PutOutcome::Inserted);
    assert_eq!(store.get(id(1)).await.unwrap().unwrap(), "chunk");
    assert_eq!((fast.peek(id(1)), slow.calls("get")), (slow.peek(id(1)), 1));
    // A read that saw it before the put does not undo it.
    fast.uproot(id(1));
    slow.plant(id(1), Bytes::from_static(b"chu"));
    slow.hold("get", At::End);
    let mut reader = store.get(id(1));
    assert!(futures::poll!(&mut reader).is_pending());
    store.put(id(1), Bytes::from_static(b"chunk")).await.unwrap();
    slow.release("get");
    assert_eq!(reader.await.unwrap().unwrap(), "chu");
    assert_eq!(fast.peek(id(1)).unwrap(), "chunk");
}

#[tokio::test]
async fn where_puts_overlap_the_fast_store_forgets() {
    let (fast, slow) = (Probe::called("fast"), Probe::called("slow"));
    let store = Tiered::new(fast.clone(), slow.clone());
    fast.hold("put", At::Start);
    let mut first = store.put(id(1), Bytes::from_static(b"first"));
    assert!(futures::poll!(&mut first).is_pending());
    fast.until_waiting("put", 1).await;
    // Of another length, so that the slow store takes it; the first one's copy would come after it.
    let mut second = store.put(id(1), Bytes::from_static(b"the second"));
    assert!(futures::poll!(&mut second).is_pending());
    assert_eq!(slow.peek(id(1)).unwrap(), "the second");
    fast.release("put");
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.unwrap(), second.unwrap()), (PutOutcome::Inserted, PutOutcome::Inserted));
    assert_eq!(fast.peek(id(1)), None);
    assert_eq!(store.get(id(1)).await.unwrap().unwrap(), "the second");
}

#[tokio::test]
async fn if_one_cannot_delete_neither_does() {
    let keeper = Probe::with_capabilities(Capabilities::new(Durability::Volatile).with_deletes(false));
    let other = Probe::new();
    let prefix = || Prefix::new(keeper.clone(), "x/").unwrap();
    let stores: [Box<dyn ChunkStore>; 2] =
        [Box::new(Tiered::new(prefix(), other.clone())), Box::new(Tiered::new(other.clone(), prefix()))];
    for store in stores {
        other.plant(id(1), Bytes::from_static(b"chunk"));
        assert!(!store.capabilities().deletes);
        let mut results = store.delete_many(vec![id(1)]).await;
        results.push(store.delete(id(1)).await);
        for result in results {
            let e = result.unwrap_err();
            assert_eq!((e.kind(), e.chunk()), (ErrorKind::Unsupported, Some(id(1))));
        }
        assert_eq!((keeper.all_calls(), other.all_calls(), other.ids()), (vec![], vec![], vec![id(1)]));
    }
}

#[tokio::test]
async fn a_delete_that_failed_is_finished_by_the_next() {
    let (fast, slow, store) = pair();
    let (id, data) = named(b"chunk");
    store.put(id, data).await.unwrap();
    // It happens all the same, after a read that brought the chunk back.
    slow.fail("delete", ErrorKind::Timeout, 1);
    assert!(store.delete(id).await.is_err());
    store.get(id).await.unwrap().unwrap();
    slow.uproot(id);
    assert_eq!((fast.ids().len(), slow.ids().len()), (1, 0));
    store.delete(id).await.unwrap();
    assert!(fast.ids().is_empty() && store.get(id).await.unwrap().is_none());
}
