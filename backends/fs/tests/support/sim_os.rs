//! A file system in memory with a power switch.
//!
//! Everything has two states: what programs see, and what is on the disk. Only a sync moves the first to
//! the second. At a power cut each page of a file that was not synced is kept, dropped or torn at 512
//! bytes, and each entry of a folder that was not synced takes any of the values it had since the last
//! sync, on its own: so the two halves of a rename may part. A sync that fails leaves what it should have
//! written in doubt for ever, however many syncs succeed later.
//!
//! All chance comes from one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use selfenc_fs::os::{Metadata, Os, OsFile, OsLock};

use super::Rng;

const PAGE: usize = 4096;
const SECTOR: usize = 512;
const ROOT: u64 = 0;

/// How often what goes wrong, in calls of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub sync_file: u64,
    pub sync_dir: u64,
    pub no_space: u64,
    pub rename: u64,
}

#[derive(Clone, Debug)]
struct World {
    /// Shared between forks until one of them changes it.
    nodes: BTreeMap<u64, Arc<Node>>,
    next_node: u64,
    rng: Rng,
    /// Counts power cuts; handles of an earlier life are void.
    life: u64,
    locked: BTreeSet<u64>,
    calls: u64,
    cut_at: Option<u64>,
    is_cut: bool,
    faults: Faults,
    /// For the tests of the test: syncs that do nothing and say Ok.
    ignore_file_sync: bool,
    ignore_dir_sync: bool,
    now: SystemTime,
}

#[derive(Clone, Debug, Hash)]
enum Node {
    /// Of what was written, the first `synced` bytes are on the disk: files only grow.
    File {
        seen: Vec<u8>,
        synced: usize,
        doubtful: bool,
        modified: SystemTime,
    },
    Dir(Dir),
}

impl Node {
    fn is_unsynced(&self) -> bool {
        match self {
            Self::File { seen, synced, doubtful, .. } => *synced < seen.len() || *doubtful,
            Self::Dir(dir) => !dir.changes.is_empty(),
        }
    }
}

#[derive(Clone, Debug, Default, Hash)]
struct Dir {
    seen: BTreeMap<OsString, u64>,
    disk: BTreeMap<OsString, u64>,
    /// What each entry was changed to since it was last synced.
    changes: BTreeMap<OsString, Vec<Option<u64>>>,
    /// Entries whose sync failed and that were not changed since.
    doubtful: BTreeSet<OsString>,
}

impl Dir {
    fn set(&mut self, name: &OsStr, node: Option<u64>) {
        match node {
            Some(node) => drop(self.seen.insert(name.to_owned(), node)),
            None => drop(self.seen.remove(name)),
        }
        self.changes.entry(name.to_owned()).or_default().push(node);
        self.doubtful.remove(name);
    }

    fn sync(&mut self) {
        let doubtful = &self.doubtful;
        let settled: Vec<_> = self.changes.keys().filter(|name| !doubtful.contains(*name)).cloned().collect();
        for name in settled {
            self.changes.remove(&name);
            match self.seen.get(&name) {
                Some(node) => drop(self.disk.insert(name, *node)),
                None => drop(self.disk.remove(&name)),
            }
        }
    }

    fn cut(&mut self, choose: Choose<'_>) {
        for (name, values) in std::mem::take(&mut self.changes) {
            let chosen = choose(values.len() as u64 + 1) as usize;
            // The last choice is what the disk has already.
            match values.get(chosen) {
                Some(Some(node)) => drop(self.disk.insert(name, *node)),
                Some(None) => drop(self.disk.remove(&name)),
                None => {}
            }
        }
        self.doubtful.clear();
        self.seen = self.disk.clone();
    }
}

/// Chooses one of so many possibilities, from 0.
pub type Choose<'a> = &'a mut dyn FnMut(u64) -> u64;

