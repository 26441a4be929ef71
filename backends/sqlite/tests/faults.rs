//! Failing calls of the disk: for each call that an operation makes, the operation with that one call
//! failing, or that one and all after it. The error is of the right kind, nothing is lost, nothing half done
//! shows, the store works on without being opened again, and what it acknowledged then survives a power cut.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

#[path = "support/vfs/mod.rs"]
mod vfs;

use bytes::Bytes;
use selfenc_core::store::{BlockingEngine, Durability, Error, ErrorKind, Expect, OpenMode, RootName, Swap};
use selfenc_sqlite_vfs::{Code, ffi};
use vfs::chunk;
use vfs::content::Geometry;
use vfs::model::Run;
use vfs::store::{PATH, Rig, Store};
use vfs::world::{CALLS, Call, Fault, SimDisk};

const POWERSAFE: Geometry = Geometry { sector: 4096, powersafe: true };
const BOTH: [Durability; 2] = [Durability::OnPut, Durability::OnFlush];

/// Of each call, the codes it may fail with, and what they must become.
fn codes(call: Call) -> Vec<(Code, ErrorKind)> {
    let plain = match call {
        Call::Open => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    };
    let more = match call {
        Call::Write => vec![(ffi::SQLITE_FULL, ErrorKind::Full)],
        Call::Read | Call::ShmMap => vec![(ffi::SQLITE_IOERR_NOMEM, ErrorKind::Unavailable)],
        _ => Vec::new(),
    };
    [(call.failure(), plain)].into_iter().chain(more).collect()
}

/// One fault of those that are tried.
#[derive(Clone, Copy, Debug)]
struct Case {
    call: Call,
    code: Code,
    kind: ErrorKind,
    nth: u64,
    lasting: bool,
}

impl Case {
    fn arm(self, disk: &SimDisk) {
        let calls = std::slice::from_ref(CALLS.iter().find(|call| **call == self.call).unwrap());
        disk.arm(Some(Fault { calls, code: self.code, nth: self.nth, lasting: self.lasting }));
    }

    fn check(self, op: &str, e: &Error) {
        assert_eq!((e.kind(), e.op()), (self.kind, op), "{self:?}: {e}");
        assert!(e.to_string().contains(PATH), "{self:?}: names no path: {e}");
        assert!(std::error::Error::source(e).is_some(), "{self:?}: no source: {e}");
    }
}

/// Runs `test` for every kind of call and code, and the first, second, … such call, until there is none.
/// `test` says how often the fault struck; how many did.
fn every_fault(mut test: impl FnMut(Case) -> u64) -> u64 {
    let mut strikes = 0;
    for call in CALLS {
        for (code, kind) in codes(call) {
            for lasting in [false, true] {
                for nth in 0.. {
                    let struck = test(Case { call, code, kind, nth, lasting });
                    strikes += u64::from(struck > 0);
                    if struck == 0 {
                        break;
                    }
                }
            }
        }
    }
    strikes
}

const OLD: [u64; 3] = [5, 6, 10];

fn rig(durability: Durability) -> Rig {
    Rig { disk: SimDisk::new(1, POWERSAFE), durability, page_size: 4096 }
}

fn root() -> RootName {
    RootName::new("root").unwrap()
}

fn value(store: &Store) -> Option<Bytes> {
    store.load(&root()).unwrap().map(|root| root.value)
}

/// A store with three chunks and a root, all of it durable.
fn filled(rig: &Rig) -> Store {
    let store = rig.open(OpenMode::Create).unwrap();
    for n in OLD {
        store.put(chunk(n).0, &chunk(n).1).unwrap();
    }
    store.swap(&root(), &Expect::Absent, Some("old".into())).unwrap();
    store.flush().unwrap();
    store
}

fn check_old(store: &Store, case: impl std::fmt::Debug) {
    for n in OLD {
        assert_eq!(store.get(chunk(n).0).unwrap(), Some(chunk(n).1), "{case:?}: chunk {n}");
    }
}

