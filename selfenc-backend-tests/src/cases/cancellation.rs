//! Futures and streams that are dropped half-way.

use std::pin::pin;
use std::time::Duration;

use futures::future::join_all;
use futures::{Future, StreamExt, poll};
use selfenc_core::store::Backend;

use crate::data::{Sample, fit, listed, metas, put_all, sample, samples};
use crate::{Failure, Outcome, Trial, Verdict::*};

/// How many polls a future is given before it is dropped, at most.
const POLL_POINTS: u32 = 8;

/// After this a call is taken to hang.
const DEADLINE: Duration = Duration::from_secs(30);

/// Time for what a dropped future left running.
const SETTLE: Duration = Duration::from_millis(20);

/// Polls `work` up to `polls` times and drops it; whether it had ended.
pub(super) async fn poll_then_drop(work: impl Future, polls: u32) -> bool {
    let mut work = pin!(work);
    for n in 0..polls {
        if poll!(&mut work).is_ready() {
            return true;
        }
        // Not the waker's moment but a little later, so that drops fall at different stages.
        tokio::time::sleep(Duration::from_micros(u64::from(50 * n))).await;
    }
    false
}

async fn whole_or_none(store: &dyn Backend, x: &Sample) -> Result<(), Failure> {
    if let Some(got) = must!(G6, store.get(x.id).await) {
        check_bytes!(G6, got, x.data, "a chunk after its put was dropped");
    }
    Ok(())
}

pub async fn unpolled_put_has_no_effect(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 1000));
    drop(store.put(x.id, x.data.clone()));
    tokio::time::sleep(SETTLE).await;
    check_eq!(G6, must!(G5, store.get(x.id).await), None, "a chunk whose put was never polled");
    Ok(Passed)
}

pub async fn dropped_put_is_absent_or_whole(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let len = fit(&*store, 300_000);
    let mut all = Vec::new();
    for polls in 1..=POLL_POINTS {
        for round in 0..h.pick(4, 25, 250) {
            let x = sample(u64::from(polls) << 32 | round, len);
            poll_then_drop(store.put(x.id, x.data.clone()), polls).await;
            for _ in 0..5 {
                whole_or_none(&*store, &x).await?;
            }
            all.push(x);
        }
    }
    tokio::time::sleep(SETTLE).await;
    let mut present = Vec::new();
    for x in &all {
        whole_or_none(&*store, x).await?;
        if must!(G6, store.stat(x.id).await).is_some() {
            present.push(x);
        }
    }
    if store.capabilities().lists {
        let (seen, possible) = (must!(G7, listed(&*store, None).await), metas(&all));
        let lacks_none = metas(present).iter().all(|meta| seen.binary_search(meta).is_ok());
        check!(G6, lacks_none, "the listing after dropped puts lacks a chunk that stat has shown");
        for meta in seen {
            check!(G6, possible.binary_search(&meta).is_ok(), "listed after dropped puts: {meta:?}");
        }
    }
    Ok(Passed)
}

pub async fn retry_after_dropped_put(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let len = fit(&*store, 300_000);
    let mut all = Vec::new();
    for polls in 1..=POLL_POINTS {
        for round in 0..h.pick(4, 25, 250) {
            let x = sample(u64::from(polls) << 32 | round, len);
            poll_then_drop(store.put(x.id, x.data.clone()), polls).await;
            must!(G6, store.put(x.id, x.data.clone()).await);
            let got = must!(G2, store.get(x.id).await).unwrap_or_default();
            check_bytes!(G6, got, x.data, format!("a put retried after {polls} polls"));
            all.push(x);
        }
    }
    // Nor does what is left of the dropped ones undo it.
    tokio::time::sleep(SETTLE).await;
    for x in &all {
        let got = must!(G2, store.get(x.id).await).unwrap_or_default();
        check_bytes!(G6, got, x.data, "a chunk some time after its retried put");
    }
    check_listed!(G6, store, metas(&all), "the listing");
    Ok(Passed)
}

pub async fn dropped_delete_never_erases_a_later_put(h: &Trial<'_>) -> Outcome {
    let store = open_with!(h, deletes);
    let ordered = store.capabilities().drop_ordered;
    for polls in 1..=POLL_POINTS {
        for round in 0..h.pick(6, 40, 400) {
            let x = sample(u64::from(polls) << 32 | round, 5000);
            must!(G1, store.put(x.id, x.data.clone()).await);
            poll_then_drop(store.delete(x.id), polls).await;
            must!(G6, store.put(x.id, x.data.clone()).await);
            tokio::time::sleep(SETTLE).await;
            match must!(G6, store.get(x.id).await) {
                Some(got) => check_bytes!(G6, got, x.data, "the chunk"),
                None if ordered => fail!(G6, "a dropped delete erased a later put ({polls} polls)"),
                None => {}
            }
        }
    }
    Ok(if ordered { Passed } else { Weaker("drop_ordered is off: a dropped delete may land late") })
}

pub async fn hundred_dropped_gets_leak_nothing(h: &Trial<'_>) -> Outcome {
    // A get that keeps its permit, connection or thread when it is dropped leaves none to the others.
    let store = must!(G8, h.open().await);
    let len = fit(&*store, 50_000);
    let all: Vec<_> = (0..20).map(|seed| sample(seed, len)).collect();
    put_all(&*store, &all).await?;
    let mut rng = h.rng(121);
    for n in 0..h.pick(100, 2000, 100_000) {
        poll_then_drop(store.get(rng.of(&all).id), 1 + n % 3).await;
    }
    // Many dropped at once, all of them in flight.
    drop(tokio::time::timeout(Duration::ZERO, join_all((0..100).map(|_| store.get(all[0].id)))).await);
    let gets = join_all((0..200).map(|n| store.get(all[n % 20].id)));
    match tokio::time::timeout(DEADLINE, gets).await {
        Ok(answers) => {
            for (n, answer) in answers.into_iter().enumerate() {
                check_bytes!(G6, must!(G6, answer).unwrap_or_default(), all[n % 20].data, "a chunk");
            }
        }
        Err(_) => fail!(G6, "200 gets hang after some were dropped"),
    }
    Ok(Passed)
}

pub async fn dropped_list_leaks_nothing(h: &Trial<'_>) -> Outcome {
    let (store, all) = (open_with!(h, lists), samples(1, 30, 100));
    put_all(&*store, &all).await?;
    let drops = h.pick(300, 3000, 100_000);
    for n in 0..drops {
        poll_then_drop(store.list(None).take(n as usize % 40).count(), 1 + n % 3).await;
    }
    let work = async { (listed(&*store, None).await, store.get(all[0].id).await) };
    match tokio::time::timeout(DEADLINE, work).await {
        Ok((seen, got)) => {
            check_eq!(G6, must!(G7, seen), metas(&all), "the listing afterwards");
            check!(G6, must!(G2, got).is_some(), "a chunk is lost");
        }
        Err(_) => fail!(G6, "the store hangs after {drops} dropped listings"),
    }
    Ok(Passed)
}
