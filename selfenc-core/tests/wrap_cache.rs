//! The cache: it never says what the inner store did not, and it never grows.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

#[path = "support/probe.rs"]
mod probe;

use std::time::Duration;

use bytes::Bytes;
use probe::{At, Probe, Step, id, is_named, named};
use selfenc_core::store::{ChunkStore, ChunkStoreExt, ErrorKind, PutOutcome};
use selfenc_core::wrap::Cache;
use tokio::task::JoinHandle;
use tokio::time::advance;

const ROOM: u64 = 1 << 20;
const TTL: Duration = Duration::from_secs(60);
/// The least that tokio's clock tells apart.
const TICK: Duration = Duration::from_millis(1);

fn cache() -> Cache<Probe> {
    Cache::new(Probe::new(), ROOM)
}

fn byte() -> Bytes {
    Bytes::from_static(b"x")
}

/// A get in a task of its own.
fn get(store: &Cache<Probe>, byte: u8) -> JoinHandle<selfenc_core::store::Result<Option<Bytes>>> {
    let store = store.clone();
    tokio::spawn(async move { store.get(id(byte)).await })
}

/// Whether a get is answered without the inner store.
async fn is_kept(store: &Cache<Probe>, byte: u8) -> bool {
    let before = store.inner().calls("get");
    store.get(id(byte)).await.unwrap();
    store.inner().calls("get") == before
}

