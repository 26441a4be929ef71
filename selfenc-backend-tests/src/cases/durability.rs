//! What is there when the location is opened again: after a close, a kill, a power cut.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use selfenc_core::store::{Backend, Durability, Error, ErrorKind, Expect};
use tokio::task::JoinSet;

use crate::data::{Sample, metas, noise, root, sample, samples};
use crate::scene::Scene;
use crate::{Crash, Expected, Failure, Op, Outcome, Step, Trial, Verdict::*};

const VOLATILE: Outcome = Ok(Weaker("it is Volatile: gone with its last handle"));

async fn put_all(store: &Arc<dyn Backend>, all: &[Sample]) -> Result<(), Failure> {
    let puts = all.iter().map(|x| store.put(x.id, x.data.clone()));
    must!(G1, try_join_all(puts).await);
    Ok(())
}

/// Every one of them is there and whole.
async fn check_there(store: &Arc<dyn Backend>, all: &[Sample], what: &str) -> Result<(), Failure> {
    for x in all {
        match must!(G4, store.get(x.id).await) {
            Some(got) => check_bytes!(G1, got, x.data, what),
            None => fail!(G4, "{what} is lost: {}", x.id.short()),
        }
    }
    Ok(())
}

/// Each of them is whole or absent, and listed if it is there; how many are.
async fn check_whole_or_absent(store: &Arc<dyn Backend>, all: &[Sample]) -> Result<usize, Failure> {
    let mut there = Vec::new();
    for x in all {
        if let Some(got) = must!(G4, store.get(x.id).await) {
            check_bytes!(G1, got, x.data, "a chunk that survived");
            there.push(x);
        }
    }
    check_listed!(G1, store, metas(there.iter().copied()), "what is listed, beside what can be read");
    Ok(there.len())
}

/// A volatile store is empty once it is opened again; that is all it promises.
async fn check_empty(store: &Arc<dyn Backend>, all: &[Sample]) -> Outcome {
    check_eq!(Honesty, check_whole_or_absent(store, all).await?, 0, "chunks in a reopened Volatile store");
    VOLATILE
}

/// Nothing half-written is left, if the harness can tell.
async fn check_swept(h: &Trial<'_>) -> Result<(), Failure> {
    if let Some(left) = h.temporaries().await {
        check_eq!(G1, must!(Honesty, left), 0, "temporaries left after opening again");
    }
    Ok(())
}

pub async fn reopen_after_flush(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 50, 1000));
    put_all(&store, &all).await?;
    must!(G4, store.flush().await);
    drop(store);
    let store = hook!("reopen", h.reopen().await);
    if store.capabilities().durability == Durability::Volatile {
        return check_empty(&store, &all).await;
    }
    check_there(&store, &all, "a flushed chunk").await?;
    check_listed!(G4, store, metas(&all), "the listing after reopening");
    Ok(Passed)
}

pub async fn reopen_without_flush(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 50, 1000));
    put_all(&store, &all).await?;
    drop(store);
    let store = hook!("reopen", h.reopen().await);
    match store.capabilities().durability {
        Durability::Volatile => return check_empty(&store, &all).await,
        Durability::OnPut => check_there(&store, &all, "a chunk of a store that says OnPut").await?,
        Durability::OnFlush => {}
    }
    check_whole_or_absent(&store, &all).await?;
    match store.capabilities().durability {
        Durability::OnPut => Ok(Passed),
        _ => Ok(Weaker("it needs a flush: what is there is whole")),
    }
}

pub async fn kill9_after_flush(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 50, 3000));
    let (flushed, later) = all.split_at(40);
    put_all(&store, flushed).await?;
    must!(G4, store.flush().await);
    put_all(&store, later).await?;
    hook!("crash", h.crash(Crash::Process, h.seed).await);
    drop(store);
    let store = hook!("reopen", h.reopen().await);
    if store.capabilities().durability == Durability::Volatile {
        return check_empty(&store, &all).await;
    }
    check_there(&store, flushed, "a chunk flushed before the kill").await?;
    check_whole_or_absent(&store, &all).await?;
    check_swept(h).await?;
    Ok(Passed)
}

