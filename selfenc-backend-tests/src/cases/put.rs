//! Putting again, differently, at once, and while others read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use selfenc_core::store::{ChunkId, ErrorKind, PutOutcome};
use tokio::task::JoinSet;

use crate::data::{Sample, fit, metas, noise, put_all, sample, samples};
use crate::{Damage, Expected, Failure, Fault, Op, Outcome, Trial, Verdict::*};

pub async fn twice_is_ok(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 1000));
    for _ in 0..3 {
        must!(G3, store.put(x.id, x.data.clone()).await);
        check_eq!(G3, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "the chunk");
    }
    check_listed!(G3, store, [x.meta()], "the listing");
    Ok(Passed)
}

pub async fn outcome_exact(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    if !store.capabilities().exact_outcome {
        return Ok(Weaker("exact_outcome is off; see outcome_never_falsely_inserted"));
    }
    for x in samples(1, 10, 100) {
        check_eq!(
            Honesty,
            must!(G1, store.put(x.id, x.data.clone()).await),
            PutOutcome::Inserted,
            "first put"
        );
        check_eq!(
            Honesty,
            must!(G3, store.put(x.id, x.data.clone()).await),
            PutOutcome::Present,
            "second put"
        );
        if store.capabilities().deletes {
            must!(G3, store.delete(x.id).await);
            let outcome = must!(G1, store.put(x.id, x.data.clone()).await);
            check_eq!(Honesty, outcome, PutOutcome::Inserted, "put after delete");
        }
    }
    Ok(Passed)
}

pub async fn outcome_never_falsely_inserted(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    for x in samples(1, 10, 100) {
        let first = must!(G1, store.put(x.id, x.data.clone()).await);
        check!(Honesty, first != PutOutcome::Present, "Present for a chunk that was not there");
        let second = must!(G3, store.put(x.id, x.data.clone()).await);
        check!(Honesty, second != PutOutcome::Inserted, "Inserted for a chunk that was there");
    }
    Ok(Passed)
}

pub async fn conflicting_values_never_mix(h: &Trial<'_>) -> Outcome {
    // The caller breaks its promise; the store must still keep one value whole.
    let store = must!(G8, h.open().await);
    let len = fit(&*store, 200_001);
    for round in 0..h.pick(5, 50, 500) {
        let id = sample(round, 10).id;
        let values: Vec<Bytes> = (0..8).map(|i| Bytes::from(vec![i; len - usize::from(i % 2)])).collect();
        let puts = values.iter().map(|value| store.put(id, value.clone()));
        for outcome in join_all(puts).await {
            must!(G1, outcome);
        }
        let got = must!(G1, store.get(id).await).unwrap_or_default();
        check!(G1, values.contains(&got), "{} bytes that nobody put", got.len());
        check_eq!(G2, must!(G2, store.stat(id).await).map(|meta| meta.len), Some(got.len() as u64), "stat");
    }
    Ok(Passed)
}

pub async fn after_delete(h: &Trial<'_>) -> Outcome {
    let (store, x) = (open_with!(h, deletes), sample(1, 1000));
    for _ in 0..3 {
        let outcome = must!(G1, store.put(x.id, x.data.clone()).await);
        check!(Honesty, outcome != PutOutcome::Present, "Present for a deleted chunk");
        check_eq!(G2, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "the chunk");
        must!(G3, store.delete(x.id).await);
    }
    Ok(Passed)
}