#[tokio::test]
async fn cache_fills_only_after_source_succeeds() {
    let store = cache();
    // A put that fails leaves nothing, whether it happened or not.
    for (n, step) in [(1, Step::Before(ErrorKind::Full)), (2, Step::After(ErrorKind::Timeout))] {
        store.inner().script("put", [step]);
        assert!(store.put(id(n), byte()).await.is_err());
        assert!(!is_kept(&store, n).await);
    }
    store.inner().script("item", [Step::Pass, Step::Before(ErrorKind::Full)]);
    let results = store.put_many(vec![(id(3), byte()), (id(4), byte())]).await;
    assert!(results[0].is_ok() && results[1].is_err());
    assert!(is_kept(&store, 3).await);
    assert!(!is_kept(&store, 4).await);

    // While a put is under way nothing is known yet; a dropped one leaves nothing either.
    store.inner().hold("put", At::Start);
    let mut put = Box::pin(store.put(id(5), byte()));
    assert!(futures::poll!(&mut put).is_pending());
    assert_eq!(store.get(id(5)).await.unwrap(), None);
    drop(put);
    store.inner().release("put");
    assert_eq!(store.get(id(5)).await.unwrap(), None);

    // A get that fails is asked again, and what it brings then is kept.
    store.inner().plant(id(6), byte());
    store.inner().fail("get", ErrorKind::Corrupt, 1);
    assert_eq!(store.get(id(6)).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(!is_kept(&store, 6).await);
    assert!(is_kept(&store, 6).await);
    let stats = store.stats();
    assert_eq!((stats.hits, stats.misses), (2, 6 + 1), "{stats:?}");
}

#[tokio::test]
async fn cache_keeps_what_was_put_anew_and_not_what_was_there() {
    let store = cache();
    assert_eq!(store.put(id(1), byte()).await.unwrap(), PutOutcome::Inserted);
    assert!(is_kept(&store, 1).await);
    // Somebody damages it; who puts it again and reads it back to be sure must see that.
    store.inner().plant(id(1), Bytes::from_static(b"y"));
    assert_eq!(store.put(id(1), byte()).await.unwrap(), PutOutcome::Present);
    assert_eq!(store.get(id(1)).await.unwrap().unwrap(), "y");
}

#[tokio::test]
async fn cache_evicts_and_refetches_damage() {
    // A check that can be told that memory has rotted.
    thread_local!(static ROTTEN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
    fn check(id: selfenc_core::store::ChunkId, data: &[u8]) -> bool {
        !ROTTEN.take() && is_named(id, data)
    }
    let store = cache().with_check(check);
    let (id, data) = named(b"good");
    store.put(id, data.clone()).await.unwrap();
    assert_eq!(store.get(id).await.unwrap().unwrap(), data);
    assert_eq!((store.stats().hits, store.inner().calls("get")), (1, 0));

    ROTTEN.set(true);
    assert_eq!(store.get(id).await.unwrap().unwrap(), data);
    assert_eq!((store.stats().evicted_damaged, store.inner().calls("get")), (1, 1), "fetched again, once");
    assert_eq!(store.get(id).await.unwrap().unwrap(), data);
    assert_eq!((store.stats().evicted_damaged, store.inner().calls("get")), (1, 1), "and kept again");

    // Damage at the source is passed on as it is and not kept.
    let (id, _) = named(b"other");
    store.inner().plant(id, Bytes::from_static(b"damaged"));
    for calls in [2, 3] {
        assert_eq!(store.get(id).await.unwrap().unwrap(), "damaged");
        assert_eq!(store.inner().calls("get"), calls);
    }
    assert_eq!(store.stats().evicted_damaged, 1);
}

#[tokio::test]
async fn cache_never_answers_for_a_missing_source() {
    for store in [cache(), cache().with_exclusive(true)] {
        store.put(id(1), byte()).await.unwrap();
        assert!(is_kept(&store, 1).await);
        store.inner().uproot(id(1));
        assert_eq!(store.stat(id(1)).await.unwrap(), None);
        assert!(!store.contains(id(1)).await.unwrap());
        assert_eq!(store.count().await.unwrap(), 0);
        store.inner().break_down("stat", ErrorKind::ContainerMissing);
        assert_eq!(store.stat(id(1)).await.unwrap_err().kind(), ErrorKind::ContainerMissing);
    }
}

#[tokio::test]
async fn cache_negative_entry_dies_on_put() {
    let store = cache().with_exclusive(true);
    for n in 1..=3 {
        assert_eq!(store.get(id(n)).await.unwrap(), None);
        assert!(is_kept(&store, n).await, "absence is remembered");
    }
    store.put(id(1), byte()).await.unwrap();
    assert!(store.get(id(1)).await.unwrap().is_some());
    store.put_many(vec![(id(2), byte())]).await.remove(0).unwrap();
    assert!(store.get(id(2)).await.unwrap().is_some());
    // A put whose answer is lost may have happened.
    store.inner().script("put", [Step::After(ErrorKind::Timeout)]);
    store.put(id(3), byte()).await.unwrap_err();
    assert!(store.get(id(3)).await.unwrap().is_some());

    // A get that saw nothing before the put may not remember it after the put.
    store.inner().hold("get", At::End);
    let early = get(&store, 4);
    store.inner().until_waiting("get", 1).await;
    store.inner().script("put", [Step::After(ErrorKind::Timeout)]);
    store.put(id(4), byte()).await.unwrap_err();
    store.inner().release("get");
    assert_eq!(early.await.unwrap().unwrap(), None);
    assert!(store.get(id(4)).await.unwrap().is_some());

    // Nor is it remembered where others may put.
    let shared = cache();
    assert_eq!(shared.get(id(1)).await.unwrap(), None);
    shared.inner().plant(id(1), byte());
    assert!(shared.get(id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_get_after_a_put_does_not_join_one_from_before_it() {
    let store = cache();
    store.inner().hold("get", At::End);
    let early = get(&store, 1);
    store.inner().until_waiting("get", 1).await;
    // Planted there before: `Present`, so the put keeps nothing.
    store.inner().plant(id(1), byte());
    assert_eq!(store.put(id(1), byte()).await.unwrap(), PutOutcome::Present);
    let late = get(&store, 1);
    store.inner().until_waiting("get", 2).await;
    store.inner().release("get");
    assert_eq!(early.await.unwrap().unwrap(), None);
    assert!(late.await.unwrap().unwrap().is_some(), "once put is Ok, every get sees it");
}

#[tokio::test]
async fn a_delete_is_not_undone_by_who_was_under_way() {
    for batch in [false, true] {
        let store = cache();
        store.inner().plant(id(1), byte());
        // One get has read the chunk already, and comes back after the delete.
        store.inner().hold("get", At::End);
        let early = get(&store, 1);
        store.inner().until_waiting("get", 1).await;
        if batch {
            store.delete_many(vec![id(1)]).await.remove(0).unwrap();
        } else {
            store.delete(id(1)).await.unwrap();
        }
        let late = get(&store, 1);
        store.inner().until_waiting("get", 2).await;
        store.inner().release("get");
        assert!(early.await.unwrap().unwrap().is_some());
        assert_eq!(late.await.unwrap().unwrap(), None);
        assert_eq!(store.get(id(1)).await.unwrap(), None);

        // One that reads it while the delete is under way fills the cache until the delete ends.
        store.put(id(1), byte()).await.unwrap();
        store.inner().hold("delete", At::Start);
        store.inner().hold("item", At::Start);
        let mut delete = Box::pin(async {
            if batch { store.delete_many(vec![id(1)]).await.remove(0) } else { store.delete(id(1)).await }
        });
        assert!(futures::poll!(&mut delete).is_pending());
        assert!(!is_kept(&store, 1).await, "it is out from the beginning");
        store.inner().release("delete");
        store.inner().release("item");
        delete.await.unwrap();
        assert_eq!(store.get(id(1)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_put_that_a_delete_overtakes_keeps_nothing() {
    let store = cache();
    store.inner().hold("put", At::End);
    let put = tokio::spawn({
        let store = store.clone();
        async move { store.put(id(1), byte()).await }
    });
    store.inner().until_waiting("put", 1).await;
    store.delete(id(1)).await.unwrap();
    store.inner().release("put");
    put.await.unwrap().unwrap();
    assert_eq!(store.get(id(1)).await.unwrap(), None);
}

#[tokio::test]
async fn a_dropped_delete_leaves_nothing_behind() {
    let store = cache();
    store.put(id(1), byte()).await.unwrap();
    store.inner().hold("delete", At::End);
    let mut delete = Box::pin(store.delete(id(1)));
    assert!(futures::poll!(&mut delete).is_pending());
    drop(delete);
    assert_eq!(store.get(id(1)).await.unwrap(), None, "it happened, unnoticed");
}

#[tokio::test]
async fn cache_byte_budget() {
    let budget = 100_000;
    let store = Cache::new(Probe::new(), budget);
    // Lengths from nothing to more than the quarter of the budget that one may take.
    for n in 0..3000_u32 {
        let mut name = [0; 32];
        name[..4].copy_from_slice(&n.to_be_bytes());
        let (chunk, len) = (name.into(), n * 7919 % 30_000);
        store.put(chunk, vec![1; usize::try_from(len).unwrap()].into()).await.unwrap();
        if n % 3 == 0 {
            store.get(chunk).await.unwrap();
        }
        assert!(store.stats().bytes <= budget, "{:?}", store.stats());
    }
    let full = store.stats();
    assert!(full.bytes > budget / 2, "it is used: {full:?}");

    let quarter = usize::try_from(budget / 4).unwrap();
    let alone = Cache::new(Probe::new(), budget);
    for (n, len, kept) in [(1, quarter - 128, true), (2, quarter - 127, false), (3, 200_000, false)] {
        alone.put(id(n), vec![0; len].into()).await.unwrap();
        assert_eq!(is_kept(&alone, n).await, kept, "{len} bytes");
    }
    // Empty chunks and absence are not free.
    let empty = Cache::new(Probe::new(), 1280).with_exclusive(true);
    for n in 0..100 {
        empty.put(id(n), Bytes::new()).await.unwrap();
        empty.get(id(n + 100)).await.unwrap();
        assert!((1..=1280).contains(&empty.stats().bytes), "{:?}", empty.stats());
    }
    for budget in [0, 1, 511] {
        let none = Cache::new(Probe::new(), budget).with_exclusive(true);
        none.put(id(1), byte()).await.unwrap();
        assert!(none.get(id(1)).await.unwrap().is_some() && none.get(id(2)).await.unwrap().is_none());
        assert_eq!((none.stats().bytes, none.stats().hits), (0, 0));
    }
}

#[tokio::test]
async fn an_entry_does_not_keep_the_buffer_it_came_from() {
    let store = cache();
    let buffer = Bytes::from(vec![1; 500_000]);
    for len in [10, 100_000] {
        let before = buffer.slice(..len);
        store.put(id(1), before.clone()).await.unwrap();
        let kept = store.get(id(1)).await.unwrap().unwrap();
        assert_eq!(kept, before);
        assert_ne!(kept.as_ptr(), buffer.as_ptr(), "a copy");
        store.delete(id(1)).await.unwrap();
    }
}

#[tokio::test]
async fn single_flight_survives_a_cancelled_leader() {
    let store = cache();
    store.inner().plant(id(1), byte());
    store.inner().hold("get", At::Start);
    let leader = get(&store, 1);
    store.inner().until_waiting("get", 1).await;
    let others: Vec<_> = (0..10).map(|_| get(&store, 1)).collect();
    tokio::task::yield_now().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    assert_eq!(store.inner().waiting("get"), 1, "the others want it still");
    store.inner().release("get");
    for other in others {
        assert_eq!(other.await.unwrap().unwrap().unwrap(), byte());
    }
    assert_eq!(store.inner().calls("get"), 1);

    // When nobody wants it any more the request is dropped, and the next get makes its own.
    store.inner().plant(id(2), byte());
    store.inner().hold("get", At::Start);
    let mut both = [Box::pin(store.get(id(2))), Box::pin(store.get(id(2)))];
    for request in &mut both {
        assert!(futures::poll!(request).is_pending());
    }
    drop(both);
    assert_eq!(store.inner().running(), 0);
    store.inner().release("get");
    assert!(store.get(id(2)).await.unwrap().is_some());
    assert_eq!(store.inner().calls("get"), 3);
}

#[tokio::test]
async fn a_leader_that_nobody_polls_holds_up_nobody() {
    let store = cache();
    store.inner().plant(id(1), byte());
    store.inner().hold("get", At::Start);
    let mut leader = Box::pin(store.get(id(1)));
    assert!(futures::poll!(&mut leader).is_pending());
    let other = get(&store, 1);
    tokio::task::yield_now().await;
    store.inner().release("get");
    let other = tokio::time::timeout(std::time::Duration::from_secs(5), other).await;
    assert!(other.expect("it waits for who is not polled").unwrap().unwrap().is_some());
    assert!(leader.await.unwrap().is_some());
    assert_eq!(store.inner().calls("get"), 1);
}

#[tokio::test]
async fn an_error_reaches_all_who_wait_and_none_who_come_later() {
    let store = cache();
    store.inner().plant(id(1), byte());
    store.inner().hold("get", At::Start);
    store.inner().fail("get", ErrorKind::Throttled, 1);
    let all: Vec<_> = (0..3).map(|_| get(&store, 1)).collect();
    store.inner().until_waiting("get", 1).await;
    // Neither one of those who wait and is not polled for long, nor a put under way, may keep the error
    // alive for others.
    store.inner().hold("put", At::Start);
    let mut put = Box::pin(store.put(id(1), byte()));
    assert!(futures::poll!(&mut put).is_pending());
    let mut idle = Box::pin(store.get(id(1)));
    assert!(futures::poll!(&mut idle).is_pending());
    store.inner().release("get");
    for one in all {
        let e = one.await.unwrap().unwrap_err();
        assert_eq!(e.to_string(), "get 01010101: throttled: on request");
        assert!(e.is_transient() && e.chunk() == Some(id(1)));
    }
    assert!(store.get(id(1)).await.unwrap().is_some());
    assert_eq!(store.inner().calls("get"), 2);
    assert_eq!(idle.await.unwrap_err().kind(), ErrorKind::Throttled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_reads_nothing_that_was_deleted_and_nothing_wrong() {
    let store = cache().with_check(is_named);
    let chunks: Vec<_> = (0..8_u8).map(|n| named(&[n; 300])).collect();
    let tasks = (0..8_usize).map(|task| {
        let (store, chunks) = (store.clone(), chunks.clone());
        tokio::spawn(async move {
            for round in 0..400 {
                let (id, data) = &chunks[(task * 7 + round) % chunks.len()];
                match (task + round) % 4 {
                    0 => drop(store.put(*id, data.clone()).await.unwrap()),
                    1 => store.delete(*id).await.unwrap(),
                    _ => assert!(store.get(*id).await.unwrap().is_none_or(|found| found == data)),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    for (id, _) in &chunks {
        assert_eq!(store.get(*id).await.unwrap(), store.inner().peek(*id), "the cache and the store agree");
    }
    assert_eq!(store.stats().evicted_damaged, 0);
}

#[tokio::test]
async fn what_was_read_before_a_put_is_not_kept_after_it() {
    let store = cache();
    store.inner().plant(id(1), Bytes::from_static(b"trunc"));
    store.inner().hold("get", At::End);
    let early = get(&store, 1);
    store.inner().until_waiting("get", 1).await;
    assert_eq!(
        store.put(id(1), Bytes::from_static(b"truncated no more")).await.unwrap(),
        PutOutcome::Inserted
    );
    store.inner().release("get");
    early.await.unwrap().unwrap();
    assert_eq!(store.get(id(1)).await.unwrap().unwrap(), "truncated no more");
}

#[tokio::test]
async fn of_puts_at_once_none_is_kept() {
    let store = cache();
    for at in [At::Start, At::End] {
        store.inner().hold("put", at);
        let puts = ["a", "of another length"].map(|data| {
            let store = store.clone();
            tokio::spawn(async move { store.put(id(1), Bytes::from(data)).await })
        });
        store.inner().until_waiting("put", 2).await;
        store.inner().release("put");
        for put in puts {
            put.await.unwrap().unwrap();
        }
        assert_eq!(store.get(id(1)).await.unwrap(), store.inner().peek(id(1)));
    }
}

#[tokio::test]
async fn absence_is_not_remembered_once_a_put_is_in_doubt() {
    let store = cache().with_exclusive(true);
    store.inner().script("put", [Step::Before(ErrorKind::Timeout)]);
    assert!(store.put(id(1), byte()).await.is_err());
    assert_eq!(store.get(id(1)).await.unwrap(), None);
    // The put that nobody waits for any more lands.
    store.inner().plant(id(1), byte());
    assert_eq!(store.get(id(1)).await.unwrap(), Some(byte()));
}

#[tokio::test(start_paused = true)]
async fn an_entry_older_than_its_ttl_is_fetched_again() {
    let store = cache().with_ttl(TTL);
    store.inner().plant(id(1), Bytes::from_static(b"old"));
    store.put(id(2), Bytes::from_static(b"old")).await.unwrap();
    assert_eq!(store.get(id(1)).await.unwrap().unwrap(), "old");
    // Somebody else changes the one and deletes the other; which is not seen until the time is up.
    store.inner().plant(id(1), Bytes::from_static(b"new"));
    store.inner().uproot(id(2));
    for _ in 0..4 {
        advance(TTL / 4 - TICK).await;
        assert_eq!(store.get(id(1)).await.unwrap().unwrap(), "old");
        assert_eq!(store.get(id(2)).await.unwrap().unwrap(), "old");
    }
    assert_eq!((store.stats().hits, store.stats().expired, store.inner().calls("get")), (8, 0, 1));

    // Being asked for has made neither of them younger.
    advance(4 * TICK).await;
    assert_eq!(store.stats().entries, 2, "still there, and never returned");
    assert_eq!(store.get(id(1)).await.unwrap().unwrap(), "new");
    assert_eq!(store.get(id(2)).await.unwrap(), None);
    let stats = store.stats();
    assert_eq!((stats.hits, stats.misses, stats.expired, stats.entries), (8, 3, 2, 1));

    // What was fetched again has a time of its own.
    advance(TTL - TICK).await;
    assert!(is_kept(&store, 1).await);
    advance(TICK).await;
    assert!(!is_kept(&store, 1).await);
}

#[tokio::test(start_paused = true)]
async fn absence_has_the_same_time_to_live() {
    let store = cache().with_exclusive(true).with_ttl(TTL);
    assert_eq!(store.get(id(1)).await.unwrap(), None);
    assert!(is_kept(&store, 1).await);
    store.inner().plant(id(1), byte());
    advance(TTL - TICK).await;
    assert_eq!(store.get(id(1)).await.unwrap(), None);
    advance(TICK).await;
    assert!(store.get(id(1)).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_longer_than_the_ttl_gets_his_answer() {
    let store = cache().with_ttl(TTL);
    store.inner().plant(id(1), byte());
    store.inner().hold("get", At::End);
    let slow = get(&store, 1);
    store.inner().until_waiting("get", 1).await;
    advance(TTL * 2).await;
    store.inner().release("get");
    assert_eq!(slow.await.unwrap().unwrap(), Some(byte()));
    assert!(is_kept(&store, 1).await, "its time begins with the answer");
}

#[tokio::test(start_paused = true)]
async fn without_a_ttl_or_with_an_endless_one_nothing_expires() {
    for store in [cache(), cache().with_ttl(Duration::MAX), cache().with_ttl(TTL * 60 * 24 * 400)] {
        store.put(id(1), byte()).await.unwrap();
        advance(TTL * 60 * 24 * 365).await;
        assert!(is_kept(&store, 1).await);
        assert_eq!(store.stats().expired, 0);
    }
}

#[tokio::test]
async fn cache_entry_bound() {
    for most in [1, 2, 3, 10, 33, 34, 100] {
        let store = Cache::new(Probe::new(), ROOM).with_max_entries(most).with_exclusive(true);
        for n in 0..=255 {
            // Asked for differently often, and some of them absent.
            if n % 5 > 0 {
                store.put(id(n), vec![n; usize::from(n)].into()).await.unwrap();
            }
            for _ in 0..n % 4 {
                store.get(id(n)).await.unwrap();
            }
            let stats = store.stats();
            assert!(stats.entries <= most as u64 && stats.bytes <= ROOM, "{most}: {stats:?}");
        }
        let stats = store.stats();
        assert_eq!(stats.entries, most as u64, "all of its room is used: {stats:?}");
        assert!(stats.hits > 0, "what is kept is found: {stats:?}");
    }
}

#[tokio::test]
async fn the_only_entry_there_may_be_is_the_newest() {
    let store = cache().with_max_entries(1);
    for n in 1..=9 {
        store.put(id(n), byte()).await.unwrap();
        assert!(is_kept(&store, n).await, "{n}");
        assert_eq!((store.stats().entries, store.stats().bytes), (1, 129));
    }
}

#[tokio::test]
async fn both_bounds_hold_with_chunks_of_any_length() {
    let (budget, most) = (100_000, 20);
    let store = Cache::new(Probe::new(), budget).with_max_entries(most);
    let (mut entries, mut bytes) = (0, 0);
    for n in 0..3000_u32 {
        let mut name = [0; 32];
        name[..4].copy_from_slice(&n.to_be_bytes());
        let long = if n < 1500 { 24_000 } else { 2000 };
        store.put(name.into(), vec![1; (n * 7919 % long) as usize].into()).await.unwrap();
        let stats = store.stats();
        assert!(stats.bytes <= budget && stats.entries <= most as u64, "{stats:?}");
        (entries, bytes) = (stats.entries.max(entries), stats.bytes.max(bytes));
    }
    assert!(entries > most as u64 / 2 && bytes > budget / 2, "both are used: {entries}, {bytes}");
    // A chunk that is too large for the bytes is not kept for the sake of the count.
    let name = id(1);
    store.put(name, vec![0; 25_000].into()).await.unwrap();
    assert!(!is_kept(&store, 1).await);
}

#[tokio::test(start_paused = true)]
async fn no_entries_or_no_time_keep_nothing() {
    let none = |limit: fn(Cache<Probe>) -> Cache<Probe>| limit(cache().with_exclusive(true));
    for store in [none(|cache| cache.with_max_entries(0)), none(|cache| cache.with_ttl(Duration::ZERO))] {
        store.put(id(1), byte()).await.unwrap();
        for _ in 0..3 {
            assert_eq!(store.get(id(1)).await.unwrap(), Some(byte()));
            assert_eq!(store.get(id(2)).await.unwrap(), None);
        }
        let stats = store.stats();
        assert_eq!((stats.entries, stats.bytes, stats.hits, stats.misses, stats.expired), (0, 0, 0, 6, 0));
        // Those who want the same at the same time still ask once.
        store.inner().hold("get", At::Start);
        let both = [get(&store, 1), get(&store, 1)];
        store.inner().until_waiting("get", 1).await;
        tokio::task::yield_now().await;
        store.inner().release("get");
        for one in both {
            assert_eq!(one.await.unwrap().unwrap(), Some(byte()));
        }
        assert_eq!(store.inner().calls("get"), 7);
    }
}

#[tokio::test]
async fn a_bound_begins_a_cache_of_its_own() {
    let one = cache();
    one.put(id(1), byte()).await.unwrap();
    let other = one.clone().with_max_entries(5);
    assert_eq!((one.stats().entries, other.stats().entries), (1, 0));
    assert!(!is_kept(&other, 1).await && is_kept(&other, 1).await);
    assert_eq!((one.stats().misses, other.stats().misses), (0, 1));
    // The bounds add up, in whatever order they are given.
    let info = |store: Cache<Probe>| store.info().to_string();
    let all = "cache(1 MiB, 5 entries, 60s, probe:x)";
    assert_eq!(info(other.clone().with_ttl(TTL)), all);
    assert_eq!(info(cache().with_ttl(TTL).with_max_entries(5)), all);
    assert_eq!(info(one), "cache(1 MiB, probe:x)");
    let checked = cache().with_check(is_named).with_exclusive(true).with_ttl(TTL).with_max_entries(5);
    assert!(!checked.capabilities().shared && format!("{checked:?}").contains("checked: true"));
}
