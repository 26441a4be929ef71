//! Listings: exact, ascending, resumable, and in nobody's way.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt};
use selfenc_core::store::{Backend, ChunkId};

use crate::data::{Sample, fit, list, listed, metas, put_all, sample, samples};
use crate::{Expected, Failure, Op, Outcome, Trial, Verdict::*};

/// After this a call is taken to hang.
const DEADLINE: Duration = Duration::from_secs(30);

/// A store with `n` samples, and the samples in the order of their ids. Without lists the case ends here.
macro_rules! filled {
    ($h:expr, $n:expr) => {{
        let store = open_with!($h, lists);
        let mut all = samples(1, $n, 40);
        all.sort_by_key(|x| x.id);
        put_all(&*store, &all).await?;
        (store, all)
    }};
}

/// For a case about deletes under a listing.
macro_rules! needs_deletes {
    ($store:expr) => {
        if !$store.capabilities().deletes {
            check_unsupported!($store.delete(sample(0, 77).id).await.err(), "delete");
            return Ok(Weaker("deletes are off: delete says Unsupported"));
        }
    };
}

pub async fn empty(h: &Trial<'_>) -> Outcome {
    let store = open_with!(h, lists);
    check!(G7, store.list(None).next().await.is_none(), "an item from an empty store");
    let after = Some(ChunkId::from_bytes([9; 32]));
    check!(G7, store.list(after).next().await.is_none(), "an item from an empty store");
    Ok(Passed)
}

pub async fn exact_set_and_lengths(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, h.pick(300, 2000, 20_000));
    check_eq!(G7, must!(G7, listed(&*store, None).await), metas(&all), "the listing");
    Ok(Passed)
}

pub async fn no_duplicates(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, 200);
    for x in &all {
        must!(G3, store.put(x.id, x.data.clone()).await);
    }
    let mut ids: Vec<_> = must!(G7, listed(&*store, None).await).into_iter().map(|meta| meta.id).collect();
    let items = ids.len();
    ids.sort_unstable();
    ids.dedup();
    check_eq!(G7, items, ids.len(), "items, and different ids among them");
    Ok(Passed)
}

pub async fn many_pages(h: &Trial<'_>) -> Outcome {
    // More than two pages of any service (the usual limit is 1000), and a rest.
    only_at!(h, Full);
    let (store, all) = filled!(h, h.pick(2501, 2501, 25_001));
    let (seen, expected) = (must!(G7, listed(&*store, None).await), metas(&all));
    check_eq!(G7, seen.len(), expected.len(), "items");
    check!(G7, seen == expected, "the listing of {} has other items", expected.len());
    for from in [998, 999, 1000, 1001, 1999, 2000, 2499] {
        let rest = must!(G7, listed(&*store, Some(all[from].id)).await);
        check!(G7, rest == expected[from + 1..], "the listing after number {from}: {} items", rest.len());
    }
    Ok(Passed)
}

pub async fn page_boundary(h: &Trial<'_>) -> Outcome {
    // Listings that fill their pages exactly, and by one more: services' and databases' own, and ours.
    only_at!(h, Full);
    for n in [255, 256, 257, 512, 999, 1000, 1001, 2000] {
        let (store, all) = filled!(h, n);
        let seen = must!(G7, listed(&*store, None).await);
        check!(G7, seen == metas(&all), "the listing of {n} has {} items, or others", seen.len());
    }
    Ok(Passed)
}

pub async fn after_is_exclusive(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, h.pick(60, 600, 2000));
    for (n, x) in all.iter().enumerate() {
        let rest = must!(G7, listed(&*store, Some(x.id)).await);
        check_eq!(G7, rest, metas(&all[n + 1..]), format!("the listing after number {n}"));
    }
    Ok(Passed)
}

pub async fn after_absent_id(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, 60);
    for seed in 0..30 {
        let after = sample(1000 + seed, 10).id;
        let expected = metas(all.iter().filter(|x| x.id > after));
        check_eq!(G7, must!(G7, listed(&*store, Some(after)).await), expected, "after an absent id");
    }
    let all_of_it = must!(G7, listed(&*store, Some(ChunkId::from_bytes([0; 32]))).await);
    check_eq!(G7, all_of_it, metas(&all), "after id 00…");
    Ok(Passed)
}

pub async fn after_last_is_empty(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, 20);
    let last = all.last().map(|x| x.id);
    check_eq!(G7, must!(G7, listed(&*store, last).await), [], "after the last");
    Ok(Passed)
}

pub async fn after_all_ff(h: &Trial<'_>) -> Outcome {
    let (store, _) = filled!(h, 20);
    let end = ChunkId::from_bytes([0xff; 32]);
    check_eq!(G7, must!(G7, listed(&*store, Some(end)).await), [], "after ff…");
    must!(G1, store.put(end, sample(1, 10).data).await);
    check_eq!(G7, must!(G7, listed(&*store, Some(end)).await), [], "after ff… itself");
    Ok(Passed)
}