/// Flushes, cuts the power and opens the store again.
fn after_cut(rig: &Rig, store: Store, case: impl std::fmt::Debug) -> Store {
    store.flush().unwrap_or_else(|e| panic!("{case:?}: flush: {e}"));
    rig.disk.power_cut();
    drop(store);
    let store = rig.open(OpenMode::Existing).unwrap_or_else(|e| panic!("{case:?}: {e}"));
    assert_eq!(store.damage().unwrap(), None, "{case:?}");
    check_old(&store, case);
    store
}

#[test]
fn put() {
    let (id, data) = chunk(7);
    for durability in BOTH {
        // Nothing, a part that is to be healed, and the chunk itself.
        for before in [None, Some(data.slice(..5000)), Some(data.clone())] {
            let strikes = every_fault(|case| {
                let rig = rig(durability);
                let store = filled(&rig);
                if let Some(before) = &before {
                    store.put(id, before).unwrap();
                    store.flush().unwrap();
                }
                case.arm(&rig.disk);
                let result = store.put(id, &data);
                let struck = rig.disk.disarm();
                check_old(&store, case);
                let shown = store.get(id).unwrap();
                match result {
                    Ok(_) => assert_eq!(shown.as_ref(), Some(&data), "{case:?}"),
                    Err(e) => {
                        case.check("put", &e);
                        assert_eq!(e.chunk(), Some(id), "{case:?}");
                        assert_eq!(shown, before, "{case:?}: a failed put shows");
                    }
                }
                store.put(id, &data).unwrap_or_else(|e| panic!("{case:?}: and still: {e}"));
                let store = after_cut(&rig, store, case);
                assert_eq!(store.get(id).unwrap().as_ref(), Some(&data), "{case:?}");
                struck
            });
            let least = if before.as_ref() == Some(&data) { 2 } else { 20 };
            assert!(strikes >= least, "{durability:?}: only {strikes} faults struck");
        }
    }
}

#[test]
fn delete() {
    for durability in BOTH {
        let (id, data) = chunk(7);
        let strikes = every_fault(|case| {
            let rig = rig(durability);
            let store = filled(&rig);
            store.put(id, &data).unwrap();
            store.flush().unwrap();
            case.arm(&rig.disk);
            let result = store.delete(id);
            let struck = rig.disk.disarm();
            if let Err(e) = result {
                case.check("delete", &e);
                assert_eq!(store.get(id).unwrap().as_ref(), Some(&data), "{case:?}: half done");
                store.delete(id).unwrap();
            }
            assert_eq!(store.get(id).unwrap(), None, "{case:?}");
            let store = after_cut(&rig, store, case);
            assert_eq!(store.get(id).unwrap(), None, "{case:?}");
            struck
        });
        assert!(strikes >= 10, "{durability:?}: only {strikes} faults struck");
    }
}

#[test]
fn swap() {
    for (durability, new) in [(BOTH[0], Some(Bytes::from_static(b"new"))), (BOTH[1], None)] {
        let strikes = every_fault(|case| {
            let rig = rig(durability);
            let store = filled(&rig);
            let current = store.load(&root()).unwrap();
            case.arm(&rig.disk);
            let result = store.swap(&root(), &Expect::from(current.as_ref()), new.clone());
            let struck = rig.disk.disarm();
            match result {
                Ok(swap) => assert!(matches!(swap, Swap::Done(_)), "{case:?}: {swap:?}"),
                Err(e) => {
                    case.check("swap", &e);
                    assert_eq!(store.load(&root()).unwrap(), current, "{case:?}: a failed swap shows");
                    let again = store.swap(&root(), &Expect::from(current.as_ref()), new.clone()).unwrap();
                    assert!(matches!(again, Swap::Done(_)), "{case:?}: {again:?}");
                }
            }
            assert_eq!(value(&store), new, "{case:?}");
            // Durable without a flush.
            rig.disk.power_cut();
            drop(store);
            let store = rig.open(OpenMode::Existing).unwrap();
            assert_eq!(value(&store), new, "{case:?}");
            check_old(&store, case);
            struck
        });
        assert!(strikes >= 10, "only {strikes} faults struck");
    }
}

