//! `put_many` and `delete_many` are many puts and deletes, no more and no less.

use bytes::Bytes;
use selfenc_core::store::{ErrorKind, PutOutcome};

use crate::data::{Sample, listed, metas, sample, samples};
use crate::{Outcome, Trial, Verdict};

fn pairs(samples: &[Sample]) -> Vec<(selfenc_core::store::ChunkId, Bytes)> {
    samples.iter().map(|x| (x.id, x.data.clone())).collect()
}

pub async fn put_many_equals_puts(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 100, 300));
    for outcome in store.put_many(pairs(&all)).await {
        check!(G2, must!(G1, outcome) != PutOutcome::Present, "Present for a chunk never put");
    }
    for x in &all {
        check_eq!(Bytes, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "one of a batch");
    }
    check_eq!(G7, must!(G7, listed(&*store, None).await), metas(&all), "the listing");
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
    check_eq!(G3, must!(G7, listed(&*store, None).await), [x.meta()], "the listing");
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
    check_eq!(G7, must!(G7, listed(&*store, None).await), metas(&all), "the listing");
    Ok(Verdict::Passed)
}

pub async fn delete_many_with_absent_in_the_middle(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 30, 300));
    for x in all.iter().filter(|x| x.id != all[15].id) {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    let answers = store.delete_many(all[5..25].iter().map(|x| x.id).collect()).await;
    check_eq!(G3, answers.len(), 20, "answers");
    for answer in answers {
        must!(G3, answer);
    }
    let left = metas(all[..5].iter().chain(&all[25..]));
    check_eq!(G7, must!(G7, listed(&*store, None).await), left, "what is left");
    Ok(Verdict::Passed)
}