pub async fn resume_covers_everything_once(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, h.pick(100, 500, 2000));
    for step in [1, 7, 64, 256] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page: Vec<_> = must!(G7, store.list(after).take(step).try_collect().await);
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            seen.extend(page);
            check!(G7, seen.len() <= all.len(), "listings of {step} never end");
        }
        check_eq!(G7, seen, metas(&all), format!("listings of {step} put together"));
    }
    Ok(Passed)
}

pub async fn ordered(h: &Trial<'_>) -> Outcome {
    let (store, _) = filled!(h, 300);
    let ids: Vec<_> = must!(G7, listed(&*store, None).await).into_iter().map(|meta| meta.id).collect();
    check!(G7, ids.is_sorted_by(|a, b| a < b), "the listing is not strictly ascending");
    Ok(Passed)
}

pub async fn stable_members_seen_during_inserts(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, 200);
    let (inserter, new) = (Arc::clone(&store), samples(2, h.pick(300, 3000, 30_000), 40));
    let inserter = tokio::spawn(async move {
        for x in new {
            must!(G1, inserter.put(x.id, x.data).await);
        }
        Ok::<_, Failure>(())
    });
    loop {
        // At least once, however fast the inserter is.
        let is_last = inserter.is_finished();
        let seen = must!(G7, listed(&*store, None).await);
        check!(G7, seen.is_sorted_by(|a, b| a.id < b.id), "not ascending while others insert");
        for x in &all {
            check!(
                G7,
                seen.binary_search(&x.meta()).is_ok(),
                "a chunk present throughout was not listed, or with another length"
            );
        }
        if is_last {
            break;
        }
    }
    must!(G7, inserter.await)?;
    Ok(Passed)
}

pub async fn no_error_during_deletes(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, h.pick(300, 2000, 20_000));
    needs_deletes!(store);
    // Some before and some after each that goes: pages by number would move under the reader.
    let (mut kept, mut doomed) = (Vec::new(), Vec::new());
    for (n, x) in all.into_iter().enumerate() {
        if n % 3 == 0 { kept.push(x) } else { doomed.push(x) }
    }
    // In no order: else the deleter would run ahead of each listing, or behind it.
    let mut rng = h.rng(71);
    doomed.sort_by_cached_key(|_| rng.next());
    let deleter = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for x in doomed {
                must!(G3, store.delete(x.id).await);
            }
            Ok::<_, Failure>(())
        })
    };
    loop {
        let is_last = deleter.is_finished();
        let seen = must!(G7, listed(&*store, None).await);
        for meta in metas(&kept) {
            check!(G7, seen.binary_search(&meta).is_ok(), "a chunk present throughout was not listed");
        }
        if is_last {
            break;
        }
    }
    must!(G3, deleter.await)?;
    check_eq!(G7, must!(G7, listed(&*store, None).await), metas(&kept), "the listing afterwards");
    Ok(Passed)
}

pub async fn delete_as_you_list(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, h.pick(150, 2500, 25_000));
    needs_deletes!(store);
    let (mut items, mut seen) = (list(&*store, None), 0);
    while let Some(item) = items.next().await {
        must!(G3, store.delete(must!(G7, item).id).await);
        seen += 1;
    }
    check_eq!(G7, seen, all.len(), "items listed while deleting each");
    check_eq!(G7, must!(G7, listed(&*store, None).await), [], "what is left");
    Ok(Passed)
}

pub async fn early_drop_releases_everything(h: &Trial<'_>) -> Outcome {
    let (store, _) = filled!(h, 100);
    for _ in 0..h.pick(200, 2000, 20_000) {
        let mut items = store.list(None);
        must!(G7, items.next().await.transpose());
        drop(items);
    }
    let more = samples(2, 64, 100);
    let writes = try_join_all(more.iter().map(|x| store.put(x.id, x.data.clone())));
    match tokio::time::timeout(DEADLINE, writes).await {
        Ok(outcomes) => must!(G7, outcomes),
        Err(_) => fail!(G7, "64 writes hang after many listings were dropped early"),
    };
    Ok(Passed)
}

pub async fn outlives_the_borrow(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, 50);
    let items = list(&*store, None);
    let seen = tokio::spawn(async move { items.try_collect::<Vec<_>>().await });
    check_eq!(G7, must!(G7, must!(G7, seen.await)), metas(&all), "a listing read in another task");
    Ok(Passed)
}

pub async fn two_streams_are_independent(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, 50);
    let (mut a, mut b) = (list(&*store, None), list(&*store, all.get(9).map(|x| x.id)));
    let (mut from_a, mut from_b) = (Vec::new(), Vec::new());
    loop {
        let (x, y) = (must!(G7, a.next().await.transpose()), must!(G7, b.next().await.transpose()));
        from_a.extend(x);
        from_b.extend(y);
        if x.is_none() {
            break;
        }
    }
    check_eq!(G7, from_a, metas(&all), "the first of two listings");
    check_eq!(G7, from_b, metas(&all[10..]), "the second of two listings");
    Ok(Passed)
}