#[test]
fn flush() {
    for durability in BOTH {
        let strikes = every_fault(|case| {
            let rig = rig(durability);
            let store = filled(&rig);
            store.put(chunk(7).0, &chunk(7).1).unwrap();
            case.arm(&rig.disk);
            let result = store.flush();
            let struck = rig.disk.disarm();
            if let Err(e) = result {
                case.check("flush", &e);
            }
            let store = after_cut(&rig, store, case);
            assert_eq!(store.get(chunk(7).0).unwrap(), Some(chunk(7).1), "{case:?}");
            struck
        });
        assert!(strikes >= 1, "{durability:?}: only {strikes} faults struck");
    }
}

#[test]
fn reading() {
    type Work = fn(&Store) -> selfenc_core::store::Result<bool>;
    let ops: [(&str, Work); 5] = [
        ("get", |store| store.get(chunk(5).0).map(|got| got == Some(chunk(5).1))),
        ("stat", |store| store.stat(chunk(5).0).map(|got| got.is_some_and(|got| got.len == 9000))),
        ("list", |store| store.page(None).map(|page| page.len() == OLD.len())),
        ("load", |store| store.load(&root()).map(|root| root.is_some_and(|root| root.value == "old"))),
        ("names", |store| store.names().map(|names| names == [root()])),
    ];
    for (op, work) in ops {
        let rig = rig(Durability::OnPut);
        drop(filled(&rig));
        let strikes = every_fault(|case| {
            // Opened anew, so that nothing is read from memory.
            let store = rig.open(OpenMode::Existing).unwrap();
            case.arm(&rig.disk);
            let result = work(&store);
            let struck = rig.disk.disarm();
            match result {
                Ok(right) => assert!(right, "{op}, {case:?}: a wrong answer"),
                Err(e) => case.check(op, &e),
            }
            assert!(work(&store).unwrap(), "{op}, {case:?}: and still");
            struck
        });
        assert!(strikes >= 8, "{op}: only {strikes} faults struck");
    }
}

#[test]
fn making_and_opening() {
    let strikes = every_fault(|case| {
        let rig = rig(Durability::OnPut);
        case.arm(&rig.disk);
        let result = rig.open(OpenMode::Create);
        let struck = rig.disk.disarm();
        if let Err(e) = &result {
            assert_eq!(e.op(), "open", "{case:?}: {e}");
            assert!(e.to_string().contains(PATH), "{case:?}: names no path: {e}");
        }
        drop(result);
        check_old(&after_cut(&rig, filled(&rig), case), case);
        struck
    });
    assert!(strikes >= 40, "only {strikes} faults struck");
    let strikes = every_fault(|case| {
        let rig = rig(Durability::OnPut);
        let store = filled(&rig);
        // There is a log to be read.
        rig.disk.kill();
        drop(store);
        case.arm(&rig.disk);
        let result = rig.open(OpenMode::Existing);
        let struck = rig.disk.disarm();
        match result {
            Ok(store) => {
                check_old(&store, case);
                // It was not taken for one that can only be read.
                store.put(chunk(12).0, &chunk(12).1).unwrap_or_else(|e| panic!("{case:?}: {e}"));
            }
            Err(e) => assert_eq!(e.op(), "open", "{case:?}: {e}"),
        }
        let store = rig.open(OpenMode::Existing).unwrap_or_else(|e| panic!("{case:?}: and still: {e}"));
        check_old(&after_cut(&rig, store, case), case);
        struck
    });
    assert!(strikes >= 20, "only {strikes} faults struck");
}

/// The log is moved into the file when the store is closed.
#[test]
fn closing() {
    let strikes = every_fault(|case| {
        let rig = rig(Durability::OnPut);
        let store = filled(&rig);
        store.put(chunk(7).0, &chunk(7).1).unwrap();
        case.arm(&rig.disk);
        drop(store);
        let struck = rig.disk.disarm();
        let store = rig.open(OpenMode::Existing).unwrap_or_else(|e| panic!("{case:?}: {e}"));
        let store = after_cut(&rig, store, case);
        assert_eq!(store.get(chunk(7).0).unwrap(), Some(chunk(7).1), "{case:?}");
        struck
    });
    assert!(strikes >= 10, "only {strikes} faults struck");
}

