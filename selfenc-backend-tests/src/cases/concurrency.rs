//! Many at once.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::Future;
use futures::future::{poll_fn, try_join_all};
use selfenc_core::store::{Backend, Capabilities};
use tokio::task::JoinSet;

use crate::data::{Rng, Sample, fit, listed, metas, sample, samples};
use crate::{Failure, Outcome, Trial, Verdict::*};

pub async fn storm(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let len = fit(&*store, 5000);
    let all: Arc<[Sample]> = samples(1, 40, len - 7).into();
    let mut tasks = JoinSet::new();
    for task in 0..h.pick(8, 16, 32) {
        let (store, all, rng) = (Arc::clone(&store), Arc::clone(&all), h.rng(107 + task));
        let steps = h.pick(60, 500, 10_000);
        tasks.spawn(async move { stormy(&*store, &all, rng, steps).await });
    }
    while let Some(done) = tasks.join_next().await {
        must!(G1, done)?;
    }
    for x in all.iter() {
        must!(G3, store.put(x.id, x.data.clone()).await);
        check_eq!(G2, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "a chunk afterwards");
    }
    check_listed!(G2, store, metas(all.iter()), "the listing afterwards");
    Ok(Passed)
}

/// One of the tasks that do anything to any chunk.
async fn stormy(store: &dyn Backend, all: &[Sample], mut rng: Rng, steps: u32) -> Result<(), Failure> {
    let capabilities = store.capabilities();
    for step in 0..steps {
        let x = rng.of(all);
        match rng.below(5) {
            2 if capabilities.deletes => must!(G3, store.delete(x.id).await),
            3 if capabilities.lists => {
                let seen = must!(G7, listed(store, None).await);
                check!(G7, seen.is_sorted_by(|a, b| a.id < b.id), "step {step}: a listing is not ascending");
                let is_known = |meta| all.iter().any(|x| x.meta() == meta);
                check!(G1, seen.into_iter().all(is_known), "step {step}: what nobody put is listed");
            }
            0 | 1 => drop(must!(G1, store.put(x.id, x.data.clone()).await)),
            _ => {
                if let Some(got) = must!(G1, store.get(x.id).await) {
                    check_bytes!(G1, got, x.data, format!("step {step}: a chunk in the storm"));
                }
            }
        }
    }
    Ok(())
}

pub async fn readers_see_none_or_whole(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let (x, capabilities) = (sample(1, fit(&*store, 300_000)), store.capabilities());
    let (mut readers, (stop, _)) = (JoinSet::new(), tokio::sync::watch::channel(false));
    for _ in 0..4 {
        let (store, x, stop) = (Arc::clone(&store), x.clone(), stop.subscribe());
        readers.spawn(async move {
            while !*stop.borrow() {
                if let Some(got) = must!(G1, store.get(x.id).await) {
                    check_bytes!(G1, got, x.data, "a chunk that comes and goes");
                }
                if let Some(meta) = must!(G1, store.stat(x.id).await) {
                    check_eq!(G1, meta, x.meta(), "stat of a chunk that comes and goes");
                }
                for item in if capabilities.lists { must!(G7, listed(&*store, None).await) } else { vec![] } {
                    check_eq!(G1, item, x.meta(), "the listing of a chunk that comes and goes");
                }
                tokio::task::yield_now().await;
            }
            Ok::<_, Failure>(())
        });
    }
    for _ in 0..h.pick(40, 400, 10_000) {
        // Without deletes it comes only once; then the repeated puts must not show.
        must!(G1, store.put(x.id, x.data.clone()).await);
        if capabilities.deletes {
            must!(G3, store.delete(x.id).await);
        }
    }
    stop.send_replace(true);
    while let Some(done) = readers.join_next().await {
        must!(G1, done)?;
    }
    Ok(Passed)
}

pub async fn multi_thread_runtime(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let work = {
        let store = Arc::clone(&store);
        move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build()?;
            runtime.block_on(on_every_thread(store)).map_err(std::io::Error::other)
        }
    };
    must!(G9, must!(G9, tokio::task::spawn_blocking(work).await));
    // That runtime is gone, and whatever the store had running on it; the store is not.
    let all: Vec<_> = (0..16).map(|task| sample(task, 1000)).collect();
    for x in &all {
        check_eq!(G2, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "after the runtime is gone");
    }
    check_listed!(G9, store, metas(&all), "the listing after the runtime is gone");
    let y = sample(100, 1000);
    must!(G9, store.put(y.id, y.data).await);
    Ok(Passed)
}

