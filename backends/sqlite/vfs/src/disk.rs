use std::ffi::c_int;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// An SQLite result code, such as `ffi::SQLITE_IOERR_WRITE`.
pub type Code = c_int;

/// What SQLite asks of a file system; see its `sqlite3_vfs`.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens a file, as `flags` (`SQLITE_OPEN_*`) say; without a path, a temporary one.
    ///
    /// # Errors
    /// A code that SQLite passes on.
    fn open(&self, path: Option<&str>, flags: c_int) -> Result<Opened, Code>;

    /// Removes a file, and syncs its folder if told to.
    ///
    /// # Errors
    /// `SQLITE_IOERR_DELETE_NOENT` if there is none; otherwise a code that SQLite passes on.
    fn delete(&self, path: &str, sync_folder: bool) -> Result<(), Code>;

    /// Whether the file exists.
    ///
    /// # Errors
    /// A code that SQLite passes on.
    fn exists(&self, path: &str) -> Result<bool, Code>;
}

/// An opened file.
#[derive(Debug)]
pub struct Opened {
    /// The file. It is closed when this is dropped.
    pub file: Box<dyn DiskFile>,
    /// Whether it could be opened for reading only.
    pub readonly: bool,
}

/// What SQLite asks of a file; see its `sqlite3_io_methods`. Errors are codes that SQLite passes on.
#[allow(clippy::missing_errors_doc)] // said above
pub trait DiskFile: Debug + Send {
    /// Reads at `at`; less than asked only at the end of the file.
    fn read(&self, at: u64, buf: &mut [u8]) -> Result<usize, Code>;
    /// Writes all of `data` at `at`.
    fn write(&self, at: u64, data: &[u8]) -> Result<(), Code>;
    /// Cuts the file to `len` bytes.
    fn truncate(&self, len: u64) -> Result<(), Code>;
    /// Makes durable what was written.
    fn sync(&self) -> Result<(), Code>;
    /// The length in bytes.
    fn size(&self) -> Result<u64, Code>;
    /// Takes a stronger lock on the file. `SQLITE_BUSY` if somebody else holds it.
    fn lock(&self, level: Level) -> Result<(), Code>;
    /// Goes back to a weaker lock.
    fn unlock(&self, level: Level) -> Result<(), Code>;
    /// Whether anybody holds [`Level::Reserved`] or a stronger one.
    fn is_reserved(&self) -> Result<bool, Code>;
    /// The least that is written at once, in bytes.
    fn sector_size(&self) -> c_int;
    /// `SQLITE_IOCAP_*`.
    fn characteristics(&self) -> c_int;
    /// Whether the file is no longer what its path names.
    fn has_moved(&self) -> bool;
    /// The region of the shared memory with this index, made if `extend` says so.
    fn shm_map(&self, index: usize, len: usize, extend: bool) -> Result<Option<Region>, Code>;
    /// Takes or releases locks of the shared memory.
    fn shm_lock(&self, lock: ShmLock) -> Result<(), Code>;
    /// This file needs the shared memory no more; `delete` says that nobody will.
    fn shm_unmap(&self, delete: bool) -> Result<(), Code>;
}

/// Locks of a database file, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// None.
    None,
    /// To read.
    Shared,
    /// To write soon, while others read.
    Reserved,
    /// No new readers.
    Pending,
    /// Nobody else.
    Exclusive,
}

/// A change of locks on the shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShmLock {
    /// The first lock's index.
    pub first: usize,
    /// How many.
    pub count: usize,
    /// Taken, or released.
    pub take: bool,
    /// Exclusive, or shared.
    pub exclusive: bool,
}

/// A piece of memory that connections share. SQLite reads and writes it through a plain pointer; clones
/// are the same memory, which lives as long as the last of them.
#[derive(Clone, Debug)]
pub struct Region(Arc<[AtomicU64]>);

impl Region {
    /// Zeroes, at least `len` bytes.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self((0..len.div_ceil(8)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len() * 8
    }

    /// Where it is. Atomics, so that writing through a pointer made from a shared reference is allowed.
    pub(crate) fn pointer(&self) -> *mut u64 {
        self.0.as_ptr().cast_mut().cast()
    }
}
