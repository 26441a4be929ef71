//! `Observe`: its counters against a scripted run, and what its events say and do not say.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

#[path = "support/probe.rs"]
mod probe;

use std::io::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use probe::{At, Probe, id, name};
use selfenc_core::store::{Backend, ChunkStore, ErrorKind, Expect, RootStore};
use selfenc_core::wrap::{Observe, Op, OpCounts};
use tracing_subscriber::fmt::MakeWriter;

/// A subscriber of one thread may miss the events of places that another thread comes by for the first
/// time at that moment, so these tests run one by one.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn bytes(len: usize) -> Bytes {
    Bytes::from(vec![b'Z'; len])
}

/// Calls, errors, cancelled, items.
fn four(counts: OpCounts) -> [u64; 4] {
    [counts.calls, counts.errors, counts.cancelled, counts.items]
}

/// One of everything that can happen.
async fn scripted_run(store: &Observe<Probe>) {
    let probe = store.inner().clone();
    store.put(id(1), bytes(10)).await.unwrap();
    store.put(id(1), bytes(10)).await.unwrap();
    probe.fail("put", ErrorKind::Full, 1);
    store.put(id(2), bytes(100)).await.unwrap_err();
    assert_eq!(store.put_many(vec![(id(1), bytes(10)), (id(3), bytes(30))]).await.len(), 2);
    probe.fail("item", ErrorKind::Full, 2);
    assert_eq!(store.put_many(vec![(id(4), bytes(1)), (id(5), bytes(1)), (id(6), bytes(6))]).await.len(), 3);
    store.get(id(3)).await.unwrap();
    store.get(id(99)).await.unwrap();
    probe.fail("get", ErrorKind::Unavailable, 1);
    store.get(id(1)).await.unwrap_err();
    probe.hold("get", At::Start);
    let mut dropped = store.get(id(1));
    assert!(futures::poll!(&mut dropped).is_pending());
    drop(dropped);
    drop(store.get(id(1))); // it never began
    probe.release("get");
    store.stat(id(1)).await.unwrap();
    assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap().len(), 3);
    store.list(None).next().await.unwrap().unwrap();
    drop(store.list(None)); // it never began
    probe.script("next", [probe::Step::Pass, probe::Step::Before(ErrorKind::Unavailable)]);
    assert!(store.list(None).try_collect::<Vec<_>>().await.is_err());
    store.swap(&name("secret-name"), Expect::Absent, Some(Bytes::from_static(b"root value"))).await.unwrap();
    store.swap(&name("secret-name"), Expect::Absent, None).await.unwrap();
    store.load(&name("secret-name")).await.unwrap();
    assert_eq!(store.names().try_collect::<Vec<_>>().await.unwrap().len(), 1);
    store.delete(id(6)).await.unwrap();
    store.delete_many(vec![id(1), id(2)]).await.into_iter().for_each(|result| result.unwrap());
    probe.fail("flush", ErrorKind::Unavailable, 1);
    store.flush().await.unwrap_err();
}

#[tokio::test]
async fn metrics_match_reality() {
    let _alone = ALONE.lock().await;
    let probe = Probe::new();
    let store = Observe::new(probe.clone());
    scripted_run(&store).await;
    let counts = store.counts();
    let expected = [
        (Op::Put, [3, 1, 0, 0]),
        (Op::PutMany, [2, 2, 0, 5]),
        (Op::Get, [4, 1, 1, 0]),
        (Op::Stat, [1, 0, 0, 0]),
        (Op::List, [3, 1, 1, 5]),
        (Op::Swap, [2, 0, 0, 0]),
        (Op::Load, [1, 0, 0, 0]),
        (Op::Names, [1, 0, 0, 1]),
        (Op::Delete, [1, 0, 0, 0]),
        (Op::DeleteMany, [1, 0, 0, 2]),
        (Op::Flush, [1, 1, 0, 0]),
    ];
    assert_eq!(expected.len(), Op::ALL.len());
    for (op, four_counts) in expected {
        assert_eq!(four(counts.of(op)), four_counts, "{op}");
        // A listing that nobody polled was asked of the inner store, but never began.
        let unpolled = usize::from(op == Op::List);
        assert_eq!(
            counts.of(op).calls,
            (probe.calls(op.as_str()) - unpolled) as u64,
            "{op} as the store has it"
        );
    }
    assert_eq!((counts.inserted, counts.present, counts.unchecked), (3, 2, 0));
    assert_eq!((counts.hits, counts.misses), (1, 1));
    assert_eq!((counts.bytes_in, counts.bytes_out), (10 + 10 + 10 + 30 + 6, 30));
}

#[tokio::test]
async fn counts_stay_exact_under_concurrency() {
    let _alone = ALONE.lock().await;
    let store = Arc::new(Observe::new(Probe::new()));
    let workers = (0..8).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..100 {
                store.put(id(n), bytes(3)).await.unwrap();
                store.get(id(n)).await.unwrap();
            }
        })
    });
    futures::future::try_join_all(workers).await.unwrap();
    let counts = store.counts();
    assert_eq!((counts.of(Op::Put).calls, counts.of(Op::Get).calls), (800, 800));
    assert_eq!((counts.inserted, counts.present, counts.hits), (8, 792, 800));
    assert_eq!((counts.bytes_in, counts.bytes_out), (2400, 2400));
}

/// Keeps what a subscriber writes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn events_tell_and_keep_secrets() {
    let _alone = ALONE.lock().await;
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    let store = Observe::new(Probe::new());
    {
        let _default = tracing::subscriber::set_default(subscriber);
        scripted_run(&store).await;
    }
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for word in [
        "op=\"put\" store=\"probe:x\" chunk=01010101 bytes=10",
        "outcome=\"inserted\"",
        "outcome=\"present\"",
        "kind=Full",
        "error=put 02020202: no space left: on request",
        "outcome=\"absent\"",
        "outcome=\"dropped\"",
        "outcome=\"conflict\"",
        "items=3",
    ] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
    for secret in ["0101010101", "ZZ", "secret-name", "root value"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    for line in text.lines() {
        assert!(line.contains("selfenc::store"), "{line}");
        let level = if line.contains("error=") { "WARN" } else { "DEBUG" };
        assert!(line.contains(level), "{line}");
    }
    // One event for each call that began.
    let calls: u64 = Op::ALL.iter().map(|op| store.counts().of(*op).calls).sum();
    assert_eq!(text.lines().count() as u64, calls);
}

#[tokio::test]
async fn it_is_transparent() {
    let _alone = ALONE.lock().await;
    let probe = Probe::new();
    let store: Arc<dyn Backend> = Arc::new(Observe::new(probe.clone()));
    assert_eq!(store.capabilities(), probe.capabilities());
    assert_eq!(store.info().to_string(), "observe(probe:x)");
    probe.fail("get", ErrorKind::Corrupt, 1);
    let e = store.get(id(7)).await.unwrap_err();
    assert_eq!((e.kind(), e.chunk()), (ErrorKind::Corrupt, Some(id(7))));
}
