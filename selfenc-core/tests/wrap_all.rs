//! What every wrapper owes: it passes batches, `stat` and roots on as they are, says what it is, and promises
//! no more than what it is made of. One line for each wrapper; those that refuse operations have tests below.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

#[path = "support/probe.rs"]
mod probe;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use probe::{Probe, id, is_named, name};
use selfenc_core::store::{Backend, Capabilities, ChunkStore, Durability, Expect, Swap};
use selfenc_core::wrap::{
    Cache, FaultPlan, Faulty, Limit, Mirror, Observe, Prefix, ReadOnly, Retry, RetryPolicy, Tiered, Timeout,
    Verify,
};

/// `owes!(wrapper, how to wrap, its info, its capabilities as a function of the inner store's)`.
macro_rules! owes {
    ($wrapper:ident, $wrap:expr, $info:expr, $capabilities:expr) => {
        mod $wrapper {
            use super::*;

            #[tokio::test]
            async fn no_despecialisation() {
                let probe = Probe::new();
                forwards_batches_and_roots(&$wrap(probe.clone()), &probe).await;
            }

            #[test]
            fn capabilities_compose_to_the_weakest() {
                let expected: fn(Capabilities) -> Capabilities = $capabilities;
                for inner in [full(), weak()] {
                    let wrapper = $wrap(Probe::with_capabilities(inner));
                    let outer = selfenc_core::store::ChunkStore::capabilities(&wrapper);
                    assert_eq!(outer, expected(inner));
                    assert_no_stronger(outer, inner);
                }
            }

            #[test]
            fn info_reads_from_the_outside_in() {
                let wrapper = $wrap(Probe::new());
                assert_eq!(selfenc_core::store::ChunkStore::info(&wrapper).to_string(), $info);
                assert!(format!("{wrapper:?}").contains("Probe"), "Debug shows the inner store");
            }
        }
    };
}

owes!(limit, |inner| Limit::new(inner, 8), "limit(8, probe:x)", |inner| inner);
owes!(timeout, |inner| Timeout::new(inner, Duration::from_secs(30)), "timeout(30s, probe:x)", |inner| inner);
owes!(retry, |inner| Retry::new(inner, RetryPolicy::new()), "retry(probe:x)", |inner| inner
    .with_exact_outcome(false));
owes!(cache, |inner| Cache::new(inner, 1 << 20), "cache(1 MiB, probe:x)", |inner| inner);
owes!(
    exclusive_cache,
    |inner| Cache::new(inner, 1000).with_exclusive(true),
    "cache(1000 bytes, probe:x)",
    |inner| inner.with_shared(false)
);
owes!(verify, |inner| Verify::new(inner, is_named), "verify(probe:x)", |inner| inner);
owes!(observe, Observe::new, "observe(probe:x)", |inner| inner);
owes!(faulty, |inner| Faulty::new(inner, FaultPlan::new(42)), "faulty(seed 42, probe:x)", |inner| inner);
owes!(tiered, |inner| Tiered::new(Probe::called("fast"), inner), "tiered(probe:fast, probe:x)", |inner| {
    inner
});
owes!(mirror, |inner| mirror_of([inner]), "mirror(probe:x)", |inner| inner.with_exact_outcome(false));
owes!(
    recommended_stack,
    |inner| Cache::new(
        Retry::new(Timeout::new(Limit::new(inner, 4), Duration::from_secs(9)), RetryPolicy::new()),
        64 << 20
    ),
    "cache(64 MiB, retry(timeout(9s, limit(4, probe:x))))",
    |inner| inner.with_exact_outcome(false)
);

fn full() -> Capabilities {
    Capabilities::new(Durability::OnPut)
}

fn weak() -> Capabilities {
    Capabilities::new(Durability::Volatile)
        .with_exact_outcome(false)
        .with_shared(false)
        .with_drop_ordered(false)
        .with_lists(false)
        .with_deletes(false)
        .with_roots(false)
        .with_max_chunk_len(1000)
}

/// A wrapper cannot promise what the inner store does not.
fn assert_no_stronger(outer: Capabilities, inner: Capabilities) {
    assert!(outer.durability <= inner.durability);
    assert!(outer.max_chunk_len <= inner.max_chunk_len);
    let flags = |c: Capabilities| [c.exact_outcome, c.shared, c.drop_ordered, c.lists, c.deletes, c.roots];
    assert!(flags(outer) <= flags(inner) && flags(outer).iter().zip(flags(inner)).all(|(o, i)| *o <= i));
}

