//! `put_many` and `delete_many` are many puts and deletes, no more and no less.

use std::time::Duration;

use bytes::Bytes;
use selfenc_core::store::{ChunkStoreExt, ErrorKind, PutOutcome};

use crate::data::{Sample, metas, put_all, sample, samples};
use crate::{Failure, Outcome, Trial, Verdict};

/// After this a call is taken to hang.
const DEADLINE: Duration = Duration::from_secs(60);

fn pairs(samples: &[Sample]) -> Vec<(selfenc_core::store::ChunkId, Bytes)> {
    samples.iter().map(|x| (x.id, x.data.clone())).collect()
}

pub async fn put_many_equals_puts(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, h.pick(100, 1000, 5000), 300));
    for outcome in store.put_many(pairs(&all)).await {
        check!(G2, must!(G1, outcome) != PutOutcome::Present, "Present for a chunk never put");
    }
    for x in &all {
        check_eq!(Bytes, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "one of a batch");
    }
    check_listed!(G7, store, metas(&all), "the listing");
    Ok(Verdict::Passed)
}

pub async fn results_in_input_order(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 60, 300));
    for x in all.iter().skip(1).step_by(3) {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    let outcomes = store.put_many(pairs(&all)).await;
    check_eq!(G3, outcomes.len(), all.len(), "answers");
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let wrong = if n % 3 == 1 { PutOutcome::Inserted } else { PutOutcome::Present };
        check!(Honesty, must!(G3, outcome) != wrong, "answer {n} is another chunk's: {wrong:?}");
    }
    Ok(Verdict::Passed)
}

pub async fn duplicates_inside_batch(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 500));
    let outcomes = store.put_many(vec![(x.id, x.data.clone()); 20]).await;
    check_eq!(G3, outcomes.len(), 20, "answers");
    for outcome in outcomes {
        must!(G3, outcome);
    }
    check_eq!(G2, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "the chunk");
    check_listed!(G3, store, [x.meta()], "the listing");
    Ok(Verdict::Passed)
}

pub async fn empty_batch(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    check_eq!(G3, store.put_many(Vec::new()).await.len(), 0, "answers to no puts");
    check_eq!(G3, store.delete_many(Vec::new()).await.len(), 0, "answers to no deletes");
    Ok(Verdict::Passed)
}

pub async fn one_bad_item_does_not_poison_others(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 9, 300));
    let max = store.capabilities().max_chunk_len;
    if max > 80 << 20 {
        return Ok(Verdict::Weaker("chunks above its limit are too long to try here"));
    }
    let mut batch = pairs(&all);
    let bad = Sample::of(vec![1; usize::try_from(max + 1).unwrap_or(usize::MAX)]);
    batch.insert(4, (bad.id, bad.data));
    for (n, outcome) in store.put_many(batch).await.into_iter().enumerate() {
        match (n, outcome) {
            (4, Ok(_)) => fail!(Bound, "a chunk above the limit was taken"),
            (4, Err(e)) => check_eq!(G8, e.kind(), ErrorKind::ChunkTooLarge, "the kind of the error"),
            (_, outcome) => {
                must!(G1, outcome);
            }
        }
    }
    check_listed!(G7, store, metas(&all), "the listing");
    Ok(Verdict::Passed)
}

pub async fn mixed_new_and_present(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 40, 300));
    for x in &all[..20] {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    // One of those present is damaged: of another length.
    let broken = &all[3];
    must!(G1, store.put(broken.id, broken.data.slice(..7)).await);
    let mut batch = all.clone();
    let mut rng = h.rng(85);
    batch.sort_by_cached_key(|_| rng.next());
    for (x, outcome) in batch.iter().zip(store.put_many(pairs(&batch)).await) {
        let is_new = x.id == broken.id || all[20..].iter().any(|new| new.id == x.id);
        let wrong = if is_new { PutOutcome::Present } else { PutOutcome::Inserted };
        check!(Honesty, must!(G3, outcome) != wrong, "{wrong:?} in a mixed batch");
    }
    for x in &all {
        check_eq!(Bytes, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "one of a mixed batch");
    }
    check_listed!(G7, store, metas(&all), "the listing");
    Ok(Verdict::Passed)
}

