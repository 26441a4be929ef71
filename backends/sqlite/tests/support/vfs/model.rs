//! Random work on a store, and what the store has promised meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use selfenc_core::store::{BlockingEngine, ChunkMeta, Durability, Expect, OpenMode, RootName, Swap};

use super::store::{Rig, Store};
use super::{Rng, chunk};

/// Chunks that come and go, and those that roots point to, which nobody deletes.
const LOOSE: u64 = 16;
pub const ALL: u64 = 24;
/// More than any life has.
const MOST_OPS: u64 = 2000;
const ROOTS: [&str; 2] = ["a", "b"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Present,
    Absent,
    Either,
}

/// What the store has promised.
#[derive(Clone, Debug, Default)]
pub struct Model {
    chunks: BTreeMap<u64, Fate>,
    /// What was acknowledged and waits for a flush of one of the handles.
    waiting: BTreeMap<u64, (usize, Fate)>,
    /// For each root what it may be; one value unless a swap failed.
    roots: BTreeMap<&'static str, BTreeSet<Option<Vec<u8>>>>,
}

impl Model {
    /// What was promised of these chunks alone.
    pub fn only(&self, which: impl Fn(u64) -> bool) -> Self {
        let mut only = self.clone();
        only.chunks.retain(|n, _| which(*n));
        only
    }

    /// What was promised of other chunks too.
    pub fn merge(&mut self, other: Self) {
        self.chunks.extend(other.chunks);
    }

    fn fate(&self, n: u64) -> Fate {
        self.chunks.get(&n).copied().unwrap_or(Fate::Absent)
    }

    fn root(&mut self, name: &'static str) -> &mut BTreeSet<Option<Vec<u8>>> {
        self.roots.entry(name).or_insert_with(|| BTreeSet::from([None]))
    }

    /// A put or delete ended, towards `fate`.
    pub fn acted(&mut self, n: u64, handle: usize, fate: Fate, ok: bool, durability: Durability) {
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

    pub fn flushed(&mut self, handle: usize) {
        let chunks = &mut self.chunks;
        self.waiting.retain(|n, (by, fate)| {
            if *by == handle {
                chunks.insert(*n, *fate);
            }
            *by != handle
        });
    }
}

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

/// A store, its promises, and chance.
#[derive(Debug)]
pub struct Run {
    pub rig: Rig,
    pub rng: Rng,
    pub model: Model,
}

impl Run {
    pub fn new(rig: Rig, seed: u64) -> Self {
        Self { rig, rng: Rng(seed ^ 0xabcdef), model: Model::default() }
    }

    /// The same again, on its own from now on.
    pub fn fork(&self, seed: u64) -> Self {
        let rig = Rig { disk: self.rig.disk.fork(seed), ..self.rig.clone() };
        Self { rig, rng: Rng(seed), model: self.model.clone() }
    }

    /// Some work until the power goes off. Where syncs fail, nobody but one handle works: another process
    /// cannot know what to distrust.
    pub fn live(&mut self, handles: &mut Vec<Store>, alone: bool) -> Result<(), String> {
        let steps = 1 + self.rng.below(150);
        self.rig.disk.cut_after(steps);
        for _ in 0..MOST_OPS {
            if self.rig.disk.is_cut() {
                return Ok(());
            }
            let handle = self.rng.below(handles.len() as u64) as usize;
            let Some(store) = handles.get(handle) else { break };
            let n = self.rng.below(LOOSE);
            match self.rng.below(20) {
                0..=8 => drop(self.put(store, handle, n)),
                9..=12 => self.delete(store, handle, n),
                13 | 14 => self.publish(store, handle),
                15 | 16 => drop(self.flush(store, handle)),
                17 if !alone => self.checkpoint(store),
                // With this the log is moved into the file.
                18 if handles.len() == 1 && (!alone || self.rig.durability == Durability::OnPut) => {
                    handles.clear();
                    handles.extend(self.open_again());
                }
                _ => {
                    let n = self.rng.below(ALL);
                    if let Ok(got) = store.get(chunk(n).0) {
                        self.check_chunk(n, got.as_ref())?;
                    }
                }
            }
        }
        let last = handles.first().map(|store| store.put(chunk(1).0, &chunk(1).1));
        Err(format!("the power never went off; a put is {last:?}"))
    }

    pub fn put(&mut self, store: &Store, handle: usize, n: u64) -> bool {
        let (id, data) = chunk(n);
        let ok = store.put(id, &data).is_ok();
        self.model.acted(n, handle, Fate::Present, ok, self.rig.durability);
        ok
    }

    pub fn delete(&mut self, store: &Store, handle: usize, n: u64) {
        let ok = store.delete(chunk(n).0).is_ok();
        self.model.acted(n, handle, Fate::Absent, ok, self.rig.durability);
    }