/// Calls every method once and holds the inner store's counts against it: a batch or a `stat` that was made
/// of puts, deletes and gets has lost what the inner store does better.
async fn forwards_batches_and_roots(wrapper: &dyn Backend, inner: &Probe) {
    let chunks = vec![(id(1), Bytes::from_static(b"a")), (id(2), Bytes::from_static(b"bb"))];
    for outcome in wrapper.put_many(chunks).await {
        outcome.unwrap();
    }
    assert_eq!(inner.ids(), [id(1), id(2)]);
    assert_eq!(wrapper.stat(id(2)).await.unwrap().unwrap().len, 2);
    wrapper.flush().await.unwrap();
    let listed: Vec<_> = wrapper.list(Some(id(1))).try_collect().await.unwrap();
    assert_eq!(listed.iter().map(|meta| meta.id).collect::<Vec<_>>(), [id(2)]);
    for result in wrapper.delete_many(vec![id(1), id(2)]).await {
        result.unwrap();
    }
    assert_eq!(inner.ids(), []);

    let root = name("root");
    let swap = wrapper.swap(&root, Expect::Absent, Some(Bytes::from_static(b"v"))).await.unwrap();
    let Swap::Done(Some(version)) = swap else { panic!("{swap:?}") };
    assert_eq!(wrapper.load(&root).await.unwrap().unwrap().version, version);
    assert_eq!(wrapper.names().try_collect::<Vec<_>>().await.unwrap(), [root]);

    // Items and names are counted beside the calls that they belong to.
    let mut calls = inner.all_calls();
    calls.retain(|(op, _)| !["next", "name", "item"].contains(op));
    let once =
        ["delete_many", "flush", "list", "load", "names", "put_many", "stat", "swap"].map(|op| (op, 1));
    assert_eq!(calls, once);
}

fn mirror_of<const N: usize>(replicas: [Probe; N]) -> Mirror {
    Mirror::new(replicas.map(|replica| Arc::new(replica) as Arc<dyn Backend>).into()).unwrap()
}

/// Of two stores, each the weaker one in something, all that is weak shows.
#[test]
fn capabilities_of_several_compose_to_the_weakest() {
    let one = Capabilities::new(Durability::OnFlush).with_shared(false).with_deletes(false);
    let two = full().with_drop_ordered(false).with_lists(false).with_roots(false).with_max_chunk_len(7);
    let both = Capabilities::new(Durability::OnFlush)
        .with_exact_outcome(false)
        .with_shared(false)
        .with_drop_ordered(false)
        .with_lists(false)
        .with_deletes(false)
        .with_roots(false)
        .with_max_chunk_len(7);
    let [one, two] = [one, two].map(Probe::with_capabilities);
    assert_eq!(mirror_of([one.clone(), two.clone()]).capabilities(), both);
    assert_eq!(mirror_of([two.clone(), one.clone()]).capabilities(), both);
    // The slow store is the truth; the fast one only matters for deletes, which reach both.
    let tiered = Tiered::new(two.clone(), one.clone());
    assert_eq!(tiered.capabilities(), one.capabilities().with_drop_ordered(false));
    let tiered = Tiered::new(one, two.clone());
    assert_eq!(tiered.capabilities(), two.capabilities().with_deletes(false));
}

#[tokio::test]
async fn no_despecialisation_by_a_mirror_of_several() {
    let probes = ["a", "b"].map(Probe::called);
    let mirror = mirror_of(probes.clone());
    let chunks = vec![(id(1), Bytes::from_static(b"a")), (id(2), Bytes::from_static(b"bb"))];
    assert!(mirror.put_many(chunks).await.iter().all(Result::is_ok));
    assert_eq!(mirror.stat(id(2)).await.unwrap().unwrap().len, 2);
    assert!(mirror.delete_many(vec![id(1), id(2)]).await.iter().all(Result::is_ok));
    for probe in &probes {
        let mut calls = probe.all_calls();
        calls.retain(|(op, _)| *op != "item");
        assert_eq!(calls, [("delete_many", 1), ("put_many", 1), ("stat", 1)]);
    }
}

/// Prefix refuses deletes and passes on the rest.
#[tokio::test]
async fn no_despecialisation_by_a_prefix() {
    let probe = Probe::new();
    let prefix = Prefix::new(probe.clone(), "a/").unwrap();
    assert!(
        prefix.put_many(vec![(id(1), Bytes::new()), (id(2), Bytes::new())]).await.iter().all(Result::is_ok)
    );
    prefix.stat(id(1)).await.unwrap().unwrap();
    prefix.flush().await.unwrap();
    let mut calls = probe.all_calls();
    calls.retain(|(op, _)| *op != "item");
    assert_eq!(calls, [("flush", 1), ("put_many", 1), ("stat", 1)]);
    for inner in [full(), weak()] {
        let prefix = Prefix::new(Probe::with_capabilities(inner), "a/").unwrap();
        assert_eq!(prefix.capabilities(), inner.with_deletes(false));
    }
}

/// ReadOnly refuses writes and passes on the rest.
#[tokio::test]
async fn no_despecialisation_by_read_only() {
    let probe = Probe::new();
    let store = ReadOnly::new(probe.clone());
    store.stat(id(1)).await.unwrap();
    assert_eq!(probe.all_calls(), [("stat", 1)]);
    for inner in [full(), weak()] {
        assert_eq!(ReadOnly::new(Probe::with_capabilities(inner)).capabilities(), inner);
    }
}
