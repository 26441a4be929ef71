//! Futures and streams that are dropped half-way.

use std::pin::pin;
use std::time::Duration;

use futures::{Future, StreamExt, poll};
use selfenc_core::store::Backend;

use crate::data::{Sample, listed, sample, samples};
use crate::{Failure, Outcome, Trial, Verdict::*};

/// How many polls a future is given before it is dropped, at most.
const POLL_POINTS: u32 = 8;

/// Time for what a dropped future left running.
const SETTLE: Duration = Duration::from_millis(20);

/// Polls `work` up to `polls` times and drops it; whether it had ended.
async fn poll_then_drop(work: impl Future, polls: u32) -> bool {
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
    for polls in 1..=POLL_POINTS {
        for round in 0..4 {
            let x = sample(u64::from(polls) << 8 | round, 300_000);
            poll_then_drop(store.put(x.id, x.data.clone()), polls).await;
            for _ in 0..5 {
                whole_or_none(&*store, &x).await?;
            }
            must!(G6, store.put(x.id, x.data.clone()).await);
            tokio::time::sleep(SETTLE).await;
            check_eq!(G6, must!(G2, store.get(x.id).await), Some(x.data), "the chunk after a retried put");
        }
    }
    check_eq!(G6, must!(G7, listed(&*store, None).await).len(), 4 * POLL_POINTS as usize, "chunks listed");
    Ok(Passed)
}

pub async fn dropped_delete_never_erases_a_later_put(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let ordered = store.capabilities().drop_ordered;
    for polls in 1..=POLL_POINTS {
        for round in 0..6 {
            let x = sample(u64::from(polls) << 8 | round, 5000);
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

pub async fn dropped_lists_leak_nothing(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 30, 100));
    for x in &all {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    for n in 0..300_u32 {
        poll_then_drop(store.list(None).take(n as usize % 40).count(), 1 + n % 3).await;
        poll_then_drop(store.get(all[n as usize % 30].id), 1).await;
    }
    let work = async { (listed(&*store, None).await, store.get(all[0].id).await) };
    match tokio::time::timeout(Duration::from_secs(30), work).await {
        Ok((seen, got)) => {
            check_eq!(G6, must!(G7, seen).len(), 30, "chunks listed");
            check!(G6, must!(G2, got).is_some(), "a chunk is lost");
        }
        Err(_) => fail!(G6, "the store hangs after 300 dropped listings and gets"),
    }
    Ok(Passed)
}
