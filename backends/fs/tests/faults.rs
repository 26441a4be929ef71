//! Failing system calls: for each call that an operation makes, the operation with that one call failing.
//! The error is of the right kind, nothing is lost, nothing half done shows, no temporary is left, and the
//! operation works once the fault is gone.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use selfenc_core::store::{
    BlockingEngine, Durability, ErrorKind, Expect, OpenMode, PutOutcome, Result, RootName, Swap,
};
use selfenc_fs::os::{Os, RealOs};
use selfenc_fs::{FsConfig, FsEngine};
use support::chunk;
use support::fault_os::{CALLS, Call, FaultOs};
use support::sim_os::SimOs;

const EIO: i32 = 5;
const EINTR: i32 = 4;
const ENOSPC: i32 = 28;

/// Errno, and the kind it must become.
const ERRNOS: [(i32, ErrorKind); 7] = [
    (ENOSPC, ErrorKind::Full),
    (EIO, ErrorKind::Other),
    (13, ErrorKind::PermissionDenied),
    (1, ErrorKind::PermissionDenied),
    (30, ErrorKind::ReadOnly),
    (24, ErrorKind::Unavailable),
    (23, ErrorKind::Unavailable),
];

/// A store with three chunks and a root, over a system that can be made to fail.
struct Rig {
    os: FaultOs,
    sim: Option<SimOs>,
    dir: PathBuf,
    durability: Durability,
    _folder: Option<tempfile::TempDir>,
}

impl Rig {
    fn simulated(durability: Durability) -> Self {
        let sim = SimOs::new(1);
        let os = FaultOs::new(Arc::new(sim.clone()));
        Self { os, sim: Some(sim), dir: "/store".into(), durability, _folder: None }
    }

    fn real() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (os, dir) = (FaultOs::new(Arc::new(RealOs)), folder.path().join("store"));
        Self { os, sim: None, dir, durability: Durability::OnPut, _folder: Some(folder) }
    }

    fn open(&self, mode: OpenMode) -> Result<FsEngine> {
        let config = FsConfig::new(&self.dir).with_durability(self.durability);
        config.with_os(Arc::new(self.os.clone())).open_engine(mode)
    }

    fn filled(&self) -> FsEngine {
        let engine = self.open(OpenMode::Create).unwrap();
        for n in [5, 6, 10] {
            engine.put(chunk(n).0, &chunk(n).1).unwrap();
        }
        engine.swap(&root(), &Expect::Absent, Some("old".into())).unwrap();
        engine.flush().unwrap();
        engine
    }

    fn check_old(&self, engine: &FsEngine, context: &str) {
        for n in [5, 6, 10] {
            assert_eq!(engine.get(chunk(n).0).unwrap(), Some(chunk(n).1), "{context}: chunk {n}");
        }
    }

    fn temporaries(&self) -> Vec<String> {
        let names = self.os.read_dir(&self.dir.join("tmp")).unwrap();
        let names = names.into_iter().map(|name| name.into_string().unwrap());
        names.filter(|name| !name.ends_with(".lock")).collect()
    }

    /// Opens the store again: nothing is left in `tmp`. If it is simulated, cuts the power and opens again.
    fn again(&self, engine: FsEngine, context: &str) -> FsEngine {
        drop(engine);
        let engine = self.open(OpenMode::Existing).unwrap();
        let left = self.os.read_dir(&self.dir.join("tmp")).unwrap();
        assert!(left.is_empty(), "{context}: left in tmp: {left:?}");
        let Some(sim) = &self.sim else { return engine };
        drop(engine);
        sim.power_cut();
        self.open(OpenMode::Existing).unwrap()
    }
}

fn root() -> RootName {
    RootName::new("root").unwrap()
}

fn value(engine: &FsEngine) -> Option<Bytes> {
    engine.load(&root()).unwrap().map(|root| root.value)
}

/// Runs `test` for every kind of call, every errno, and the first, second, … call of that kind, until there
/// is none. `test` says how often the fault struck; how often any did.
fn every_fault(mut test: impl FnMut(Call, u64, i32, ErrorKind, &str) -> u64) -> u64 {
    let mut strikes = 0;
    for call in CALLS {
        for (errno, kind) in ERRNOS {
            for nth in 0.. {
                let context = format!("call {nth} of {call:?} fails with errno {errno}");
                let struck = test(call, nth, errno, kind, &context);
                strikes += struck;
                if struck == 0 {
                    break;
                }
            }
        }
    }
    strikes
}

