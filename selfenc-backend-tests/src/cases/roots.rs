//! `RootStore`, of the opened store or of the harness's own hook. Where roots are off, it must say so.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt;
use selfenc_core::store::{
    Backend, Durability, Expect, Root, RootName, RootStore, RootStoreExt, RootVersion, Swap,
};
use tokio::task::JoinSet;

use crate::data::{noise, root, sample};
use crate::{Failure, Outcome, Trial, Verdict::*};

/// The roots of a location, wherever they are kept, and the store that must live as long.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) store: Arc<dyn Backend>,
    pub(super) roots: Arc<dyn RootStore>,
}

impl Deref for Opened {
    type Target = dyn RootStore;

    fn deref(&self) -> &Self::Target {
        &*self.roots
    }
}

/// The roots of this store, or of the harness's hook; `None` if neither has any.
pub(super) async fn roots_of(h: &Trial<'_>, store: Arc<dyn Backend>) -> Result<Option<Opened>, Failure> {
    if let Some(roots) = h.roots().await {
        return Ok(Some(Opened { store, roots: must!(G8, roots) }));
    }
    if !store.capabilities().roots {
        check_unsupported!(store.load(&root("a")).await.err(), "load");
        check_unsupported!(store.swap(&root("a"), Expect::Absent, None).await.err(), "swap");
        return Ok(None);
    }
    let roots = Arc::clone(&store) as Arc<dyn RootStore>;
    Ok(Some(Opened { store, roots }))
}

/// Opens the store; without roots the case ends here.
macro_rules! open {
    ($h:expr) => {
        match roots_of($h, must!(G8, $h.open().await)).await? {
            Some(opened) => opened,
            None => return Ok(Weaker("roots are off: load and swap say Unsupported")),
        }
    };
}

mod crash;

pub use crash::{ok_means_durable, root_never_points_past_flush};

/// The roots of a store that was opened again.
async fn reopened(h: &Trial<'_>, store: Arc<dyn Backend>) -> Result<Opened, Failure> {
    match roots_of(h, store).await? {
        Some(opened) => Ok(opened),
        None => fail!(Honesty, "the roots are off once the store is opened again"),
    }
}

async fn swap(
    store: &dyn RootStore,
    name: &RootName,
    expect: impl Into<Expect>,
    new: Option<&[u8]>,
) -> Result<Swap, Failure> {
    Ok(must!(Roots, store.swap(name, expect.into(), new.map(Bytes::copy_from_slice)).await))
}

/// Swaps where nobody else does; the new version.
async fn set(
    store: &dyn RootStore,
    name: &RootName,
    expect: Expect,
    value: &[u8],
) -> Result<RootVersion, Failure> {
    match swap(store, name, expect, Some(value)).await? {
        Swap::Done(Some(version)) => Ok(version),
        other => fail!(Roots, "the swap of the current version gave {other:?}"),
    }
}

async fn load(store: &dyn RootStore, name: &RootName) -> Result<Option<Root>, Failure> {
    Ok(must!(Roots, store.load(name).await))
}

async fn names(store: &dyn RootStore) -> Result<Vec<RootName>, Failure> {
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
    let (store, each) = (open!(h), h.pick(10, 100, 1000));
    let mut workers = JoinSet::new();
    for _ in 0..10 {
        let store = store.clone();
        workers.spawn(async move {
            for _ in 0..each {
                let count = |old: Option<&Bytes>| {
                    let old = old.map_or(0, |bytes| bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b)));
                    Ok(Some(Bytes::copy_from_slice(&(old + 1).to_be_bytes())))
                };
                store.roots.update(&root("counter"), count).await?;
            }
            Ok::<_, selfenc_core::store::Error>(())
        });
    }
    while let Some(done) = workers.join_next().await {
        must!(Roots, must!(Roots, done));
    }
    let total = load(&*store, &root("counter")).await?;
    check!(
        Roots,
        is_value(total.as_ref(), &(10_u32 * each).to_be_bytes()),
        "increments were lost: {total:?}"
    );
    Ok(Passed)
}