pub async fn atomic_under_readers(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let len = fit(&*store, 1 << 20);
    let all: Arc<[Sample]> = (0..h.pick(40, 100, 400)).map(|i| sample(i, len)).collect();
    let mut readers = JoinSet::new();
    for _ in 0..h.pick(4, 8, 8) {
        let (store, all) = (Arc::clone(&store), Arc::clone(&all));
        readers.spawn(async move {
            for x in all.iter() {
                // Spins until the chunk is there, so most reads race its put.
                loop {
                    match must!(G1, store.get(x.id).await) {
                        None => tokio::task::yield_now().await,
                        Some(got) => {
                            check_bytes!(G1, got, x.data, "a chunk read during its put");
                            break;
                        }
                    }
                }
            }
            Ok::<_, Failure>(())
        });
    }
    for x in all.iter() {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    while let Some(done) = readers.join_next().await {
        must!(G1, done)?;
    }
    Ok(Passed)
}

pub async fn does_not_disturb_siblings(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, h.pick(30, 300, 2000), 500));
    for (n, x) in all.iter().enumerate() {
        must!(G1, store.put(x.id, x.data.clone()).await);
        let sibling = &all[n / 2];
        check_eq!(Bytes, must!(G2, store.get(sibling.id).await).as_ref(), Some(&sibling.data), "a sibling");
    }
    check_listed!(G7, store, metas(&all), "the listing");
    Ok(Passed)
}

pub async fn present_of_other_length_is_replaced(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 5000));
    for broken in [x.data.slice(..4999), Bytes::new(), noise(2, 9000)] {
        must!(G1, store.put(x.id, broken).await);
        let outcome = must!(G1, store.put(x.id, x.data.clone()).await);
        check!(Bytes, outcome != PutOutcome::Present, "Present, though the stored length is another");
        if store.capabilities().exact_outcome {
            check_eq!(Honesty, outcome, PutOutcome::Inserted, "a put that replaces");
        }
        check_eq!(Bytes, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "the healed chunk");
        check_listed!(G7, store, [x.meta()], "the listing");
    }
    Ok(Passed)
}

pub async fn get_longer_than_max_is_corrupt_unread(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 100));
    must!(G1, store.put(x.id, x.data.clone()).await);
    hook!("corrupt", h.corrupt(x.id, Damage::TooLong).await);
    match store.get(x.id).await {
        Ok(got) => fail!(Bound, "{:?} bytes were read", got.map(|data| data.len())),
        Err(e) => check_eq!(Bound, e.kind(), ErrorKind::Corrupt, "the kind of the error"),
    }
    must!(Bytes, store.put(x.id, x.data.clone()).await);
    check_eq!(Bytes, must!(G2, store.get(x.id).await), Some(x.data), "the healed chunk");
    Ok(Passed)
}

pub async fn fifty_identical_puts_all_ok(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    for round in 0..h.pick(1, 20, 200) {
        let (x, mut puts) = (sample(round, 20_000), JoinSet::new());
        for _ in 0..50 {
            let (store, x) = (Arc::clone(&store), x.clone());
            puts.spawn(async move { store.put(x.id, x.data).await });
        }
        let mut outcomes = Vec::new();
        while let Some(done) = puts.join_next().await {
            outcomes.push(must!(G3, must!(G3, done)));
        }
        let inserted = outcomes.iter().filter(|&&o| o == PutOutcome::Inserted).count();
        if store.capabilities().exact_outcome {
            check_eq!(Honesty, inserted, 1, format!("puts that say Inserted, of fifty, round {round}"));
        } else {
            let is_admitted = outcomes.iter().any(|&o| o != PutOutcome::Present);
            check!(Honesty, is_admitted, "nobody admits to have inserted, round {round}");
        }
        check_eq!(G2, must!(G2, store.get(x.id).await), Some(x.data), "the chunk");
    }
    Ok(Passed)
}

/// The faults that make a put fail. Without any, the case is not exercised.
fn put_faults(h: &Trial<'_>) -> Vec<Fault> {
    let fails = |fault: &Fault| fault.op == Op::Put && matches!(fault.expected, Expected::Fails(..));
    h.faults().into_iter().filter(fails).collect()
}

