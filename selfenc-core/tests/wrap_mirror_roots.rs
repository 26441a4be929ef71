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

#[tokio::test(start_paused = true)]
async fn first_replica_replaced_by_empty() {
    let probes = ["a", "b", "c"].map(Probe::called);
    let map = name("map");
    over(&probes).swap(&map, Expect::Absent, value("ten years of work")).await.unwrap();
    let probes = [Probe::called("new"), probes[1].clone(), probes[2].clone()];
    let mirror = over(&probes);
    let nothing_lost = [None, value("ten years of work"), value("ten years of work")];
    for _ in 0..2 {
        let load = mirror.load(&map).await.map(drop);
        let swap = mirror.swap(&map, Expect::Absent, value("fresh")).await.map(drop);
        let update = mirror.update(&map, |_| Ok(value("fresh"))).await.map(drop);
        for (result, op) in [(load, "load"), (swap, "swap"), (update, "load")] {
            let e = result.unwrap_err();
            assert_eq!((e.kind(), e.op(), e.is_transient()), (ErrorKind::Corrupt, op, false));
            let text = e.to_string();
            let says = "replica 0 (probe:new) lacks a root that replica 1 (probe:b) has";
            assert!(text.contains(says) && text.contains("copy the root back"), "{text}");
        }
        assert_eq!(roots(&probes), nothing_lost);
    }
    assert_eq!((probes[0].calls("swap"), mirror.stats().roots_behind), (0, 0));
    // Copied back, all is well.
    probes[0].swap(&map, Expect::Absent, value("ten years of work")).await.unwrap();
    mirror.update(&map, |old| Ok(old.filter(|old| *old == "ten years of work").cloned())).await.unwrap();
    assert_eq!(roots(&probes), vec![value("ten years of work"); 3]);
}

#[tokio::test(start_paused = true)]
async fn a_first_replica_that_is_replaced_while_others_run_is_noticed_too() {
    let (probes, mirror) = three();
    let map = name("map");
    mirror.swap(&map, Expect::Absent, value("1")).await.unwrap();
    probes[1].break_down("swap", ErrorKind::Unavailable);
    let version = mirror.load(&map).await.unwrap().unwrap().version;
    mirror.swap(&map, Expect::Version(version), value("2")).await.unwrap_err();
    probes[1].heal();
    let root = probes[0].load(&map).await.unwrap();
    probes[0].swap(&map, Expect::from(root.as_ref()), None).await.unwrap();
    assert_eq!(mirror.load(&map).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(mirror.stats().roots_behind, 1);
    assert_eq!(roots(&probes), [None, value("1"), value("2")], "no removal was asked for here");
}

#[tokio::test]
async fn what_may_be_elsewhere_is_not_called_absent() {
    let (probes, mirror) = three();
    let map = name("map");
    probes[2].break_down("load", ErrorKind::Unavailable);
    let e = mirror.load(&map).await.unwrap_err();
    assert_eq!((e.kind(), e.is_transient()), (ErrorKind::Unavailable, true));
    assert!(e.to_string().contains("replica 2 (probe:c)"), "{e}");
    let e = mirror.swap(&map, Expect::Absent, value("1")).await.unwrap_err();
    assert_eq!((e.kind(), e.op(), probes[0].calls("swap")), (ErrorKind::Unavailable, "swap", 0));
    probes[2].heal();
    assert!(mirror.load(&map).await.unwrap().is_none());
}

#[tokio::test]
async fn a_removal_from_here_that_is_unfinished_is_an_absence() {
    let (probes, mirror) = three();
    let map = name("map");
    let Swap::Done(Some(version)) = mirror.swap(&map, Expect::Absent, value("1")).await.unwrap() else {
        panic!("it was free");
    };
    probes[2].break_down("swap", ErrorKind::Unavailable);
    mirror.swap(&map, Expect::Version(version), None).await.unwrap_err();
    assert_eq!((roots(&probes), mirror.stats().roots_behind), (vec![None, None, value("1")], 1));
    assert!(mirror.load(&map).await.unwrap().is_none());
    let e = mirror.swap(&map, Expect::Absent, value("2")).await.unwrap_err();
    assert_eq!((e.kind(), e.is_transient()), (ErrorKind::Unavailable, true));
    let version = mirror.load(&map).await.unwrap().unwrap().version;
    mirror.swap(&map, Expect::Version(version), None).await.unwrap_err();
    probes[2].heal();
    // Settled by a swap that nobody's load came before.
    mirror.swap(&map, Expect::Absent, value("3")).await.unwrap();
    assert_eq!((roots(&probes), mirror.stats().roots_behind), (vec![value("3"); 3], 0));
    // While it runs, it is one too.
    let version = mirror.load(&map).await.unwrap().unwrap().version;
    probes[1].hold("swap", At::Start);
    let mut removal = mirror.swap(&map, Expect::Version(version), None);
    assert!(futures::poll!(&mut removal).is_pending());
    probes[1].until_waiting("swap", 1).await;
    assert!(mirror.load(&map).await.unwrap().is_none(), "and nobody waits for it");
    assert_eq!(roots(&probes)[1], value("3"));
    probes[1].release("swap");
    removal.await.unwrap();
    assert_eq!(roots(&probes), vec![None; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_by_another_process_is_waited_for() {
    let probes = ["a", "b", "c"].map(Probe::called);
    let (here, there) = (over(&probes), over(&probes));
    let map = name("map");
    here.swap(&map, Expect::Absent, value("1")).await.unwrap();
    let version = there.load(&map).await.unwrap().unwrap().version;
    probes[2].delay("swap", Duration::from_millis(100));
    let removal = tokio::spawn(async move { there.swap(&name("map"), Expect::Version(version), None).await });
    while roots(&probes)[0].is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(roots(&probes)[2], value("1"));
    assert!(here.load(&map).await.unwrap().is_none());
    assert_eq!(removal.await.unwrap().unwrap(), Swap::Done(None));
}

#[tokio::test]
async fn after_a_restart_what_is_behind_catches_up_before_it_is_read() {
    let (probes, mirror) = three();
    let map = name("map");
    mirror.swap(&map, Expect::Absent, value("1")).await.unwrap();
    probes[1].break_down("swap", ErrorKind::Unavailable);
    mirror.update(&map, |_| Ok(value("2"))).await.unwrap();
    assert_eq!(roots(&probes), [value("2"), value("1"), value("2")]);
    // Behind: an older value must not come after a newer one.
    probes[0].break_down("load", ErrorKind::Timeout);
    assert_eq!(mirror.load(&map).await.unwrap_err().kind(), ErrorKind::Timeout);
    // The restart, which knows nothing of it.
    let mirror = over(&probes);
    let e = mirror.load(&map).await.unwrap_err();
    assert_eq!((e.kind(), e.is_transient()), (ErrorKind::Timeout, true));
    assert!(e.to_string().contains("replica 0 (probe:a)"), "{e}");
    probes[0].heal();
    assert_eq!(mirror.load(&map).await.unwrap().map(|root| root.value), value("2"), "replica 1 still fails");
    probes[0].break_down("load", ErrorKind::Timeout);
    assert!(mirror.load(&map).await.is_err(), "still not in step");
    probes[0].heal();
    probes[1].heal();
    assert_eq!(mirror.load(&map).await.unwrap().map(|root| root.value), value("2"));
    assert_eq!((roots(&probes), mirror.stats().roots_behind), (vec![value("2"); 3], 0));
    // In step, the next one may answer.
    probes[0].fail("load", ErrorKind::Timeout, 1);
    assert_eq!(mirror.load(&map).await.unwrap().map(|root| root.value), value("2"));
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
