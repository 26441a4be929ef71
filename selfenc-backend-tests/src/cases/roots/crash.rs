//! Roots and crashes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use selfenc_core::store::{Backend, Durability, Expect, Root, RootName, Swap};

use super::{Opened, load, reopened, roots_of, set, swap};
use crate::data::{Rng, Sample, noise, root, sample};
use crate::{Crash, Failure, Outcome, Trial, Verdict::*};

pub async fn ok_means_durable(h: &Trial<'_>) -> Outcome {
    let (mut store, mut crashes, mut rng) = (open!(h), 0, h.rng(198));
    for round in 0..h.pick(4, 50, 1000) {
        let (a, gone) = (root(&format!("a{round}")), root(&format!("gone{round}")));
        let (mut expect, mut kept) = (Expect::Absent, None);
        for n in 0..=rng.below(5) {
            let value = noise(n, 1000);
            let version = set(&*store, &a, expect, &value).await?;
            kept = Some(Root { value, version: version.clone() });
            expect = Expect::Version(version);
        }
        let version = set(&*store, &gone, Expect::Absent, b"removed before the crash").await?;
        let removed = swap(&*store, &gone, Expect::Version(version), None).await?;
        check_eq!(Roots, removed, Swap::Done(None), "removal");
        // No flush: a swap needs none.
        let how = if round % 2 == 0 { Crash::Process } else { Crash::Power };
        let Some(crashed) = h.crash(how, rng.next()).await else { continue };
        must!(Honesty, crashed);
        drop(store);
        store = reopened(h, hook!("reopen", h.reopen().await)).await?;
        let found = load(&*store, &a).await?;
        if store.store.capabilities().durability == Durability::Volatile {
            check_eq!(Honesty, found, None, "a root of a volatile store after a crash");
            return Ok(Weaker("it is Volatile: gone with a crash"));
        }
        check_eq!(Roots, found, kept, format!("the root after a crash of the {how:?}, round {round}"));
        check_eq!(Roots, load(&*store, &gone).await?, None, "a removed root after a crash");
        crashes += 1;
    }
    Ok(if crashes == 0 { NotExercised("crash") } else { Passed })
}

pub async fn root_never_points_past_flush(h: &Trial<'_>) -> Outcome {
    let (mut store, mut crashes, mut rng) = (open!(h), 0, h.rng(199));
    for round in 0..h.pick(4, 100, 2000) {
        let (head, acknowledged) = (root(&format!("head{round}")), Arc::new(AtomicU64::new(0)));
        let work = publish(store.clone(), head.clone(), rng.next(), Arc::clone(&acknowledged));
        let writer = tokio::spawn(work);
        tokio::time::sleep(Duration::from_micros(rng.below(40_000))).await;
        let how = if round % 2 == 0 { Crash::Process } else { Crash::Power };
        let before = acknowledged.load(Ordering::SeqCst);
        let crashed = h.crash(how, rng.next()).await;
        writer.abort();
        // The outcome is an abort, or the end after the error that a dead handle gives.
        drop(writer.await);
        let Some(crashed) = crashed else { continue };
        must!(Honesty, crashed);
        drop(store);
        store = reopened(h, hook!("reopen", h.reopen().await)).await?;
        let found = load(&*store, &head).await?.map(|root| root.value);
        if store.store.capabilities().durability == Durability::Volatile {
            check_eq!(Honesty, found, None, "a root of a volatile store after a crash");
            return Ok(Weaker("it is Volatile: gone with a crash"));
        }
        check_head(&*store.store, found.as_deref(), before, round).await?;
        crashes += 1;
    }
    Ok(if crashes == 0 { NotExercised("crash") } else { Passed })
}

/// Generation after generation: puts chunks, then sets the root to the generation's number and the chunks'
/// seed. Ends with the first error.
async fn publish(opened: Opened, head: RootName, seed: u64, acknowledged: Arc<AtomicU64>) {
    let (mut rng, mut expect) = (Rng::new(seed), Expect::Absent);
    for generation in 1_u64.. {
        let seed = rng.next();
        for x in generation_of(seed) {
            if opened.store.put(x.id, x.data).await.is_err() {
                return;
            }
        }
        let value = [generation.to_le_bytes(), seed.to_le_bytes()].concat();
        // Not `publish` of the store itself, for the roots may be kept elsewhere.
        if opened.store.flush().await.is_err() {
            return;
        }
        match opened.swap(&head, expect, Some(value.into())).await {
            Ok(Swap::Done(Some(version))) => expect = Expect::Version(version),
            _ => return,
        }
        acknowledged.store(generation, Ordering::SeqCst);
        // A store that is always ready would leave no moment to stop this.
        tokio::task::yield_now().await;
    }
}

fn generation_of(seed: u64) -> Vec<Sample> {
    (0..3).map(|n| sample(seed.wrapping_add(n), 2000)).collect()
}

/// The root is not older than what was acknowledged, and what it points to is there and whole.
async fn check_head(
    store: &dyn Backend,
    found: Option<&[u8]>,
    acknowledged: u64,
    round: u64,
) -> Result<(), Failure> {
    let Some(value) = found else {
        check_eq!(
            Roots,
            0,
            acknowledged,
            format!("round {round}: the root after the crash is of generation")
        );
        return Ok(());
    };
    let Some((generation, seed)) = value.split_first_chunk::<8>() else {
        fail!(Roots, "round {round}: a root of {} bytes, which nobody set", value.len());
    };
    let Ok(seed) = <[u8; 8]>::try_from(seed) else {
        fail!(Roots, "round {round}: a root of {} bytes, which nobody set", value.len());
    };
    let generation = u64::from_le_bytes(*generation);
    check!(
        Roots,
        generation >= acknowledged,
        "round {round}: generation {acknowledged} was acknowledged, and the root is {generation} after the crash"
    );
    for x in generation_of(u64::from_le_bytes(seed)) {
        match must!(G4, store.get(x.id).await) {
            Some(got) => check_bytes!(G4, got, x.data, format!("round {round}: a chunk that the root names")),
            None => fail!(G4, "round {round}: the root names a chunk that is gone after the crash"),
        }
    }
    Ok(())
}
