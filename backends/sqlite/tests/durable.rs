//! What one process has not synced, and another relies on.
#![allow(clippy::unwrap_used)]

#[path = "support/vfs/mod.rs"]
mod vfs;

use selfenc_core::store::{BlockingEngine, Durability, Expect, OpenMode, PutOutcome, RootName, Swap};
use vfs::chunk;
use vfs::content::Geometry;
use vfs::store::{Rig, Store};
use vfs::world::SimDisk;

/// A chunk that was put on flush and not flushed; then what `then` does on put; then the power goes off.
/// Whether the chunk is still there.
fn survives(seed: u64, then: fn(&Store)) -> bool {
    let disk = SimDisk::new(seed, Geometry { sector: 4096, powersafe: true });
    let rig = |durability| Rig { disk: disk.clone(), durability, page_size: 4096 };
    let (on_flush, on_put) = (rig(Durability::OnFlush), rig(Durability::OnPut));
    let writer = on_flush.open(OpenMode::Create).unwrap();
    writer.flush().unwrap();
    let other = on_put.open(OpenMode::Existing).unwrap();
    // The other has settled what there was before.
    other.put(chunk(1).0, &chunk(1).1).unwrap();
    writer.put(chunk(5).0, &chunk(5).1).unwrap();
    then(&other);
    disk.power_cut();
    drop((writer, other));
    let store = on_put.open(OpenMode::Existing).unwrap();
    let got = store.get(chunk(5).0).unwrap();
    assert!(got.as_ref().is_none_or(|got| *got == chunk(5).1), "seed {seed}");
    got.is_some()
}

const SEEDS: std::ops::Range<u64> = 0..20;

#[test]
fn nothing_makes_it_durable_by_itself() {
    let lost = SEEDS.filter(|seed| !survives(*seed, |_| {})).count();
    assert!(lost > 5, "only {lost} lost: the tests beside this one show nothing");
}

#[test]
fn what_is_said_to_be_present_is_durable() {
    for seed in SEEDS {
        assert!(survives(seed, |other| {
            let outcome = other.put(chunk(5).0, &chunk(5).1).unwrap();
            assert_eq!(outcome, PutOutcome::Present);
        }));
    }
}

#[test]
fn a_flush_covers_what_was_only_seen() {
    for seed in SEEDS {
        assert!(survives(seed, |other| {
            assert!(other.stat(chunk(5).0).unwrap().is_some());
            other.flush().unwrap();
        }));
    }
}

#[test]
fn a_root_may_name_what_was_only_seen() {
    for seed in SEEDS {
        assert!(survives(seed, |other| {
            let swapped =
                other.swap(&RootName::new("a").unwrap(), &Expect::Absent, Some("5".into())).unwrap();
            assert!(matches!(swapped, Swap::Done(Some(_))));
        }));
    }
}