pub async fn delete_many_with_absent_in_the_middle(h: &Trial<'_>) -> Outcome {
    let (store, all) = (open_with!(h, deletes), samples(1, 30, 300));
    for x in all.iter().filter(|x| x.id != all[15].id) {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    let answers = store.delete_many(all[5..25].iter().map(|x| x.id).collect()).await;
    check_eq!(G3, answers.len(), 20, "answers");
    for answer in answers {
        must!(G3, answer);
    }
    let left = metas(all[..5].iter().chain(&all[25..]));
    check_listed!(G7, store, left, "what is left");
    for x in &all[5..25] {
        check_eq!(G2, must!(G5, store.get(x.id).await), None, "a deleted chunk");
    }
    Ok(Verdict::Passed)
}

pub async fn more_than_native_limit(h: &Trial<'_>) -> Outcome {
    // Services take 1000 keys in a request, SQLite 32 766 parameters in a statement.
    only_at!(h, Full);
    let (store, all) = (must!(G8, h.open().await), samples(1, 2001, 20));
    let outcomes = store.put_many(pairs(&all)).await;
    check_eq!(G3, outcomes.len(), all.len(), "answers to puts");
    for (n, outcome) in outcomes.into_iter().enumerate() {
        check!(G2, must!(G1, outcome) != PutOutcome::Present, "put {n} says Present");
    }
    check_listed!(G7, store, metas(&all), "the listing");
    if !store.capabilities().deletes {
        let answers = store.delete_many(all.iter().map(|x| x.id).collect()).await;
        check_eq!(G3, answers.len(), all.len(), "answers to deletes");
        for answer in answers {
            check_unsupported!(answer.err(), "delete");
        }
        return Ok(Verdict::Weaker("deletes are off: each of a batch says Unsupported"));
    }
    // Most of them absent; what is present lies at both ends and where a request would end.
    let absent = (0..40_000).map(|n| sample(9 << 32 | n, 8).id);
    let mut doomed: Vec<_> = absent.collect();
    for (at, x) in [0, 999, 1000, 1001, 32_766, 32_767, 40_000].into_iter().zip(&all) {
        doomed.insert(at, x.id);
    }
    let answers = store.delete_many(doomed).await;
    check_eq!(G3, answers.len(), 40_007, "answers to deletes");
    for answer in answers {
        must!(G3, answer);
    }
    check_listed!(G7, store, metas(&all[7..]), "what is left of 2001");
    let rest = all[7..].iter().map(|x| x.id).collect();
    for answer in store.delete_many(rest).await {
        must!(G3, answer);
    }
    check_listed!(G7, store, [], "what is left of all");
    Ok(Verdict::Passed)
}

pub async fn get_many_order_and_misses(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, h.pick(60, 600, 6000), 300));
    let there: Vec<_> = all.iter().step_by(3).cloned().collect();
    put_all(&*store, &there).await?;
    let mut asked = all.clone();
    asked.extend_from_slice(&all[..10]);
    let mut rng = h.rng(90);
    asked.sort_by_cached_key(|_| rng.next());
    let answers = store.get_many(asked.iter().map(|x| x.id).collect()).await;
    check_eq!(G5, answers.len(), asked.len(), "answers");
    for (n, (x, answer)) in asked.iter().zip(answers).enumerate() {
        let expected = there.iter().find(|there| there.id == x.id).map(|there| &there.data);
        check_eq!(G5, must!(G5, answer).as_ref(), expected, format!("answer {n}"));
    }
    check_eq!(G5, store.get_many(Vec::new()).await.len(), 0, "answers to no gets");
    Ok(Verdict::Passed)
}

pub async fn batch_during_single_ops(h: &Trial<'_>) -> Outcome {
    // Batches and single calls on the same ids, at once: neither may wait for the other for ever.
    let (store, all) = (must!(G8, h.open().await), samples(1, 40, 2000));
    let deletes = store.capabilities().deletes;
    for round in 0..h.pick(3, 50, 500) {
        let batches = async {
            for outcome in store.put_many(pairs(&all)).await {
                must!(G1, outcome);
            }
            let doomed = all[..20].iter().map(|x| x.id).collect();
            for answer in if deletes { store.delete_many(doomed).await } else { Vec::new() } {
                must!(G3, answer);
            }
            Ok::<_, Failure>(())
        };
        let singles = async {
            for x in all.iter().rev() {
                must!(G1, store.put(x.id, x.data.clone()).await);
                if let Some(got) = must!(G1, store.get(x.id).await) {
                    check_bytes!(G1, got, x.data, format!("a chunk in round {round}"));
                }
            }
            Ok::<_, Failure>(())
        };
        let both = async { tokio::try_join!(batches, singles) };
        match tokio::time::timeout(DEADLINE, both).await {
            Ok(done) => done?,
            Err(_) => fail!(G9, "a batch and single calls wait for each other, in round {round}"),
        };
        // Nobody deletes the second half.
        for x in &all[20..] {
            check_eq!(G2, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "a chunk put by both");
        }
    }
    Ok(Verdict::Passed)
}