/// A put of chunk 7 (several writes) over `before`, with one call failing.
fn put_with_fault(
    rig: &Rig,
    before: Option<&Bytes>,
    call: Call,
    nth: u64,
    errno: i32,
    kind: ErrorKind,
    context: &str,
) -> u64 {
    let (id, data) = chunk(7);
    let engine = rig.filled();
    if let Some(before) = before {
        engine.put(id, before).unwrap();
        engine.flush().unwrap();
    }
    rig.os.arm(call, nth, errno);
    let result = engine.put(id, &data);
    let struck = rig.os.disarm();
    rig.check_old(&engine, context);
    match result {
        Ok(_) => assert_eq!(engine.get(id).unwrap(), Some(data.clone()), "{context}"),
        Err(e) => {
            assert_eq!(e.kind(), kind, "{context}: {e}");
            assert_eq!((e.op(), e.chunk()), ("put", Some(id)), "{context}: {e}");
            assert!(e.to_string().contains(rig.dir.to_str().unwrap()), "{context}: names no path: {e}");
            let shown = engine.get(id).unwrap();
            assert!(shown.is_none() || shown.as_ref() == before, "{context}: a failed put shows");
        }
    }
    if call != Call::RemoveFile {
        assert_eq!(rig.temporaries(), [""; 0], "{context}");
    }
    engine.put(id, &data).unwrap_or_else(|e| panic!("{context}: and still: {e}"));
    engine.flush().unwrap();
    let engine = rig.again(engine, context);
    assert_eq!(engine.get(id).unwrap(), Some(data), "{context}");
    rig.check_old(&engine, context);
    struck
}

#[test]
fn put() {
    let strikes = every_fault(|call, nth, errno, kind, context| {
        put_with_fault(&Rig::simulated(Durability::OnPut), None, call, nth, errno, kind, context)
    });
    assert!(strikes > 70, "only {strikes} faults struck");
    every_fault(|call, nth, errno, kind, context| {
        put_with_fault(&Rig::simulated(Durability::OnFlush), None, call, nth, errno, kind, context)
    });
}

#[test]
fn put_on_a_real_file_system() {
    for (call, errno, kind) in [
        (Call::Write, ENOSPC, ErrorKind::Full),
        (Call::Write, EIO, ErrorKind::Other),
        (Call::SyncFile, EIO, ErrorKind::Other),
        (Call::Rename, EIO, ErrorKind::Other),
        (Call::SyncDir, EIO, ErrorKind::Other),
        (Call::CreateNew, 24, ErrorKind::Unavailable),
    ] {
        for nth in 0.. {
            let context = format!("really, call {nth} of {call:?} fails with errno {errno}");
            if put_with_fault(&Rig::real(), None, call, nth, errno, kind, &context) == 0 {
                assert!(nth > 0, "{context}: never struck");
                break;
            }
        }
    }
}

#[test]
fn put_that_heals_and_put_that_is_present() {
    let (_, data) = chunk(7);
    for before in [data.slice(..100), data] {
        every_fault(|call, nth, errno, kind, context| {
            let rig = Rig::simulated(Durability::OnPut);
            put_with_fault(&rig, Some(&before), call, nth, errno, kind, context)
        });
    }
}

#[test]
fn swap() {
    for new in [Some(Bytes::from_static(b"new")), None] {
        let strikes = every_fault(|call, nth, errno, kind, context| {
            let rig = Rig::simulated(Durability::OnPut);
            let engine = rig.filled();
            let current = engine.load(&root()).unwrap();
            rig.os.arm(call, nth, errno);
            let result = engine.swap(&root(), &Expect::from(current.as_ref()), new.clone());
            let struck = rig.os.disarm();
            rig.check_old(&engine, context);
            match result {
                Ok(swap) => {
                    assert!(matches!(swap, Swap::Done(_)), "{context}: {swap:?}");
                    assert_eq!(value(&engine), new, "{context}");
                }
                Err(e) => {
                    assert_eq!((e.kind(), e.op()), (kind, "swap"), "{context}: {e}");
                    assert_eq!(engine.load(&root()).unwrap(), current, "{context}: a failed swap shows");
                    let again = engine.swap(&root(), &Expect::from(current.as_ref()), new.clone()).unwrap();
                    assert!(matches!(again, Swap::Done(_)), "{context}: {again:?}");
                }
            }
            if call != Call::RemoveFile {
                assert_eq!(rig.temporaries(), [""; 0], "{context}");
            }
            let engine = rig.again(engine, context);
            assert_eq!(value(&engine), new, "{context}");
            struck
        });
        assert!(strikes > 30, "only {strikes} faults struck");
    }
}

#[test]
fn delete() {
    let strikes = every_fault(|call, nth, errno, kind, context| {
        let rig = Rig::simulated(Durability::OnPut);
        let engine = rig.filled();
        engine.put(chunk(7).0, &chunk(7).1).unwrap();
        rig.os.arm(call, nth, errno);
        let result = engine.delete(chunk(7).0);
        let struck = rig.os.disarm();
        if let Err(e) = result {
            assert_eq!((e.kind(), e.op(), e.chunk()), (kind, "delete", Some(chunk(7).0)), "{context}: {e}");
            engine.delete(chunk(7).0).unwrap();
        }
        assert_eq!(engine.get(chunk(7).0).unwrap(), None, "{context}");
        let engine = rig.again(engine, context);
        assert_eq!(engine.get(chunk(7).0).unwrap(), None, "{context}");
        rig.check_old(&engine, context);
        struck
    });
    assert!(strikes >= 14, "only {strikes} faults struck");
}

