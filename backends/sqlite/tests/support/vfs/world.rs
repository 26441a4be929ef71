//! A disk in memory with a power switch, and the tests' hold on it.
//!
//! Everything has two states: what programs see, and what is on the disk. Only a sync moves the first to
//! the second. At a power cut each sector that was not synced is kept, dropped or torn, and each entry of
//! the folder takes any of the values it had since the folder was last synced. A sync that fails leaves
//! what it should have written to chance for ever, however many syncs succeed later.
//!
//! The folder is synced when SQLite's own file system for Unix does it (`unixSync`, `unixDelete`): at the
//! first sync of a journal or log that was opened to be created if need be, and at a deletion that asks for
//! it. Shared memory is gone after every crash. All chance comes from one seed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use selfenc_sqlite_vfs::{Code, Registered, ffi, register};

use super::Rng;
use super::content::{Content, Geometry};
use super::locks::{FileLocks, Shared};
use super::process::Process;

/// What SQLite asks of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Open,
    Read,
    Write,
    Truncate,
    Sync,
    Size,
    Delete,
    Access,
    Lock,
    ShmMap,
    ShmLock,
}

pub const CALLS: [Call; 11] = [
    Call::Open,
    Call::Read,
    Call::Write,
    Call::Truncate,
    Call::Sync,
    Call::Size,
    Call::Delete,
    Call::Access,
    Call::Lock,
    Call::ShmMap,
    Call::ShmLock,
];

impl Call {
    /// What it answers if it fails for no better reason.
    pub fn failure(self) -> Code {
        match self {
            Self::Open => ffi::SQLITE_CANTOPEN,
            Self::Read => ffi::SQLITE_IOERR_READ,
            Self::Write => ffi::SQLITE_IOERR_WRITE,
            Self::Truncate => ffi::SQLITE_IOERR_TRUNCATE,
            Self::Sync => ffi::SQLITE_IOERR_FSYNC,
            Self::Size => ffi::SQLITE_IOERR_FSTAT,
            Self::Delete => ffi::SQLITE_IOERR_DELETE,
            Self::Access => ffi::SQLITE_IOERR_ACCESS,
            Self::Lock => ffi::SQLITE_IOERR_LOCK,
            Self::ShmMap => ffi::SQLITE_IOERR_SHMMAP,
            Self::ShmLock => ffi::SQLITE_IOERR_SHMLOCK,
        }
    }

    /// Whether it changes what is on the disk, so that the power may go off at it.
    fn is_step(self) -> bool {
        matches!(self, Self::Write | Self::Truncate | Self::Sync | Self::Delete)
    }
}

/// Calls that fail with a code: the `nth` one (from 0), or all from there on.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub calls: &'static [Call],
    pub code: Code,
    pub nth: u64,
    pub lasting: bool,
}

/// How often what goes wrong, in calls of a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub sync: u64,
    pub no_space: u64,
    pub other: u64,
}

/// What was done to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Write,
    Sync,
    SyncFolder,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) locks: FileLocks,
    pub(super) shared: Shared,
}

/// The folder: which file each name stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct Folder {
    pub(super) seen: BTreeMap<String, u64>,
    disk: BTreeMap<String, u64>,
    /// What each name stood for since the folder was last synced.
    changes: BTreeMap<String, Vec<Option<u64>>>,
}

impl Folder {
    pub(super) fn set(&mut self, name: &str, node: Option<u64>) {
        match node {
            Some(node) => drop(self.seen.insert(name.to_owned(), node)),
            None => drop(self.seen.remove(name)),
        }
        self.changes.entry(name.to_owned()).or_default().push(node);
    }

    pub(super) fn sync(&mut self) {
        self.disk.clone_from(&self.seen);
        self.changes.clear();
    }

