//! `Faulty`: the faults that were asked for, as often as asked for, and the same ones every time.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

#[path = "support/probe.rs"]
mod probe;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use probe::{Probe, id, name};
use selfenc_core::store::{Backend, ChunkStore, ChunkStoreExt, ErrorKind, Expect, RootStore, RootStoreExt};
use selfenc_core::wrap::{Failure, Fault, FaultKind, FaultPlan, Faulty, Op};

fn everything(seed: u64) -> FaultPlan {
    FaultPlan::new(seed)
        .with_failures_before(100)
        .with_failures_after(100)
        .with_damage(100)
        .with_truncation(100)
        .with_list_errors(50)
}

fn data(n: u8) -> Bytes {
    Bytes::from(vec![n; 100])
}

/// Everything that a caller sees of a run of many calls.
async fn run(store: &Faulty<Probe>) -> Vec<String> {
    let mut seen = Vec::new();
    for round in 0..5 {
        for n in 0..20 {
            seen.push(format!("{:?}", store.put(id(n), data(n)).await.map_err(|e| e.to_string())));
            seen.push(format!("{:?}", store.get(id(n)).await.map_err(|e| e.to_string())));
            seen.push(format!("{:?}", store.stat(id(n)).await.map_err(|e| e.to_string())));
        }
        let batch = (0..20).map(|n| (id(n), data(n))).collect();
        seen.push(format!("{:?}", store.put_many(batch).await));
        seen.push(format!("{:?}", store.list(None).collect::<Vec<_>>().await));
        let root = name(&format!("root {round}"));
        seen.push(format!("{:?}", store.swap(&root, Expect::Absent, Some(Bytes::new())).await.is_ok()));
        seen.push(format!("{:?}", store.load(&root).await.is_ok()));
        seen.push(format!("{:?}", store.names().collect::<Vec<_>>().await));
        seen.push(format!("{:?}", store.delete_many((0..20).map(id).collect()).await));
        seen.push(format!("{:?}", store.flush().await));
    }
    seen
}