#[test]
fn reading() {
    type Work = fn(&FsEngine) -> Result<()>;
    let ops: [(&str, Work); 5] = [
        ("get", |engine| engine.get(chunk(5).0).map(drop)),
        ("stat", |engine| engine.stat(chunk(5).0).map(drop)),
        ("list", |engine| engine.page(None).map(drop)),
        ("load", |engine| engine.load(&root()).map(drop)),
        ("names", |engine| engine.names().map(drop)),
    ];
    for (op, work) in ops {
        let rig = Rig::simulated(Durability::OnPut);
        let engine = rig.filled();
        let strikes = every_fault(|call, nth, errno, kind, context| {
            rig.os.arm(call, nth, errno);
            let result = work(&engine);
            let struck = rig.os.disarm();
            match result {
                Ok(()) => assert_eq!(struck, 0, "{op}, {context}: hidden"),
                Err(e) => assert_eq!((e.kind(), e.op()), (kind, op), "{context}: {e}"),
            }
            struck
        });
        assert!(strikes >= 7, "{op}: only {strikes} faults struck");
    }
}

#[test]
fn making_a_store() {
    // One errno is enough for the kinds, the others are seen above; the 256 folders are many calls.
    for call in CALLS {
        for nth in (0..6).chain([100, 257, 258, 259, 260]) {
            let rig = Rig::simulated(Durability::OnPut);
            let context = format!("making, call {nth} of {call:?}");
            rig.os.arm(call, nth, ENOSPC);
            let result = rig.open(OpenMode::Create);
            let struck = rig.os.disarm();
            if let Err(e) = &result {
                assert_eq!((e.kind(), e.op()), (ErrorKind::Full, "open"), "{context}: {e}");
                let e = rig.open(OpenMode::Existing).map(drop).unwrap_err();
                assert_eq!(e.kind(), ErrorKind::ContainerMissing, "{context}: {e}");
            }
            // Hidden only where it is no harm: a sync of a folder that was there, a removed temporary.
            assert!(result.is_err() || struck == 0 || call == Call::RemoveFile, "{context}: hidden");
            drop(result);
            let engine = rig.filled();
            let engine = rig.again(engine, &context);
            rig.check_old(&engine, &context);
        }
    }
}

#[test]
fn opening_with_faults_tells_or_works() {
    every_fault(|call, nth, errno, kind, context| {
        let rig = Rig::simulated(Durability::OnPut);
        drop(rig.filled());
        let sim = rig.sim.as_ref().unwrap();
        sim.plant(Path::new("/store/tmp/0123456789abcdef.lock"), b"");
        sim.plant(Path::new("/store/tmp/0123456789abcdef-0"), b"of a crashed process");
        rig.os.arm(call, nth, errno);
        let result = rig.open(OpenMode::Existing);
        let struck = rig.os.disarm();
        match result {
            Ok(engine) => rig.check_old(&engine, context),
            Err(e) => assert_eq!((e.kind(), e.op()), (kind, "open"), "{context}: {e}"),
        }
        let engine = rig.open(OpenMode::Existing).unwrap();
        rig.check_old(&engine, context);
        assert_eq!(rig.temporaries(), [""; 0], "{context}: after the next opening");
        struck
    });
}

#[test]
fn a_full_disk_keeps_everything_and_recovers() {
    let rig = Rig::real();
    let engine = rig.filled();
    for call in [Call::Write, Call::SyncFile, Call::Rename, Call::CreateNew, Call::SyncDir] {
        rig.os.arm_all(call, ENOSPC);
        for n in [7, 15, 23] {
            let e = engine.put(chunk(n).0, &chunk(n).1).unwrap_err();
            assert_eq!((e.kind(), e.is_transient()), (ErrorKind::Full, false), "{call:?}: {e}");
            assert_eq!(engine.get(chunk(n).0).unwrap(), None, "{call:?}");
        }
        rig.check_old(&engine, "full");
        assert!(rig.os.disarm() >= 3);
        assert_eq!(rig.temporaries(), [""; 0], "{call:?}");
    }
    for n in [7, 15, 23] {
        assert_eq!(engine.put(chunk(n).0, &chunk(n).1).unwrap(), PutOutcome::Inserted);
    }
    rig.check_old(&rig.again(engine, "full"), "full");
}

