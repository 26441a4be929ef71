//! A machine around a real folder: its calls fail on demand, its processes can be frozen and killed, and
//! its power can be cut.
//!
//! Everything below the folder is done twice, on the real file system and in the simulated one. At a power
//! cut the simulation decides what survives, and the real folder is made to look like that.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::SystemTime;

use selfenc_backend_tests::Step;
use selfenc_fs::os::{Metadata, Os, OsFile, OsLock, RealOs};

use super::fault_os::Call;
use super::sim_os::SimOs;

/// The calls that change something.
pub const WRITING: &[Call] = &[
    Call::CreateNew,
    Call::Write,
    Call::SyncFile,
    Call::CreateDir,
    Call::Rename,
    Call::RemoveFile,
    Call::Lock,
    Call::TryLock,
];

const EROFS: i32 = 30;

/// The machine. Clones are the same one.
#[derive(Clone)]
pub struct Machine(Arc<Inner>);

// What the machine has done names chunks, and a store on it may show it.
impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Machine").field(&self.0.folder).finish()
    }
}

struct Inner {
    folder: PathBuf,
    sim: SimOs,
    /// The number of the current life. Calls read-lock it, so that a crash falls between calls.
    life: RwLock<u64>,
    /// Names change in the folder and in the simulation in the same order.
    names: Mutex<()>,
    control: Mutex<Control>,
    changed: Condvar,
    locks: Mutex<Vec<Weak<Slot>>>,
}

#[derive(Debug, Default)]
struct Control {
    fault: Option<(&'static [Call], i32)>,
    frozen: bool,
    trace: Vec<Step>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    /// The machine whose disk is `folder`, which is empty.
    pub fn new(folder: PathBuf, seed: u64) -> Self {
        Self(Arc::new(Inner {
            folder,
            sim: SimOs::new(seed),
            life: RwLock::default(),
            names: Mutex::default(),
            control: Mutex::default(),
            changed: Condvar::new(),
            locks: Mutex::default(),
        }))
    }

    /// The system as a process sees it that starts now.
    pub fn process(&self, readonly: bool) -> Process {
        let life = *self.0.life.read().unwrap_or_else(PoisonError::into_inner);
        Process { machine: self.clone(), life, readonly }
    }

    /// Every one of these calls fails with this errno, until it is told otherwise.
    pub fn fail(&self, fault: Option<(&'static [Call], i32)>) {
        locked(&self.0.control).fault = fault;
    }

    /// While frozen, whoever has written something waits.
    pub fn freeze(&self, frozen: bool) {
        locked(&self.0.control).frozen = frozen;
        self.0.changed.notify_all();
    }

    /// What was done since the last call of this.
    pub fn trace(&self) -> Vec<Step> {
        std::mem::take(&mut locked(&self.0.control).trace)
    }

    /// The processes die: nothing they do has any effect from now on, and their locks are free.
    pub fn kill(&self) {
        self.end_life(|| self.0.sim.kill());
    }

    /// The power goes off and on again; `seed` decides what is left of what was not synced.
    pub fn power_cut(&self, seed: u64) {
        let mut rng = super::Rng(seed);
        self.end_life(|| {
            let before = self.0.sim.tree();
            self.0.sim.power_cut_choosing(&mut |n| rng.below(n));
            let after = self.0.sim.tree();
            for path in before.keys().rev().filter(|path| !after.contains_key(*path)) {
                let path = self.real(path);
                // What was not simulated, such as a damaged chunk, may be something else by now.
                drop(fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)));
            }
            for (path, content) in after.iter().filter(|(path, content)| before.get(*path) != Some(content)) {
                match content {
                    Some(content) => fs::write(self.real(path), content).unwrap(),
                    None => drop(fs::create_dir(self.real(path))),
                }
            }
        });
    }

    fn end_life(&self, end: impl FnOnce()) {
        let mut life = self.0.life.write().unwrap_or_else(PoisonError::into_inner);
        *life += 1;
        end();
        for lock in std::mem::take(&mut *locked(&self.0.locks)) {
            drop(lock.upgrade().map(|lock| locked(&lock).take()));
        }
        drop(life);
        self.freeze(false);
    }

    /// The path on the real disk.
    fn real(&self, path: &Path) -> PathBuf {
        path.components().skip(1).fold(self.0.folder.clone(), |real, part| real.join(part))
    }

    /// The path in the simulation; `None` outside the folder.
    fn simulated(&self, path: &Path) -> Option<PathBuf> {
        Some(Path::new("/").join(path.strip_prefix(&self.0.folder).ok()?))
    }

    /// Does the same in the simulation, if it is below the folder. What the simulation knows nothing of,
    /// such as litter, is not its affair.
    fn mirror(&self, path: &Path, call: impl FnOnce(&SimOs, &Path)) {
        if let Some(path) = self.simulated(path) {
            call(&self.0.sim, &path);
        }
    }
}

/// One process's view of the machine's system.
#[derive(Clone, Debug)]
pub struct Process {
    machine: Machine,
    life: u64,
    readonly: bool,
}

