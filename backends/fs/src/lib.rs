//! Chunks and roots as files in a folder.
//!
//! ```
//! use bytes::Bytes;
//! use selfenc_core::store::{ChunkId, ChunkStore, OpenMode};
//! use selfenc_fs::FsConfig;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let dir = folder.path().join("chunks");
//! let store = FsConfig::new(dir).open(OpenMode::Create).await?;
//! let id = ChunkId::from_bytes([7; 32]);
//! store.put(id, Bytes::from_static(b"bytes")).await?; // survives a power cut from here on
//! assert_eq!(store.get(id).await?.as_deref(), Some(&b"bytes"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # On disk
//!
//! ```text
//! DIR/selfenc-store      the marker, written last: "selfenc filesystem store, layout 1\n"
//! DIR/chunks/ab/cdef…    a chunk: 256 folders for the first two hex digits, a file for the other 62
//! DIR/roots/<64 hex>     a root: BLAKE3 of its name; the record is described in `roots.rs`
//! DIR/roots/.lock        locked exclusively during a swap
//! DIR/tmp/<session>-<n>  a file being written; <session> is 16 hex digits
//! DIR/tmp/<session>.lock locked for as long as that session lives
//! ```
//!
//! With [`FsLayout::Flat`] there is nothing but the chunks, each in a file named by its 64 hexadecimal digits,
//! and while something is written, `.selfenc-*`. That is how self_encryption leaves its chunks.
//!
//! # Durability
//!
//! A chunk is written to `tmp`, synced, renamed to its place, and its folder synced; then `put` is `Ok`.
//! With [`Durability::OnFlush`](selfenc_core::store::Durability::OnFlush) only the sync of the folders
//! waits for `flush`: what stands under a chunk's name is always a synced file, so no crash can leave a
//! torn one.
//!
//! Puts that wait for the same folder at the same time share its sync, which begins after the last of their
//! renames. `put_many` renames a whole batch first, and then syncs each folder once.
//!
//! A sync that failed is never tried again for the same file or the same folder entry, because a second
//! one can succeed without having written anything. After a failed sync of a chunk folder, none of the
//! chunks that waited for it, or that were renamed while it ran, counts as present: the next `put` writes
//! it anew. On put, those that were new are removed again. On flush, they stay and can be read, but `flush`
//! goes on failing until each was put again or deleted, or the store is opened anew. (Another process that
//! meets such a chunk cannot know.)
//!
//! # More than one process
//!
//! Any number of processes may use one folder. Swaps of roots are exact across processes. Whether a `put`
//! says `Inserted` is exact within one handle only (two processes that race may both say it), hence
//! `exact_outcome` is off.
#![forbid(unsafe_code)]

mod batch;
mod config;
mod destroy;
mod error;
mod layout;
mod open;
pub mod os;
mod roots;
mod session;
mod shards;
mod store;

pub use config::{FsConfig, FsFactory};
pub use layout::FsLayout;
pub use store::{FsEngine, FsStore};
