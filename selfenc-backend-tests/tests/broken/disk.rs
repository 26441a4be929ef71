//! What the stores of these tests write on: a disk in memory that knows what a crash takes from it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use selfenc_backend_tests::{Crash, Damage, Fault as Injected, Step};
use selfenc_core::store::{ChunkId, RootName};

/// The name of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Chunk(ChunkId),
    Root(RootName),
    Temporary(ChunkId, u64),
    Foreign(&'static str),
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    File(Bytes),
    Folder,
    Link,
}

#[derive(Clone, Debug)]
struct Entry {
    thing: Thing,
    /// Whether the bytes, not only the name, are safe from a power cut.
    synced: bool,
}

/// Two layers: what is there now, and what is safe. `dirty` are the names whose change is still in the
/// store's own buffer, which dies with its process.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    now: BTreeMap<Name, Entry>,
    safe: BTreeMap<Name, Entry>,
    dirty: BTreeMap<Name, Option<tokio::task::Id>>,
    pub(crate) steps: Vec<Step>,
    pub(crate) injected: Option<Injected>,
    /// The location itself was taken away.
    pub(crate) gone: bool,
    /// Never goes back, so that no root's version repeats.
    pub(crate) swaps: u64,
    temporaries: u64,
}

impl Disk {
    pub(crate) fn get(&self, name: &Name) -> Option<&Thing> {
        self.now.get(name).map(|entry| &entry.thing)
    }

    /// The chunks from `from` on: folders and links are none, nor is anything by another name.
    pub(crate) fn chunks(&self, from: Bound<ChunkId>) -> impl Iterator<Item = (ChunkId, &Bytes)> {
        let names = self.now.range((from.map(Name::Chunk), Bound::Unbounded));
        names.filter_map(|(name, entry)| match (name, &entry.thing) {
            (Name::Chunk(id), Thing::File(data)) => Some((*id, data)),
            _ => None,
        })
    }

    pub(crate) fn temporaries(&self) -> impl Iterator<Item = (ChunkId, &Bytes)> {
        self.now.iter().filter_map(|(name, entry)| match (name, &entry.thing) {
            (Name::Temporary(id, _), Thing::File(data)) => Some((*id, data)),
            _ => None,
        })
    }

    pub(crate) fn root_names(&self) -> Vec<RootName> {
        let root = |name: &Name| if let Name::Root(root) = name { Some(root.clone()) } else { None };
        self.now.keys().filter_map(root).collect()
    }

    pub(crate) fn new_temporary(&mut self, id: ChunkId) -> Name {
        self.temporaries += 1;
        Name::Temporary(id, self.temporaries)
    }

    /// Removes what crashed processes left half-written.
    pub(crate) fn sweep(&mut self) {
        self.now.retain(|name, _| !matches!(name, Name::Temporary(..)));
        self.safe.retain(|name, _| !matches!(name, Name::Temporary(..)));
    }

    pub(crate) fn write(&mut self, name: &Name, data: Bytes) {
        self.steps.push(Step::Write);
        self.now.insert(name.clone(), Entry { thing: Thing::File(data), synced: false });
    }

    pub(crate) fn sync_file(&mut self, name: &Name) {
        self.steps.push(Step::SyncFile);
        for layer in [&mut self.now, &mut self.safe] {
            layer.entry(name.clone()).and_modify(|entry| entry.synced = true);
        }
    }

    pub(crate) fn rename(&mut self, from: &Name, to: &Name) {
        self.steps.push(Step::Rename);
        if let Some(entry) = self.now.remove(from) {
            self.now.insert(to.clone(), entry);
        }
    }

    pub(crate) fn remove(&mut self, name: &Name) {
        self.now.remove(name);
    }

    /// Makes the name safe: that it is there, or that it is not.
    pub(crate) fn sync_folder(&mut self, name: &Name) {
        self.steps.push(Step::SyncFolder);
        self.dirty.remove(name);
        match self.now.get(name) {
            Some(entry) => drop(self.safe.insert(name.clone(), entry.clone())),
            None => drop(self.safe.remove(name)),
        }
    }

    /// Leaves the change of `name` to the next flush.
    pub(crate) fn buffer(&mut self, name: &Name) {
        self.dirty.insert(name.clone(), tokio::task::try_id());
    }

