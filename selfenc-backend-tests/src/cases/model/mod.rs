//! The whole at once: random sequences against a model, the engine on top, and what is left behind.

mod oracle;
mod player;
mod sequence;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use selfenc_core::engine::{Compression, EncryptionConfig, Engine, INLINE, Scope, Suite};
use selfenc_core::store::{Backend, Durability, ErrorKind};

use self::player::{Player, play};
use self::sequence::Shrink;
use super::cancellation::poll_then_drop;
use crate::data::{fit, noise, root, sample};
use crate::{Failure, Outcome, Scale, Trial, Verdict::*};

/// A failing sequence is made smaller for as long as this.
const SHRINKING: Duration = Duration::from_secs(60);

/// After this a location that is opened again is taken to be locked for ever.
const DEADLINE: Duration = Duration::from_secs(30);

pub async fn model(h: &Trial<'_>) -> Outcome {
    let soak = h.scale >= Scale::Soak;
    let faults = if soak { h.faults() } else { Vec::new() };
    let menu = Player::menu(h, soak, &faults).await?;
    let mut rng = h.rng(202);
    let (sequences, len) = (h.pick(3, 60, 1000), h.pick(100, 200, 400));
    for sequence in 0..sequences {
        let steps = menu.sequence(&mut rng, len);
        let Err((played, mut failure)) = play(h, &faults, &steps).await else { continue };
        let (start, mut shrink) = (Instant::now(), Shrink::new(steps[..played].to_vec()));
        while start.elapsed() < SHRINKING
            && let Some(fewer) = shrink.smaller()
        {
            match play(h, &faults, &fewer).await {
                Err((_, smaller)) => {
                    failure = smaller;
                    shrink.keep(fewer);
                }
                Ok(()) => shrink.reject(),
            }
        }
        let (n, steps) = (shrink.steps.len(), shrink.steps);
        failure.message =
            format!("{}; sequence {sequence}, made smaller to {n} steps: {steps:?}", failure.message);
        return Err(failure);
    }
    Ok(Passed)
}

pub async fn engine_round_trip(h: &Trial<'_>) -> Outcome {
    let inline = usize::try_from(INLINE).unwrap_or_default();
    let quick = [0, 1, inline, inline + 1, 20_000, 1 << 20];
    let longer = [inline - 1, 65_536, (1 << 20) + 1, 10 << 20];
    let sizes = quick.iter().chain(h.pick(&longer[..0], &longer, &longer));
    let can_reopen = can_reopen(h).await?;
    let mut store = must!(G8, h.open().await);
    for (n, len) in sizes.enumerate() {
        let chunk = h.pick(32_768, 262_144, 262_144).min(fit(&*store, 1 << 20) * 3 / 4);
        // Both suites, with and without compression, and half of the data compresses.
        let config = EncryptionConfig::new()
            .with_suite(Suite::ALL[n % Suite::ALL.len()])
            .with_compression(if n % 3 == 0 { Compression::None } else { Compression::Zstd { level: 1 } })
            .with_chunk_size(u32::try_from(chunk).unwrap_or(u32::MAX))
            .with_threads(2);
        let data = [&noise(n as u64, len / 2)[..], &vec![7; len - len / 2]].concat();
        let what = format!("{len} bytes through the engine");
        let engine = must!(Bytes, Engine::new(config));
        let written = must!(Bytes, engine.write_bytes(store.clone(), &Scope::Public, &data).await);
        check_eq!(Bytes, written.map.len(), data.len() as u64, format!("the length of {what}"));
        if can_reopen {
            drop(store);
            store = hook!("reopen", h.reopen().await);
        }
        let read = must!(Bytes, engine.open(store.clone(), written.map).read_at(0, data.len() + 1).await);
        check_bytes!(Bytes, read[..], data[..], what);
    }
    Ok(Passed)
}

/// Whether what is stored can be opened again, tried on a location of its own: a store without the hook
/// must not be dropped to find out.
async fn can_reopen(h: &Trial<'_>) -> Result<bool, Failure> {
    let store = must!(G8, h.open().await);
    let is_kept = store.capabilities().durability != Durability::Volatile;
    drop(store);
    Ok(is_kept && h.reopen().await.is_some())
}

