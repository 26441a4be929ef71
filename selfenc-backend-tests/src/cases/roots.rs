//! `RootStore`. Where the capability is off, `honesty::unsupported_is_said_not_faked` is the whole test.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use selfenc_core::store::{Backend, Durability, Expect, Root, RootName, RootStoreExt, RootVersion, Swap};
use tokio::task::JoinSet;

use crate::data::{listed, noise, root, sample};
use crate::{Failure, Outcome, Trial, Verdict::*};

/// Opens the store; without roots the case ends here.
macro_rules! open {
    ($h:expr) => {{
        let store = must!(G8, $h.open().await);
        if !store.capabilities().roots {
            return Ok(Weaker("roots are off"));
        }
        store
    }};
}

async fn swap(
    store: &dyn Backend,
    name: &RootName,
    expect: impl Into<Expect>,
    new: Option<&[u8]>,
) -> Result<Swap, Failure> {
    Ok(must!(Roots, store.swap(name, expect.into(), new.map(Bytes::copy_from_slice)).await))
}

/// Swaps where nobody else does; the new version.
async fn set(
    store: &dyn Backend,
    name: &RootName,
    expect: Expect,
    value: &[u8],
) -> Result<RootVersion, Failure> {
    match swap(store, name, expect, Some(value)).await? {
        Swap::Done(Some(version)) => Ok(version),
        other => fail!(Roots, "the swap of the current version gave {other:?}"),
    }
}

async fn load(store: &dyn Backend, name: &RootName) -> Result<Option<Root>, Failure> {
    Ok(must!(Roots, store.load(name).await))
}

async fn names(store: &dyn Backend) -> Result<Vec<RootName>, Failure> {
    let mut names: Vec<_> = must!(Roots, store.names().try_collect().await);
    names.sort_unstable();
    Ok(names)
}

fn is_value(root: Option<&Root>, value: &[u8]) -> bool {
    root.is_some_and(|root| root.value == value)
}

pub async fn absent_is_none(h: &Trial<'_>) -> Outcome {
    let store = open!(h);
    check_eq!(Roots, load(&*store, &root("a")).await?, None, "a root never set");
    check_eq!(Roots, names(&*store).await?, [], "names in a fresh store");
    Ok(Passed)
}

pub async fn create_if_absent(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    let version = set(&*store, &a, Expect::Absent, b"one").await?;
    let expected = Root { value: Bytes::from_static(b"one"), version };
    check_eq!(Roots, load(&*store, &a).await?, Some(expected), "the root");
    Ok(Passed)
}

pub async fn create_conflict_returns_current(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    let version = set(&*store, &a, Expect::Absent, b"one").await?;
    let current = Root { value: Bytes::from_static(b"one"), version };
    let second = swap(&*store, &a, Expect::Absent, Some(b"two")).await?;
    check_eq!(Roots, second, Swap::Conflict(Some(current.clone())), "a second create");
    check_eq!(Roots, load(&*store, &a).await?, Some(current), "the root after the conflict");
    Ok(Passed)
}

pub async fn swap_with_current_version(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    let mut expect = Expect::Absent;
    for n in 0..10_u8 {
        let version = set(&*store, &a, expect, &[n]).await?;
        check!(Roots, is_value(load(&*store, &a).await?.as_ref(), &[n]), "swap {n} does not show");
        expect = Expect::Version(version);
    }
    Ok(Passed)
}

pub async fn swap_with_stale_version_changes_nothing(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    let stale = set(&*store, &a, Expect::Absent, b"one").await?;
    let version = set(&*store, &a, Expect::Version(stale.clone()), b"two").await?;
    let current = Root { value: Bytes::from_static(b"two"), version };
    let nonsense = RootVersion::new(&b"no version of yours"[..]);
    for old in [stale, nonsense] {
        for new in [Some(&b"three"[..]), None] {
            let swapped = swap(&*store, &a, Expect::Version(old.clone()), new).await?;
            check_eq!(Roots, swapped, Swap::Conflict(Some(current.clone())), "a stale swap");
            check_eq!(Roots, load(&*store, &a).await?, Some(current.clone()), "the root afterwards");
        }
    }
    Ok(Passed)
}

pub async fn remove_with_version(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    let version = set(&*store, &a, Expect::Absent, b"one").await?;
    check_eq!(Roots, swap(&*store, &a, Expect::Version(version), None).await?, Swap::Done(None), "removal");
    check_eq!(Roots, load(&*store, &a).await?, None, "a removed root");
    check_eq!(Roots, names(&*store).await?, [], "names after the removal");
    Ok(Passed)
}

pub async fn remove_absent_is_a_conflict_or_nothing(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    check_eq!(Roots, swap(&*store, &a, Expect::Absent, None).await?, Swap::Done(None), "nothing to nothing");
    let gone = set(&*store, &a, Expect::Absent, b"one").await?;
    check_eq!(
        Roots,
        swap(&*store, &a, Expect::Version(gone.clone()), None).await?,
        Swap::Done(None),
        "removal"
    );
    let again = swap(&*store, &a, Expect::Version(gone), None).await?;
    check_eq!(Roots, again, Swap::Conflict(None), "the removal of what is removed");
    Ok(Passed)
}

