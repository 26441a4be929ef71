//! Puts that wait at the same time are committed together, and each is told what became of it.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

#[path = "support/location.rs"]
mod location;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use location::{beside, foreign};
use selfenc_core::store::{
    BlockingEngine, ChunkId, ErrorKind, Expect, OpenMode, PutOutcome, Result, RootName, Swap,
};
use selfenc_sqlite::{SqliteConfig, SqliteEngine};

const THREADS: u8 = 48;

fn chunk(n: u8) -> (ChunkId, Bytes) {
    (ChunkId::from_bytes([n; 32]), Bytes::from(vec![n; 1000 + usize::from(n)]))
}

fn open(path: &Path, group_bytes: usize) -> Arc<SqliteEngine> {
    let config = SqliteConfig::new(path).with_page_size(4096).with_group_bytes(group_bytes);
    // The first in line waits for the last, also on a busy machine.
    let config = config.with_busy_timeout(Duration::from_secs(60));
    Arc::new(config.open_engine(OpenMode::Create).unwrap())
}

/// Runs `work` for each number on a thread of its own, all of them in line before the first can commit.
fn together<T: Send + 'static>(
    store: &Arc<SqliteEngine>,
    path: &Path,
    work: fn(&SqliteEngine, u8) -> T,
) -> Vec<T> {
    let other = foreign(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let barrier = Arc::new(Barrier::new(usize::from(THREADS) + 1));
    let entered = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|n| {
            let (store, barrier, entered) = (Arc::clone(store), Arc::clone(&barrier), Arc::clone(&entered));
            thread::spawn(move || {
                barrier.wait();
                entered.fetch_add(1, Ordering::SeqCst);
                work(&store, n)
            })
        })
        .collect();
    barrier.wait();
    while entered.load(Ordering::SeqCst) < usize::from(THREADS) {
        thread::sleep(Duration::from_millis(1));
    }
    // Nothing shows who is in line. From there it is a few steps.
    thread::sleep(Duration::from_millis(300));
    other.execute_batch("ROLLBACK").unwrap();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn put(store: &SqliteEngine, n: u8) -> Result<PutOutcome> {
    let (id, data) = chunk(n);
    store.put(id, &data)
}

/// The transactions in the log: frames that say how long the file is.
fn commits(path: &Path) -> usize {
    let log = fs::read(beside(path, "-wal")).unwrap();
    let salt = &log[16..24];
    log[32..].chunks_exact(24 + 4096).filter(|frame| frame[8..16] == *salt && frame[4..8] != [0; 4]).count()
}

#[test]
fn many_puts_are_few_transactions() {
    // Room for a few who come late on a busy machine.
    for (group_bytes, expected) in [(8 << 20, 1..=16), (0, 48..=48), (10_000, 5..=24)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = open(&path, group_bytes);
        put(&store, 200).unwrap();
        let before = commits(&path);
        let outcomes = together(&store, &path, put);
        assert!(outcomes.into_iter().all(|outcome| outcome.unwrap() == PutOutcome::Inserted));
        let made = commits(&path) - before;
        assert!(expected.contains(&made), "{made} transactions, should be {expected:?}");
        for n in 0..THREADS {
            assert_eq!(store.get(chunk(n).0).unwrap(), Some(chunk(n).1));
        }
    }
}

/// A third is put anew, a third is there, and a third is deleted.
fn mixed(store: &SqliteEngine, n: u8) -> Option<PutOutcome> {
    if n % 3 == 2 {
        store.delete(chunk(n).0).unwrap();
        return None;
    }
    Some(put(store, n).unwrap())
}

#[test]
fn each_is_told_its_own_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path, 8 << 20);
    for n in (0..THREADS).filter(|n| n % 3 != 0) {
        put(&store, n).unwrap();
    }
    for (n, outcome) in together(&store, &path, mixed).into_iter().enumerate() {
        let expected = [Some(PutOutcome::Inserted), Some(PutOutcome::Present), None][n % 3];
        assert_eq!(outcome, expected, "of {n}");
        assert_eq!(store.get(chunk(n as u8).0).unwrap().is_some(), n % 3 != 2);
    }
}

#[test]
fn one_bad_change_does_not_poison_the_others() {
    // The statement fails; the whole transaction ends by itself.
    for how in ["ABORT", "ROLLBACK"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = open(&path, 8 << 20);
        put(&store, 9).unwrap();
        store.delete(chunk(9).0).unwrap();
        let bad = chunk(9).0;
        let trigger = format!(
            "CREATE TRIGGER bad BEFORE INSERT ON chunks WHEN NEW.id = x'{bad}'
             BEGIN SELECT RAISE({how}, 'not this one'); END"
        );
        foreign(&path).unwrap().execute_batch(&trigger).unwrap();
        for (n, outcome) in together(&store, &path, put).into_iter().enumerate() {
            if n == 9 {
                let e = outcome.unwrap_err();
                assert_eq!((e.kind(), e.chunk()), (ErrorKind::Corrupt, Some(bad)), "{how}: {e}");
                assert!(e.to_string().contains("not this one"), "{how}: {e}");
            } else {
                assert_eq!(outcome.unwrap(), PutOutcome::Inserted, "{how}: of {n}");
                assert_eq!(store.get(chunk(n as u8).0).unwrap(), Some(chunk(n as u8).1), "{how}: {n}");
            }
        }
        assert_eq!(store.get(bad).unwrap(), None);
        assert_eq!(store.page(None).unwrap().len(), usize::from(THREADS) - 1);
    }
}

/// Swaps a root that is damaged, and puts beside it.
fn swap_or_put(store: &SqliteEngine, n: u8) -> Result<bool> {
    if n % 16 == 5 {
        let swap = store.swap(&RootName::new("damaged").unwrap(), &Expect::Absent, Some(chunk(n).1))?;
        return Ok(matches!(swap, Swap::Done(_)));
    }
    put(store, n).map(|outcome| outcome == PutOutcome::Inserted)
}

#[test]
fn what_stands_in_the_way_of_one_is_no_affair_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path, 8 << 20);
    store.swap(&RootName::new("damaged").unwrap(), &Expect::Absent, Some(chunk(1).1)).unwrap();
    foreign(&path).unwrap().execute("UPDATE roots SET sum = zeroblob(32)", []).unwrap();
    for (n, outcome) in together(&store, &path, swap_or_put).into_iter().enumerate() {
        if n % 16 == 5 {
            let e = outcome.unwrap_err();
            assert_eq!((e.kind(), e.op()), (ErrorKind::Corrupt, "swap"), "{e}");
        } else {
            assert!(outcome.unwrap(), "of {n}");
        }
    }
}

#[test]
fn a_failed_transaction_leaves_the_store_usable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path, 8 << 20);
    let other = foreign(&path).unwrap();
    let trigger = "CREATE TRIGGER bad BEFORE INSERT ON bodies BEGIN SELECT RAISE(ROLLBACK, 'none'); END";
    other.execute_batch(trigger).unwrap();
    assert!(together(&store, &path, put).into_iter().all(|outcome| outcome.is_err()));
    assert_eq!(store.page(None).unwrap(), []);
    other.execute_batch("DROP TRIGGER bad").unwrap();
    assert!(together(&store, &path, put).into_iter().all(|outcome| outcome.unwrap() == PutOutcome::Inserted));
}