/// What is left of a file's content that was not synced.
fn torn(seen: &[u8], synced: usize, choose: Choose<'_>) -> Vec<u8> {
    let len = match choose(4) {
        0 => synced,
        1 => (choose((seen.len() / SECTOR) as u64 + 1) as usize * SECTOR).max(synced),
        _ => seen.len(),
    };
    let mut left = vec![0; len];
    for start in (0..len).step_by(PAGE) {
        let end = (start + PAGE).min(len);
        let new_until = match choose(3) {
            0 => end,
            1 => start,
            _ => start + choose((end - start).div_ceil(SECTOR) as u64) as usize * SECTOR,
        };
        let kept = new_until.max(synced.min(end));
        left[start..kept].copy_from_slice(&seen[start..kept]);
    }
    left
}

impl World {
    fn node(&self, number: u64) -> Option<&Node> {
        self.nodes.get(&number).map(|node| &**node)
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        let mut node = ROOT;
        for part in path.components().skip(1) {
            node = match self.node(node) {
                Some(Node::Dir(dir)) => *dir.seen.get(part.as_os_str()).ok_or(ErrorKind::NotFound)?,
                _ => return Err(ErrorKind::NotADirectory.into()),
            };
        }
        Ok(node)
    }

    fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        let node = self.find(path)?;
        match self.nodes.get_mut(&node).map(Arc::make_mut) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn entry<'a>(&mut self, path: &'a Path) -> io::Result<(&mut Dir, &'a OsStr)> {
        let (parent, name) = path.parent().zip(path.file_name()).ok_or(ErrorKind::InvalidInput)?;
        Ok((self.dir(parent)?, name))
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<u64> {
        let number = self.next_node;
        let (dir, name) = self.entry(path)?;
        if dir.seen.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        dir.set(name, Some(number));
        self.nodes.insert(number, Arc::new(node));
        self.next_node += 1;
        Ok(number)
    }

    fn new_file(&self) -> Node {
        Node::File { seen: Vec::new(), synced: 0, doubtful: false, modified: self.now }
    }

    /// Counts the call; from the chosen one on nothing happens any more.
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        self.is_cut |= self.cut_at.is_some_and(|at| self.calls >= at);
        if self.is_cut { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn remove_unreachable(&mut self) {
        let (mut reachable, mut queue) = (BTreeSet::new(), vec![ROOT]);
        while let Some(node) = queue.pop() {
            if reachable.insert(node)
                && let Some(Node::Dir(dir)) = self.node(node)
            {
                queue.extend(dir.seen.values());
            }
        }
        self.nodes.retain(|node, _| reachable.contains(node));
    }
}

/// The simulated system. Clones are the same one.
#[derive(Clone, Debug)]
pub struct SimOs(Arc<Mutex<World>>);

impl SimOs {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World {
            nodes: BTreeMap::from([(ROOT, Arc::new(Node::Dir(Dir::default())))]),
            next_node: ROOT + 1,
            rng: Rng(seed),
            life: 0,
            locked: BTreeSet::new(),
            calls: 0,
            cut_at: None,
            is_cut: false,
            faults: Faults::default(),
            ignore_file_sync: false,
            ignore_dir_sync: false,
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000),
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The power goes off at the `n`th call from now (from 1), which has no effect any more.
    pub fn cut_after(&self, n: u64) {
        let mut world = self.world();
        world.cut_at = Some(world.calls + n);
    }

    pub fn is_cut(&self) -> bool {
        self.world().is_cut
    }

    pub fn calls(&self) -> u64 {
        self.world().calls
    }

    /// The power goes off, if it is not, and on again: what was not synced is kept, dropped or torn.
    pub fn power_cut(&self) {
        let mut rng = self.world().rng.clone();
        self.power_cut_choosing(&mut |n| rng.below(n));
        self.world().rng = rng;
    }

    /// The same, with everything that chance decides decided by `choose`. What became of it, as a number:
    /// systems that were alike before and get the same one are alike after.
    pub fn power_cut_choosing(&self, choose: Choose<'_>) -> u64 {
        let (mut world, mut became) = (self.world(), DefaultHasher::new());
        for node in world.nodes.values_mut().filter(|node| node.is_unsynced()) {
            let node = Arc::make_mut(node);
            match node {
                Node::Dir(dir) => dir.cut(choose),
                Node::File { seen, synced, doubtful, .. } => {
                    if *synced < seen.len() {
                        *seen = torn(seen, *synced, choose);
                    }
                    *synced = seen.len();
                    *doubtful = false;
                }
            }
            node.hash(&mut became);
        }
        world.remove_unreachable();
        world.life += 1;
        world.locked.clear();
        (world.cut_at, world.is_cut) = (None, false);
        became.finish()
    }

    /// Another system in the same state, with a future of its own.
    pub fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.world().clone())))
    }

    /// Everything that programs see: the content of files, and `None` for folders.
    pub fn tree(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let world = self.world();
        let (mut tree, mut queue) = (BTreeMap::new(), vec![(PathBuf::from("/"), ROOT)]);
        while let Some((path, node)) = queue.pop() {
            let content = match &*world.nodes[&node] {
                Node::File { seen, .. } => Some(seen.clone()),
                Node::Dir(dir) => {
                    queue.extend(dir.seen.iter().map(|(name, node)| (path.join(name), *node)));
                    None
                }
            };
            tree.insert(path, content);
        }
        tree
    }

    /// A sync of what stands there failed: what it should have written is in doubt for ever.
    pub fn doubt(&self, path: &Path) {
        let mut world = self.world();
        let Ok(node) = world.find(path) else { return };
        match world.nodes.get_mut(&node).map(Arc::make_mut) {
            Some(Node::Dir(dir)) => dir.doubtful = dir.changes.keys().cloned().collect(),
            Some(Node::File { doubtful, .. }) => *doubtful = true,
            None => {}
        }
    }

    /// The process dies, the machine does not: only locks and handles are gone.
    pub fn kill(&self) {
        let mut world = self.world();
        world.life += 1;
        world.locked.clear();
        (world.cut_at, world.is_cut) = (None, false);
    }

    pub fn set_faults(&self, faults: Faults) {
        self.world().faults = faults;
    }

    pub fn ignore_syncs(&self, of_files: bool, of_dirs: bool) {
        let mut world = self.world();
        (world.ignore_file_sync, world.ignore_dir_sync) = (of_files, of_dirs);
    }

    pub fn advance(&self, time: Duration) {
        self.world().now += time;
    }

    /// Writes a file as another program would, durably.
    pub fn plant(&self, path: &Path, content: &[u8]) {
        let mut world = self.world();
        let modified = world.now;
        let node = Node::File { seen: content.to_vec(), synced: content.len(), doubtful: false, modified };
        world.add(path, node).unwrap();
        world.entry(path).unwrap().0.sync();
    }
}

