//! Power cuts. Random work on a store in a simulated file system, the power off at a random call, the
//! store opened again, everything checked; then on with what is left, so that later cuts meet the litter of
//! earlier ones. Every failure prints its seed, and the seed replays it.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use selfenc_core::store::{BlockingEngine, ChunkMeta, Durability, Expect, OpenMode, Result, RootName, Swap};
use selfenc_fs::{FsConfig, FsEngine, FsLayout};
use support::sim_os::{Faults, SimOs};
use support::{Rng, chunk};

/// Chunks that come and go, and those that roots point to, which nobody deletes.
const LOOSE: u64 = 16;
const ALL: u64 = 24;
const ROOTS: [&str; 2] = ["a", "b"];

/// Power cuts for each seed.
const LIVES: u64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Present,
    Absent,
    Either,
}

/// What the store has promised.
#[derive(Debug, Default)]
struct Model {
    chunks: BTreeMap<u64, Fate>,
    /// What was acknowledged and waits for a flush of one of the handles.
    waiting: BTreeMap<u64, (usize, Fate)>,
    /// For each root what it may be; one value unless a swap failed.
    roots: BTreeMap<&'static str, BTreeSet<Option<Vec<u8>>>>,
}

impl Model {
    fn fate(&self, n: u64) -> Fate {
        self.chunks.get(&n).copied().unwrap_or(Fate::Absent)
    }

    fn root(&mut self, name: &'static str) -> &mut BTreeSet<Option<Vec<u8>>> {
        self.roots.entry(name).or_insert_with(|| BTreeSet::from([None]))
    }

    /// A put or delete ended, towards `fate`.
    fn acted(&mut self, n: u64, handle: usize, fate: Fate, ok: bool, durability: Durability) {
        let unchanged = self.fate(n) == fate && fate == Fate::Present;
        match (ok, durability) {
            (true, Durability::OnPut) => drop(self.chunks.insert(n, fate)),
            (true, _) => {
                self.waiting.insert(n, (handle, fate));
                if !unchanged {
                    self.chunks.insert(n, Fate::Either);
                }
            }
            // A failed put of what is durable leaves it durable.
            (false, _) if unchanged => {}
            (false, _) => {
                self.waiting.remove(&n);
                self.chunks.insert(n, Fate::Either);
            }
        }
    }

    fn flushed(&mut self, handle: usize) {
        let chunks = &mut self.chunks;
        self.waiting.retain(|n, (by, fate)| {
            if *by == handle {
                chunks.insert(*n, *fate);
            }
            *by != handle
        });
    }
}

struct Run {
    sim: SimOs,
    rng: Rng,
    layout: FsLayout,
    durability: Durability,
    model: Model,
    syncs_fail: bool,
}

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

impl Run {
    fn new(seed: u64, durability: Durability) -> Self {
        Self {
            sim: SimOs::new(seed),
            rng: Rng(seed ^ 0xabcdef),
            layout: FsLayout::default(),
            durability,
            model: Model::default(),
            syncs_fail: false,
        }
    }

    fn with_layout(mut self, layout: FsLayout) -> Self {
        self.layout = layout;
        self
    }

    fn has_roots(&self) -> bool {
        self.layout != FsLayout::Flat
    }

    fn open(&self, mode: OpenMode) -> Result<FsEngine> {
        let config = FsConfig::new("/data/store").with_durability(self.durability).with_layout(self.layout);
        config.with_os(Arc::new(self.sim.clone())).open_engine(mode)
    }

    /// Some work until the power goes off.
    fn live(&mut self, handles: &[FsEngine]) -> Result<(), String> {
        let calls = 1 + self.rng.below(120);
        self.sim.cut_after(calls);
        while !self.sim.is_cut() {
            let handle = self.rng.below(handles.len() as u64) as usize;
            let engine = &handles[handle];
            match self.rng.below(10) {
                0..=4 => drop(self.put(engine, handle, self.rng.clone().below(LOOSE))),
                5 | 6 => self.delete(engine, handle),
                7 if self.has_roots() => self.publish(engine, handle),
                8 => drop(self.flush(engine, handle)),
                _ => {
                    let n = self.rng.below(ALL);
                    if let Ok(got) = engine.get(chunk(n).0) {
                        self.check_chunk(n, got.as_ref())?;
                    }
                }
            }
            self.rng.next();
        }
        Ok(())
    }

    fn put(&mut self, engine: &FsEngine, handle: usize, n: u64) -> bool {
        let (id, data) = chunk(n);
        let ok = engine.put(id, &data).is_ok();
        self.model.acted(n, handle, Fate::Present, ok, self.durability);
        ok
    }

