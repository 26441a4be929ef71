//! What a store says of itself.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use selfenc_core::store::{ChunkId, Durability, Error, ErrorKind, Expect, PutOutcome};

use crate::data::{Sample, listed, noise, root, sample, samples};
use crate::{Crash, Outcome, Trial, Verdict::*};

pub async fn capabilities_are_constant(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 100));
    let before = store.capabilities();
    must!(G1, store.put(x.id, x.data).await);
    must!(G4, store.flush().await);
    if before.deletes {
        must!(G3, store.delete(x.id).await);
    }
    check_eq!(Honesty, store.capabilities(), before, "capabilities after use");
    check!(Honesty, before.max_chunk_len > 0, "a store that takes no chunks");
    if let Some(second) = h.second().await.and_then(Result::ok) {
        check_eq!(Honesty, second.capabilities(), before, "capabilities of a second opening");
    }
    Ok(Passed)
}

pub async fn info_is_stable_and_secret_free(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 100));
    let before = store.info();
    must!(G1, store.put(x.id, x.data.clone()).await);
    if store.capabilities().roots {
        must!(Roots, store.swap(&root("canary-name"), Expect::Absent, Some("canary-value".into())).await);
    }
    check_eq!(Honesty, store.info(), before, "info after use");
    let line = before.to_string();
    check!(Honesty, !line.is_empty() && !line.contains(char::is_control), "not one plain line: {line:?}");
    // What people put in URLs, and must not find in logs.
    let lower = line.to_lowercase();
    for secret in ["password=", "secret=", "token=", "accesskey=", "access_key=", "signature=", "credential="]
    {
        check!(Honesty, !lower.contains(secret), "info seems to hold a secret ({secret}): {line}");
    }
    let userinfo = line.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.split_once('@'));
    check!(Honesty, userinfo.is_none(), "info holds what stands before the @ of a URL");
    let debug = format!("{store:?}");
    for secret in ["canary-value".to_owned(), x.id.to_string(), format!("{:?}", &x.data[..16])] {
        check!(Honesty, !debug.contains(&secret), "Debug of the store holds data or whole names");
    }
    Ok(Passed)
}

pub async fn max_len_is_true(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let max = store.capabilities().max_chunk_len;
    if max > 80 << 20 {
        return Ok(Weaker("its limit is too high to reach here"));
    }
    // In a batch: a path of its own in many stores.
    let of_len = |len: u64| Sample::of(vec![5; usize::try_from(len).unwrap_or(usize::MAX)]);
    let (small, largest, above) = (sample(1, 10), of_len(max), of_len(max + 1));
    let batch = [&small, &above, &largest].map(|x| (x.id, x.data.clone()));
    let [small_put, above_put, largest_put] = <[_; 3]>::try_from(store.put_many(batch.to_vec()).await)
        .unwrap_or_else(|answers| panic!("three chunks, {} answers", answers.len()));
    must!(Bound, small_put);
    must!(Bound, largest_put);
    match above_put {
        Ok(_) => fail!(Bound, "a chunk of {} bytes was taken in a batch; the limit is {max}", max + 1),
        Err(e) => check_eq!(Bound, e.kind(), ErrorKind::ChunkTooLarge, "the kind of the error"),
    }
    for (x, expected) in [(&small, Some(small.meta())), (&above, None), (&largest, Some(largest.meta()))] {
        check_eq!(Bound, must!(G5, store.stat(x.id).await), expected, "stat after the batch");
    }
    Ok(Passed)
}

pub async fn list_is_ascending(h: &Trial<'_>) -> Outcome {
    let (store, mut rng) = (open_with!(h, lists), h.rng(151));
    let deletes = store.capabilities().deletes;
    let mut there = std::collections::BTreeSet::new();
    for step in 0..h.pick(120, 1500, 5000) {
        let mut id = [0; 32];
        // Many share long prefixes: an order by anything but all of the bytes shows.
        for at in [0, 1, 15, 30, 31] {
            id[at] = [0, 1, 0x7f, 0x80, 0xff][usize::try_from(rng.below(5)).unwrap_or_default()];
        }
        let id = ChunkId::from_bytes(id);
        must!(G1, store.put(id, noise(1, 20)).await);
        there.insert(id);
        if deletes && rng.below(4) == 0 {
            must!(G3, store.delete(id).await);
            there.remove(&id);
        }
        if step % 30 == 0 {
            let after = Some(id).filter(|_| rng.below(2) == 0);
            let seen = must!(G7, listed(&*store, after).await);
            let expected: Vec<_> = there.iter().filter(|id| Some(**id) > after).copied().collect();
            let seen: Vec<_> = seen.into_iter().map(|meta| meta.id).collect();
            check!(G7, seen.is_sorted(), "step {step}: the listing is not ascending");
            check_eq!(G7, seen, expected, format!("step {step}: the listing after {after:?}"));
        }
    }
    Ok(Passed)
}

