//! `put_many`: the fewest syncs, in the right order, and each chunk's own answer, whatever fails.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use selfenc_core::store::{BlockingEngine, ChunkId, Durability, OpenMode, PutOutcome};
use selfenc_fs::os::Os;
use selfenc_fs::{FsConfig, FsEngine, FsLayout};
use support::chunk;
use support::fault_os::{Call, FaultOs};
use support::sim_os::SimOs;

const ENOSPC: i32 = 28;

/// 20 chunks in five folders.
const COUNT: u64 = 20;
const FOLDERS: usize = 5;

fn batch() -> Vec<(ChunkId, Bytes)> {
    (0..COUNT).map(chunk).collect()
}

struct Rig {
    sim: SimOs,
    os: FaultOs,
    engine: FsEngine,
}

fn open(os: Arc<dyn Os>, durability: Durability) -> FsEngine {
    let config = FsConfig::new("/store").with_durability(durability).with_os(os);
    config.open_engine(OpenMode::Create).unwrap()
}

impl Rig {
    /// A store with one chunk that is not of the batch, and nothing to be synced.
    fn new(durability: Durability) -> Self {
        let sim = SimOs::new(1);
        let os = FaultOs::new(Arc::new(sim.clone()));
        let engine = open(Arc::new(os.clone()), durability);
        engine.put(chunk(99).0, &chunk(99).1).unwrap();
        engine.flush().unwrap();
        os.trace();
        Self { sim, os, engine }
    }

    fn temporaries(&self) -> usize {
        let names = self.sim.read_dir("/store/tmp".as_ref()).unwrap();
        names.iter().filter(|name| !name.to_str().unwrap().ends_with(".lock")).count()
    }

    /// What the disk holds if the power goes off now and all goes that may.
    fn after_the_worst_cut(&self) -> FsEngine {
        let sim = self.sim.fork();
        let _ = sim.power_cut_choosing(&mut |of| if of == 4 { 0 } else { of - 1 });
        open(Arc::new(sim), Durability::OnPut)
    }
}

fn position(trace: &[Call], call: Call) -> (usize, usize) {
    let at = |found: Option<usize>| found.unwrap_or_else(|| panic!("no {call:?}"));
    (at(trace.iter().position(|one| *one == call)), at(trace.iter().rposition(|one| *one == call)))
}

fn times(trace: &[Call], call: Call) -> usize {
    trace.iter().filter(|one| **one == call).count()
}

#[test]
fn each_file_is_synced_then_all_renamed_then_each_folder_synced_once() {
    let rig = Rig::new(Durability::OnPut);
    let answers = rig.engine.put_many(&batch()).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Ok(PutOutcome::Inserted))), "{answers:?}");
    let trace = rig.os.trace();
    let order = [Call::SyncFile, Call::Rename, Call::SyncDir].map(|call| position(&trace, call));
    assert!(order[0].1 < order[1].0 && order[1].1 < order[2].0, "{trace:?}");
    let syncs = [Call::SyncFile, Call::Rename, Call::SyncDir].map(|call| times(&trace, call));
    assert_eq!(syncs, [COUNT as usize, COUNT as usize, FOLDERS]);
    let cut = rig.after_the_worst_cut();
    for (id, data) in batch() {
        assert_eq!(cut.get(id).unwrap(), Some(data));
    }
    // All are there: nothing is written, but another process may have renamed them and not synced.
    let answers = rig.engine.put_many(&batch()).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Ok(PutOutcome::Present))), "{answers:?}");
    let trace = rig.os.trace();
    let calls = [Call::CreateNew, Call::Rename, Call::SyncDir].map(|call| times(&trace, call));
    assert_eq!(calls, [0, 0, FOLDERS]);
}

#[test]
fn on_flush_no_folder_is_synced_before_the_flush() {
    let rig = Rig::new(Durability::OnFlush);
    assert!(rig.engine.put_many(&batch()).unwrap().iter().all(Result::is_ok));
    assert_eq!(times(&rig.os.trace(), Call::SyncDir), 0);
    rig.engine.flush().unwrap();
    assert_eq!(times(&rig.os.trace(), Call::SyncDir), FOLDERS);
    let cut = rig.after_the_worst_cut();
    assert!(batch().into_iter().all(|(id, data)| cut.get(id).unwrap() == Some(data)));
}

#[test]
fn a_flat_folder_is_synced_once() {
    let os = FaultOs::new(Arc::new(SimOs::new(1)));
    let config = FsConfig::new("/store").with_layout(FsLayout::Flat).with_os(Arc::new(os.clone()));
    let engine = config.open_engine(OpenMode::Create).unwrap();
    engine.put(chunk(99).0, &chunk(99).1).unwrap();
    os.trace();
    let answers = engine.put_many(&batch()).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Ok(PutOutcome::Inserted))), "{answers:?}");
    assert_eq!(times(&os.trace(), Call::SyncDir), 1);
    assert!(batch().into_iter().all(|(id, data)| engine.get(id).unwrap() == Some(data)));
}