    pub fn flush(&mut self, store: &Store, handle: usize) -> bool {
        let ok = store.flush().is_ok();
        if ok {
            self.model.flushed(handle);
        }
        ok
    }

    /// Chunks, then a flush, then a root that names them: or a removal.
    pub fn publish(&mut self, store: &Store, handle: usize) {
        let root = ROOTS[self.rng.below(2) as usize];
        let name = RootName::new(root).unwrap();
        let chunks: Vec<u8> = (LOOSE..ALL).filter(|_| self.rng.chance(500)).map(|n| n as u8).collect();
        let is_removal = self.rng.chance(200);
        if !is_removal {
            let stored = chunks.iter().all(|n| self.put(store, handle, (*n).into()));
            if !stored || !self.flush(store, handle) {
                return;
            }
        }
        let new = (!is_removal).then_some(chunks);
        let Ok(current) = store.load(&name) else { return };
        match store.swap(&name, &Expect::from(current.as_ref()), new.clone().map(Bytes::from)) {
            Ok(Swap::Done(_)) => *self.model.root(root) = BTreeSet::from([new]),
            Ok(Swap::Conflict(_)) => panic!("a conflict, and nobody else swaps"),
            Err(_) => drop(self.model.root(root).insert(new)),
        }
    }

    /// Somebody else moves the log into the file, as far as this store lets them.
    pub fn checkpoint(&mut self, store: &Store) {
        let mode = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][self.rng.below(4) as usize];
        if let Ok(conn) = store.foreign() {
            drop(conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())));
        }
    }

    /// Opens the store, however often that fails, until the power goes off.
    fn open_again(&self) -> Option<Store> {
        while !self.rig.disk.is_cut() {
            if let Ok(store) = self.rig.open(OpenMode::Existing) {
                return Some(store);
            }
        }
        None
    }

    fn check_chunk(&self, n: u64, got: Option<&Bytes>) -> Result<(), String> {
        if let Some(got) = got {
            ensure!(*got == chunk(n).1, "chunk {n} reads back wrong: {} bytes", got.len());
        }
        // In the same life what was acknowledged shows at once, also before a flush.
        let is_lost = self.model.fate(n) == Fate::Present && got.is_none();
        ensure!(!is_lost, "chunk {n} was acknowledged and is lost");
        Ok(())
    }

    /// What must hold after a crash; then the model is what is there.
    pub fn check_all(&mut self, store: &Store) -> Result<(), String> {
        let damage = store.damage().map_err(|e| format!("the integrity check: {e}"))?;
        ensure!(damage.is_none(), "damaged: {damage:?}");
        let mut there = BTreeSet::new();
        for n in 0..ALL {
            let got = store.get(chunk(n).0).map_err(|e| format!("get of chunk {n}: {e}"))?;
            self.check_chunk(n, got.as_ref())?;
            let is_back = self.model.fate(n) == Fate::Absent && got.is_some();
            ensure!(!is_back, "chunk {n} was durably deleted, or never put, and is there");
            if let Some(data) = &got {
                there.insert(ChunkMeta { id: chunk(n).0, len: data.len() as u64 });
            }
            self.model.chunks.insert(n, if got.is_some() { Fate::Present } else { Fate::Absent });
        }
        self.model.waiting.clear();
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.page(after).map_err(|e| e.to_string())?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            listed.extend(page);
        }
        ensure!(listed.iter().copied().eq(there), "the listing is not what can be read");
        ROOTS.into_iter().try_for_each(|root| self.check_root(store, root))
    }

    fn check_root(&mut self, store: &Store, root: &'static str) -> Result<(), String> {
        let found = store.load(&RootName::new(root).unwrap()).map_err(|e| format!("root {root}: {e}"))?;
        let value = found.map(|root| root.value.to_vec());
        let possible = self.model.root(root);
        ensure!(possible.contains(&value), "root {root} is {value:?}, should be one of {possible:?}");
        *possible = BTreeSet::from([value.clone()]);
        for n in value.unwrap_or_default() {
            let is_there = self.model.fate(n.into()) == Fate::Present;
            ensure!(is_there, "root {root} points to chunk {n}, which is not there");
        }
        Ok(())
    }

    /// Opens the store after a crash, sometimes with another one while it is being opened.
    pub fn reopen(&mut self) -> Result<Store, String> {
        if self.rng.chance(250) {
            self.rig.disk.cut_after(1 + self.rng.below(12));
            let opened = self.rig.open(OpenMode::Existing);
            self.rig.disk.power_cut();
            drop(opened);
        }
        self.rig.open(OpenMode::Existing).map_err(|e| format!("it does not open: {e}"))
    }
}
