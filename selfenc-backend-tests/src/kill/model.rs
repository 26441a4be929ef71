//! What the killed children were promised, and whether it is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::TryStreamExt;
use selfenc_core::store::{Backend, ChunkMeta, RootName};

use crate::data::{Sample, noise, root};

/// Tasks of a child. Each has its own chunks (by remainder) and its own root, so that the order of their
/// lines is the order of their deeds.
pub(super) const TASKS: u64 = 4;
/// Chunks that come and go.
pub(super) const LOOSE: u64 = 96;
/// Chunks that roots name, which nobody deletes.
pub(super) const PINNED: u64 = 32;

/// Chunk number `n`; lengths from nothing to several pages of anything.
pub(super) fn chunk(n: u64) -> Sample {
    let lengths = [0, 1, 300, 4096, 5000, 20_000, 65_537, 150_000];
    let len = lengths[usize::try_from(n / TASKS).unwrap_or_default() % lengths.len()];
    if len == 0 && n != 0 {
        return Sample::of(n.to_le_bytes().to_vec());
    }
    Sample::of(noise(0x6b69_6c6c + n, len).iter().copied().chain(n.to_le_bytes()).collect::<Vec<_>>())
}

pub(super) fn root_of(task: u64) -> RootName {
    root(&format!("task-{task}"))
}

/// A value for each swap, which names a chunk.
pub(super) fn root_value(swap: u64, n: u64) -> Vec<u8> {
    [swap.to_le_bytes(), n.to_le_bytes()].concat()
}

fn named_chunk(value: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(value.get(8..16)?.try_into().ok()?))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    Present,
    #[default]
    Absent,
    Either,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    durable: Fate,
    /// What was acknowledged and waits for a flush.
    waiting: Option<Fate>,
    /// Counts what was begun on it.
    deeds: u64,
}

/// What the store has promised.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) on_put: bool,
    chunks: BTreeMap<u64, State>,
    /// What each root may be; one value unless a swap was under way.
    roots: BTreeMap<u64, BTreeSet<Option<Vec<u8>>>>,
    /// For each task's flush, what it will cover.
    flushes: HashMap<u64, Vec<(u64, u64)>>,
}

impl Model {
    /// Takes in what a child said; how much was acknowledged.
    pub(super) fn follow(&mut self, lines: &[String]) -> Result<u64, String> {
        let mut acknowledged = 0;
        for line in lines.iter().filter(|line| *line != "ready") {
            let words: Vec<&str> = line.split(' ').collect();
            let numbers: Vec<u64> = words.iter().skip(2).filter_map(|word| word.parse().ok()).collect();
            match (words.first().copied(), words.get(1).copied(), &numbers[..]) {
                (Some("begin"), Some("put"), [n]) => self.begin(*n, Fate::Present),
                (Some("begin"), Some("delete"), [n]) => self.begin(*n, Fate::Absent),
                (Some("begin"), Some("flush"), [task]) => self.begin_flush(*task),
                (Some("begin"), Some("swap"), [task, swap, n]) => {
                    self.root(*task).insert(Some(root_value(*swap, *n)));
                }
                (Some("done"), Some("put"), [n]) => self.done(*n, Fate::Present),
                (Some("done"), Some("delete"), [n]) => self.done(*n, Fate::Absent),
                (Some("done"), Some("flush"), [task]) => self.done_flush(*task),
                (Some("done"), Some("swap"), [task, swap, n]) => {
                    *self.root(*task) = BTreeSet::from([Some(root_value(*swap, *n))]);
                }
                _ => return Err(format!("the child said: {line}")),
            }
            acknowledged += u64::from(words[0] == "done");
        }
        Ok(acknowledged)
    }

    fn root(&mut self, task: u64) -> &mut BTreeSet<Option<Vec<u8>>> {
        self.roots.entry(task).or_insert_with(|| BTreeSet::from([None]))
    }

    fn begin(&mut self, n: u64, fate: Fate) {
        let state = self.chunks.entry(n).or_default();
        state.deeds += 1;
        // To do again what is durable changes nothing.
        if state.durable != fate || state.waiting.is_some() {
            (state.durable, state.waiting) = (Fate::Either, None);
        }
    }

    fn done(&mut self, n: u64, fate: Fate) {
        let on_put = self.on_put;
        let state = self.chunks.entry(n).or_default();
        if on_put {
            state.durable = fate;
        } else if state.durable != fate {
            state.waiting = Some(fate);
        }
    }

    fn begin_flush(&mut self, task: u64) {
        let waiting = self.chunks.iter().filter(|(_, state)| state.waiting.is_some());
        let covered = waiting.map(|(n, state)| (*n, state.deeds)).collect();
        self.flushes.insert(task, covered);
    }

    fn done_flush(&mut self, task: u64) {
        for (n, deeds) in self.flushes.remove(&task).unwrap_or_default() {
            let state = self.chunks.entry(n).or_default();
            if state.deeds == deeds
                && let Some(fate) = state.waiting.take()
            {
                state.durable = fate;
            }
        }
    }

    /// What must hold after a kill; then the model is what is there.
    pub(super) async fn check(&mut self, store: &dyn Backend) -> Result<(), String> {
        let mut there = BTreeSet::new();
        for n in 0..LOOSE + PINNED {
            let (x, state) = (chunk(n), self.chunks.entry(n).or_default());
            let got = store.get(x.id).await.map_err(|e| format!("get of chunk {n}: {e}"))?;
            match (&got, state.durable) {
                (Some(data), _) if *data != x.data => {
                    return Err(format!("chunk {n} is not whole: {} of {} bytes", data.len(), x.data.len()));
                }
                (None, Fate::Present) => return Err(format!("chunk {n} was acknowledged and is lost")),
                (Some(_), Fate::Absent) => {
                    return Err(format!("chunk {n} was deleted, or never put, and is there"));
                }
                (Some(_), _) => drop(there.insert(x.meta())),
                (None, _) => {}
            }
            let durable = if got.is_some() { Fate::Present } else { Fate::Absent };
            *state = State { durable, ..State::default() };
        }
        self.flushes.clear();
        if store.capabilities().lists {
            let listed = store.list(None).try_collect::<Vec<ChunkMeta>>().await;
            let listed = listed.map_err(|e| format!("list: {e}"))?;
            if !listed.iter().eq(&there) {
                return Err(format!("{} chunks are listed, {} can be read", listed.len(), there.len()));
            }
        }
        if store.capabilities().roots {
            self.check_roots(store).await?;
        }
        Ok(())
    }

    async fn check_roots(&mut self, store: &dyn Backend) -> Result<(), String> {
        for task in 0..TASKS {
            let found = store.load(&root_of(task)).await.map_err(|e| format!("root {task}: {e}"))?;
            let value = found.map(|root| root.value.to_vec());
            let possible = self.root(task);
            if !possible.contains(&value) {
                return Err(format!("root {task} is {value:?}, should be one of {possible:?}"));
            }
            *possible = BTreeSet::from([value.clone()]);
            if let Some(n) = value.as_deref().and_then(named_chunk)
                && self.chunks.get(&n).is_none_or(|state| state.durable != Fate::Present)
            {
                return Err(format!("root {task} names chunk {n}, which is not there"));
            }
        }
        Ok(())
    }
}