#[test]
fn a_chunk_twice_in_a_batch_and_an_empty_batch() {
    let rig = Rig::new(Durability::OnPut);
    assert!(rig.engine.put_many(&[]).unwrap().is_empty());
    let (one, two) = (chunk(2), chunk(3));
    let answers = rig.engine.put_many(&[one.clone(), two.clone(), one.clone(), one.clone()]).unwrap();
    let outcomes: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    use PutOutcome::{Inserted, Present};
    assert_eq!(outcomes, [Inserted, Inserted, Present, Present]);
    let cut = rig.after_the_worst_cut();
    assert!([one, two].into_iter().all(|(id, data)| cut.get(id).unwrap() == Some(data)));
}

/// One call of a batch fails: who was told Ok is safe, who was not is not there, and can be put again.
#[test]
fn one_failing_call_fails_its_own_chunk() {
    let mut strikes = 0;
    for call in [Call::Metadata, Call::CreateNew, Call::Write, Call::SyncFile, Call::Rename] {
        for nth in 0.. {
            let (rig, context) = (Rig::new(Durability::OnPut), format!("call {nth} of {call:?}"));
            rig.os.arm(call, nth, ENOSPC);
            let answers = rig.engine.put_many(&batch()).unwrap();
            let struck = rig.os.disarm();
            let failed = answers.iter().filter(|answer| answer.is_err()).count();
            assert_eq!(failed as u64, struck, "{context}: {answers:?}");
            check_answers(&rig, &answers, &context);
            if struck == 0 {
                break;
            }
            strikes += struck;
        }
    }
    // Of an empty chunk nothing is written.
    assert!(strikes > 100, "only {strikes} faults struck");
}

#[test]
fn a_failing_sync_of_a_folder_fails_all_in_it_and_nobody_else() {
    for nth in 0..FOLDERS as u64 {
        let (rig, context) = (Rig::new(Durability::OnPut), format!("sync {nth}"));
        rig.os.arm(Call::SyncDir, nth, ENOSPC);
        let answers = rig.engine.put_many(&batch()).unwrap();
        assert_eq!(rig.os.disarm(), 1);
        assert_eq!(times(&rig.os.trace(), Call::SyncDir), FOLDERS, "a failed sync was tried again");
        let mut folders = BTreeMap::<u8, BTreeSet<bool>>::new();
        for ((id, _), answer) in batch().iter().zip(&answers) {
            folders.entry(id.as_bytes()[0]).or_default().insert(answer.is_ok());
        }
        assert!(folders.values().all(|told| told.len() == 1), "{context}: {folders:?}");
        assert_eq!(folders.values().filter(|told| told.contains(&false)).count(), 1, "{context}");
        check_answers(&rig, &answers, &context);
    }
}

fn check_answers(rig: &Rig, answers: &[selfenc_core::store::Result<PutOutcome>], context: &str) {
    let cut = rig.after_the_worst_cut();
    for ((id, data), answer) in batch().iter().zip(answers) {
        match answer {
            Ok(_) => assert_eq!(cut.get(*id).unwrap().as_ref(), Some(data), "{context}"),
            Err(e) => {
                assert_eq!((e.op(), e.chunk()), ("put", Some(*id)), "{context}: {e}");
                assert_eq!(rig.engine.get(*id).unwrap(), None, "{context}: a failed put shows");
            }
        }
    }
    assert_eq!(rig.temporaries(), 0, "{context}");
    assert!(rig.engine.put_many(&batch()).unwrap().iter().all(Result::is_ok), "{context}: and still");
    let cut = rig.after_the_worst_cut();
    assert!(batch().into_iter().all(|(id, data)| cut.get(id).unwrap() == Some(data)), "{context}");
}

/// The power goes off at every call there is.
#[test]
fn what_a_batch_was_told_survives_any_cut() {
    let (mut partly, mut cuts) = (0, 0);
    for at in 1.. {
        let rig = Rig::new(Durability::OnPut);
        rig.sim.cut_after(at);
        let answers = rig.engine.put_many(&batch()).unwrap();
        let was_cut = rig.sim.is_cut();
        let told = answers.iter().filter(|answer| answer.is_ok()).count();
        partly += u32::from(told > 0 && told < answers.len());
        let random = rig.sim.fork();
        random.power_cut();
        for cut in [rig.after_the_worst_cut(), open(Arc::new(random), Durability::OnPut)] {
            cuts += 1;
            for ((id, data), answer) in batch().iter().zip(&answers) {
                let found = cut.get(*id).unwrap();
                assert!(answer.is_err() || found.is_some(), "call {at}: acknowledged and lost");
                assert!(found.is_none_or(|found| found == *data), "call {at}: reads back wrong");
            }
        }
        if !was_cut {
            assert_eq!(told, answers.len());
            break;
        }
    }
    assert!(partly > 0 && cuts > 200, "{cuts} cuts, {partly} of them after some were acknowledged");
}