pub async fn one_winner_of_fifty_creates(h: &Trial<'_>) -> Outcome {
    let store = open!(h);
    for round in 0..h.pick(2, 20, 500) {
        let (name, mut creates) = (root(&format!("a{round}")), JoinSet::new());
        for n in 0..50_u8 {
            let (store, name) = (store.clone(), name.clone());
            creates.spawn(async move { (n, swap(&*store, &name, Expect::Absent, Some(&[n])).await) });
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
        let found = load(&*store, &name).await?;
        check!(Roots, is_value(found.as_ref(), &winners), "not the winner's value");
    }
    Ok(Passed)
}

pub async fn never_torn(h: &Trial<'_>) -> Outcome {
    const LEN: usize = 60_000;
    let store = open!(h);
    let mut version = set(&*store, &root("a"), Expect::Absent, &vec![0; LEN]).await?;
    let (mut readers, (stop, _)) = (JoinSet::new(), tokio::sync::watch::channel(false));
    for _ in 0..3 {
        let (store, stop) = (store.clone(), stop.subscribe());
        readers.spawn(async move {
            while !*stop.borrow() {
                let value = load(&*store, &root("a")).await?.map(|root| root.value).unwrap_or_default();
                let first = value.first().copied().unwrap_or_default();
                check_eq!(Roots, value.len(), LEN + usize::from(first), "the length of a root being swapped");
                check!(Roots, value.iter().all(|b| *b == first), "a root of two values");
            }
            Ok::<_, Failure>(())
        });
    }
    for n in 1..=h.pick(60_u32, 1000, 20_000) {
        let n = n.to_le_bytes()[0];
        let value = vec![n; LEN + usize::from(n)];
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
    let mut all: Vec<_> = (0..h.pick(50, 1500, 5000)).map(|n| root(&format!("root-{n}"))).collect();
    for name in &all {
        set(&*store, name, Expect::Absent, name.as_str().as_bytes()).await?;
    }
    all.sort_unstable();
    check_eq!(Roots, names(&*store).await?, all, "names");
    Ok(Passed)
}

pub async fn name_rules(h: &Trial<'_>) -> Outcome {
    // What no store ever gets to see.
    for text in ["", "nul\0", "new\nline", "\u{7f}", &"x".repeat(256), &"ü".repeat(128)] {
        check!(Roots, RootName::new(text).is_err(), "{text:?} is taken for a name");
    }
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
    ];
    kept_apart(h, &hostile).await
}

pub async fn longest_name(h: &Trial<'_>) -> Outcome {
    let (long, other, wide) = ("x".repeat(255), "x".repeat(254) + "y", "ü".repeat(127));
    kept_apart(h, &[&long, &other, &long[1..], &wide]).await
}

/// Gives each name a value of its own, and wants them back.
async fn kept_apart(h: &Trial<'_>, texts: &[&str]) -> Outcome {
    let store = open!(h);
    for &text in texts {
        set(&*store, &root(text), Expect::Absent, text.as_bytes()).await?;
    }
    for &text in texts {
        let found = load(&*store, &root(text)).await?;
        check!(Roots, is_value(found.as_ref(), text.as_bytes()), "root {text:?} holds another's value");
    }
    let mut all: Vec<_> = texts.iter().map(|text| root(text)).collect();
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
    let (name, chunks) = (root(&x.id.to_string()), &store.store);
    let version = set(&*store, &name, Expect::Absent, b"a root named like a chunk").await?;
    check_eq!(Roots, must!(G5, chunks.get(x.id).await), None, "a chunk named like a root");
    check_listed!(Roots, chunks, [], "the listing of chunks");
    must!(G1, chunks.put(x.id, x.data.clone()).await);
    check_listed!(Roots, chunks, [x.meta()], "the listing of chunks");
    check_eq!(Roots, names(&*store).await?, std::slice::from_ref(&name), "names");
    check_eq!(
        Roots,
        swap(&*store, &name, Expect::Version(version), None).await?,
        Swap::Done(None),
        "removal"
    );
    check_eq!(Roots, must!(G2, chunks.get(x.id).await), Some(x.data), "the chunk after the root is gone");
    if chunks.capabilities().deletes {
        set(&*store, &name, Expect::Absent, b"again").await?;
        must!(G3, chunks.delete(x.id).await);
        check!(Roots, load(&*store, &name).await?.is_some(), "the root went with the chunk of its name");
    }
    Ok(Passed)
}

pub async fn dropped_swap_is_applied_or_not(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    let mut current = load(&*store, &a).await?;
    for n in 0..h.pick(30_u32, 500, 5000) {
        let n = n.to_le_bytes()[0];
        let work = store.swap(&a, Expect::from(current.as_ref()), Some(Bytes::from(vec![n; 1000])));
        // Dropped after one poll, or a little later.
        let _ = tokio::time::timeout(std::time::Duration::from_micros(u64::from(n) % 30 * 20), work).await;
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
    let store = reopened(h, hook!("reopen", h.reopen().await)).await?;
    let found = load(&*store, &root("a")).await?;
    if store.store.capabilities().durability == Durability::Volatile && found.is_none() {
        return Ok(Weaker("it is Volatile: gone with its last handle"));
    }
    let expected = Root { value: Bytes::from_static(b"kept"), version };
    check_eq!(Roots, found, Some(expected), "the root after reopening");
    Ok(Passed)
}

pub async fn racing_swaps_lose_nothing(h: &Trial<'_>) -> Outcome {
    let store = open!(h);
    let (start, limit) = (Instant::now(), Duration::from_millis(h.pick(300, 3000, 30_000)));
    let count = |root: Option<&Root>| {
        let bytes = root.and_then(|root| root.value[..].try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut won = 0_u64;
            while start.elapsed() < limit {
                let found = load(&*store, &root("count")).await?;
                let next = (count(found.as_ref()) + 1).to_le_bytes();
                let swapped =
                    swap(&*store, &root("count"), Expect::from(found.as_ref()), Some(&next)).await?;
                won += u64::from(matches!(swapped, Swap::Done(_)));
                tokio::task::yield_now().await;
            }
            Ok::<_, Failure>(won)
        });
    }
    let mut won = 0;
    while let Some(done) = tasks.join_next().await {
        won += must!(Roots, done)?;
    }
    let total = count(load(&*store, &root("count")).await?.as_ref());
    check_eq!(Roots, total, won, "the count, after as many swaps that were Done");
    Ok(Passed)
}

pub async fn versions_never_repeat(h: &Trial<'_>) -> Outcome {
    let (store, a) = (open!(h), root("a"));
    let (mut seen, mut expect) = (std::collections::HashSet::new(), Expect::Absent);
    for n in 0..h.pick(300_u32, 2000, 70_000) {
        let version = set(&*store, &a, expect, b"same").await?;
        check!(Roots, seen.insert(version.clone()), "the version of swap {n} was there before");
        expect = Expect::Version(version);
    }
    Ok(Passed)
}
