//! A simulated system whose syncs of chunk folders take as long as the test wants.
//!
//! A sync covers what was there when it began, and nothing that is done while it runs: so little is promised
//! by any system.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use selfenc_fs::os::{Metadata, Os, OsFile, OsLock};

use super::sim_os::SimOs;

/// Nothing waits that long but a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

const EIO: i32 = 5;

/// What was done so far.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Syncs of chunk folders that began.
    pub begun: u64,
    /// Files that were renamed to a chunk's place.
    pub renamed: u64,
    /// Files that were removed, or were not there.
    pub removed: u64,
    /// Looks at a file or folder.
    pub looked: u64,
    /// Syncs that may end.
    allowed: u64,
    failing: BTreeSet<u64>,
}

/// The system. Clones are the same one.
#[derive(Clone, Debug)]
pub struct GateOs {
    pub sim: SimOs,
    state: Arc<(Mutex<Counts>, Condvar)>,
}

impl GateOs {
    /// With the gate open.
    pub fn new(seed: u64) -> Self {
        let counts = Counts { allowed: u64::MAX, ..Counts::default() };
        Self { sim: SimOs::new(seed), state: Arc::new((Mutex::new(counts), Condvar::new())) }
    }

    /// Counts anew; no sync ends from now on.
    pub fn close(&self) {
        *self.counts() = Counts::default();
    }

    /// The first `n` syncs since the gate was closed may end.
    pub fn allow(&self, n: u64) {
        self.counts().allowed = n;
        self.state.1.notify_all();
    }

    /// The `n`th sync since the gate was closed (from 1) fails at its end.
    pub fn fail(&self, n: u64) {
        self.counts().failing.insert(n);
    }

    pub fn counts(&self) -> MutexGuard<'_, Counts> {
        self.state.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits until so much was done.
    pub fn wait_until(&self, reached: impl Fn(&Counts) -> bool) {
        let waiting = self.state.1.wait_timeout_while(self.counts(), PATIENCE, |counts| !reached(counts));
        let (counts, timeout) = waiting.unwrap();
        assert!(!timeout.timed_out(), "it never came to that: {:?}", *counts);
    }

    fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.counts());
        self.state.1.notify_all();
    }

    /// Waits at the gate; whether the sync fails.
    fn pass(&self, n: u64) -> bool {
        let shut = |counts: &mut Counts| n > counts.allowed;
        let waiting = self.state.1.wait_timeout_while(self.counts(), PATIENCE, shut);
        let (counts, timeout) = waiting.unwrap();
        assert!(!timeout.timed_out(), "nobody opened the gate");
        counts.failing.contains(&n)
    }
}

fn is_in_chunks(path: &Path) -> bool {
    path.parent().is_some_and(|parent| parent.ends_with("chunks"))
}

impl Os for GateOs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn OsFile>> {
        self.sim.create_new(path)
    }
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.sim.read(path, limit)
    }
    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let found = self.sim.metadata(path);
        self.count(|counts| counts.looked += 1);
        found
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.sim.read_dir(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.sim.create_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.sim.rename(from, to)?;
        if to.parent().is_some_and(is_in_chunks) {
            self.count(|counts| counts.renamed += 1);
        }
        Ok(())
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let removed = self.sim.remove_file(path);
        self.count(|counts| counts.removed += 1);
        removed
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if !is_in_chunks(path) {
            return self.sim.sync_dir(path);
        }
        let (n, begun) = {
            let mut counts = self.counts();
            counts.begun += 1;
            // Whoever sees it counted knows that it covers nothing any more.
            let fails = counts.failing.contains(&counts.begun);
            (counts.begun, if fails { Ok(()) } else { self.sim.sync_dir(path) })
        };
        self.state.1.notify_all();
        if self.pass(n) {
            // Whatever is in the folder by now may have been dropped.
            self.sim.doubt(path);
            return Err(io::Error::from_raw_os_error(EIO));
        }
        begun
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn OsLock>> {
        self.sim.lock(path)
    }
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn OsLock>>> {
        self.sim.try_lock(path)
    }
    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.sim.random(bytes)
    }
    fn now(&self) -> SystemTime {
        self.sim.now()
    }
}