pub async fn kill9_mid_put_leaves_no_partial(h: &Trial<'_>) -> Outcome {
    only_at!(h, Full);
    let (mut store, mut rng) = (must!(G8, h.open().await), h.rng(95));
    let all = samples(1, 400, 100_000);
    for (round, batch) in all.chunks(20).enumerate() {
        // Half of the time held halfway, if the harness can; otherwise the crash falls where it falls.
        let held = round % 2 == 0 && h.pause(true).await.is_some();
        let mut puts = JoinSet::new();
        for x in batch.iter().cloned() {
            let store = Arc::clone(&store);
            puts.spawn(async move { store.put(x.id, x.data).await });
        }
        let wait = if held { 50_000 } else { rng.below(20_000) };
        tokio::time::sleep(Duration::from_micros(wait)).await;
        hook!("crash", h.crash(Crash::Process, rng.next()).await);
        let _ = h.pause(false).await;
        while puts.join_next().await.is_some() {}
        drop(store);
        store = hook!("reopen", h.reopen().await);
        check_whole_or_absent(&store, &all).await?;
        check_swept(h).await?;
    }
    put_all(&store, &all).await?;
    check_there(&store, &all, "a chunk put after the kills").await?;
    Ok(Passed)
}

pub async fn kill9_keeps_acked_puts(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 40, 3000));
    put_all(&store, &all).await?;
    hook!("crash", h.crash(Crash::Process, h.seed).await);
    drop(store);
    let store = hook!("reopen", h.reopen().await);
    match store.capabilities().durability {
        Durability::Volatile => check_empty(&store, &all).await,
        Durability::OnPut => {
            check_there(&store, &all, "a chunk acknowledged before the kill").await?;
            Ok(Passed)
        }
        Durability::OnFlush => {
            check_whole_or_absent(&store, &all).await?;
            Ok(Weaker("it needs a flush: what survived the kill is whole"))
        }
    }
}

pub async fn leftover_temp_files_invisible_and_swept(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 5, 1000));
    put_all(&store, &all).await?;
    must!(G4, store.flush().await);
    hook!("litter", h.litter().await);
    let left = hook!("temporaries", h.temporaries().await);
    check!(Honesty, left > 0, "the harness's hook `litter` leaves no temporaries");
    check_listed!(G7, store, metas(&all), "the listing among litter");
    drop(store);
    let store = hook!("reopen", h.reopen().await);
    check_swept(h).await?;
    if store.capabilities().durability == Durability::Volatile {
        return check_empty(&store, &all).await;
    }
    check_there(&store, &all, "a chunk among litter").await?;
    check_listed!(G7, store, metas(&all), "the listing after the sweep");
    Ok(Passed)
}

pub async fn delete_is_durable_after_flush(h: &Trial<'_>) -> Outcome {
    let (store, all) = (open_with!(h, deletes), samples(1, 24, 1000));
    let (gone, kept) = all.split_at(12);
    put_all(&store, &all).await?;
    must!(G4, store.flush().await);
    for x in gone {
        must!(G3, store.delete(x.id).await);
    }
    must!(G4, store.flush().await);
    hook!("crash", h.crash(Crash::Power, h.seed).await);
    drop(store);
    let store = hook!("reopen", h.reopen().await);
    if store.capabilities().durability == Durability::Volatile {
        return check_empty(&store, &all).await;
    }
    for x in gone {
        check_eq!(G4, must!(G4, store.get(x.id).await), None, "a deleted chunk, which came back");
    }
    check_there(&store, kept, "a chunk that was not deleted").await?;
    Ok(Passed)
}

pub async fn flush_idempotent_and_concurrent(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 40, 1000));
    must!(G4, store.flush().await);
    let work = all.iter().map(|x| {
        let store = Arc::clone(&store);
        async move {
            store.put(x.id, x.data.clone()).await?;
            store.flush().await?;
            store.flush().await
        }
    });
    must!(G4, try_join_all(work).await);
    check_there(&store, &all, "a chunk after many flushes").await?;
    check_listed!(G2, store, metas(&all), "the listing");
    Ok(Passed)
}

