//! Puts that share the syncs of folders: how few syncs there are, and that nobody is told Ok by a sync that
//! did not cover him.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::Bytes;
use selfenc_core::store::{BlockingEngine, ChunkId, Durability, Error, OpenMode, PutOutcome, Result};
use selfenc_fs::os::Os;
use selfenc_fs::{FsConfig, FsEngine};
use support::fault_os::{Call, FaultOs};
use support::gate_os::GateOs;
use support::sim_os::SimOs;
use support::{Rng, chunk};

const EIO: i32 = 5;
const SHARD: u8 = 7;

fn open(os: &(impl Os + Clone), durability: Durability) -> FsEngine {
    let config = FsConfig::new("/store").with_durability(durability).with_os(Arc::new(os.clone()));
    config.open_engine(OpenMode::Create).unwrap()
}

/// A chunk in the folder that all share.
fn here(n: u8) -> (ChunkId, Bytes) {
    let mut id = [n; 32];
    id[0] = SHARD;
    (ChunkId::from_bytes(id), Bytes::from(vec![n; 200 + usize::from(n)]))
}

/// The same name in another folder.
fn elsewhere(id: ChunkId) -> ChunkId {
    let mut bytes = *id.as_bytes();
    bytes[0] += 1;
    ChunkId::from_bytes(bytes)
}

/// A store with nothing to be synced, and the gate closed.
fn gated() -> (GateOs, FsEngine) {
    let os = GateOs::new(1);
    let engine = open(&os, Durability::OnPut);
    // The first sync also covers the folders above.
    engine.put(chunk(1).0, &chunk(1).1).unwrap();
    os.close();
    (os, engine)
}

/// What the disk holds if the power goes off now and all goes that may.
fn after_the_worst_cut(sim: &SimOs) -> FsEngine {
    let sim = sim.fork();
    let _ = sim.power_cut_choosing(&mut |of| if of == 4 { 0 } else { of - 1 });
    open(&sim, Durability::OnPut)
}

fn put(engine: &FsEngine, (id, data): &(ChunkId, Bytes)) -> Result<PutOutcome> {
    engine.put(*id, data)
}

fn check_there(engine: &FsEngine, chunks: impl IntoIterator<Item = (ChunkId, Bytes)>) {
    for (id, data) in chunks {
        assert_eq!(engine.get(id).unwrap(), Some(data), "{id}");
    }
}

fn errno(e: &Error) -> Option<i32> {
    e.source()?.downcast_ref::<io::Error>()?.raw_os_error()
}

#[test]
fn a_put_waits_for_a_sync_that_began_after_its_rename() {
    let (os, engine) = gated();
    thread::scope(|scope| {
        let first = scope.spawn(|| put(&engine, &here(1)));
        os.wait_until(|done| done.begun == 1);
        let second = scope.spawn(|| put(&engine, &here(2)));
        os.wait_until(|done| done.renamed == 2);
        os.allow(1);
        assert_eq!(first.join().unwrap().unwrap(), PutOutcome::Inserted);
        check_there(&after_the_worst_cut(&os.sim), [here(1)]);
        // The second is in a sync of its own, which the gate holds.
        os.wait_until(|done| done.begun == 2);
        assert!(!second.is_finished(), "acknowledged by a sync that began before its rename");
        os.allow(2);
        assert_eq!(second.join().unwrap().unwrap(), PutOutcome::Inserted);
    });
    check_there(&after_the_worst_cut(&os.sim), [here(1), here(2)]);
    assert_eq!(os.counts().begun, 2);
}

#[test]
fn many_concurrent_puts_share_two_syncs() {
    const PUTS: u8 = 16;
    let (os, engine) = gated();
    let acknowledged = AtomicU64::new(0);
    thread::scope(|scope| {
        let (engine, acknowledged) = (&engine, &acknowledged);
        let start = |n| {
            scope.spawn(move || {
                put(engine, &here(n)).unwrap();
                acknowledged.fetch_add(1, Ordering::SeqCst);
            })
        };
        start(0);
        os.wait_until(|done| done.begun == 1);
        (1..PUTS).for_each(|n| drop(start(n)));
        os.wait_until(|done| done.renamed == u64::from(PUTS));
        assert_eq!(acknowledged.load(Ordering::SeqCst), 0, "acknowledged before any sync ended");
        os.allow(u64::MAX);
    });
    assert_eq!(os.counts().begun, 2, "one sync for the first, and one for all the others");
    check_there(&after_the_worst_cut(&os.sim), (0..PUTS).map(here));
}

