//! Putting again, differently, at once, and while others read.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use selfenc_core::store::{ErrorKind, PutOutcome};
use tokio::task::JoinSet;

use crate::data::{Sample, listed, metas, noise, sample, samples};
use crate::{Damage, Failure, Outcome, Trial, Verdict::*};

pub async fn twice_is_ok(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 1000));
    for _ in 0..3 {
        must!(G3, store.put(x.id, x.data.clone()).await);
        check_eq!(G3, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "the chunk");
    }
    check_eq!(G3, must!(G7, listed(&*store, None).await), [x.meta()], "the listing");
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
        must!(G3, store.delete(x.id).await);
        check_eq!(
            Honesty,
            must!(G1, store.put(x.id, x.data.clone()).await),
            PutOutcome::Inserted,
            "put after delete"
        );
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
    for round in 0..5 {
        let id = sample(round, 10).id;
        let values: Vec<Bytes> = (0..8).map(|i| Bytes::from(vec![i; 200_000 + usize::from(i % 2)])).collect();
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
    let (store, x) = (must!(G8, h.open().await), sample(1, 1000));
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
    let all: Arc<[Sample]> = (0..40).map(|i| sample(i, 1 << 20)).collect();
    let mut readers = JoinSet::new();
    for _ in 0..4 {
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
    let (store, all) = (must!(G8, h.open().await), samples(1, 30, 500));
    for (n, x) in all.iter().enumerate() {
        must!(G1, store.put(x.id, x.data.clone()).await);
        let sibling = &all[n / 2];
        check_eq!(Bytes, must!(G2, store.get(sibling.id).await).as_ref(), Some(&sibling.data), "a sibling");
    }
    check_eq!(G7, must!(G7, listed(&*store, None).await), metas(&all), "the listing");
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
        check_eq!(G7, must!(G7, listed(&*store, None).await), [x.meta()], "the listing");
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
    let (store, x) = (must!(G8, h.open().await), sample(1, 20_000));
    let mut puts = JoinSet::new();
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
        check_eq!(Honesty, inserted, 1, "puts that say Inserted, of fifty");
    } else {
        check!(Honesty, outcomes.iter().any(|&o| o != PutOutcome::Present), "nobody admits to have inserted");
    }
    check_eq!(G2, must!(G2, store.get(x.id).await), Some(x.data), "the chunk");
    Ok(Passed)
}
