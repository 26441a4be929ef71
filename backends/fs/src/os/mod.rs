//! The seam below the store: the few things it asks of an operating system.
//!
//! Tests put a system here whose calls fail, or which loses what was not synced. A program has no use for
//! it; [`RealOs`] is the default.

mod real;

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::time::SystemTime;

pub use real::RealOs;

/// What the store needs of a file system, a clock and a source of randomness.
///
/// Paths are absolute. Errors are those of the system calls; `Interrupted` may come from any of them.
#[allow(clippy::missing_errors_doc)] // said above
pub trait Os: Debug + Send + Sync + 'static {
    /// Makes a file that must not exist yet, and opens it for writing.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn OsFile>>;

    /// The content of a file, cut off after `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// What stands at `path`; a symbolic link is not followed.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// The names in a folder, in no order, without `.` and `..`.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>>;

    /// Makes a folder, whose parent must exist.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Moves a file, replacing what is at `to` in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder's entries durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Opens a file, made if it is not there, and waits for the exclusive lock on it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn OsLock>>;

    /// Opens a file that is there and takes the exclusive lock on it; `None` if somebody has it.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn OsLock>>>;

    /// Fills `bytes` with randomness.
    fn random(&self, bytes: &mut [u8]) -> io::Result<()>;

    /// The time.
    fn now(&self) -> SystemTime;
}

/// A file being written. Dropping it closes it.
pub trait OsFile: Debug + Send {
    /// Writes some of `bytes`, possibly fewer; how many.
    ///
    /// # Errors
    /// As `write(2)`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes the file's content durable.
    ///
    /// # Errors
    /// As `fsync(2)`; what was written may then be lost even if a later sync succeeds.
    fn sync(&mut self) -> io::Result<()>;
}

/// A lock, held until it is dropped.
pub trait OsLock: Debug + Send + Sync {}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Whether it is a regular file.
    pub is_file: bool,
    /// Its length in bytes, if it is a file.
    pub len: u64,
    /// When it was last written to, if the system says.
    pub modified: Option<SystemTime>,
}