/// One leads a sync; meanwhile three put, one puts what is there, and one deletes. Then the syncs `fail`.
/// What each of the six was told, and how many syncs there were.
fn six_share(fail: u64) -> (GateOs, FsEngine, Vec<Result<()>>, u64) {
    let os = GateOs::new(1);
    let engine = open(&os, Durability::OnPut);
    for n in [5, 6] {
        put(&engine, &here(n)).unwrap();
    }
    os.close();
    os.fail(fail);
    let told = thread::scope(|scope| {
        let engine = &engine;
        let first = scope.spawn(move || put(engine, &here(1)).map(drop));
        os.wait_until(|done| done.begun == 1);
        let looked = os.counts().looked;
        let kept = scope.spawn(move || put(engine, &here(5)).map(drop));
        os.wait_until(|done| done.looked > looked);
        let deleted = scope.spawn(move || engine.delete(here(6).0));
        let mut all = vec![first, kept, deleted];
        all.extend([2, 3, 4].map(|n| scope.spawn(move || put(engine, &here(n)).map(drop))));
        os.wait_until(|done| done.renamed == 4 && done.removed == 1);
        os.allow(u64::MAX);
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let begun = os.counts().begun;
    (os, engine, told, begun)
}

#[test]
fn a_failed_sync_fails_all_who_share_it() {
    let (os, engine, told, begun) = six_share(2);
    assert!(told[0].is_ok(), "its sync succeeded: {told:?}");
    for told in &told[1..] {
        assert_eq!(told.as_ref().map_err(errno), Err(Some(EIO)), "told nothing of the failed sync");
    }
    assert_eq!(begun, 2, "a failed sync was tried again");
    check_there(&engine, [here(1), here(5)]);
    for n in [2, 3, 4] {
        assert_eq!(engine.get(here(n).0).unwrap(), None, "a failed put shows");
    }
    // What was lost is written anew, also what is there.
    for n in 2..=5 {
        assert_eq!(put(&engine, &here(n)).unwrap(), PutOutcome::Inserted);
    }
    check_there(&after_the_worst_cut(&os.sim), (1..=5).map(here));
}

/// The system may have dropped their entries along with the others, and would call the folder clean.
#[test]
fn who_renames_while_a_sync_fails_is_failed_with_it() {
    let (os, engine, told, begun) = six_share(1);
    for told in &told {
        assert_eq!(told.as_ref().map_err(errno), Err(Some(EIO)), "relies on what a failed sync left");
    }
    assert_eq!(begun, 1, "a sync after a failed one was believed");
    for n in 1..=5 {
        assert_eq!(put(&engine, &here(n)).unwrap(), PutOutcome::Inserted);
    }
    check_there(&after_the_worst_cut(&os.sim), (1..=5).map(here));
}

/// A copy saw a chunk and sends nothing; a put by somebody else meets the failing sync. The copy's flush must
/// not say Ok.
#[test]
fn a_sync_that_failed_for_another_is_told_to_the_flush_of_who_saw_a_chunk() {
    let os = FaultOs::new(Arc::new(SimOs::new(1)));
    let engine = open(&os, Durability::OnPut);
    put(&engine, &here(1)).unwrap();
    engine.flush().unwrap();
    assert!(engine.stat(here(1).0).unwrap().is_some());
    os.arm(Call::SyncDir, 0, EIO);
    assert_eq!(errno(&put(&engine, &here(2)).unwrap_err()), Some(EIO));
    assert_eq!(os.disarm(), 1);
    assert_eq!(errno(&engine.flush().unwrap_err()), Some(EIO));
    engine.flush().unwrap();
    // A flush that meets the failure itself has told it.
    assert!(engine.stat(here(1).0).unwrap().is_some());
    os.arm(Call::SyncDir, 0, EIO);
    assert_eq!(errno(&engine.flush().unwrap_err()), Some(EIO));
    os.disarm();
    engine.flush().unwrap();
}

/// Threads that put, and flush, while the power goes off at any call.
#[test]
fn what_concurrent_puts_were_told_survives_any_cut() {
    let (mut acknowledged, mut cuts) = (0, 0);
    for seed in 0..400 {
        let durability = if seed % 2 == 0 { Durability::OnPut } else { Durability::OnFlush };
        let os = GateOs::new(seed);
        let engine = open(&os, durability);
        put(&engine, &here(200)).unwrap();
        os.sim.cut_after(Rng(seed).below(200));
        let work = |thread: u8| {
            let mut safe = Vec::new();
            for n in 0..4 {
                let mut one = here(thread * 4 + n);
                if n == 3 {
                    one.0 = elsewhere(one.0);
                }
                if put(&engine, &one).is_err()
                    || (durability == Durability::OnFlush && engine.flush().is_err())
                {
                    break;
                }
                safe.push(one);
            }
            safe
        };
        let safe: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || work(n))).collect();
            threads.into_iter().flat_map(|one| one.join().unwrap()).collect()
        });
        acknowledged += safe.len();
        cuts += u32::from(os.sim.is_cut());
        let random = os.sim.fork();
        random.power_cut();
        for engine in [after_the_worst_cut(&os.sim), open(&random, durability)] {
            check_there(&engine, safe.clone());
            for one in (0..16).map(here) {
                let found = engine.get(one.0).unwrap();
                assert!(found.is_none_or(|found| found == one.1), "seed {seed}: reads back wrong");
            }
        }
    }
    assert!(acknowledged > 1000 && cuts > 150, "{acknowledged} were acknowledged, {cuts} cuts");
}