async fn on_every_thread(store: Arc<dyn Backend>) -> Result<(), selfenc_core::store::Error> {
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let (store, x) = (Arc::clone(&store), sample(task, 1000));
        tasks.spawn(async move {
            store.put(x.id, x.data.clone()).await?;
            tokio::task::yield_now().await;
            store.get(x.id).await?;
            store.flush().await
        });
    }
    tasks.join_all().await.into_iter().collect()
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
                    let mut lens = Vec::new();
                    for x in &all {
                        lens.push(store.get(x.id).await?.map(|data| data.len()));
                    }
                    Ok::<_, selfenc_core::store::Error>(lens)
                })
                .map_err(std::io::Error::other)
        }
    };
    let lens = must!(G9, must!(G9, tokio::task::spawn_blocking(work).await));
    let expected: Vec<_> = all.iter().map(|x| Some(x.data.len())).collect();
    check_eq!(G9, lens, expected, "the lengths of chunks on a current-thread runtime");
    // That runtime is gone; the store is not.
    check_listed!(G9, store, metas(&all), "the listing afterwards");
    Ok(Passed)
}

pub async fn shared_handles_share_state(h: &Trial<'_>) -> Outcome {
    const TASKS: usize = 8;
    let store = must!(G8, h.open().await);
    let all: Arc<[Sample]> = samples(1, TASKS as u64, 1000).into();
    let (mut tasks, barrier) = (JoinSet::new(), Arc::new(tokio::sync::Barrier::new(TASKS)));
    for task in 0..TASKS {
        let (store, all, barrier) = (Arc::clone(&store), Arc::clone(&all), Arc::clone(&barrier));
        tasks.spawn(async move {
            let own = &all[task];
            let put = store.put(own.id, own.data.clone()).await;
            // Before the first check, so that nobody waits for a task that gave up.
            barrier.wait().await;
            must!(G1, put);
            for x in all.iter() {
                check_eq!(
                    G2,
                    must!(G2, store.get(x.id).await).as_ref(),
                    Some(&x.data),
                    "another task's chunk"
                );
                check_eq!(
                    G2,
                    must!(G2, store.stat(x.id).await),
                    Some(x.meta()),
                    "another task's chunk's stat"
                );
            }
            check_listed!(G2, store, metas(all.iter()), "the listing by each task");
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        must!(G2, done)?;
    }
    Ok(Passed)
}

pub async fn two_openings_see_each_other(h: &Trial<'_>) -> Outcome {
    let first = must!(G8, h.open().await);
    if !first.capabilities().shared {
        return Ok(Weaker("it is not shared; see durability::second_open"));
    }
    let second = hook!("second", h.second().await);
    let all = samples(1, h.pick(20, 200, 2000), 200);
    for x in &all {
        must!(G1, first.put(x.id, x.data.clone()).await);
        check_eq!(G2, must!(G2, second.get(x.id).await).as_ref(), Some(&x.data), "get by the other handle");
        check_eq!(G2, must!(G2, second.stat(x.id).await), Some(x.meta()), "stat by the other handle");
    }
    check_listed!(G2, second, metas(&all), "the listing by the other handle");
    if first.capabilities().deletes {
        for x in &all {
            must!(G3, second.delete(x.id).await);
            check_eq!(G2, must!(G5, first.stat(x.id).await), None, "stat after the other handle deleted");
        }
        check_listed!(G2, first, [], "the listing after the other handle deleted");
    }
    Ok(Passed)
}

pub async fn five_hundred_in_flight(h: &Trial<'_>) -> Outcome {
    // More than any pool has threads or connections: nobody may wait for somebody who waits for him.
    let (store, flights) = (must!(G8, h.open().await), h.pick(500, 2000, 10_000));
    let (x, mut tasks) = (sample(1, 2000), JoinSet::new());
    for n in 0..flights {
        let (store, x) = (Arc::clone(&store), x.clone());
        tasks.spawn(async move {
            let Capabilities { lists, deletes, .. } = store.capabilities();
            match n % 4 {
                0 => drop(store.put(x.id, x.data).await?),
                2 if lists => drop(listed(&*store, None).await?),
                1 | 2 => drop(store.get(x.id).await?),
                _ => {
                    let own = sample(n, 300);
                    store.put(own.id, own.data).await?;
                    if deletes {
                        store.delete(own.id).await?;
                    }
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
    let deletes = store.capabilities().deletes;
    let mut best = [Duration::MAX, Duration::MAX, if deletes { Duration::MAX } else { Duration::ZERO }];
    for attempt in 0..8 {
        let x = sample(attempt, usize::try_from(len).unwrap_or(usize::MAX));
        best[0] = best[0].min(must!(G9, longest_poll(store.put(x.id, x.data)).await));
        best[1] = best[1].min(must!(G9, longest_poll(store.get(x.id)).await));
        if deletes {
            best[2] = best[2].min(must!(G9, longest_poll(store.delete(x.id)).await));
        }
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