    fn delete(&mut self, engine: &FsEngine, handle: usize) {
        let n = self.rng.below(LOOSE);
        let ok = engine.delete(chunk(n).0).is_ok();
        self.model.acted(n, handle, Fate::Absent, ok, self.durability);
    }

    fn flush(&mut self, engine: &FsEngine, handle: usize) -> bool {
        let ok = engine.flush().is_ok();
        if ok {
            self.model.flushed(handle);
        }
        ok
    }

    /// Chunks, then a flush, then a root that names them: or a removal.
    fn publish(&mut self, engine: &FsEngine, handle: usize) {
        let root = ROOTS[self.rng.below(2) as usize];
        let name = RootName::new(root).unwrap();
        let chunks: Vec<u8> = (LOOSE..ALL).filter(|_| self.rng.chance(500)).map(|n| n as u8).collect();
        let is_removal = self.rng.chance(200);
        if !is_removal {
            let stored = chunks.iter().all(|n| self.put(engine, handle, (*n).into()));
            if !stored || !self.flush(engine, handle) {
                return;
            }
        }
        let new = (!is_removal).then_some(chunks);
        let Ok(current) = engine.load(&name) else { return };
        match engine.swap(&name, &Expect::from(current.as_ref()), new.clone().map(Bytes::from)) {
            Ok(Swap::Done(_)) => *self.model.root(root) = BTreeSet::from([new]),
            Ok(Swap::Conflict(_)) => panic!("a conflict, and nobody else swaps"),
            Err(_) => drop(self.model.root(root).insert(new)),
        }
    }

    fn check_chunk(&self, n: u64, got: Option<&Bytes>) -> Result<(), String> {
        let fate = self.model.fate(n);
        if let Some(got) = got {
            ensure!(*got == chunk(n).1, "chunk {n} reads back wrong: {} bytes", got.len());
        }
        // In the same life what was acknowledged shows at once, also before a flush.
        ensure!(fate != Fate::Present || got.is_some(), "chunk {n} was acknowledged and is lost");
        Ok(())
    }

    /// What must hold after a power cut; then the model is what is there.
    fn check_all(&mut self, engine: &FsEngine) -> Result<(), String> {
        let mut there = BTreeSet::new();
        for n in 0..ALL {
            let got = engine.get(chunk(n).0).map_err(|e| format!("get of chunk {n}: {e}"))?;
            self.check_chunk(n, got.as_ref())?;
            // After a failed sync a deleted chunk may come back: litter, not loss.
            ensure!(
                self.syncs_fail || self.model.fate(n) != Fate::Absent || got.is_none(),
                "chunk {n} was durably deleted, or never put, and is there"
            );
            if let Some(data) = &got {
                there.insert(ChunkMeta { id: chunk(n).0, len: data.len() as u64 });
            }
            self.model.chunks.insert(n, if got.is_some() { Fate::Present } else { Fate::Absent });
        }
        self.model.waiting.clear();
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = engine.page(after).map_err(|e| e.to_string())?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            listed.extend(page);
        }
        ensure!(listed.iter().copied().eq(there), "the listing is not what can be read");
        if !self.has_roots() {
            return Ok(());
        }
        ROOTS.into_iter().try_for_each(|root| self.check_root(engine, root))
    }

    fn check_root(&mut self, engine: &FsEngine, root: &'static str) -> Result<(), String> {
        let found = engine.load(&RootName::new(root).unwrap()).map_err(|e| format!("root {root}: {e}"))?;
        let value = found.map(|root| root.value.to_vec());
        let possible = self.model.root(root);
        ensure!(possible.contains(&value), "root {root} is {value:?}, should be one of {possible:?}");
        *possible = BTreeSet::from([value.clone()]);
        for n in value.unwrap_or_default() {
            ensure!(
                self.model.fate(n.into()) == Fate::Present,
                "root {root} points to chunk {n}, which is not there"
            );
        }
        Ok(())
    }

    /// Opens the store after a power cut, sometimes with another cut while it is being opened.
    fn reopen(&mut self, was_kill: bool) -> Result<FsEngine, String> {
        if !was_kill && self.rng.chance(250) {
            self.sim.cut_after(1 + self.rng.below(12));
            drop(self.open(OpenMode::Existing));
            self.sim.power_cut();
        }
        let open = || self.open(OpenMode::Existing).map_err(|e| format!("it does not open: {e}"));
        let left = || self.temporaries();
        let mut engine = open()?;
        if !left().is_empty() {
            // A cut may keep a temporary and drop the lock file that tells whose it was: then it is a stray.
            ensure!(!was_kill, "left in tmp by a killed process: {:?}", left());
            self.sim.advance(Duration::from_secs(25 * 60 * 60));
            engine = open()?;
            ensure!(left().is_empty(), "left in tmp a day later: {:?}", left());
        }
        Ok(engine)
    }

    /// What stands in `tmp`, or beside the chunks of a flat folder.
    fn temporaries(&self) -> Vec<OsString> {
        let tmp = if self.has_roots() { "/data/store/tmp" } else { "/data/store" };
        let mut names = selfenc_fs::os::Os::read_dir(&self.sim, Path::new(tmp)).unwrap();
        names.retain(|name| self.has_roots() || name.to_string_lossy().starts_with('.'));
        names
    }

    fn lives(&mut self, faults: Faults) -> Result<(), String> {
        self.syncs_fail = faults.sync_dir > 0;
        drop(self.open(OpenMode::Create).map_err(|e| e.to_string())?);
        for life in 0..LIVES {
            let engine = self.reopen(false).map_err(|e| format!("life {life}: {e}"))?;
            self.check_all(&engine).map_err(|e| format!("life {life}: {e}"))?;
            let mut handles = vec![engine];
            // Where syncs fail, another process cannot know what to distrust; see the crate's notes.
            if !self.syncs_fail && self.rng.chance(300) {
                handles.push(self.open(OpenMode::Existing).map_err(|e| e.to_string())?);
            }
            self.sim.set_faults(faults);
            self.live(&handles).map_err(|e| format!("life {life}: {e}"))?;
            self.sim.set_faults(Faults::default());
            drop(handles);
            self.sim.power_cut();
        }
        let engine = self.reopen(false)?;
        self.check_all(&engine)
    }
}

