//! Listings: exact, ascending, resumable, and in nobody's way.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt};
use selfenc_core::store::{Backend, ChunkId};

use crate::data::{Sample, listed, metas, sample, samples};
use crate::{Failure, Outcome, Trial, Verdict::Passed};

/// A store with `n` samples, and the samples in the order of their ids.
async fn filled(h: &Trial<'_>, n: u64) -> Result<(Arc<dyn Backend>, Vec<Sample>), Failure> {
    let store = must!(G8, h.open().await);
    let mut all = samples(1, n, 40);
    all.sort_by_key(|x| x.id);
    for outcome in store.put_many(all.iter().map(|x| (x.id, x.data.clone())).collect()).await {
        must!(G1, outcome);
    }
    Ok((store, all))
}

pub async fn empty(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    check!(G7, store.list(None).next().await.is_none(), "an item from an empty store");
    let after = Some(ChunkId::from_bytes([9; 32]));
    check!(G7, store.list(after).next().await.is_none(), "an item from an empty store");
    Ok(Passed)
}

pub async fn exact_set_and_lengths(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled(h, 300).await?;
    check_eq!(G7, must!(G7, listed(&*store, None).await), metas(&all), "the listing");
    Ok(Passed)
}

pub async fn no_duplicates(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled(h, 200).await?;
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

pub async fn after_is_exclusive(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled(h, 60).await?;
    for (n, x) in all.iter().enumerate() {
        let rest = must!(G7, listed(&*store, Some(x.id)).await);
        check_eq!(G7, rest, metas(&all[n + 1..]), format!("the listing after number {n}"));
    }
    Ok(Passed)
}

pub async fn after_absent_id(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled(h, 60).await?;
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
    let (store, all) = filled(h, 20).await?;
    let last = all.last().map(|x| x.id);
    check_eq!(G7, must!(G7, listed(&*store, last).await), [], "after the last");
    Ok(Passed)
}

pub async fn after_all_ff(h: &Trial<'_>) -> Outcome {
    let (store, _) = filled(h, 20).await?;
    let end = ChunkId::from_bytes([0xff; 32]);
    check_eq!(G7, must!(G7, listed(&*store, Some(end)).await), [], "after ff…");
    must!(G1, store.put(end, sample(1, 10).data).await);
    check_eq!(G7, must!(G7, listed(&*store, Some(end)).await), [], "after ff… itself");
    Ok(Passed)
}

pub async fn resume_covers_everything_once(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled(h, 100).await?;
    for step in [1, 7, 64] {
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
    let (store, _) = filled(h, 300).await?;
    let ids: Vec<_> = must!(G7, listed(&*store, None).await).into_iter().map(|meta| meta.id).collect();
    check!(G7, ids.is_sorted_by(|a, b| a < b), "the listing is not strictly ascending");
    Ok(Passed)
}

pub async fn stable_members_seen_during_inserts(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled(h, 200).await?;
    let inserter = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for x in samples(2, 300, 40) {
                must!(G1, store.put(x.id, x.data).await);
            }
            Ok::<_, Failure>(())
        })
    };
    while !inserter.is_finished() {
        let seen = must!(G7, listed(&*store, None).await);
        check!(G7, seen.is_sorted_by(|a, b| a.id < b.id), "not ascending while others insert");
        for x in &all {
            let times = seen.iter().filter(|meta| meta.id == x.id).count();
            check_eq!(G7, times, 1, "times a chunk present throughout was listed");
        }
    }
    must!(G7, inserter.await)?;
    Ok(Passed)
}

pub async fn no_error_during_deletes(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled(h, 300).await?;
    let (kept, doomed) = all.split_at(100);
    let deleter = {
        let (store, doomed) = (Arc::clone(&store), doomed.to_vec());
        tokio::spawn(async move {
            for x in doomed {
                must!(G3, store.delete(x.id).await);
            }
            Ok::<_, Failure>(())
        })
    };
    while !deleter.is_finished() {
        let seen = must!(G7, listed(&*store, None).await);
        for meta in metas(kept) {
            check!(G7, seen.contains(&meta), "a chunk present throughout was not listed");
        }
    }
    must!(G3, deleter.await)?;
    check_eq!(G7, must!(G7, listed(&*store, None).await), metas(kept), "the listing afterwards");
    Ok(Passed)
}

pub async fn delete_as_you_list(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled(h, 150).await?;
    let (mut items, mut seen) = (store.list(None), 0);
    while let Some(item) = items.next().await {
        must!(G3, store.delete(must!(G7, item).id).await);
        seen += 1;
    }
    check_eq!(G7, seen, all.len(), "items listed while deleting each");
    check_eq!(G7, must!(G7, listed(&*store, None).await), [], "what is left");
    Ok(Passed)
}

pub async fn early_drop_releases_everything(h: &Trial<'_>) -> Outcome {
    let (store, _) = filled(h, 100).await?;
    for _ in 0..200 {
        let mut items = store.list(None);
        must!(G7, items.next().await.transpose());
        drop(items);
    }
    let more = samples(2, 64, 100);
    let writes = try_join_all(more.iter().map(|x| store.put(x.id, x.data.clone())));
    match tokio::time::timeout(Duration::from_secs(30), writes).await {
        Ok(outcomes) => must!(G7, outcomes),
        Err(_) => fail!(G7, "64 writes hang after 200 listings were dropped early"),
    };
    Ok(Passed)
}

pub async fn outlives_the_borrow(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled(h, 50).await?;
    let items = store.list(None);
    let seen = tokio::spawn(async move { items.try_collect::<Vec<_>>().await });
    check_eq!(G7, must!(G7, must!(G7, seen.await)), metas(&all), "a listing read in another task");
    Ok(Passed)
}

pub async fn two_streams_are_independent(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled(h, 50).await?;
    let (mut a, mut b) = (store.list(None), store.list(all.get(9).map(|x| x.id)));
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
    let (store, _) = filled(h, 50).await?;
    let mut items = store.list(None);
    must!(G7, items.next().await.transpose());
    // The stream is held half-read while others write and delete.
    for x in samples(2, 20, 100) {
        let write = async {
            store.put(x.id, x.data.clone()).await?;
            store.delete(x.id).await
        };
        match tokio::time::timeout(Duration::from_secs(10), write).await {
            Ok(done) => must!(G7, done),
            Err(_) => fail!(G7, "a write waits for a listing that is not being read"),
        }
    }
    must!(G7, items.try_collect::<Vec<_>>().await);
    Ok(Passed)
}

pub async fn get_inside_list(h: &Trial<'_>) -> Outcome {
    let (store, all) = filled(h, 50).await?;
    let (mut items, mut seen) = (store.list(None), 0);
    while let Some(item) = items.next().await {
        let meta = must!(G7, item);
        let get = tokio::time::timeout(Duration::from_secs(10), store.get(meta.id));
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
    let (store, _) = filled(h, 5).await?;
    let mut items = store.list(None);
    while must!(G7, items.next().await.transpose()).is_some() {}
    for _ in 0..3 {
        check!(G7, items.next().await.is_none(), "an item after the end");
    }
    Ok(Passed)
}
