//! Chunks and roots in one SQLite file.
//!
//! ```
//! use bytes::Bytes;
//! use selfenc_core::store::{ChunkId, ChunkStore, OpenMode};
//! use selfenc_sqlite::SqliteConfig;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("chunks.db");
//! let store = SqliteConfig::new(path).open(OpenMode::Create).await?;
//! let id = ChunkId::from_bytes([7; 32]);
//! store.put(id, Bytes::from_static(b"bytes")).await?; // survives a power cut from here on
//! assert_eq!(store.get(id).await?.as_deref(), Some(&b"bytes"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # In the file
//!
//! An SQLite database in WAL mode, with the application id "SESQ" (0x53455351) and the schema's version, 1,
//! in its header:
//!
//! ```sql
//! CREATE TABLE bodies (n INTEGER PRIMARY KEY, data BLOB NOT NULL);
//! CREATE TABLE chunks (id BLOB PRIMARY KEY, len INTEGER NOT NULL, n INTEGER NOT NULL) WITHOUT ROWID;
//! CREATE TABLE roots (name TEXT PRIMARY KEY, version BLOB, value BLOB, sum BLOB);
//! ```
//!
//! A file whose tables differ from these, or have triggers, is refused; other tables, views and indexes are
//! left alone.
//!
//! A chunk's `id` is its 32 bytes; its own bytes are the body `n`. A listing reads `chunks` alone. SQLite
//! keeps a log (`-wal`) and its index (`-shm`) beside the file while it is open. The three belong together:
//! a log that is lost loses what was acknowledged, and one that was brought from elsewhere SQLite takes for
//! the file's own. To copy a store that is open, use `VACUUM INTO` or `selfenc store copy`.
//!
//! # Durability
//!
//! On put (`synchronous=FULL`), a put's transaction is in the synced log when it is `Ok`; puts that wait at
//! the same time share a transaction and its sync. With
//! [`Durability::OnFlush`](selfenc_core::store::Durability::OnFlush) (`NORMAL`) a commit is not synced.
//! `flush`, and every swap of a root, is a transaction with `synchronous=FULL`, even if there is nothing to
//! write. Its sync is of the whole log up to its own frames, so that whatever was committed before it, by
//! whom ever, is durable too; and what is no longer in the log was synced in the file before the log was
//! started anew. A checkpoint is not used for it: one may stop short of the log's end because somebody
//! reads.
//!
//! After a failed sync nothing is acknowledged until the log was written anew and synced; `link.rs` has the
//! details. Another process that has the file open does not learn of it. So is a log that was found when the
//! store was opened, before the first write. Like SQLite itself this takes it for granted that a disk which
//! loses its power while it writes leaves alone what stands beside (`POWERSAFE_OVERWRITE`).
//!
//! Dropping the store moves the log into the file, on the thread that drops it: where that must not take
//! some milliseconds, drop it elsewhere, after the last future of its own has ended.
//!
//! # More than one process
//!
//! Any number of processes on one machine may use the file, and each sees what the others put. One writes
//! at a time; whoever waits longer than the busy timeout is told
//! [`Unavailable`](selfenc_core::store::ErrorKind::Unavailable). Outcomes of puts are exact across
//! processes. Not for network file systems: the log's index is shared memory. A process that forks must not
//! use the store in the child.
//!
//! # Space
//!
//! Deleted chunks leave free pages. When more than one page in eight is free, deletes and flushes give pages
//! back from the end of the file, some MiB at a time, and a flush makes the file shorter.
#![forbid(unsafe_code)]

mod change;
mod config;
mod connect;
mod destroy;
mod error;
mod identity;
mod link;
mod open;
mod readers;
mod roots;
mod schema;
mod store;
mod writer;

pub use config::{SqliteConfig, SqliteFactory};
pub use store::{SqliteEngine, SqliteStore};