const NO_FAULTS: Faults = Faults { sync_file: 0, sync_dir: 0, no_space: 0, rename: 0 };
const SOME_FAULTS: Faults = Faults { sync_file: 60, sync_dir: 100, no_space: 40, rename: 40 };

/// Runs many seeds on two threads; the power cuts survived.
fn survive(layout: FsLayout, durability: Durability, seeds: std::ops::Range<u64>) -> u64 {
    let one = |seed: u64| {
        let faults = if seed.is_multiple_of(2) { NO_FAULTS } else { SOME_FAULTS };
        if let Err(problem) = Run::new(seed, durability).with_layout(layout).lives(faults) {
            panic!("seed {seed} {durability:?} {layout:?}: {problem}");
        }
        LIVES
    };
    thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let seeds = seeds.clone().filter(move |seed| seed / 2 % 2 == half);
            scope.spawn(move || seeds.map(one).sum::<u64>())
        });
        halves.into_iter().map(|half| half.join().expect("see above")).sum()
    })
}

#[test]
fn ten_thousand_power_cuts_on_put() {
    assert_eq!(survive(FsLayout::Sharded, Durability::OnPut, 0..500), 10_000);
}

#[test]
fn ten_thousand_power_cuts_on_flush() {
    assert_eq!(survive(FsLayout::Sharded, Durability::OnFlush, 10_000..10_500), 10_000);
}

#[test]
fn ten_thousand_power_cuts_of_a_flat_folder() {
    assert_eq!(survive(FsLayout::Flat, Durability::OnPut, 20_000..20_250), 5000);
    assert_eq!(survive(FsLayout::Flat, Durability::OnFlush, 30_000..30_250), 5000);
}

const EVERY: [(FsLayout, Durability); 4] = [
    (FsLayout::Sharded, Durability::OnPut),
    (FsLayout::Sharded, Durability::OnFlush),
    (FsLayout::Flat, Durability::OnPut),
    (FsLayout::Flat, Durability::OnFlush),
];

/// The simulation must catch a store that does not sync: here, a system whose syncs do nothing.
fn caught(of_files: bool, of_dirs: bool, layout: FsLayout, durability: Durability) -> Vec<String> {
    let problems = (0..30).filter_map(|seed| {
        let mut run = Run::new(seed, durability).with_layout(layout);
        drop(run.open(OpenMode::Create).unwrap());
        run.sim.ignore_syncs(of_files, of_dirs);
        run.lives(NO_FAULTS).err()
    });
    problems.collect()
}

#[test]
fn a_store_that_does_not_sync_files_is_caught() {
    for (layout, durability) in EVERY {
        let problems = caught(true, false, layout, durability);
        assert!(problems.len() > 20, "{layout:?} {durability:?}: only {problems:?}");
        assert!(problems.iter().any(|p| p.contains("reads back wrong")), "{layout:?}: {problems:?}");
    }
}