    fn cut(&mut self, rng: &mut Rng) {
        for (name, values) in std::mem::take(&mut self.changes) {
            let chosen = rng.below(values.len() as u64 + 1) as usize;
            // The last choice is what the disk has already.
            match values.get(chosen) {
                Some(Some(node)) => drop(self.disk.insert(name, *node)),
                Some(None) => drop(self.disk.remove(&name)),
                None => {}
            }
        }
        self.seen.clone_from(&self.disk);
    }
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) nodes: BTreeMap<u64, Node>,
    pub(super) folder: Folder,
    pub(super) next: u64,
    pub(super) geometry: Geometry,
    pub(super) rng: Rng,
    /// Counts crashes; files opened in an earlier life are void.
    pub(super) life: u64,
    steps: u64,
    cut_at: Option<u64>,
    pub(super) is_cut: bool,
    fault: Option<Fault>,
    met: u64,
    struck: u64,
    rates: Rates,
    /// For the tests of the tests: syncs that do nothing and say Ok.
    pub(super) ignore_syncs: bool,
    pub(super) frozen: bool,
    pub(super) trace: Vec<Done>,
}

impl World {
    /// Counts a call; whether the power goes off at it.
    pub(super) fn step(&mut self, call: Call) -> bool {
        self.steps += u64::from(call.is_step());
        self.is_cut |= call.is_step() && self.cut_at.is_some_and(|at| self.steps >= at);
        self.is_cut
    }

    /// The code with which this call is to fail.
    pub(super) fn fault(&mut self, call: Call) -> Option<Code> {
        if let Some(fault) = self.fault.filter(|fault| fault.calls.contains(&call)) {
            self.met += 1;
            if self.met == fault.nth + 1 || (fault.lasting && self.met > fault.nth) {
                self.struck += 1;
                return Some(fault.code);
            }
        }
        let Rates { sync, no_space, other } = self.rates;
        let (per_mille, code) = match call {
            _ if self.rates == Rates::default() => return None,
            Call::Sync => (sync, call.failure()),
            Call::Write => (no_space, ffi::SQLITE_FULL),
            _ => (other, call.failure()),
        };
        self.rng.chance(per_mille).then_some(code)
    }
}

/// The disk. Clones are the same one.
#[derive(Clone, Debug)]
pub struct SimDisk(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    world: Mutex<World>,
    thawed: Condvar,
}

impl SimDisk {
    pub fn new(seed: u64, geometry: Geometry) -> Self {
        Self::of(World {
            nodes: BTreeMap::new(),
            folder: Folder::default(),
            next: 0,
            geometry,
            rng: Rng(seed),
            life: 0,
            steps: 0,
            cut_at: None,
            is_cut: false,
            fault: None,
            met: 0,
            struck: 0,
            rates: Rates::default(),
            ignore_syncs: false,
            frozen: false,
            trace: Vec::new(),
        })
    }

