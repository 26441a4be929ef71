//! Every power cut there is, for short work: at each call of one put, heal, delete, flush or swap, and for
//! each of these with every combination of what the cut keeps, drops and tears of what was not synced.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use selfenc_core::store::{BlockingEngine, ChunkId, Durability, Expect, OpenMode, Result, RootName, Swap};
use selfenc_fs::{FsConfig, FsEngine};
use support::chunk;
use support::sim_os::SimOs;

/// Walks through all sequences of choices, whatever each choice depends on.
#[derive(Debug, Default)]
struct Choices {
    /// What is chosen, and of how many.
    path: Vec<(u64, u64)>,
    at: usize,
}

impl Choices {
    fn choose(&mut self, of: u64) -> u64 {
        if self.at == self.path.len() {
            self.path.push((0, of));
        }
        self.at += 1;
        self.path[self.at - 1].0
    }

    /// On to the next sequence; `false` after the last one.
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((chosen, of)) = self.path.pop() {
            if chosen + 1 < of {
                self.path.push((chosen + 1, of));
                return true;
            }
        }
        false
    }
}

/// Each in the same shard: one that stays, one that is worked on, one that is put after the cut.
const STAYS: u64 = 7;
const WORKED: u64 = 2;
const LATER: u64 = 12;

fn root() -> RootName {
    RootName::new("root").unwrap()
}

fn open(sim: &SimOs, durability: Durability) -> Result<FsEngine> {
    let config = FsConfig::new("/store").with_durability(durability).with_os(Arc::new(sim.clone()));
    config.open_engine(OpenMode::Create)
}

fn put(engine: &FsEngine, n: u64) -> bool {
    engine.put(chunk(n).0, &chunk(n).1).is_ok()
}

fn swap(engine: &FsEngine, new: Option<&'static str>) -> bool {
    let Ok(current) = engine.load(&root()) else { return false };
    let done = engine.swap(&root(), &Expect::from(current.as_ref()), new.map(Bytes::from));
    matches!(done, Ok(Swap::Done(_)))
}

/// What may be found of the chunk that is worked on, or of the root.
type Values = &'static [Option<&'static str>];

/// Short work on a store, and what it may leave behind.
struct Work {
    name: &'static str,
    /// Done before, and durable.
    before: fn(&FsEngine) -> bool,
    /// Whether all of it was acknowledged.
    work: fn(&FsEngine) -> bool,
    /// The chunk's possible lengths (`None`: absent) while it was not acknowledged, and once it was.
    chunk: [&'static [Option<usize>]; 2],
    /// The same of the root's value.
    root: [Values; 2],
    /// Whether it is acknowledged with a flush only.
    on_flush: bool,
}

/// The length of the chunk that is worked on, and of a truncated one.
const WHOLE: usize = 300;
const PART: usize = 100;

fn put_part(engine: &FsEngine) -> bool {
    let (id, data) = chunk(WORKED);
    engine.put(id, &data.slice(..PART)).is_ok()
}

const ABSENT: &[Option<usize>] = &[None];
const THERE: &[Option<usize>] = &[Some(WHOLE)];
const EITHER: &[Option<usize>] = &[None, Some(WHOLE)];

const NOTHING: Work = Work {
    name: "",
    before: |_| true,
    work: |_| true,
    chunk: [ABSENT; 2],
    root: [&[None]; 2],
    on_flush: false,
};

const WORKS: [Work; 12] = [
    Work { name: "a put", work: |e| put(e, WORKED), chunk: [EITHER, THERE], ..NOTHING },
    Work {
        name: "a put of what is there",
        before: |e| put(e, WORKED),
        work: |e| put(e, WORKED),
        chunk: [THERE; 2],
        ..NOTHING
    },
    Work {
        name: "a put that heals",
        before: put_part,
        work: |e| put(e, WORKED),
        chunk: [&[Some(PART), Some(WHOLE)], THERE],
        ..NOTHING
    },
    Work {
        name: "a delete",
        before: |e| put(e, WORKED),
        work: |e| e.delete(chunk(WORKED).0).is_ok(),
        chunk: [EITHER, ABSENT],
        ..NOTHING
    },
    Work {
        name: "a put and a delete",
        work: |e| put(e, WORKED) && e.delete(chunk(WORKED).0).is_ok(),
        chunk: [EITHER, ABSENT],
        ..NOTHING
    },
    Work {
        name: "a delete and a put",
        before: |e| put(e, WORKED),
        work: |e| e.delete(chunk(WORKED).0).is_ok() && put(e, WORKED),
        chunk: [EITHER, THERE],
        ..NOTHING
    },
    Work {
        name: "a put and a flush",
        work: |e| put(e, WORKED) && e.flush().is_ok(),
        chunk: [EITHER, THERE],
        on_flush: true,
        ..NOTHING
    },
    Work {
        name: "a put, a delete, a put and a flush",
        work: |e| put(e, WORKED) && e.delete(chunk(WORKED).0).is_ok() && put(e, WORKED) && e.flush().is_ok(),
        chunk: [EITHER, THERE],
        on_flush: true,
        ..NOTHING
    },
    Work {
        name: "a first swap",
        work: |e| swap(e, Some("new")),
        root: [&[None, Some("new")], &[Some("new")]],
        ..NOTHING
    },
    Work {
        name: "a swap",
        before: |e| swap(e, Some("old")),
        work: |e| swap(e, Some("new")),
        root: [&[Some("old"), Some("new")], &[Some("new")]],
        ..NOTHING
    },
    Work {
        name: "a removal of a root",
        before: |e| swap(e, Some("old")),
        work: |e| swap(e, None),
        root: [&[Some("old"), None], &[None]],
        ..NOTHING
    },
    Work {
        name: "a put, a flush and a swap",
        work: |e| put(e, WORKED) && e.flush().is_ok() && swap(e, Some("new")),
        chunk: [EITHER, THERE],
        root: [&[None, Some("new")], &[Some("new")]],
        on_flush: true,
        ..NOTHING
    },
];

impl Work {
    fn durability(&self) -> Durability {
        if self.on_flush { Durability::OnFlush } else { Durability::OnPut }
    }

