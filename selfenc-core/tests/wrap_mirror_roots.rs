//! `Mirror`, its roots: the first replica decides, the others follow.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

#[path = "support/probe.rs"]
mod probe;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use probe::{At, Probe, Step, name};
use selfenc_core::store::{
    Backend, Capabilities, Durability, ErrorKind, Expect, RootStore, RootStoreExt, RootVersion, Swap,
};
use selfenc_core::wrap::Mirror;

fn over(probes: &[Probe]) -> Arc<Mirror> {
    let replicas = probes.iter().map(|probe| Arc::new(probe.clone()) as Arc<dyn Backend>).collect();
    Arc::new(Mirror::new(replicas).unwrap())
}

fn three() -> ([Probe; 3], Arc<Mirror>) {
    let probes = ["a", "b", "c"].map(Probe::called);
    let mirror = over(&probes);
    (probes, mirror)
}

fn value(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

/// What each replica has.
fn roots(probes: &[Probe]) -> Vec<Option<Bytes>> {
    probes.iter().map(|probe| probe.peek_root(&name("map"))).collect()
}

#[tokio::test]
async fn a_swap_that_is_done_is_on_all_replicas() {
    let (probes, mirror) = three();
    let map = name("map");
    let Swap::Done(Some(version)) = mirror.swap(&map, Expect::Absent, value("1")).await.unwrap() else {
        panic!("it was free");
    };
    assert_eq!(roots(&probes), vec![value("1"); 3]);
    assert_eq!(mirror.load(&map).await.unwrap().unwrap().version, version);
    // A conflict shows what is there, in a version that can be swapped.
    let Swap::Conflict(Some(root)) = mirror.swap(&map, Expect::Absent, value("2")).await.unwrap() else {
        panic!("it is taken");
    };
    let swap = mirror.swap(&map, Expect::Version(root.version), value("2")).await.unwrap();
    let Swap::Done(Some(second)) = swap else { panic!("{swap:?}") };
    assert_eq!(roots(&probes), vec![value("2"); 3]);
    let stale = mirror.swap(&map, Expect::Version(version), None).await.unwrap();
    assert!(matches!(stale, Swap::Conflict(Some(root)) if root.version == second));
    assert_eq!(mirror.swap(&map, Expect::Version(second), None).await.unwrap(), Swap::Done(None));
    assert_eq!(roots(&probes), vec![None; 3]);
}

#[tokio::test]
async fn a_failed_copy_is_said_and_made_up_for() {
    let (probes, mirror) = three();
    let map = name("map");
    // Throttled would mean that nothing happened, and a retry would repeat it.
    probes[1].break_down("swap", ErrorKind::Throttled);
    let e = mirror.swap(&map, Expect::Absent, value("1")).await.unwrap_err();
    assert_eq!((e.kind(), e.is_transient()), (ErrorKind::Unavailable, true));
    assert!(e.to_string().contains("replica 1 (probe:b)"), "{e}");
    assert_eq!(roots(&probes), [value("1"), None, value("1")]);
    assert_eq!(mirror.stats().roots_behind, 1);
    // Reading goes on meanwhile.
    assert_eq!(mirror.load(&map).await.unwrap().map(|root| root.value), value("1"));
    assert_eq!((roots(&probes)[1].clone(), mirror.stats().roots_behind), (None, 1));
    probes[1].heal();
    assert_eq!(mirror.load(&map).await.unwrap().map(|root| root.value), value("1"));
    assert_eq!(roots(&probes), vec![value("1"); 3]);
    assert_eq!(mirror.stats().roots_behind, 0);
    let loads = probes[1].calls("load");
    mirror.load(&map).await.unwrap();
    assert_eq!(probes[1].calls("load"), loads, "what is not behind is not copied again");
}

#[tokio::test]
async fn update_gets_over_lost_replies_of_any_replica() {
    let (probes, mirror) = three();
    let map = name("map");
    for (n, lost) in probes.iter().enumerate() {
        lost.script("swap", [Step::After(ErrorKind::Timeout)]);
        let text = Bytes::from(n.to_string());
        let root = mirror.update(&map, |_| Ok(Some(text.clone()))).await.unwrap().unwrap();
        assert_eq!(root.value, text);
        assert_eq!(roots(&probes), vec![Some(text); 3]);
        assert_eq!(mirror.load(&map).await.unwrap().unwrap().version, root.version);
    }
}

#[tokio::test]
async fn a_dropped_swap_is_made_up_for() {
    let (probes, mirror) = three();
    let map = name("map");
    probes[2].hold("swap", At::Start);
    let dropped =
        tokio::time::timeout(Duration::from_millis(10), mirror.swap(&map, Expect::Absent, value("1"))).await;
    assert!(dropped.is_err());
    assert_eq!(roots(&probes), [value("1"), value("1"), None]);
    probes[2].release("swap");
    assert_eq!(mirror.load(&map).await.unwrap().map(|root| root.value), value("1"));
    assert_eq!(roots(&probes), vec![value("1"); 3]);
}

#[tokio::test]
async fn without_the_first_replica_roots_are_read_and_not_swapped() {
    let (probes, mirror) = three();
    let map = name("map");
    mirror.swap(&map, Expect::Absent, value("1")).await.unwrap();
    probes[0].break_down("load", ErrorKind::Unavailable);
    probes[1].fail("load", ErrorKind::Timeout, 1);
    let root = mirror.load(&map).await.unwrap().unwrap();
    assert_eq!(Some(root.value), value("1"));
    let e = mirror.swap(&map, Expect::Version(root.version), value("2")).await.unwrap_err();
    assert_eq!((e.kind(), e.is_transient()), (ErrorKind::Unavailable, false));
    assert!(e.to_string().contains("load it again"), "{e}");
    assert_eq!(roots(&probes), vec![value("1"); 3]);
    // An update ends at once instead of trying a thousand times.
    let swaps = probes[0].calls("swap");
    assert_eq!(mirror.update(&map, |_| Ok(value("2"))).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(probes[0].calls("swap"), swaps);
    // What the others lack, the first may have.
    let e = mirror.load(&name("other")).await.unwrap_err();
    assert_eq!((e.kind(), e.is_transient()), (ErrorKind::Unavailable, true));
    assert!(e.to_string().contains("replica 0 (probe:a)"), "{e}");
    probes[0].heal();
    assert!(mirror.load(&name("other")).await.unwrap().is_none());
    // A version that no mirror gave is never the current one.
    let current = mirror.load(&map).await.unwrap();
    for foreign in [&b""[..], &[0], &[9, 9], b"nonsense"] {
        let expect = Expect::Version(RootVersion::new(foreign.to_vec()));
        assert_eq!(
            mirror.swap(&map, expect, None).await.unwrap(),
            Swap::Conflict(current.clone()),
            "{foreign:?}"
        );
    }
}

#[tokio::test]
async fn the_first_replica_alone_says_what_is_absent() {
    let (probes, mirror) = three();
    probes[1].swap(&name("map"), Expect::Absent, value("left over")).await.unwrap();
    assert!(mirror.load(&name("map")).await.unwrap().is_none());
    mirror.swap(&name("map"), Expect::Absent, value("new")).await.unwrap();
    assert_eq!(roots(&probes), vec![value("new"); 3]);
}

#[tokio::test]
async fn names_are_those_of_all_replicas_each_once() {
    let (probes, mirror) = three();
    mirror.swap(&name("everywhere"), Expect::Absent, value("1")).await.unwrap();
    probes[2].swap(&name("left over"), Expect::Absent, value("1")).await.unwrap();
    let names: Vec<_> = mirror.names().try_collect().await.unwrap();
    assert_eq!(names.len(), 2);
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), [name("everywhere"), name("left over")].into());
    probes[1].fail("name", ErrorKind::Unavailable, 1);
    let e = mirror.names().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(e.to_string().contains("replica 1 (probe:b)"), "{e}");
    probes[0].fail("name", ErrorKind::Unavailable, 1);
    let all: Vec<_> = futures::StreamExt::collect(mirror.names()).await;
    assert!(all.len() == 1 && all[0].is_err(), "it ends after an error: {all:?}");
}