pub async fn aba_is_detected(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    let first = set(&*store, &a, Expect::Absent, b"A").await?;
    let second = set(&*store, &a, Expect::Version(first.clone()), b"B").await?;
    set(&*store, &a, Expect::Version(second), b"A").await?;
    let swapped = swap(&*store, &a, Expect::Version(first), Some(b"C")).await?;
    check!(Roots, matches!(swapped, Swap::Conflict(Some(_))), "A, B, A: the first A's version still works");
    check!(Roots, is_value(load(&*store, &a).await?.as_ref(), b"A"), "the root changed");
    Ok(Passed)
}

pub async fn same_bytes_new_version(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    let first = set(&*store, &a, Expect::Absent, b"same").await?;
    let second = set(&*store, &a, Expect::Version(first.clone()), b"same").await?;
    check!(Roots, first != second, "the same bytes again kept the version");
    let swapped = swap(&*store, &a, Expect::Version(first), Some(b"x")).await?;
    check!(Roots, matches!(swapped, Swap::Conflict(Some(_))), "the older version still works");
    Ok(Passed)
}

pub async fn tombstone_then_create(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let version = set(&*store, &a, Expect::Absent, b"same").await?;
        check!(Roots, !seen.contains(&version), "a version came back after a removal");
        check_eq!(Roots, names(&*store).await?, std::slice::from_ref(&a), "names");
        seen.push(version.clone());
        check_eq!(
            Roots,
            swap(&*store, &a, Expect::Version(version), None).await?,
            Swap::Done(None),
            "removal"
        );
    }
    for old in seen {
        let swapped = swap(&*store, &a, Expect::Version(old), Some(b"x")).await?;
        check_eq!(Roots, swapped, Swap::Conflict(None), "a swap with a removed root's version");
    }
    Ok(Passed)
}

pub async fn ten_workers_hundred_increments(h: &Trial<'_>) -> Outcome {
    let store = open!(h);
    let mut workers = JoinSet::new();
    for _ in 0..10 {
        let store = Arc::clone(&store);
        workers.spawn(async move {
            for _ in 0..10 {
                let count = |old: Option<&Bytes>| {
                    let old = old.map_or(0, |bytes| bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b)));
                    Ok(Some(Bytes::copy_from_slice(&(old + 1).to_be_bytes())))
                };
                store.update(&root("counter"), count).await?;
            }
            Ok::<_, selfenc_core::store::Error>(())
        });
    }
    while let Some(done) = workers.join_next().await {
        must!(Roots, must!(Roots, done));
    }
    let total = load(&*store, &root("counter")).await?;
    check!(Roots, is_value(total.as_ref(), &100_u32.to_be_bytes()), "increments were lost: {total:?}");
    Ok(Passed)
}

pub async fn one_winner_of_fifty_creates(h: &Trial<'_>) -> Outcome {
    let store = open!(h);
    let mut creates = JoinSet::new();
    for n in 0..50_u8 {
        let store = Arc::clone(&store);
        creates.spawn(async move { (n, swap(&*store, &root("a"), Expect::Absent, Some(&[n])).await) });
    }
    let mut winners = Vec::new();
    while let Some(done) = creates.join_next().await {
        let (n, swapped) = must!(Roots, done);
        match swapped? {
            Swap::Done(Some(_)) => winners.push(n),
            Swap::Conflict(Some(_)) => {}
            other => fail!(Roots, "a racing create gave {other:?}"),
        }
    }
    check_eq!(Roots, winners.len(), 1, "winners of fifty creates");
    check!(Roots, is_value(load(&*store, &root("a")).await?.as_ref(), &winners), "not the winner's value");
    Ok(Passed)
}

pub async fn never_torn(h: &Trial<'_>) -> Outcome {
    let store = open!(h);
    let mut version = set(&*store, &root("a"), Expect::Absent, &vec![0; 60_000]).await?;
    let mut readers = JoinSet::new();
    let (stop, _) = tokio::sync::watch::channel(false);
    for _ in 0..3 {
        let (store, stop) = (Arc::clone(&store), stop.subscribe());
        readers.spawn(async move {
            while !*stop.borrow() {
                let value = load(&*store, &root("a")).await?.map(|root| root.value).unwrap_or_default();
                let first = value.first().copied().unwrap_or_default();
                check_eq!(
                    Roots,
                    value.len(),
                    60_000 + usize::from(first),
                    "the length of a root being swapped"
                );
                check!(Roots, value.iter().all(|b| *b == first), "a root of two values");
            }
            Ok::<_, Failure>(())
        });
    }
    for n in 1..=60_u8 {
        let value = vec![n; 60_000 + usize::from(n)];
        version = set(&*store, &root("a"), Expect::Version(version), &value).await?;
    }
    stop.send_replace(true);
    while let Some(done) = readers.join_next().await {
        must!(Roots, done)?;
    }
    Ok(Passed)
}