pub async fn slow_consumer_does_not_block_writers(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, 50);
    let mut items = list(&*store, None);
    must!(G7, items.next().await.transpose());
    let deletes = store.capabilities().deletes;
    // The stream is held half-read while others write and delete.
    for x in samples(2, 20, 100) {
        let write = async {
            store.put(x.id, x.data.clone()).await?;
            if deletes { store.delete(x.id).await } else { Ok(()) }
        };
        match tokio::time::timeout(DEADLINE, write).await {
            Ok(done) => must!(G7, done),
            Err(_) => fail!(G7, "a write waits for a listing that is not being read"),
        }
    }
    // From the second item on: the first was read above.
    let rest = must!(G7, items.try_collect::<Vec<_>>().await);
    for meta in &metas(&all)[1..] {
        check!(G7, rest.binary_search(meta).is_ok(), "a chunk present throughout was not listed");
    }
    Ok(Passed)
}

pub async fn error_surfaces_then_ends(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, 40);
    let faults: Vec<_> = h.faults().into_iter().filter(|fault| fault.op == Op::List).collect();
    for fault in &faults {
        hook!("fault", h.fault(Some(fault)).await);
        // One more than there can be, for a stream that never ends.
        let items: Vec<_> = store.list(None).take(all.len() + 2).collect().await;
        hook!("fault", h.fault(None).await);
        let error = items.iter().position(Result::is_err);
        match fault.expected {
            Expected::Fails(..) => {
                check_eq!(
                    G7,
                    error.map(|at| at + 1),
                    Some(items.len()),
                    format!("the error {} is last", fault.cause)
                );
                let before: Vec<_> = items.into_iter().filter_map(Result::ok).collect();
                let expected = &metas(&all)[..before.len()];
                check_eq!(G7, before, expected, format!("the items before the error {}", fault.cause));
            }
            Expected::Succeeds => {
                let seen: Vec<_> = must!(G7, items.into_iter().collect::<Result<_, _>>());
                check_eq!(G7, seen, metas(&all), format!("the listing in spite of {}", fault.cause));
            }
        }
        check_eq!(
            G7,
            must!(G7, listed(&*store, None).await),
            metas(&all),
            "the listing once the fault is over"
        );
    }
    Ok(if faults.is_empty() { NotExercised("fault: list") } else { Passed })
}

pub async fn in_flight_puts_are_invisible(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, 10);
    let x = sample(2, fit(&*store, 200_000));
    hook!("pause", h.pause(true).await);
    let put = {
        let (store, x) = (Arc::clone(&store), x.clone());
        tokio::spawn(async move { store.put(x.id, x.data).await })
    };
    let held = nothing_to_see(&*store, &all, &x).await;
    let has_ended = put.is_finished();
    // Before any check may end the case: a put that is held for ever would hold the runtime.
    hook!("pause", h.pause(false).await);
    held?;
    check!(Honesty, !has_ended, "the harness's own hook `pause` did not hold the put");
    match tokio::time::timeout(DEADLINE, put).await {
        Ok(done) => must!(G1, must!(G1, done)),
        Err(_) => fail!(G9, "a put that was held halfway does not go on"),
    };
    let expected = metas(all.iter().chain([&x]));
    check_eq!(G2, must!(G7, listed(&*store, None).await), expected, "the listing afterwards");
    Ok(Passed)
}

/// Looks for a while, in which a put of `x` gets halfway.
async fn nothing_to_see(store: &dyn Backend, all: &[Sample], x: &Sample) -> Result<(), Failure> {
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        check_eq!(G1, must!(G7, listed(store, None).await), metas(all), "the listing during a put");
        check_eq!(G1, must!(G1, store.stat(x.id).await), None, "stat during a put");
        check!(G1, must!(G1, store.get(x.id).await).is_none(), "bytes of a chunk during its put");
    }
    Ok(())
}

pub async fn get_inside_list(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, 50);
    let (mut items, mut seen) = (list(&*store, None), 0);
    while let Some(item) = items.next().await {
        let meta = must!(G7, item);
        let get = tokio::time::timeout(DEADLINE, store.get(meta.id));
        match get.await {
            Ok(got) => {
                let len = must!(G7, got).map(|data| data.len() as u64);
                check_eq!(G7, len, Some(meta.len), "the length of what was listed");
            }
            Err(_) => fail!(G7, "a get inside a listing hangs"),
        }
        seen += 1;
    }
    check_eq!(G7, seen, all.len(), "items");
    Ok(Passed)
}

pub async fn poll_after_end_is_none(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled!(h, 5);
    // The store's own stream: one that is cut short is polled no more after its end.
    let mut items = store.list(None);
    for _ in &all {
        check!(G7, must!(G7, items.next().await.transpose()).is_some(), "the listing ends too early");
    }
    for _ in 0..4 {
        check!(G7, items.next().await.is_none(), "an item after the end");
    }
    Ok(Passed)
}