fn sorted(log: &[Fault]) -> Vec<String> {
    let mut lines: Vec<_> = log.iter().map(|fault| format!("{fault} {fault:?}")).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn faults_replay_from_seed() {
    let stores = [7, 7, 8].map(|seed| Faulty::new(Probe::new(), everything(seed)));
    let seen = [run(&stores[0]).await, run(&stores[1]).await, run(&stores[2]).await];
    assert!(stores[0].log().len() > 50);
    assert_eq!(seen[0], seen[1]);
    assert_eq!(stores[0].log(), stores[1].log());
    assert_ne!(stores[0].log(), stores[2].log());
    let what = |wanted: fn(&FaultKind) -> bool| stores[0].log().iter().any(|fault| wanted(&fault.what));
    assert!(
        what(|kind| matches!(kind, FaultKind::Before(_))) && what(|kind| matches!(kind, FaultKind::After(_)))
    );
    assert!(
        what(|kind| matches!(kind, FaultKind::Flipped(_))) && what(|kind| matches!(kind, FaultKind::Cut(_)))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrency_changes_no_fault() {
    let mut logs = Vec::new();
    for concurrent in [1, 64, 64] {
        let store = Arc::new(Faulty::new(Probe::new(), everything(3).with_delay(Duration::from_micros(50))));
        let calls = (0..400u32).map(|n| {
            let store = Arc::clone(&store);
            let id = id(u8::try_from(n % 100).unwrap());
            tokio::spawn(async move { drop(store.put(id, data(1)).await) })
        });
        futures::stream::iter(calls).buffer_unordered(concurrent).for_each(|_| async {}).await;
        let gets = (0..100).map(|n| store.get(id(n)));
        let gets: Vec<_> = futures::stream::iter(gets).buffer_unordered(concurrent).collect().await;
        assert_eq!(gets.len(), 100);
        // A put that never happened leaves nothing for a get to damage; who came first decides only that.
        let errors = store.log().into_iter();
        let errors = errors.filter(|fault| !matches!(fault.what, FaultKind::Flipped(_) | FaultKind::Cut(_)));
        logs.push(sorted(&errors.collect::<Vec<_>>()));
    }
    assert!(logs[0].len() > 50);
    assert!(logs[0] == logs[1] && logs[1] == logs[2]);
}

#[tokio::test]
async fn the_rates_are_those_asked_for() {
    let calls = 10_000;
    for (plan, wanted) in [
        (FaultPlan::new(1).with_failures_before(50), 500),
        (FaultPlan::new(1).with_failures_after(50), 500),
        (FaultPlan::new(1).with_damage(200), 2000),
        (FaultPlan::new(1).with_truncation(10), 100),
        (FaultPlan::new(1), 0),
        (FaultPlan::new(1).with_failures_before(1000), calls),
    ] {
        let store = Faulty::new(Probe::new(), plan.clone());
        store.inner().plant(id(1), data(1));
        for _ in 0..calls {
            drop(store.get(id(1)).await);
        }
        let faults = store.log().len();
        let tolerance = if wanted % calls == 0 { 0 } else { wanted / 4 };
        assert!(faults.abs_diff(wanted) <= tolerance, "{faults} faults of {plan:?}");
    }
}

#[tokio::test]
async fn damage_is_one_bit_and_truncation_is_shorter() {
    let whole = data(0);
    let store = Faulty::new(Probe::new(), FaultPlan::new(5).with_damage(1000));
    store.inner().plant(id(1), whole.clone());
    store.inner().plant(id(2), Bytes::new());
    for n in 0..200 {
        let got = store.get(id(1)).await.unwrap().unwrap();
        let bits: u32 = got.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!((got.len(), bits), (100, 1));
        let FaultKind::Flipped(bit) = store.log()[n].what else { panic!("{:?}", store.log()[n]) };
        assert_eq!(got[usize::try_from(bit / 8).unwrap()], 1 << (bit % 8));
    }
    assert_eq!(store.get(id(2)).await.unwrap().unwrap(), "", "nothing is nothing to damage");
    assert!(store.inner().peek(id(1)).unwrap() == whole, "what is stored is good");
    let store = Faulty::new(Probe::new(), FaultPlan::new(5).with_truncation(1000));
    store.inner().plant(id(1), whole);
    for n in 0..200 {
        let got = store.get(id(1)).await.unwrap().unwrap();
        assert!(got.len() < 100);
        assert_eq!(store.log()[n].what, FaultKind::Cut(got.len() as u64));
    }
}

#[tokio::test]
async fn before_means_nothing_happened_and_after_means_it_did() {
    let store = Faulty::new(Probe::new(), FaultPlan::new(1).with_failures_before(1000));
    let e = store.put(id(1), data(1)).await.unwrap_err();
    assert_eq!(
        (e.kind(), e.op(), e.chunk(), e.is_transient()),
        (ErrorKind::Unavailable, "put", Some(id(1)), true)
    );
    assert!(store.put_many(vec![(id(1), data(1))]).await[0].is_err());
    assert_eq!(store.inner().all_calls(), []);
    let store = Faulty::new(Probe::new(), FaultPlan::new(1).with_failures_after(1000));
    assert_eq!(store.put(id(1), data(1)).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(store.put_many(vec![(id(2), data(2))]).await[0].is_err());
    assert!(store.swap(&name("map"), Expect::Absent, Some(data(0))).await.is_err());
    assert_eq!(store.inner().ids(), [id(1), id(2)]);
    assert!(store.inner().peek_root(&name("map")).is_some());
    assert_eq!(store.inner().calls("put_many"), 1, "a batch stays a batch");
}

#[tokio::test]
async fn an_update_survives_faults() {
    let plan = FaultPlan::new(11).with_failures_after(300);
    let store = Faulty::new(Probe::new(), plan);
    let mut done = 0;
    for n in 0..50u8 {
        // It may fail, when the load fails, but what it says it did it did.
        if store.update(&name("map"), |_| Ok(Some(Bytes::from(vec![n])))).await.is_ok() {
            assert_eq!(store.inner().peek_root(&name("map")).unwrap(), vec![n]);
            done += 1;
        }
    }
    assert!((1..50).contains(&done), "{done}");
}

#[tokio::test]
async fn a_listing_ends_in_the_error_and_gets_further_next_time() {
    let store = Faulty::new(Probe::new(), FaultPlan::new(2).with_list_errors(100));
    let all: Vec<_> = (0..100).map(id).collect();
    all.iter().for_each(|id| store.inner().plant(*id, Bytes::new()));
    let (mut after, mut seen, mut errors) = (None, Vec::new(), 0);
    loop {
        let part: Vec<_> = store.list(after).collect().await;
        let failed = part.iter().filter(|item| item.is_err()).count();
        assert!(failed <= 1 && part.iter().rev().skip(1).all(Result::is_ok), "it ends after an error");
        seen.extend(part.into_iter().flatten().map(|meta| meta.id));
        after = seen.last().copied();
        errors += failed;
        assert!(errors < 100, "it gets no further");
        if failed == 0 {
            break;
        }
    }
    assert_eq!(seen, all);
    assert!((3..30).contains(&errors), "{errors}");
    assert_eq!(store.log().len(), errors);
}

#[tokio::test]
async fn an_armed_operation_fails_until_disarmed() {
    let store = Faulty::new(Probe::new(), FaultPlan::new(0));
    store.inner().plant(id(1), data(1));
    let kinds = [ErrorKind::Full, ErrorKind::Corrupt, ErrorKind::Locked];
    for (n, op) in Op::ALL.into_iter().enumerate() {
        let kind = kinds[n % 3];
        for failure in [Failure::Before(kind), Failure::After(kind)] {
            store.arm(op, failure);
            let outcomes = every_op(&store).await;
            for (other, outcome) in &outcomes {
                let batch = matches!((op, other), (Op::Put, Op::PutMany) | (Op::Delete, Op::DeleteMany));
                let wanted = if op == *other || batch { Some(kind) } else { None };
                assert_eq!(*outcome, wanted, "{other} with {op} armed");
            }
            assert_eq!(outcomes.len(), Op::ALL.len());
            store.disarm();
            assert!(every_op(&store).await.values().all(Option::is_none));
        }
    }
    // A listing whose reply is lost gives all its items first.
    store.inner().plant(id(1), data(1));
    store.arm(Op::List, Failure::After(ErrorKind::Timeout));
    let listed: Vec<_> = store.list(None).collect().await;
    assert!(listed.len() == 2 && listed[0].is_ok() && listed[1].is_err());
}

async fn every_op(store: &Faulty<Probe>) -> BTreeMap<Op, Option<ErrorKind>> {
    let map = name("map");
    fn kind<T>(result: selfenc_core::store::Result<T>) -> Option<ErrorKind> {
        result.err().map(|e| e.kind())
    }
    let swap = store.swap(&map, Expect::Absent, None).await;
    [
        (Op::Put, kind(store.put(id(1), data(1)).await)),
        (Op::Get, kind(store.get(id(1)).await)),
        (Op::Stat, kind(store.stat(id(1)).await)),
        (Op::List, kind(store.count().await)),
        (Op::Delete, kind(store.delete(id(1)).await)),
        (Op::Flush, kind(store.flush().await)),
        (Op::PutMany, kind(store.put_many(vec![(id(1), data(1))]).await.remove(0))),
        (Op::DeleteMany, kind(store.delete_many(vec![id(1)]).await.remove(0))),
        (Op::Load, kind(store.load(&map).await)),
        (Op::Swap, kind(swap)),
        (Op::Names, kind(store.names().try_collect::<Vec<_>>().await)),
    ]
    .into()
}

#[tokio::test(start_paused = true)]
async fn delays_are_at_most_as_long_as_asked() {
    let longest = Duration::from_millis(100);
    let store = Faulty::new(Probe::new(), FaultPlan::new(4).with_delay(longest));
    let mut total = Duration::ZERO;
    for n in 0..200 {
        let start = tokio::time::Instant::now();
        store.get(id(n)).await.unwrap();
        assert!(start.elapsed() <= longest + Duration::from_millis(1), "{:?}", start.elapsed());
        total += start.elapsed();
    }
    let mean = total / 200;
    assert!((35..65).contains(&mean.as_millis()), "{mean:?}");
}

#[tokio::test]
async fn it_says_what_it_is_and_what_it_did() {
    let store = Faulty::new(Probe::new(), FaultPlan::new(42));
    assert_eq!(store.info().to_string(), "faulty(seed 42, probe:x)");
    assert_eq!(store.capabilities(), store.inner().capabilities());
    store.arm(Op::Get, Failure::Before(ErrorKind::Throttled));
    store.get(id(0xab)).await.unwrap_err();
    let e = store.get(id(0xab)).await.unwrap_err();
    assert_eq!(e.to_string(), "get abababab: throttled: injected before it began (seed 42, call 1)");
    assert_eq!(store.log()[1].to_string(), "get abababab, call 1: Throttled before it began");
    let _: &dyn Backend = &store;
}