pub async fn flush_covers_other_tasks(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 48, 1000));
    let mut tasks = JoinSet::new();
    for part in all.chunks(8) {
        let (store, part) = (Arc::clone(&store), part.to_vec());
        tasks.spawn(async move { put_all(&store, &part).await });
    }
    while let Some(done) = tasks.join_next().await {
        must!(G1, done)?;
    }
    must!(G4, store.flush().await);
    // The hardest way to open it again that the harness has.
    if let Some(crashed) = h.crash(Crash::Power, h.seed).await {
        must!(Honesty, crashed);
    }
    drop(store);
    let store = hook!("reopen", h.reopen().await);
    if store.capabilities().durability == Durability::Volatile {
        return check_empty(&store, &all).await;
    }
    check_there(&store, &all, "a chunk that another task put before the flush").await?;
    Ok(Passed)
}

pub async fn flush_error_is_reported(h: &Trial<'_>) -> Outcome {
    let scene = Scene::new(must!(G8, h.open().await)).await?;
    let fails =
        |op| move |fault: &crate::Fault| fault.op == op && matches!(fault.expected, Expected::Fails(..));
    let faults: Vec<_> = h.faults().into_iter().filter(fails(Op::Flush)).collect();
    for (n, fault) in (0..).zip(&faults) {
        scene.prepare(Op::Flush, n).await?;
        hook!("fault", h.fault(Some(fault)).await);
        let flushed = scene.store.flush().await;
        hook!("fault", h.fault(None).await);
        match flushed {
            Ok(()) => fail!(G4, "flush is Ok with {}", fault.cause),
            Err(e) => check_eq!(G8, e.op(), "flush", "the operation in the error"),
        }
        scene.check_works(fault, n).await?;
    }
    if faults.is_empty() { Ok(NotExercised("fault")) } else { Ok(Passed) }
}

/// Puts and flushes; whether all of it was acknowledged.
async fn put_and_flush(store: &Arc<dyn Backend>, all: &[Sample]) -> Result<(), Error> {
    for x in all {
        store.put(x.id, x.data.clone()).await?;
    }
    store.flush().await
}

pub async fn after_failed_sync_no_false_durability(h: &Trial<'_>) -> Outcome {
    let mut store = must!(G8, h.open().await);
    if store.capabilities().durability == Durability::Volatile {
        return Ok(Weaker("it is Volatile: there is nothing to sync"));
    }
    let fails = |f: &crate::Fault| matches!((f.op, f.expected), (Op::Put | Op::Flush, Expected::Fails(..)));
    let faults: Vec<_> = h.faults().into_iter().filter(fails).collect();
    // Once it is put again; once only a second flush is asked, which must not say Ok for nothing.
    let trials = faults.iter().flat_map(|fault| [(fault, true), (fault, false)]);
    for (n, (fault, again)) in (0..).zip(trials) {
        // Several: a cut takes each or not.
        let all = samples(100 + n, 4, 3000);
        hook!("fault", h.fault(Some(fault)).await);
        let failed = put_and_flush(&store, &all).await.is_err();
        hook!("fault", h.fault(None).await);
        let shows = must!(G4, store.stat(all[3].id).await).is_some();
        let is_promised = if failed && again {
            must!(G4, put_and_flush(&store, &all).await);
            true
        } else {
            !failed || (shows && store.flush().await.is_ok() && fault.op == Op::Flush)
        };
        hook!("crash", h.crash(Crash::Power, h.seed.wrapping_add(n)).await);
        drop(store);
        store = hook!("reopen", h.reopen().await);
        if is_promised {
            let what = format!("a chunk that was promised after {} (put again: {again})", fault.cause);
            check_there(&store, &all, &what).await?;
        }
        for x in &all {
            if let Some(got) = must!(G4, store.get(x.id).await) {
                check_bytes!(G1, got, x.data, "a chunk whose sync failed");
            }
        }
    }
    if faults.is_empty() { Ok(NotExercised("fault")) } else { Ok(Passed) }
}

