//! SQLite on a disk that a test writes in safe Rust: [`register`] makes a [`Disk`] one of SQLite's virtual
//! file systems, by a name that connections are opened with.
//!
//! Only for tests, and not published. SQLite's interface for file systems is C, so this is the one crate
//! below the SQLite backend with unsafe code; all of it is in one file, and each block says why it is sound.
//! The crate `sqlite-plugin` has the same purpose. It was not used because it needs libclang to build,
//! never says whether a deletion is to be synced, and keeps what it registers for ever.

mod disk;
mod shim;

pub use disk::{Code, Disk, DiskFile, Level, Opened, Region, ShmLock};
pub use rusqlite::ffi;
pub use shim::{Registered, register};