pub async fn failed_put_is_invisible(h: &Trial<'_>) -> Outcome {
    let (store, mut there) = (must!(G8, h.open().await), vec![sample(0, 5000)]);
    put_all(&*store, &there).await?;
    for (n, fault) in put_faults(h).iter().enumerate() {
        let (x, cause) = (sample(1 + n as u64, 9000), fault.cause);
        hook!("fault", h.fault(Some(fault)).await);
        let put = store.put(x.id, x.data.clone()).await;
        hook!("fault", h.fault(None).await);
        check!(G8, put.is_err(), "{cause}: the put succeeds: {put:?}");
        let (got, stat) = (must!(G1, store.get(x.id).await), must!(G1, store.stat(x.id).await));
        // After a transient error the put may have happened, and its answer was lost on the way.
        if let (Expected::Fails(_, true), Some(got)) = (fault.expected, &got) {
            check_bytes!(G1, *got, x.data, format!("{cause}: the chunk"));
            check_eq!(G1, stat, Some(x.meta()), format!("{cause}: stat"));
        } else {
            check_eq!(G1, got.map(|data| data.len()), None, format!("{cause}: bytes of the chunk"));
            check_eq!(G1, stat, None, format!("{cause}: stat"));
            check_listed!(G1, store, metas(&there), format!("{cause}: the listing"));
        }
        must!(G1, store.put(x.id, x.data.clone()).await);
        let got = must!(G2, store.get(x.id).await).unwrap_or_default();
        check_bytes!(G1, got, x.data, format!("{cause}: the chunk once that is over"));
        there.push(x);
        check_listed!(G1, store, metas(&there), format!("{cause}: the listing once that is over"));
    }
    Ok(if put_faults(h).is_empty() { NotExercised("fault: put") } else { Passed })
}

pub async fn failed_second_put_keeps_good_copy(h: &Trial<'_>) -> Outcome {
    let (store, faults) = (must!(G8, h.open().await), put_faults(h));
    let all = samples(1, faults.len() as u64, 9000);
    put_all(&*store, &all).await?;
    must!(G4, store.flush().await);
    for (x, fault) in all.iter().zip(&faults) {
        hook!("fault", h.fault(Some(fault)).await);
        // It fails, or sees that the chunk is there and meets no fault.
        let second = store.put(x.id, x.data.clone()).await;
        hook!("fault", h.fault(None).await);
        let when = format!("{}, and the second put gave {second:?}", fault.cause);
        let got = must!(G1, store.get(x.id).await).unwrap_or_default();
        check_bytes!(G1, got, x.data, format!("the first copy after {when}"));
        check_eq!(G1, must!(G1, store.stat(x.id).await), Some(x.meta()), format!("its stat after {when}"));
        check_listed!(G1, store, metas(&all), format!("the listing after {when}"));
        must!(G3, store.put(x.id, x.data.clone()).await);
    }
    Ok(if faults.is_empty() { NotExercised("fault: put") } else { Passed })
}

pub async fn racing_puts_insert_once(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    if !store.capabilities().exact_outcome {
        return Ok(Weaker("exact_outcome is off"));
    }
    // Everybody puts the same chunks in the same order: who is behind catches up, so most puts race.
    let (start, limit) = (Instant::now(), Duration::from_millis(h.pick(300, 3000, 30_000)));
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut outcomes = Vec::new();
            while start.elapsed() < limit {
                let n = outcomes.len().to_le_bytes();
                let id = ChunkId::from_bytes(std::array::from_fn(|i| n[i % n.len()]));
                outcomes.push(must!(G3, store.put(id, Bytes::from_static(b"raced")).await));
                if outcomes.len() % 64 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            Ok::<_, Failure>(outcomes)
        });
    }
    let mut inserted: Vec<u32> = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let outcomes = must!(G3, done)?;
        inserted.resize(inserted.len().max(outcomes.len()), 0);
        for (count, outcome) in inserted.iter_mut().zip(outcomes) {
            *count += u32::from(outcome == PutOutcome::Inserted);
        }
    }
    let wrong = inserted.iter().filter(|count| **count != 1).count();
    check_eq!(Honesty, wrong, 0, "chunks that not exactly one of four racing puts inserted");
    Ok(Passed)
}
