//! Chunks and roots in a sled 0.34 database.
//!
//! ```
//! use bytes::Bytes;
//! use selfenc_core::store::{ChunkId, ChunkStore, OpenMode};
//! use selfenc_sled::SledConfig;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let dir = folder.path().join("chunks");
//! let store = SledConfig::new(dir).open(OpenMode::Create).await?;
//! let id = ChunkId::from_bytes([7; 32]);
//! store.put(id, Bytes::from_static(b"bytes")).await?;
//! store.flush().await?; // it survives a crash from here on
//! assert_eq!(store.get(id).await?.as_deref(), Some(&b"bytes"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! Read the README of this crate first: sled 0.34 is from 2021 and has known faults.
//!
//! # On disk
//!
//! ```text
//! DIR/selfenc-store  the marker, written last: "selfenc sled store, layout 1\n"
//! DIR/lock           locked for as long as the store is open
//! DIR/sled/          sled's own files: conf, db, snap.*, blobs/
//!
//! tree lengths:      id -> length u64 le ‖ generation[8]
//! tree pieces:       id ‖ generation[8] ‖ index u32 be -> 2048 bytes, the last piece less
//! tree roots:        name -> nonce[16] ‖ length u64 le
//! tree root-values:  nonce[16] ‖ index u32 be -> a piece
//! ```
//!
//! A chunk is there if it has an entry in `lengths`; listings and `stat` read nothing else. Its pieces are
//! written before the entry and removed after it, and sled recovers a prefix of what was written, so every
//! crash leaves a chunk whole or absent. Pieces without an entry are removed when that chunk is put or deleted
//! again.
//!
//! # Durability
//!
//! On flush. `flush` has sled write what it holds in memory and then syncs sled's log, which sled itself does
//! not do on Linux. sled's flush by timer is off: its errors would only be logged. A swap of a root
//! flushes before it is `Ok`, chunks included. After an error from below, sled repeats that error for all
//! writes, and for reads of what is not in its cache, until the store is opened again.
//!
//! # One process
//!
//! A store is open once at a time; whoever else opens it is told
//! [`Locked`](selfenc_core::store::ErrorKind::Locked).
#![forbid(unsafe_code)]

mod config;
mod destroy;
mod error;
mod layout;
mod open;
mod pieces;
mod roots;
mod store;
mod worker;

pub use config::{SledConfig, SledFactory};
pub use store::{SledEngine, SledStore};