impl Os for SimOs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn OsFile>> {
        let mut world = self.world();
        world.call()?;
        let file = world.new_file();
        let node = world.add(path, file)?;
        Ok(Box::new(SimFile { os: self.clone(), node, life: world.life }))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut world = self.world();
        world.call()?;
        match world.node(world.find(path)?) {
            Some(Node::File { seen, .. }) => Ok(seen[..seen.len().min(limit as usize)].to_vec()),
            _ => Err(ErrorKind::IsADirectory.into()),
        }
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let mut world = self.world();
        world.call()?;
        Ok(match world.node(world.find(path)?) {
            Some(Node::File { seen, modified, .. }) => {
                Metadata { is_file: true, len: seen.len() as u64, modified: Some(*modified) }
            }
            _ => Metadata { is_file: false, len: 0, modified: None },
        })
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut world = self.world();
        world.call()?;
        // No order is promised: the reverse shakes out who relies on one.
        Ok(world.dir(path)?.seen.keys().rev().cloned().collect())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.call()?;
        world.add(path, Node::Dir(Dir::default())).map(drop)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.call()?;
        let per_mille = world.faults.rename;
        if world.rng.chance(per_mille) {
            return Err(io::Error::other("an injected failing rename"));
        }
        let node = world.find(from)?;
        let (dir, name) = world.entry(to)?;
        dir.set(name, Some(node));
        let (dir, name) = world.entry(from)?;
        dir.set(name, None);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.call()?;
        let node = world.find(path)?;
        if matches!(world.node(node), Some(Node::Dir(_))) {
            return Err(ErrorKind::IsADirectory.into());
        }
        let (dir, name) = world.entry(path)?;
        dir.set(name, None);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.call()?;
        let per_mille = world.faults.sync_dir;
        let (fails, ignore) = (world.rng.chance(per_mille), world.ignore_dir_sync);
        let dir = world.dir(path)?;
        if fails {
            dir.doubtful = dir.changes.keys().cloned().collect();
            return Err(io::Error::other("an injected failing sync of a folder"));
        }
        if !ignore {
            dir.sync();
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn OsLock>> {
        {
            let mut world = self.world();
            world.call()?;
            if let Err(e) = world.find(path) {
                if e.kind() != ErrorKind::NotFound {
                    return Err(e);
                }
                let file = world.new_file();
                world.add(path, file)?;
            }
        }
        // The simulation has one thread: nobody would ever let go.
        self.try_lock(path)?.ok_or_else(|| io::Error::other("a deadlock"))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn OsLock>>> {
        let mut world = self.world();
        world.call()?;
        let node = world.find(path)?;
        let is_mine = world.locked.insert(node);
        Ok(is_mine.then(|| Box::new(SimLock { os: self.clone(), node, life: world.life }) as _))
    }

    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        let mut world = self.world();
        world.call()?;
        bytes.fill_with(|| world.rng.next() as u8);
        Ok(())
    }

    fn now(&self) -> SystemTime {
        self.world().now
    }
}

#[derive(Debug)]
struct SimFile {
    os: SimOs,
    node: u64,
    life: u64,
}

impl SimFile {
    fn with<T>(&self, work: impl FnOnce(&mut World, &mut Node) -> io::Result<T>) -> io::Result<T> {
        let world = &mut *self.os.world();
        world.call()?;
        if world.life != self.life {
            return Err(io::Error::other("a handle of an earlier life"));
        }
        let node = world.nodes.remove(&self.node);
        let mut node = node.ok_or_else(|| io::Error::other("a file that is gone"))?;
        let result = work(world, Arc::make_mut(&mut node));
        world.nodes.insert(self.node, node);
        result
    }
}

impl OsFile for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|world, node| {
            let per_mille = world.faults.no_space;
            if world.rng.chance(per_mille) {
                return Err(ErrorKind::StorageFull.into());
            }
            if world.rng.chance(50) {
                return Err(ErrorKind::Interrupted.into());
            }
            let len = if world.rng.chance(300) { 1 + bytes.len() / 3 } else { bytes.len() };
            if let Node::File { seen, modified, .. } = node {
                seen.extend_from_slice(&bytes[..len]);
                *modified = world.now;
            }
            Ok(len)
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.with(|world, node| {
            let per_mille = world.faults.sync_file;
            let fails = world.rng.chance(per_mille);
            if let Node::File { seen, synced, doubtful, .. } = node {
                *doubtful |= fails;
                if !*doubtful && !world.ignore_file_sync {
                    *synced = seen.len();
                }
            }
            if fails { Err(io::Error::other("an injected failing fsync")) } else { Ok(()) }
        })
    }
}

#[derive(Debug)]
struct SimLock {
    os: SimOs,
    node: u64,
    life: u64,
}

impl OsLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut world = self.os.world();
        if world.life == self.life {
            world.locked.remove(&self.node);
        }
    }
}