/// The disk becomes full at the k-th write of some work, for every k.
#[test]
fn a_full_disk_at_every_write() {
    for durability in BOTH {
        let mut fulls = 0;
        for nth in 0.. {
            let rig = rig(durability);
            let store = filled(&rig);
            rig.disk.arm(Some(Fault { calls: &[Call::Write], code: ffi::SQLITE_FULL, nth, lasting: true }));
            let mut kept = Vec::new();
            for n in [7, 12, 13, 15] {
                match store.put(chunk(n).0, &chunk(n).1) {
                    Ok(_) => kept.push(n),
                    Err(e) => {
                        let told = (e.kind(), e.is_transient());
                        assert_eq!(told, (ErrorKind::Full, false), "write {nth}: {e}");
                        assert!(e.to_string().contains("free some space"), "no remedy: {e}");
                        assert_eq!(store.get(chunk(n).0).unwrap(), None, "write {nth}");
                    }
                }
            }
            check_old(&store, nth);
            let struck = rig.disk.disarm();
            for n in [7, 12, 13, 15] {
                let data = chunk(n).1;
                let expected = kept.contains(&n).then_some(&data);
                assert_eq!(store.get(chunk(n).0).unwrap().as_ref(), expected, "write {nth}: chunk {n}");
                store.put(chunk(n).0, &data).unwrap_or_else(|e| panic!("write {nth}: and still: {e}"));
            }
            let store = after_cut(&rig, store, nth);
            for n in [7, 12, 13, 15] {
                assert_eq!(store.get(chunk(n).0).unwrap(), Some(chunk(n).1), "write {nth}: chunk {n}");
            }
            if struck == 0 {
                break;
            }
            fulls += 1;
        }
        assert!(fulls > 40, "{durability:?}: full at {fulls} writes only");
    }
}

/// A sync fails, and what it should have written is lost or not, as chance has it. Whatever is acknowledged
/// later must hold, at whichever step the power goes off, also while the store is healing.
#[test]
fn after_a_failed_sync_nothing_acknowledged_is_lost() {
    let mut failed = 0;
    for durability in BOTH {
        for seed in 0..30 {
            let mut ended = false;
            for at in 1.. {
                let rig = Rig { disk: SimDisk::new(seed << 8 | at, POWERSAFE), ..rig(durability) };
                let mut run = Run::new(rig, seed << 8 | at);
                let store = run.rig.open(OpenMode::Create).unwrap();
                for n in [1, 5, 7] {
                    run.put(&store, 0, n);
                }
                run.flush(&store, 0);
                // With OnFlush these are in the log and not synced when the sync fails.
                run.put(&store, 0, 2);
                run.delete(&store, 0, 5);
                let calls = &[Call::Sync];
                let code = ffi::SQLITE_IOERR_FSYNC;
                run.rig.disk.arm(Some(Fault { calls, code, nth: 0, lasting: seed % 3 == 0 }));
                run.put(&store, 0, 6);
                run.flush(&store, 0);
                failed += u64::from(run.rig.disk.disarm() > 0);
                run.rig.disk.cut_after(at);
                for n in [3, 6, 2] {
                    run.put(&store, 0, n);
                }
                run.flush(&store, 0);
                run.publish(&store, 0);
                run.delete(&store, 0, 7);
                run.flush(&store, 0);
                drop(store);
                ended |= !run.rig.disk.is_cut();
                run.rig.disk.power_cut();
                let store = run.rig.open(OpenMode::Existing);
                let context = format!("{durability:?} seed {seed} step {at}");
                let store = store.unwrap_or_else(|e| panic!("{context}: {e}"));
                run.check_all(&store).unwrap_or_else(|e| panic!("{context}: {e}"));
                if ended {
                    assert!(at > 20, "{context}: only so few steps");
                    break;
                }
            }
        }
    }
    assert!(failed > 1000, "only {failed} syncs failed");
}