    /// The store before the work, all of it durable.
    fn prepared(&self, seed: u64) -> SimOs {
        let sim = SimOs::new(seed);
        let engine = open(&sim, self.durability()).unwrap();
        assert!(put(&engine, STAYS) && (self.before)(&engine) && engine.flush().is_ok());
        drop(engine);
        sim
    }

    /// Every cut; the number of them, or what one of them did.
    fn survive(&self, seed: u64, ignore: (bool, bool)) -> Result<u64, String> {
        let prepared = self.prepared(seed);
        prepared.ignore_syncs(ignore.0, ignore.1);
        let mut cuts = 0;
        for at in 1.. {
            let sim = prepared.fork();
            let engine = open(&sim, self.durability()).unwrap();
            sim.cut_after(at);
            let acknowledged = (self.work)(&engine);
            let ended = !sim.is_cut();
            assert!(acknowledged || !ended, "{}: it fails with nothing at fault", self.name);
            // The handle's own clearing up at its end has no effect: the power is off.
            sim.cut_after(1);
            drop(engine);
            let (mut choices, mut seen) = (Choices::default(), HashSet::new());
            loop {
                let after = sim.fork();
                // Of the four choices of a file's length the last two are the same.
                let became = after.power_cut_choosing(&mut |of| choices.choose(if of == 4 { 3 } else { of }));
                cuts += 1;
                // Many choices come to the same.
                if seen.insert(became) {
                    let problem = self.check(&after, acknowledged);
                    problem
                        .map_err(|e| format!("{}, cut at call {at}, {:?}: {e}", self.name, choices.path))?;
                }
                if !choices.advance() {
                    break;
                }
            }
            if ended {
                return Ok(cuts);
            }
        }
        Ok(cuts)
    }

