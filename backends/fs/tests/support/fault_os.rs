//! An operating system of which one chosen call fails.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use selfenc_fs::os::{Metadata, Os, OsFile, OsLock};

/// The calls that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    CreateNew,
    Write,
    SyncFile,
    Read,
    Metadata,
    ReadDir,
    CreateDir,
    Rename,
    RemoveFile,
    SyncDir,
    Lock,
    TryLock,
    Random,
}

pub const CALLS: [Call; 13] = [
    Call::CreateNew,
    Call::Write,
    Call::SyncFile,
    Call::Read,
    Call::Metadata,
    Call::ReadDir,
    Call::CreateDir,
    Call::Rename,
    Call::RemoveFile,
    Call::SyncDir,
    Call::Lock,
    Call::TryLock,
    Call::Random,
];

#[derive(Debug, Default)]
struct Plan {
    armed: Option<(Call, i32)>,
    /// Calls of that kind still to be let through.
    countdown: u64,
    /// Whether every later call of that kind fails too.
    forever: bool,
    fired: u64,
    seen: Vec<Call>,
}

/// Hands everything to another system, but for the calls that are to fail.
#[derive(Clone, Debug)]
pub struct FaultOs {
    inner: Arc<dyn Os>,
    plan: Arc<Mutex<Plan>>,
}

impl FaultOs {
    pub fn new(inner: Arc<dyn Os>) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// From now on, the `nth` call (from 0) of this kind fails with this errno.
    pub fn arm(&self, call: Call, nth: u64, errno: i32) {
        *self.plan.lock().unwrap() = Plan { armed: Some((call, errno)), countdown: nth, ..Plan::default() };
    }

    /// From now on, every call of this kind fails.
    pub fn arm_all(&self, call: Call, errno: i32) {
        self.arm(call, 0, errno);
        self.plan.lock().unwrap().forever = true;
    }

    /// Stops failing; how often it failed.
    pub fn disarm(&self) -> u64 {
        let mut plan = self.plan.lock().unwrap();
        plan.armed = None;
        plan.fired
    }

    /// The calls since the last time this, or `arm`, was called.
    pub fn trace(&self) -> Vec<Call> {
        std::mem::take(&mut self.plan.lock().unwrap().seen)
    }

    fn pass(&self, call: Call) -> io::Result<()> {
        let mut plan = self.plan.lock().unwrap();
        plan.seen.push(call);
        let Some((armed, errno)) = plan.armed else { return Ok(()) };
        if armed != call || (plan.fired > 0 && !plan.forever) {
            return Ok(());
        }
        if plan.countdown > 0 {
            plan.countdown -= 1;
            return Ok(());
        }
        plan.fired += 1;
        Err(io::Error::from_raw_os_error(errno))
    }
}

impl Os for FaultOs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn OsFile>> {
        self.pass(Call::CreateNew)?;
        Ok(Box::new(FaultFile { inner: self.inner.create_new(path)?, os: self.clone() }))
    }
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.pass(Call::Read)?;
        self.inner.read(path, limit)
    }
    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.pass(Call::Metadata)?;
        self.inner.metadata(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.pass(Call::ReadDir)?;
        self.inner.read_dir(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(Call::CreateDir)?;
        self.inner.create_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass(Call::Rename)?;
        self.inner.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.pass(Call::RemoveFile)?;
        self.inner.remove_file(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(Call::SyncDir)?;
        self.inner.sync_dir(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn OsLock>> {
        self.pass(Call::Lock)?;
        self.inner.lock(path)
    }
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn OsLock>>> {
        self.pass(Call::TryLock)?;
        self.inner.try_lock(path)
    }
    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.pass(Call::Random)?;
        self.inner.random(bytes)
    }
    fn now(&self) -> SystemTime {
        self.inner.now()
    }
}

#[derive(Debug)]
struct FaultFile {
    inner: Box<dyn OsFile>,
    os: FaultOs,
}

impl OsFile for FaultFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.os.pass(Call::Write)?;
        // Short writes, so that one chunk takes several.
        self.inner.write(&bytes[..bytes.len().min(3000)])
    }
    fn sync(&mut self) -> io::Result<()> {
        self.os.pass(Call::SyncFile)?;
        self.inner.sync()
    }
}