impl Process {
    /// Fails if the process is dead, or the call is to fail. No crash happens while the guard is held.
    fn enter(&self, call: Option<Call>) -> io::Result<RwLockReadGuard<'_, u64>> {
        let inner = &*self.machine.0;
        let life = inner.life.read().unwrap_or_else(PoisonError::into_inner);
        if *life != self.life {
            return Err(io::Error::other("the process was killed"));
        }
        let Some(call) = call else { return Ok(life) };
        if self.readonly && WRITING.contains(&call) {
            return Err(io::Error::from_raw_os_error(EROFS));
        }
        match locked(&inner.control).fault {
            Some((calls, errno)) if calls.contains(&call) => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(life),
        }
    }

    fn names(&self) -> MutexGuard<'_, ()> {
        locked(&self.machine.0.names)
    }

    fn did(&self, step: Step) {
        locked(&self.machine.0.control).trace.push(step);
    }

    /// A failed sync may have dropped what it should have written: no later one brings it back.
    fn sync(&self, call: Call, path: &Path, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let _alive = self.enter(Some(call)).and_then(|alive| sync().map(|()| alive)).inspect_err(|_| {
            if self.enter(None).is_ok() {
                self.machine.mirror(path, SimOs::doubt);
            }
        })?;
        self.did(if call == Call::SyncFile { Step::SyncFile } else { Step::SyncFolder });
        Ok(())
    }

    fn hold(&self, lock: Box<dyn OsLock>) -> Box<dyn OsLock> {
        let slot = Arc::new(Mutex::new(Some(lock)));
        locked(&self.machine.0.locks).push(Arc::downgrade(&slot));
        Box::new(HeldLock(slot))
    }
}

impl Os for Process {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn OsFile>> {
        let (_alive, _order) = (self.enter(Some(Call::CreateNew))?, self.names());
        let real = RealOs.create_new(path)?;
        let simulated =
            self.machine.simulated(path).and_then(|path| self.machine.0.sim.create_new(&path).ok());
        Ok(Box::new(File { process: self.clone(), path: path.to_owned(), real, simulated }))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let _alive = self.enter(Some(Call::Read))?;
        RealOs.read(path, limit)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let _alive = self.enter(Some(Call::Metadata))?;
        RealOs.metadata(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let _alive = self.enter(Some(Call::ReadDir))?;
        RealOs.read_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let (_alive, _order) = (self.enter(Some(Call::CreateDir))?, self.names());
        RealOs.create_dir(path)?;
        self.machine.mirror(path, |sim, path| drop(sim.create_dir(path)));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (_alive, _order) = (self.enter(Some(Call::Rename))?, self.names());
        RealOs.rename(from, to)?;
        if let Some((from, to)) = self.machine.simulated(from).zip(self.machine.simulated(to)) {
            drop(self.machine.0.sim.rename(&from, &to));
        }
        self.did(Step::Rename);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (_alive, _order) = (self.enter(Some(Call::RemoveFile))?, self.names());
        RealOs.remove_file(path)?;
        self.machine.mirror(path, |sim, path| drop(sim.remove_file(path)));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.sync(Call::SyncDir, path, || {
            // Only what is done by now is promised to be durable, so the order of the two does not matter.
            self.machine.mirror(path, |sim, path| drop(sim.sync_dir(path)));
            RealOs.sync_dir(path)
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn OsLock>> {
        drop(self.enter(Some(Call::Lock))?);
        let lock = RealOs.lock(path)?;
        // It may have waited long, and may be dead by now.
        let _alive = self.enter(None)?;
        self.machine.mirror(path, |sim, path| drop(sim.create_new(path)));
        Ok(self.hold(lock))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn OsLock>>> {
        let _alive = self.enter(Some(Call::TryLock))?;
        Ok(RealOs.try_lock(path)?.map(|lock| self.hold(lock)))
    }

    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        let _alive = self.enter(Some(Call::Random))?;
        RealOs.random(bytes)
    }

    fn now(&self) -> SystemTime {
        RealOs.now()
    }
}

#[derive(Debug)]
struct File {
    process: Process,
    path: PathBuf,
    real: Box<dyn OsFile>,
    simulated: Option<Box<dyn OsFile>>,
}

impl OsFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let machine = &*self.process.machine.0;
        let alive = self.process.enter(Some(Call::Write))?;
        // The simulation writes less than asked at times, or is interrupted.
        let len = match &mut self.simulated {
            Some(file) => file.write(bytes)?,
            None => bytes.len(),
        };
        let mut rest = &bytes[..len];
        while !rest.is_empty() {
            rest = &rest[self.real.write(rest)?..];
        }
        self.process.did(Step::Write);
        drop(alive);
        let mut control = locked(&machine.control);
        while control.frozen {
            control = machine.changed.wait(control).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        let (process, path) = (self.process.clone(), self.path.clone());
        process.sync(Call::SyncFile, &path, || {
            self.real.sync()?;
            self.simulated.as_mut().map_or(Ok(()), |file| file.sync())
        })
    }
}

/// A lock that a kill takes away.
#[derive(Debug)]
struct HeldLock(Arc<Slot>);

type Slot = Mutex<Option<Box<dyn OsLock>>>;

impl OsLock for HeldLock {}