    fn of(world: World) -> Self {
        Self(Arc::new(Inner { world: Mutex::new(world), thawed: Condvar::new() }))
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the disk is frozen.
    pub(super) fn wait<'a>(&self, mut world: MutexGuard<'a, World>) -> MutexGuard<'a, World> {
        while world.frozen {
            // The guard may be of this disk only, so the mutex is the same.
            world = self.0.thawed.wait(world).unwrap_or_else(PoisonError::into_inner);
        }
        world
    }

    /// A file system of SQLite's, as a process sees it that starts now. It ends with what is returned.
    pub fn process(&self, readonly: bool) -> Registered {
        static NAMES: AtomicU64 = AtomicU64::new(0);
        let name = format!("selfenc-sim-{}", NAMES.fetch_add(1, Ordering::Relaxed));
        let process = Process { disk: self.clone(), life: self.world().life, readonly };
        register(&name, Arc::new(process)).unwrap()
    }

    /// The same again, on its own from now on, with everything closed and this seed.
    pub fn fork(&self, seed: u64) -> Self {
        let mut world = self.world().clone();
        for node in world.nodes.values_mut() {
            (node.locks, node.shared) = Default::default();
        }
        world.rng = Rng(seed);
        (world.fault, world.rates, world.frozen) = (None, Rates::default(), false);
        Self::of(world)
    }

    /// The steps so far: writes, truncations, syncs and deletions.
    pub fn steps(&self) -> u64 {
        self.world().steps
    }

    /// From this number of steps on, counted from now, every call fails: the power is off.
    pub fn cut_after(&self, steps: u64) {
        let mut world = self.world();
        world.cut_at = Some(world.steps + steps);
    }

    pub fn is_cut(&self) -> bool {
        self.world().is_cut
    }

    /// The power goes off, if it is not, and on again.
    pub fn power_cut(&self) {
        self.end_life(|world| {
            let World { nodes, rng, geometry, folder, .. } = world;
            folder.cut(rng);
            for node in nodes.values_mut() {
                node.content.cut(*geometry, &mut |n| rng.below(n));
            }
        });
    }

    /// The processes die. What they wrote is as it was.
    pub fn kill(&self) {
        self.end_life(|_| {});
    }

    fn end_life(&self, end: impl FnOnce(&mut World)) {
        let mut world = self.world();
        world.life += 1;
        (world.is_cut, world.cut_at, world.frozen) = (false, None, false);
        end(&mut world);
        let World { nodes, folder, .. } = &mut *world;
        // Deleted files are kept until their deletion is durable.
        nodes.retain(|id, _| {
            let named = |value: &Vec<Option<u64>>| value.contains(&Some(*id));
            let is_seen = folder.seen.values().chain(folder.disk.values()).any(|node| node == id);
            is_seen || folder.changes.values().any(named)
        });
        for node in nodes.values_mut() {
            (node.locks, node.shared) = Default::default();
        }
        drop(world);
        self.0.thawed.notify_all();
    }

    pub fn reseed(&self, seed: u64) {
        self.world().rng = Rng(seed);
    }

    pub fn set_rates(&self, rates: Rates) {
        self.world().rates = rates;
    }

    pub fn arm(&self, fault: Option<Fault>) {
        let mut world = self.world();
        (world.fault, world.met, world.struck) = (fault, 0, 0);
    }

    /// Ends the fault; how often it struck.
    pub fn disarm(&self) -> u64 {
        let mut world = self.world();
        world.fault = None;
        world.struck
    }

    pub fn ignore_syncs(&self) {
        self.world().ignore_syncs = true;
    }

    /// While frozen, whoever has written something waits.
    pub fn freeze(&self, frozen: bool) {
        self.world().frozen = frozen;
        self.0.thawed.notify_all();
    }

    /// What was done since the last call of this.
    pub fn trace(&self) -> Vec<Done> {
        std::mem::take(&mut self.world().trace)
    }

    /// Makes every entry of the folder durable, as a program does that syncs it itself.
    pub fn sync_folder(&self) {
        let mut world = self.world();
        if !world.ignore_syncs && !world.is_cut {
            world.folder.sync();
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.world().folder.seen.keys().cloned().collect()
    }

    /// What a program sees in a file.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let world = self.world();
        world.folder.seen.get(name).map(|node| world.nodes[node].content.seen().to_vec())
    }

    /// Puts this into a file, made if need be, behind everybody's back and durable at once.
    pub fn replace(&self, name: &str, bytes: Vec<u8>) {
        let mut world = self.world();
        let node = world.folder.seen.get(name).copied().unwrap_or_else(|| world.create(name));
        world.nodes.entry(node).or_default().content.replace(bytes);
        world.folder.sync();
    }

    /// Takes a name away, durably.
    pub fn remove(&self, name: &str) {
        let mut world = self.world();
        world.folder.set(name, None);
        world.folder.sync();
    }
}

impl World {
    pub(super) fn create(&mut self, name: &str) -> u64 {
        self.next += 1;
        self.nodes.insert(self.next, Node::default());
        self.folder.set(name, Some(self.next));
        self.next
    }
}