#[test]
fn interrupted_writes_go_on() {
    for nth in 0..3 {
        let rig = Rig::real();
        let engine = rig.filled();
        rig.os.arm(Call::Write, nth, EINTR);
        engine.put(chunk(7).0, &chunk(7).1).unwrap();
        assert_eq!(rig.os.disarm(), 1, "write {nth}");
        assert_eq!(engine.get(chunk(7).0).unwrap(), Some(chunk(7).1));
    }
}

#[test]
fn a_failed_sync_is_not_tried_again() {
    let rig = Rig::simulated(Durability::OnPut);
    let engine = rig.filled();
    rig.os.arm(Call::SyncFile, 0, EIO);
    engine.put(chunk(7).0, &chunk(7).1).unwrap_err();
    let syncs = rig.os.trace().into_iter().filter(|call| *call == Call::SyncFile).count();
    assert_eq!(syncs, 1);
}

#[test]
fn the_order_is_write_sync_rename_sync_folder() {
    let rig = Rig::simulated(Durability::OnPut);
    let engine = rig.filled();
    let order = |calls: Vec<Call>| {
        let steps = [Call::Write, Call::SyncFile, Call::Rename, Call::SyncDir];
        let mut calls: Vec<_> = calls.into_iter().filter(|call| steps.contains(call)).collect();
        calls.dedup();
        calls
    };
    rig.os.trace();
    engine.put(chunk(7).0, &chunk(7).1).unwrap();
    assert_eq!(order(rig.os.trace()), [Call::Write, Call::SyncFile, Call::Rename, Call::SyncDir]);
    assert_eq!(engine.put(chunk(7).0, &chunk(7).1).unwrap(), PutOutcome::Present);
    assert_eq!(order(rig.os.trace()), [Call::SyncDir], "another process may have renamed and not synced");

    let rig = Rig::simulated(Durability::OnFlush);
    let engine = rig.filled();
    rig.os.trace();
    engine.put(chunk(7).0, &chunk(7).1).unwrap();
    assert_eq!(order(rig.os.trace()), [Call::Write, Call::SyncFile, Call::Rename]);
    engine.flush().unwrap();
    assert_eq!(order(rig.os.trace()), [Call::SyncDir]);
    engine.flush().unwrap();
    assert_eq!(order(rig.os.trace()), [], "nothing waits any more");
}

#[test]
fn a_failed_flush_is_not_forgotten() {
    let rig = Rig::simulated(Durability::OnFlush);
    let engine = rig.filled();
    let (id, data) = chunk(7);
    engine.put(id, &data).unwrap();
    rig.os.arm(Call::SyncDir, 0, EIO);
    assert_eq!(engine.flush().unwrap_err().kind(), ErrorKind::Other);
    assert_eq!(rig.os.disarm(), 1);
    // The system would now say Ok to everything; the store must not.
    let e = engine.flush().unwrap_err();
    assert!(e.to_string().contains("1 chunks were lost"), "{e}");
    assert_eq!(engine.put(id, &data).unwrap(), PutOutcome::Inserted, "written anew, not called present");
    engine.flush().unwrap();
    // Deleting it settles it too.
    engine.put(chunk(15).0, &chunk(15).1).unwrap();
    rig.os.arm(Call::SyncDir, 0, EIO);
    engine.flush().unwrap_err();
    rig.os.disarm();
    engine.delete(chunk(15).0).unwrap();
    engine.flush().unwrap();
}

#[test]
fn many_puts_without_a_flush_are_synced_in_between() {
    let rig = Rig::simulated(Durability::OnFlush);
    let engine = rig.filled();
    rig.os.trace();
    let id = |n: u16| {
        let mut id = [9; 32];
        id[1..3].copy_from_slice(&n.to_le_bytes());
        selfenc_core::store::ChunkId::from_bytes(id)
    };
    for n in 0..1000 {
        engine.put(id(n), &Bytes::from_static(b"x")).unwrap();
    }
    let syncs = rig.os.trace().into_iter().filter(|call| *call == Call::SyncDir).count();
    assert!((3..=8).contains(&syncs), "{syncs} syncs of the folder");
    engine.flush().unwrap();
}

#[test]
fn errors_keep_their_source_and_show_no_whole_name() {
    let rig = Rig::simulated(Durability::OnPut);
    let engine = rig.filled();
    for call in [Call::Metadata, Call::Write, Call::Rename, Call::SyncDir] {
        rig.os.arm(call, 0, EIO);
        let e = engine.put(chunk(7).0, &chunk(7).1).unwrap_err();
        rig.os.disarm();
        let source = std::error::Error::source(&e).and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.and_then(io::Error::raw_os_error), Some(EIO), "{call:?}");
        let digits = chunk(7).0.to_string();
        assert!(!format!("{e} {e:?}").contains(&digits[2..20]), "{call:?}: {e:?}");
    }
}