#[test]
fn a_store_that_does_not_sync_folders_is_caught() {
    for (layout, durability) in EVERY {
        let problems = caught(false, true, layout, durability);
        assert!(problems.len() > 20, "{layout:?} {durability:?}: only {problems:?}");
        assert!(problems.iter().any(|p| p.contains("is lost") || p.contains("root")), "{problems:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = || {
        let mut run = Run::new(77, Durability::OnPut);
        run.lives(SOME_FAULTS).unwrap();
        (run.sim.calls(), format!("{:?}", run.model))
    };
    assert_eq!(run(), run());
}

/// Making a store, with the power off, or the process killed, at every single call.
#[test]
fn an_interrupted_making_is_completed_by_the_next() {
    let calls = {
        let run = Run::new(0, Durability::OnPut);
        drop(run.open(OpenMode::Create).unwrap());
        run.sim.calls()
    };
    assert!(calls > 256, "{calls} calls");
    for at in 1..=calls {
        for (seed, is_kill) in [(1, false), (2, false), (3, true), (4, true), (5, true), (6, true)] {
            let mut run = Run::new(seed << 32 | at, Durability::OnPut);
            run.sim.cut_after(at);
            drop(run.open(OpenMode::Create));
            match is_kill {
                true => run.sim.kill(),
                false => run.sim.power_cut(),
            }
            let engine = run.open(OpenMode::Create).unwrap_or_else(|e| panic!("seed {seed} call {at}: {e}"));
            assert!(run.put(&engine, 0, 2), "seed {seed} call {at}");
            drop(engine);
            run.sim.power_cut();
            let engine = run.reopen(false).unwrap_or_else(|e| panic!("seed {seed} call {at}: {e}"));
            run.check_all(&engine).unwrap_or_else(|e| panic!("seed {seed} call {at}: {e}"));
        }
    }
}

/// A process makes the store and dies before the last sync; another finds the store whole, and what it
/// acknowledges must not hang on an entry that is not durable.
#[test]
fn what_a_dead_process_did_not_sync_is_synced_by_the_next_that_writes() {
    let mut unfinished = 0;
    for seed in 0..20 {
        let mut run = Run::new(seed, Durability::OnPut);
        // The marker shows only after its rename; the sync of the folder is the next call.
        for at in 1.. {
            run.sim = SimOs::new(seed);
            run.sim.cut_after(at);
            drop(run.open(OpenMode::Create));
            let ended = !run.sim.is_cut();
            run.sim.kill();
            if run.open(OpenMode::Existing).is_ok() {
                unfinished += u32::from(!ended);
                break;
            }
        }
        let engine = run.open(OpenMode::Existing).unwrap();
        assert!(run.put(&engine, 0, 2), "seed {seed}");
        drop(engine);
        run.sim.power_cut();
        let engine = run.reopen(false).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        run.check_all(&engine).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
    assert_eq!(unfinished, 20);
}

/// A copy is killed after a rename and before the sync of the folder. The next one finds the chunk by
/// `stat` and sends nothing; its `flush` must make durable what it found.
#[test]
fn what_was_seen_is_durable_after_a_flush() {
    let (id, data) = support::chunk(1);
    let mut lost_without = 0;
    for seed in 0..40 {
        for flush in [true, false] {
            let sim = SimOs::new(seed);
            let open = |durability| {
                let config =
                    FsConfig::new("/store").with_durability(durability).with_os(Arc::new(sim.clone()));
                config.open_engine(OpenMode::Create).unwrap()
            };
            drop(open(Durability::OnPut));
            let first = open(Durability::OnFlush);
            first.put(id, &data).unwrap();
            sim.kill();
            drop(first);
            let second = open(Durability::OnPut);
            assert!(second.stat(id).unwrap().is_some());
            if flush {
                second.flush().unwrap();
            }
            drop(second);
            sim.power_cut();
            let found = open(Durability::OnPut).get(id).unwrap();
            assert!(!flush || found.as_ref() == Some(&data), "seed {seed}");
            lost_without += u32::from(!flush && found.is_none());
        }
    }
    assert!(lost_without > 0, "the test would pass without any sync");
}

/// Short work, with the process killed at every single call: the machine lives on, so everything
/// acknowledged is there, and nothing else is left.
#[test]
fn killed_at_every_call() {
    let work = |run: &mut Run, engine: &FsEngine| {
        for n in [3, 5, 17] {
            run.put(engine, 0, n);
        }
        run.delete(engine, 0);
        run.publish(engine, 0);
        run.put(engine, 0, 3);
    };
    for at in 1..200 {
        let mut run = Run::new(9, Durability::OnPut);
        let engine = run.open(OpenMode::Create).unwrap();
        run.sim.cut_after(at);
        work(&mut run, &engine);
        let was_cut = run.sim.is_cut();
        drop(engine);
        run.sim.kill();
        let engine = run.reopen(true).unwrap_or_else(|e| panic!("call {at}: {e}"));
        run.check_all(&engine).unwrap_or_else(|e| panic!("call {at}: {e}"));
        if !was_cut {
            return;
        }
    }
    panic!("the work never ended");
}
