//! Many at once.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::future::{poll_fn, try_join_all};
use futures::{Future, TryStreamExt};
use tokio::task::JoinSet;

use crate::data::{Sample, listed, metas, sample, samples};
use crate::{Failure, Outcome, Trial, Verdict::*};

pub async fn storm(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let all: Arc<[Sample]> = samples(1, 40, 5000).into();
    let mut tasks = JoinSet::new();
    for task in 0..8_usize {
        let (store, all) = (Arc::clone(&store), Arc::clone(&all));
        tasks.spawn(async move {
            for step in 0..60_usize {
                let x = &all[(step * 17 + task * 29) % all.len()];
                match (step * 7 + task) % 5 {
                    0 | 1 => drop(must!(G1, store.put(x.id, x.data.clone()).await)),
                    2 => must!(G3, store.delete(x.id).await),
                    3 => {
                        if let Some(got) = must!(G1, store.get(x.id).await) {
                            check_bytes!(G1, got, x.data, "a chunk in the storm");
                        }
                    }
                    _ => {
                        let seen = must!(G7, listed(&*store, None).await);
                        check!(G7, seen.is_sorted_by(|a, b| a.id < b.id), "a listing is not ascending");
                        check!(
                            G1,
                            seen.iter().all(|meta| all.iter().any(|x| x.meta() == *meta)),
                            "a listing shows what nobody put"
                        );
                    }
                }
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        must!(G1, done)?;
    }
    for x in all.iter() {
        must!(G3, store.put(x.id, x.data.clone()).await);
    }
    check_eq!(G2, must!(G7, listed(&*store, None).await), metas(all.iter()), "the listing afterwards");
    Ok(Passed)
}

pub async fn current_thread_runtime(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 30, 1000));
    let work = {
        let (store, all) = (Arc::clone(&store), all.clone());
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime
                .block_on(async {
                    try_join_all(all.iter().map(|x| store.put(x.id, x.data.clone()))).await?;
                    store.flush().await?;
                    store.list(None).try_collect::<Vec<_>>().await
                })
                .map_err(std::io::Error::other)
        }
    };
    let seen = must!(G9, must!(G9, tokio::task::spawn_blocking(work).await));
    check_eq!(G9, seen, metas(&all), "the listing on a current-thread runtime");
    Ok(Passed)
}

pub async fn two_openings_see_each_other(h: &Trial<'_>) -> Outcome {
    let first = must!(G8, h.open().await);
    if !first.capabilities().shared {
        return Ok(Weaker("it is not shared; see durability::second_open"));
    }
    let second = hook!("second", h.second().await);
    for x in samples(1, 20, 200) {
        must!(G1, first.put(x.id, x.data.clone()).await);
        check_eq!(G2, must!(G2, second.get(x.id).await), Some(x.data), "get by the other handle");
        check_eq!(G2, must!(G7, listed(&*second, None).await).len(), 1, "items listed by the other handle");
        must!(G3, second.delete(x.id).await);
        check_eq!(G2, must!(G5, first.stat(x.id).await), None, "stat after the other handle deleted");
    }
    Ok(Passed)
}

pub async fn five_hundred_in_flight(h: &Trial<'_>) -> Outcome {
    // More than any pool has threads or connections: nobody may wait for somebody who waits for him.
    let store = must!(G8, h.open().await);
    let (x, mut tasks) = (sample(1, 2000), JoinSet::new());
    for n in 0..500_u64 {
        let (store, x) = (Arc::clone(&store), x.clone());
        tasks.spawn(async move {
            match n % 4 {
                0 => drop(store.put(x.id, x.data).await?),
                1 => drop(store.get(x.id).await?),
                2 => drop(listed(&*store, None).await?),
                _ => {
                    let own = sample(n, 300);
                    store.put(own.id, own.data).await?;
                    store.delete(own.id).await?;
                }
            }
            Ok::<_, selfenc_core::store::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        must!(G9, must!(G9, done));
    }
    check_eq!(G2, must!(G2, store.get(x.id).await), Some(x.data), "the chunk that all shared");
    Ok(Passed)
}

pub async fn does_not_block_the_executor(h: &Trial<'_>) -> Outcome {
    // A poll that moves, writes or syncs 8 MiB takes milliseconds; one that hands the work on does not.
    // The best of several attempts, for the machine may be busy with other things.
    const LONGEST_POLL: Duration = Duration::from_millis(5);
    let store = must!(G8, h.open().await);
    let len = store.capabilities().max_chunk_len.min(8 << 20);
    let mut best = [Duration::MAX; 3];
    for attempt in 0..8 {
        let x = sample(attempt, usize::try_from(len).unwrap_or(usize::MAX));
        best[0] = best[0].min(must!(G9, longest_poll(store.put(x.id, x.data)).await));
        best[1] = best[1].min(must!(G9, longest_poll(store.get(x.id)).await));
        best[2] = best[2].min(must!(G9, longest_poll(store.delete(x.id)).await));
    }
    for (op, best) in ["put", "get", "delete"].into_iter().zip(best) {
        check!(G9, best < LONGEST_POLL, "{op} of {len} bytes held the executor for {best:?} in one poll");
    }
    Ok(Passed)
}

async fn longest_poll<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<Duration, E> {
    let (mut work, mut longest) = (pin!(work), Duration::ZERO);
    poll_fn(move |cx| {
        let start = Instant::now();
        let poll = work.as_mut().poll(cx);
        longest = longest.max(start.elapsed());
        match poll {
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => Poll::Ready(result.map(|_| longest)),
        }
    })
    .await
}