pub async fn names_lists_all(h: &Trial<'_>) -> Outcome {
    let store = open!(h);
    let mut all: Vec<_> = (0..50).map(|n| root(&format!("root-{n}"))).collect();
    for name in &all {
        set(&*store, name, Expect::Absent, name.as_str().as_bytes()).await?;
    }
    all.sort_unstable();
    check_eq!(Roots, names(&*store).await?, all, "names");
    Ok(Passed)
}

pub async fn name_rules(h: &Trial<'_>) -> Outcome {
    let store = open!(h);
    let (long, wide) = ("x".repeat(255), "ü".repeat(127));
    let hostile = [
        ".",
        "..",
        "../..",
        "/",
        "a/b",
        "a\\b",
        "CON",
        "nul.txt",
        "trailing.",
        "trailing ",
        " leading",
        "%2e",
        "a",
        "A",
        "ß",
        "ss",
        "\u{fc}",
        "u\u{308}",
        "'; --",
        "*",
        "~",
        "-rf",
        ".lock",
        "name:stream",
        &long,
        &wide,
    ];
    for text in hostile {
        set(&*store, &root(text), Expect::Absent, text.as_bytes()).await?;
    }
    for text in hostile {
        let found = load(&*store, &root(text)).await?;
        check!(Roots, is_value(found.as_ref(), text.as_bytes()), "root {text:?} holds another's value");
    }
    let mut all: Vec<_> = hostile.map(root).to_vec();
    all.sort_unstable();
    check_eq!(Roots, names(&*store).await?, all, "names");
    Ok(Passed)
}

pub async fn empty_and_largest_value(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    let mut expect = Expect::Absent;
    for len in [0, 1, 1 << 16, 1 << 20, 0] {
        let value = noise(len as u64, len);
        expect = Expect::Version(set(&*store, &a, expect, &value).await?);
        let found = load(&*store, &a).await?.map(|root| root.value);
        check!(
            Roots,
            found == Some(value),
            "a root of {len} bytes came back as {:?}",
            found.map(|v| v.len())
        );
    }
    Ok(Passed)
}

pub async fn roots_and_chunks_are_separate_namespaces(h: &Trial<'_>) -> Outcome {
    let (store, x) = (open!(h), sample(1, 100));
    let name = root(&x.id.to_string());
    let version = set(&*store, &name, Expect::Absent, b"a root named like a chunk").await?;
    check_eq!(Roots, must!(G5, store.get(x.id).await), None, "a chunk named like a root");
    must!(G1, store.put(x.id, x.data.clone()).await);
    check_eq!(Roots, must!(G7, listed(&*store, None).await), [x.meta()], "the listing of chunks");
    check_eq!(
        Roots,
        swap(&*store, &name, Expect::Version(version), None).await?,
        Swap::Done(None),
        "removal"
    );
    check_eq!(Roots, must!(G2, store.get(x.id).await), Some(x.data), "the chunk after the root is gone");
    Ok(Passed)
}

pub async fn dropped_swap_is_applied_or_not(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    let mut current = load(&*store, &a).await?;
    for n in 0..30_u8 {
        let work = store.swap(&a, Expect::from(current.as_ref()), Some(Bytes::from(vec![n; 1000])));
        // Dropped after one poll, or a little later.
        let _ = tokio::time::timeout(std::time::Duration::from_micros(u64::from(n) * 20), work).await;
        // A swap now waits for the orphan, so afterwards nothing changes by itself.
        let version = loop {
            let found = load(&*store, &a).await?;
            match swap(&*store, &a, Expect::from(found.as_ref()), Some(&[n; 1001])).await? {
                Swap::Done(Some(version)) => break version,
                Swap::Done(None) => fail!(Roots, "a swap to a value gave no version"),
                Swap::Conflict(_) => {}
            }
        };
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        current = load(&*store, &a).await?;
        check!(Roots, is_value(current.as_ref(), &[n; 1001]), "a dropped swap landed after a later one");
        check_eq!(Roots, current.as_ref().map(|root| &root.version), Some(&version), "its version");
    }
    Ok(Passed)
}

pub async fn roots_survive_reopen(h: &Trial<'_>) -> Outcome {
    let store = open!(h);
    let version = set(&*store, &root("a"), Expect::Absent, b"kept").await?;
    drop(store);
    let store = hook!("reopen", h.reopen().await);
    if store.capabilities().durability == Durability::Volatile {
        return Ok(Weaker("it is Volatile: gone with its last handle"));
    }
    let expected = Root { value: Bytes::from_static(b"kept"), version };
    check_eq!(Roots, load(&*store, &root("a")).await?, Some(expected), "the root after reopening");
    Ok(Passed)
}