pub async fn no_fd_thread_or_tempfile_growth(h: &Trial<'_>) -> Outcome {
    only_at!(h, Full);
    let Some(before) = resources() else { return Ok(NotExercised("a count of descriptors and threads")) };
    let store = must!(G8, h.open().await);
    let rounds = h.pick(0, 3000, 30_000);
    for round in 0..rounds {
        everything_once(h, &store, round).await?;
    }
    let after = settled(before).await;
    for (what, before, after) in [("descriptors", before.0, after.0), ("threads", before.1, after.1)] {
        // Other tests of the same process use some too, but not one for each round.
        check!(
            G6,
            after < before + OTHERS,
            "open {what} grew from {before} to {after} in {rounds} rounds of all operations"
        );
    }
    let left = hook!("temporaries", h.temporaries().await);
    check_eq!(G6, left, 0, "temporaries while nothing is being written");
    Ok(Passed)
}

/// Descriptors and threads that other tests of the same process may have open.
const OTHERS: usize = 500;

/// The open descriptors and the threads of this process, where the system tells.
fn resources() -> Option<(usize, usize)> {
    let count = |folder| std::fs::read_dir(folder).ok().map(Iterator::count);
    Some((count("/proc/self/fd")?, count("/proc/self/task")?))
}

/// The fewest of each over a few seconds, in which what was orphaned ends. Ends early once they are few.
async fn settled(before: (usize, usize)) -> (usize, usize) {
    let mut fewest = (usize::MAX, usize::MAX);
    for _ in 0..50 {
        let now = resources().unwrap_or(fewest);
        fewest = (fewest.0.min(now.0), fewest.1.min(now.1));
        if fewest.0 <= before.0 + OTHERS / 2 && fewest.1 <= before.1 + OTHERS / 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    fewest
}

/// Each operation, some of them dropped, on a few chunks.
async fn everything_once(h: &Trial<'_>, store: &Arc<dyn Backend>, round: u64) -> Result<(), Failure> {
    let capabilities = store.capabilities();
    let x = sample(round % 50, 500);
    must!(G1, store.put(x.id, x.data.clone()).await);
    poll_then_drop(store.put(x.id, x.data.slice(1..)), 1).await;
    must!(G3, store.put(x.id, x.data.clone()).await);
    must!(G2, store.get(x.id).await);
    must!(G2, store.stat(x.id).await);
    poll_then_drop(store.get(x.id), 1).await;
    if capabilities.lists {
        // Read to the first item, and not at all.
        must!(G7, store.list(None).next().await.transpose());
        drop(store.list(None));
    }
    if capabilities.deletes {
        must!(G3, store.delete(x.id).await);
        poll_then_drop(store.delete(x.id), 1).await;
    }
    if capabilities.roots {
        must!(Roots, store.load(&root("a")).await);
        must!(Roots, store.names().next().await.transpose());
    }
    if capabilities.shared
        && let Some(second) = h.second().await
    {
        must!(G2, must!(G8, second).stat(x.id).await);
    }
    Ok(())
}

pub async fn drop_releases_locks(h: &Trial<'_>) -> Outcome {
    let mut store = must!(G8, h.open().await);
    let durable = store.capabilities().durability != Durability::Volatile;
    for round in 0..h.pick(10, 100, 2000) {
        let x = sample(round, 1000);
        must!(G1, store.put(x.id, x.data.clone()).await);
        must!(G4, store.flush().await);
        let mut items = store.list(None);
        if store.capabilities().lists {
            must!(G7, items.next().await.transpose());
        }
        // Every other time something is still under way.
        let is_busy = round % 2 == 1;
        if is_busy {
            poll_then_drop(store.put(sample(round, 999).id, noise(round, 999)), 1).await;
        }
        drop((items, store));
        store = hook!("reopen", open_soon(h, is_busy).await);
        if durable {
            let got = must!(G4, store.get(x.id).await);
            check_eq!(G4, got, Some(x.data), "a flushed chunk, opened again");
        }
        let y = sample(1 << 32 | round, 100);
        must!(G1, store.put(y.id, y.data.clone()).await);
        check_eq!(G2, must!(G2, store.get(y.id).await), Some(y.data), "a chunk put after opening again");
    }
    Ok(Passed)
}

/// Opens the location again: at once, or, if a dropped call may be running still, when that has ended.
async fn open_soon(h: &Trial<'_>, is_busy: bool) -> Option<selfenc_core::store::Result<Arc<dyn Backend>>> {
    let start = Instant::now();
    loop {
        match h.reopen().await {
            Some(Err(e)) if is_busy && e.kind() == ErrorKind::Locked && start.elapsed() < DEADLINE => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened,
        }
    }
}