    /// Brings the change of `name` from the buffer to the disk.
    pub(crate) fn write_back(&mut self, name: &Name) {
        if self.now.contains_key(name) {
            self.steps.push(Step::Write);
            self.sync_file(name);
            self.steps.push(Step::Rename);
        }
        self.sync_folder(name);
    }

    /// What waits for a flush, and which task wrote it.
    pub(crate) fn buffered(&self) -> Vec<(Name, Option<tokio::task::Id>)> {
        self.dirty.iter().map(|(name, task)| (name.clone(), *task)).collect()
    }

    /// Forgets that something waits for a flush.
    pub(crate) fn forget_buffered(&mut self) {
        self.dirty.clear();
    }

    pub(crate) fn crash(&mut self, how: Crash, seed: u64) {
        let mut chance = seed;
        let mut coin = || {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            chance >> 40 & 1 == 0
        };
        for (name, _) in std::mem::take(&mut self.dirty) {
            restore(&mut self.now, &self.safe, &name);
        }
        if how == Crash::Power {
            let names: BTreeSet<_> = self.now.keys().chain(self.safe.keys()).cloned().collect();
            for name in names {
                let same = self.now.get(&name).map(|e| &e.thing) == self.safe.get(&name).map(|e| &e.thing);
                if !same && coin() {
                    restore(&mut self.now, &self.safe, &name);
                }
            }
            for entry in self.now.values_mut().filter(|entry| !entry.synced) {
                if let (Thing::File(data), true) = (&mut entry.thing, coin()) {
                    data.truncate(data.len() / 2);
                }
            }
            self.now.values_mut().for_each(|entry| entry.synced = true);
            self.safe = self.now.clone();
        }
    }

    /// `None` for what cannot happen to this disk, or to what is not there.
    pub(crate) fn damage(&mut self, id: ChunkId, damage: Damage, max_chunk_len: u64) -> Option<()> {
        let Thing::File(data) = self.get(&Name::Chunk(id))? else { return None };
        let mut bytes = data.to_vec();
        let half = bytes.len() / 2;
        match damage {
            Damage::Truncate => bytes.truncate(half),
            Damage::FlipBit => bytes[half] ^= 1,
            Damage::Extend => bytes.extend_from_slice(b"more"),
            Damage::Zero => bytes.fill(0),
            Damage::TooLong => bytes = vec![0; usize::try_from(max_chunk_len).ok()? + 1],
            Damage::SwapWith(other) => {
                let theirs = self.get(&Name::Chunk(other))?.clone();
                self.place(Name::Chunk(other), Thing::File(bytes.into()));
                self.place(Name::Chunk(id), theirs);
                return Some(());
            }
            Damage::Directory => {
                self.place(Name::Chunk(id), Thing::Folder);
                return Some(());
            }
            Damage::Symlink => {
                self.place(Name::Chunk(id), Thing::Link);
                return Some(());
            }
            Damage::Page => return None,
        }
        self.place(Name::Chunk(id), Thing::File(bytes.into()));
        Some(())
    }

    /// What crashed processes and other programs leave.
    pub(crate) fn litter(&mut self) {
        for (first, half) in [(0x00, &b"half"[..]), (0x77, b"")] {
            let id = ChunkId::from_bytes(std::array::from_fn(|i| if i == 0 { first } else { 0x31 }));
            let name = self.new_temporary(id);
            self.place(name, Thing::File(Bytes::from_static(half)));
        }
        self.place(Name::Foreign(".DS_Store"), Thing::File(Bytes::from_static(b"\0\0\0\x01Bud1")));
        self.place(Name::Foreign("lost+found"), Thing::Folder);
        self.place(Name::Foreign("latest"), Thing::Link);
    }

    fn place(&mut self, name: Name, thing: Thing) {
        let entry = Entry { thing, synced: true };
        self.safe.insert(name.clone(), entry.clone());
        self.now.insert(name, entry);
    }
}

fn restore(now: &mut BTreeMap<Name, Entry>, safe: &BTreeMap<Name, Entry>, name: &Name) {
    match safe.get(name) {
        Some(entry) => drop(now.insert(name.clone(), entry.clone())),
        None => drop(now.remove(name)),
    }
}