#[tokio::test]
async fn ten_workers_count_to_three_hundred() {
    let probes = ["a", "b", "c"].map(Probe::called);
    for probe in &probes {
        probe.delay("swap", Duration::from_micros(100));
    }
    // Two mirrors of the same replicas, as two processes would have.
    let mirrors = [over(&probes), over(&probes)];
    let workers = (0..10).map(|n| {
        let mirror = Arc::clone(&mirrors[n % 2]);
        tokio::spawn(async move {
            for _ in 0..30 {
                mirror.update(&name("map"), |old| Ok(Some(next(old)))).await.unwrap();
            }
        })
    });
    futures::future::try_join_all(workers).await.unwrap();
    for mirror in &mirrors {
        mirror.load(&name("map")).await.unwrap();
    }
    assert_eq!(roots(&probes), vec![value("300"); 3]);
}

fn next(old: Option<&Bytes>) -> Bytes {
    let old: u32 = old.map_or(0, |old| std::str::from_utf8(old).unwrap().parse().unwrap());
    (old + 1).to_string().into()
}

#[tokio::test]
async fn if_one_keeps_no_roots_none_does() {
    let rootless = Probe::with_capabilities(Capabilities::new(Durability::OnPut).with_roots(false));
    let first = Probe::new();
    let mirror = over(&[first.clone(), rootless]);
    let map = name("map");
    assert_eq!(mirror.load(&map).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let e = mirror.swap(&map, Expect::Absent, value("1")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    let e = mirror.names().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert_eq!(first.all_calls(), []);
}
