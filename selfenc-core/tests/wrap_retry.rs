//! The retry: what is worth trying again, how often, and what is left when it gives up.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

#[path = "support/probe.rs"]
mod probe;

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use probe::{Probe, Step, id, name};
use selfenc_core::store::{ChunkStore, Error, ErrorKind, Expect, PutOutcome, RootStore, RootStoreExt, Swap};
use selfenc_core::wrap::{Retry, RetryPolicy};
use tokio::time::Instant;

fn policy() -> RetryPolicy {
    RetryPolicy::new().with_seed(7)
}

fn retry(count: u8) -> Retry<Probe> {
    let probe = Probe::new();
    (0..count).for_each(|n| probe.plant(id(n), vec![n]));
    Retry::new(probe, policy())
}

fn byte() -> Bytes {
    Bytes::from_static(b"x")
}

#[tokio::test(start_paused = true)]
async fn retry_only_transient() {
    use ErrorKind as K;
    let passing = [K::Conflict, K::Unavailable, K::Throttled, K::Timeout];
    let lasting = [
        K::Unsupported,
        K::InvalidInput,
        K::ChunkTooLarge,
        K::ChunkMissing,
        K::Corrupt,
        K::ReadOnly,
        K::PermissionDenied,
        K::Unauthenticated,
        K::Full,
        K::ContainerMissing,
        K::Locked,
        K::Closed,
        K::Other,
    ];
    for op in ["put", "get", "stat", "delete", "flush", "load", "put_many", "delete_many"] {
        for kind in passing.into_iter().chain(lasting) {
            let store = retry(3);
            store.inner().fail(op, kind, 2);
            let result = match op {
                "put" => store.put(id(9), byte()).await.map(drop),
                "get" => store.get(id(1)).await.map(drop),
                "stat" => store.stat(id(1)).await.map(drop),
                "delete" => store.delete(id(1)).await,
                "flush" => store.flush().await,
                "load" => store.load(&name("r")).await.map(drop),
                "put_many" => store.put_many(vec![(id(9), byte())]).await.remove(0).map(drop),
                _ => store.delete_many(vec![id(1)]).await.remove(0),
            };
            if passing.contains(&kind) {
                assert_eq!((result.is_ok(), store.inner().calls(op)), (true, 3), "{op} {kind:?}");
            } else {
                let e = result.expect_err(op);
                assert_eq!((e.kind(), e.attempts()), (kind, None), "{op}: passed on as it is");
                assert_eq!(store.inner().calls(op), 1, "{op} {kind:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn retry_marks_exhausted() {
    let inner = Retry::new(Probe::new(), policy().with_max_attempts(4));
    let outer = Retry::new(inner, policy().with_max_attempts(10));
    let probe = outer.inner().inner();
    for op in ["get", "put_many", "next", "load"] {
        probe.break_down(op, ErrorKind::Unavailable);
    }
    let errors: [Error; 4] = [
        outer.get(id(1)).await.unwrap_err(),
        outer.put_many(vec![(id(1), byte())]).await.remove(0).unwrap_err(),
        outer.list(None).try_next().await.unwrap_err(),
        outer.load(&name("r")).await.unwrap_err(),
    ];
    for e in errors {
        assert_eq!((e.kind(), e.attempts()), (ErrorKind::Unavailable, Some(4)), "{e}");
        assert!(e.to_string().ends_with("(gave up after 4 attempts)"), "{e}");
    }
    for op in ["get", "put_many", "next", "load"] {
        assert_eq!(probe.calls(op), 4, "{op}: the outer retry must not multiply attempts");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_replays_payload() {
    let store = retry(0);
    let data = Bytes::from(vec![5; 1000]);
    let place = data.as_ptr() as usize;
    let step = Step::After(ErrorKind::Unavailable);
    store.inner().script("put", [Step::Before(ErrorKind::Timeout), step, step]);
    store.put(id(1), data.clone()).await.unwrap();
    store.inner().script("item", [step]);
    store.put_many(vec![(id(2), data.clone())]).await.remove(0).unwrap();
    let sent = [id(1), id(1), id(1), id(2), id(2)].map(|id| (id, place, 1000));
    assert_eq!(store.inner().payloads(), sent, "each attempt sends the same bytes, uncopied");
}

#[tokio::test(start_paused = true)]
async fn retry_list_has_no_duplicates() {
    let store = retry(50);
    // Every third step fails, before or after the item was found: more often in all than one item may fail.
    let (before, after) = (Step::Before(ErrorKind::Unavailable), Step::After(ErrorKind::Timeout));
    let faults = (0..60).map(|n| match n % 6 {
        2 => before,
        5 => after,
        _ => Step::Pass,
    });
    store.inner().script("next", faults);
    let listed: Vec<_> = store.list(Some(id(4))).map_ok(|meta| meta.id).try_collect().await.unwrap();
    assert_eq!(listed, (5..50).map(id).collect::<Vec<_>>());
    assert_eq!(store.inner().calls("list"), 21, "the first and one after each fault");

    // What does not pass ends it, at the first item or later.
    store.inner().script("next", [Step::Pass, Step::Before(ErrorKind::PermissionDenied)]);
    let mut items = store.list(None);
    assert_eq!(items.next().await.unwrap().unwrap().id, id(0));
    assert_eq!(items.next().await.unwrap().unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert!(items.next().await.is_none() && items.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn attempts_at_a_listing_begin_anew_with_each_item() {
    let store = retry(3);
    // Four failures for each item are as many as five attempts allow; the time of the consumer is not theirs.
    let faults = [vec![Step::Before(ErrorKind::Throttled); 4], vec![Step::Pass]].concat().repeat(4);
    store.inner().script("next", faults);
    let mut items = store.list(None);
    for n in 0..3 {
        assert_eq!(items.next().await.unwrap().unwrap().id, id(n));
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    assert!(items.next().await.is_none());

    store.inner().fail("next", ErrorKind::Throttled, 5);
    assert_eq!(store.list(None).next().await.unwrap().unwrap_err().attempts(), Some(5));
}

#[tokio::test(start_paused = true)]
async fn ambiguous_put_ends_present() {
    let store = retry(0);
    assert!(!store.capabilities().exact_outcome);
    store.inner().script("put", [Step::After(ErrorKind::Timeout)]);
    assert_eq!(store.put(id(1), byte()).await.unwrap(), PutOutcome::Present);
    store.inner().script("item", [Step::Pass, Step::After(ErrorKind::Timeout)]);
    let outcomes = store.put_many(vec![(id(2), byte()), (id(3), byte())]).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes, [PutOutcome::Inserted, PutOutcome::Present]);
    assert_eq!(store.inner().ids(), [id(1), id(2), id(3)]);
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_only_what_failed_is_sent_again() {
    let store = retry(0);
    let step = Step::Before(ErrorKind::Throttled);
    let full = Step::Before(ErrorKind::Full);
    // First round: ok, throttled, full, throttled. Second: throttled, ok. Third: ok.
    store.inner().script("item", [Step::Pass, step, full, step, step, Step::Pass]);
    let chunks = (0..4).map(|n| (id(n), Bytes::from(vec![n; usize::from(n)]))).collect();
    let results = store.put_many(chunks).await;
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().map_err(Error::kind)).collect();
    let new = PutOutcome::Inserted;
    assert_eq!(kinds, [Ok(&new), Ok(&new), Err(ErrorKind::Full), Ok(&new)]);
    assert_eq!((store.inner().calls("put_many"), store.inner().calls("item")), (3, 7));
    assert_eq!(store.inner().peek(id(3)).unwrap(), vec![3; 3], "answers and chunks stay in order");

    store.inner().break_chunk(id(1), ErrorKind::Unavailable);
    let results = store.delete_many(vec![id(0), id(1), id(3)]).await;
    assert_eq!(results[1].as_ref().unwrap_err().attempts(), Some(5));
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(store.inner().ids(), [id(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_swap_is_repeated_only_if_it_was_refused() {
    let (store, root) = (retry(0), name("root"));
    store.inner().fail("swap", ErrorKind::Throttled, 2);
    assert!(matches!(store.swap(&root, Expect::Absent, Some(byte())).await, Ok(Swap::Done(Some(_)))));
    assert_eq!(store.inner().calls("swap"), 3);
    for kind in [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Conflict] {
        store.inner().forget_calls();
        store.inner().fail("swap", kind, 1);
        let e = store.swap(&root, Expect::Absent, Some(byte())).await.unwrap_err();
        assert_eq!((e.kind(), e.attempts(), store.inner().calls("swap")), (kind, None, 1));
    }
    // `update` finds out whether it happened.
    store.inner().script("swap", [Step::After(ErrorKind::Timeout)]);
    let new = store.update(&root, |_| Ok(Some(Bytes::from_static(b"new")))).await.unwrap();
    assert_eq!(new.unwrap().value, "new");
}

#[tokio::test(start_paused = true)]
async fn names_start_again_only_before_the_first() {
    let store = retry(0);
    for text in ["a", "b"] {
        store.swap(&name(text), Expect::Absent, Some(byte())).await.unwrap();
    }
    store.inner().fail("name", ErrorKind::Unavailable, 2);
    assert_eq!(store.names().try_collect::<Vec<_>>().await.unwrap(), [name("a"), name("b")]);
    store.inner().script("name", [Step::Pass, Step::Before(ErrorKind::Unavailable)]);
    let mut names = store.names();
    assert_eq!(names.next().await.unwrap().unwrap(), name("a"));
    assert_eq!(names.next().await.unwrap().unwrap_err().attempts(), None, "nobody retried it");
    assert!(names.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_budget_bounds_the_whole() {
    let budget = Duration::from_secs(20);
    let patient = policy().with_max_attempts(u32::MAX).with_budget(budget);
    let store = Retry::new(Probe::new(), patient.with_longest_delay(Duration::from_secs(3)));
    store.inner().break_down("get", ErrorKind::Unavailable);
    let start = Instant::now();
    let e = store.get(id(1)).await.unwrap_err();
    assert!(start.elapsed() <= budget && start.elapsed() > budget / 2, "{:?}", start.elapsed());
    let made = usize::try_from(e.attempts().unwrap()).unwrap();
    assert!(made > 5 && made == store.inner().calls("get"), "{made}");

    // Time that the attempts themselves take counts too.
    store.inner().delay("get", budget);
    assert_eq!(store.get(id(1)).await.unwrap_err().attempts(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_waits_the_same_and_no_seed_does_not() {
    let waited = async |policy: RetryPolicy| {
        let store = Retry::new(Probe::new(), policy);
        store.inner().break_down("get", ErrorKind::Unavailable);
        let start = Instant::now();
        let _ = store.get(id(1)).await;
        start.elapsed()
    };
    let slow = RetryPolicy::new().with_base_delay(Duration::from_secs(1));
    let seeded = slow.clone().with_seed(3);
    assert_eq!(waited(seeded.clone()).await, waited(seeded).await);
    // Four delays, to the millisecond: they do not agree by chance.
    assert_ne!(waited(slow.clone()).await, waited(slow).await);
}

#[tokio::test(start_paused = true)]
async fn update_does_not_multiply_what_was_retried() {
    let probe = Probe::new();
    probe.break_down("swap", ErrorKind::Throttled);
    let store = Retry::new(probe.clone(), RetryPolicy::new().with_max_attempts(5));
    let change = |_: Option<&Bytes>| Ok(Some(Bytes::from_static(b"1")));
    let e = store.update(&name("r"), change).await.unwrap_err();
    assert_eq!((e.kind(), e.attempts(), probe.calls("swap")), (ErrorKind::Throttled, Some(5), 5));
    // Without a retry below, a few attempts of its own, and the store's own error.
    probe.forget_calls();
    let e = probe.update(&name("r"), change).await.unwrap_err();
    assert_eq!((e.kind(), probe.calls("swap")), (ErrorKind::Throttled, 5));
}