pub async fn durability_is_not_overclaimed(h: &Trial<'_>) -> Outcome {
    let mut store = must!(G8, h.open().await);
    let claimed = store.capabilities().durability;
    for round in 0..h.pick(6, 60, 600) {
        let all = samples(100 + round, 6, 2000);
        for x in &all {
            must!(G1, store.put(x.id, x.data.clone()).await);
        }
        if claimed != Durability::OnPut {
            must!(G4, store.flush().await);
        }
        hook!("crash", h.crash(Crash::Power, h.seed.wrapping_mul(1000) + round).await);
        drop(store);
        store = hook!("reopen", h.reopen().await);
        check_eq!(Honesty, store.capabilities().durability, claimed, "durability after a power cut");
        for x in &all {
            match must!(G4, store.get(x.id).await) {
                Some(got) => check_bytes!(G1, got, x.data, "a chunk after a power cut"),
                None if claimed == Durability::Volatile => return Ok(Weaker("it claims nothing: Volatile")),
                None => fail!(Honesty, "it claims {claimed:?}, and power cut {round} took a chunk"),
            }
        }
    }
    Ok(Passed)
}

pub async fn drop_ordered_is_true(h: &Trial<'_>) -> Outcome {
    let store = open_with!(h, deletes);
    if !store.capabilities().drop_ordered {
        return Ok(Weaker("drop_ordered is off: a dropped delete may land late"));
    }
    let mut rng = h.rng(153);
    let all = samples(1, h.pick(24, 200, 1000), 4000);
    for x in &all {
        must!(G1, store.put(x.id, x.data.clone()).await);
        // Dropped after a moment: not begun, under way, or done.
        let limit = Duration::from_micros(rng.below(400));
        let _ = tokio::time::timeout(limit, store.delete(x.id)).await;
        must!(G6, store.put(x.id, x.data.clone()).await);
    }
    // All orphans have ended by now, or they never will.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for (n, x) in all.iter().enumerate() {
        let got = must!(G6, store.get(x.id).await);
        check!(G6, got.as_ref() == Some(&x.data), "dropped delete {n} erased a later put");
    }
    Ok(Passed)
}

fn kind<T>(answer: Result<T, Error>) -> Option<ErrorKind> {
    answer.err().map(|e| e.kind())
}

pub async fn unsupported_is_said_not_faked(h: &Trial<'_>) -> Outcome {
    let (store, name) = (must!(G8, h.open().await), root("a"));
    let capabilities = store.capabilities();
    let x = sample(1, 10);
    let outcome = must!(G1, store.put(x.id, x.data.clone()).await);
    let says = [
        ("load", capabilities.roots, kind(store.load(&name).await)),
        ("swap", capabilities.roots, kind(store.swap(&name, Expect::Absent, Some(noise(1, 10))).await)),
        ("names", capabilities.roots, kind(store.names().try_collect::<Vec<_>>().await)),
        ("list", capabilities.lists, store.list(None).next().await.and_then(kind)),
        ("delete", capabilities.deletes, kind(store.delete(x.id).await)),
        ("delete_many", capabilities.deletes, store.delete_many(vec![x.id]).await.pop().and_then(kind)),
    ];
    for (op, is_on, said) in says {
        let is_unsupported = said == Some(ErrorKind::Unsupported);
        check_eq!(Honesty, is_unsupported, !is_on, format!("{op} says Unsupported ({said:?})"));
        check!(Honesty, is_unsupported || said.is_none(), "{op} fails: {said:?}");
    }
    if !capabilities.deletes {
        check_eq!(
            Honesty,
            must!(G2, store.get(x.id).await),
            Some(x.data),
            "a chunk whose delete was refused"
        );
    }
    if capabilities.exact_outcome {
        check_eq!(Honesty, outcome, PutOutcome::Inserted, "the outcome of the first put");
    }
    Ok(Passed)
}