    fn check(&self, sim: &SimOs, acknowledged: bool) -> Result<(), String> {
        let engine = open(sim, self.durability()).map_err(|e| format!("it does not open: {e}"))?;
        self.check_chunks(&engine, acknowledged)?;
        let found = engine.load(&root()).map_err(|e| e.to_string())?.map(|root| root.value);
        let possible = self.root[usize::from(acknowledged)];
        let is_possible = possible.iter().any(|p| p.map(str::as_bytes) == found.as_deref());
        ensure(is_possible, || format!("the root is {found:?}, should be one of {possible:?}"))?;
        if found.as_deref() == Some(b"new") && self.chunk[1] == THERE {
            let named = engine.get(chunk(WORKED).0).map_err(|e| e.to_string())?;
            ensure(named.is_some(), || "the root is there, and the chunk before it is not".to_owned())?;
        }
        self.check_next_life(sim, &engine)
    }

    fn check_chunks(&self, engine: &FsEngine, acknowledged: bool) -> Result<(), String> {
        let read = |id: ChunkId| engine.get(id).map_err(|e| e.to_string());
        let stays = read(chunk(STAYS).0)?;
        ensure(stays.as_ref() == Some(&chunk(STAYS).1), || "the other chunk is lost".to_owned())?;
        let (id, data) = chunk(WORKED);
        let found = read(id)?;
        let possible = self.chunk[usize::from(acknowledged)];
        let len = found.as_ref().map(Bytes::len);
        ensure(possible.contains(&len), || format!("the chunk is {len:?}, should be one of {possible:?}"))?;
        let is_right = found.as_ref().is_none_or(|found| *found == data[..found.len()]);
        ensure(is_right, || "the chunk reads back wrong".to_owned())?;
        let (mut listed, mut after) = (0, None);
        while let Some(last) = engine.page(after).map_err(|e| e.to_string())?.last() {
            (listed, after) = (listed + 1, Some(last.id));
        }
        ensure(listed > 0, || "the listing is empty".to_owned())
    }

    /// What is acknowledged now holds, even if the next cut drops all that was not synced.
    fn check_next_life(&self, sim: &SimOs, engine: &FsEngine) -> Result<(), String> {
        let acknowledged = put(engine, LATER) && put(engine, WORKED) && engine.flush().is_ok();
        ensure(acknowledged && swap(engine, Some("later")), || "it does not work on".to_owned())?;
        // The last choice of an entry is what the disk has; the first of a file is what was synced.
        let _ = sim.power_cut_choosing(&mut |of| if of == 4 { 0 } else { of - 1 });
        let engine = open(sim, self.durability()).map_err(|e| format!("it does not open again: {e}"))?;
        for n in [STAYS, WORKED, LATER] {
            let found = engine.get(chunk(n).0).map_err(|e| e.to_string())?;
            ensure(found == Some(chunk(n).1), || format!("chunk {n} is lost at a second cut"))?;
        }
        let found = engine.load(&root()).map_err(|e| e.to_string())?.map(|root| root.value);
        ensure(found.as_deref() == Some(b"later"), || format!("the root is {found:?} after a second cut"))
    }
}

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(message()) }
}

#[test]
fn every_cut_of_short_work_is_survived() {
    let mut all = 0;
    for work in &WORKS {
        let cuts = work.survive(0, (false, false)).unwrap_or_else(|e| panic!("{e}"));
        assert!(cuts > 20, "{}: only {cuts} cuts", work.name);
        all += cuts;
    }
    assert!(all > 10_000, "only {all} cuts");
}

/// With the syncs removed, every work that depends on them is caught.
#[test]
fn without_syncs_every_work_is_caught() {
    for ignore in [(true, false), (false, true), (true, true)] {
        for work in WORKS.iter().filter(|work| work.name != "a put of what is there") {
            // A delete and a removal write no file.
            let needs_files = !["a delete", "a removal of a root", "a put and a delete"].contains(&work.name);
            if ignore.1 || needs_files {
                let problem = work.survive(1, ignore);
                assert!(problem.is_err(), "{}, without syncs {ignore:?}: {problem:?}", work.name);
            }
        }
    }
}

#[test]
fn the_choices_are_all_there_are() {
    let (mut choices, mut seen) = (Choices::default(), Vec::new());
    loop {
        let first = choices.choose(3);
        // The second depends on the first.
        seen.push((first, (first > 0).then(|| choices.choose(2))));
        if !choices.advance() {
            break;
        }
    }
    assert_eq!(seen, [(0, None), (1, Some(0)), (1, Some(1)), (2, Some(0)), (2, Some(1))]);
}