pub async fn power_loss_image(h: &Trial<'_>) -> Outcome {
    let (mut store, mut rng) = (must!(G8, h.open().await), h.rng(103));
    let durability = store.capabilities().durability;
    let all = samples(1, 30, 6000);
    let mut safe: Vec<Sample> = Vec::new();
    for round in 0..h.pick(8, 100, 1000) {
        let mut acked = Vec::new();
        for x in &all {
            if rng.below(4) > 0 {
                continue;
            }
            must!(G1, store.put(x.id, x.data.clone()).await);
            acked.push(x.clone());
            if rng.below(4) == 0 {
                must!(G4, store.flush().await);
                safe.append(&mut acked);
            }
        }
        if durability == Durability::OnPut {
            safe.append(&mut acked);
        }
        hook!("crash", h.crash(Crash::Power, rng.next()).await);
        drop(store);
        store = hook!("reopen", h.reopen().await);
        if durability == Durability::Volatile {
            return check_empty(&store, &all).await;
        }
        check_there(&store, &safe, &format!("a chunk made durable before power cut {round}")).await?;
        check_whole_or_absent(&store, &all).await?;
    }
    Ok(Passed)
}

/// The steps in order, without what else was done in between and without repetitions.
fn in_order(steps: &[Step], wanted: &[Step]) -> bool {
    let mut steps = steps.iter();
    wanted.iter().all(|wanted| steps.any(|step| step == wanted))
}

/// After its last write each file is synced, after that renamed, and after that a folder is synced.
fn check_order(steps: &[Step], what: &str) -> Result<(), Failure> {
    let last_write = steps.iter().rposition(|step| *step == Step::Write);
    let rest = last_write.map_or(steps, |at| &steps[at..]);
    let wanted = [Step::Write, Step::SyncFile, Step::Rename, Step::SyncFolder];
    check!(G4, in_order(rest, &wanted), "{what}: did {steps:?}, should do {wanted:?} in this order");
    let renamed = rest.iter().position(|step| *step == Step::Rename);
    let synced = rest.iter().position(|step| *step == Step::SyncFile);
    check!(G4, synced < renamed, "{what}: a file got its name before it was synced: {steps:?}");
    Ok(())
}

pub async fn sync_order_write_fsync_rename_dirsync(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let on_put = store.capabilities().durability == Durability::OnPut;
    for len in [0, 1, 10_000] {
        let (mut x, first) = (sample(len as u64 + 1, len), sample(9, len + 5));
        for heal in [false, true] {
            if heal {
                // The same name with another length is replaced, as safely.
                x.data = first.data.clone();
            }
            let Some(_) = h.trace().await else { return Ok(NotExercised("trace")) };
            must!(G1, store.put(x.id, x.data.clone()).await);
            if !on_put {
                must!(G4, store.flush().await);
            }
            let mut steps = h.trace().await.unwrap_or_default();
            if x.data.is_empty() {
                steps.insert(0, Step::Write);
            }
            check_order(&steps, &format!("a put of {} bytes (replacing: {heal})", x.data.len()))?;
        }
    }
    if store.capabilities().roots {
        must!(Roots, store.swap(&root("a"), Expect::Absent, Some(noise(1, 5000))).await);
        check_order(&h.trace().await.unwrap_or_default(), "a swap of a root")?;
    }
    Ok(Passed)
}

pub async fn second_open(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 100));
    must!(G1, store.put(x.id, x.data.clone()).await);
    match (store.capabilities().shared, h.second().await) {
        (_, None) => Ok(NotExercised("second")),
        (true, Some(second)) => {
            let second = must!(Honesty, second);
            check_eq!(Honesty, must!(G2, second.get(x.id).await), Some(x.data), "a chunk seen by the other");
            Ok(Passed)
        }
        (false, Some(Err(e))) => {
            check_eq!(G8, e.kind(), ErrorKind::Locked, "the kind of the error");
            Ok(Weaker("it is not shared: a second opening says Locked"))
        }
        (false, Some(Ok(_))) => fail!(Honesty, "a second opening works, but the store says it is not shared"),
    }
}
