//! Chunks and roots in any store of the crate [`object_store`]: clouds, WebDAV servers, folders, memory.
//!
//! ```
//! use std::sync::Arc;
//!
//! use object_store::memory::InMemory;
//! use selfenc_core::store::{ChunkId, ChunkStore, Durability, OpenMode};
//! use selfenc_object_store::ObjectStoreConfig;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let objects = Arc::new(InMemory::new()); // or any other: what it promises, you say
//! let config = ObjectStoreConfig::new(objects, Durability::Volatile).with_prefix("backups/laptop")?;
//! let store = config.open(OpenMode::Create).await?;
//! let id = ChunkId::from_bytes([7; 32]);
//! store.put(id, "bytes".into()).await?;
//! assert_eq!(store.get(id).await?.as_deref(), Some(&b"bytes"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # Objects
//!
//! ```text
//! PREFIX/selfenc-store         the marker: "selfenc object store, layout 1\n"
//! PREFIX/chunks/ab/cdef…       a chunk: the first two hex digits of its name, and the other 62
//! PREFIX/roots/<hex>.root      a root: its name in hex, cut into parts of 128 digits; see `RootRecord`
//! PREFIX/selfenc-probe-<hex>   short-lived: does this service keep its conditions?
//! ```
//!
//! Other objects below the prefix are ignored. Keys and bytes are those of
//! [`selfenc_core::store::objects`], which other backends use, too.
//!
//! # Durability
//!
//! Nobody but the caller can know what a service promises, so the caller says whether an acknowledged
//! object is durable ([`OnPut`](selfenc_core::store::Durability::OnPut)) or nothing is
//! ([`Volatile`](selfenc_core::store::Durability::Volatile)). There is nothing to flush in between.
//!
//! A folder ([`ObjectStoreConfig::local`], `objects:/path`) is `OnPut`: `object_store` syncs the file and
//! its folder before it answers, and this crate adds what it leaves open. Folders are made, and synced,
//! when the store is; a chunk that somebody else has just linked is `Present` only after a sync of its
//! folder; one whose put failed or was dropped is written anew by the next; and `flush` syncs deletes.
//!
//! # Conditions
//!
//! Roots need a service that refuses to create what is there and to update what has changed. Some say so
//! and do not do it, hence [`open`](ObjectStoreConfig::open) tries it on a probe object. A service that
//! fails is still good for chunks, whose bytes depend on their name: then `roots` and `exact_outcome` are
//! off. A user who may only read cannot probe; then the first swap does.
//!
//! `object_store` reports an unfinished race (409) as `AlreadyExists`, too. So that answer is never
//! believed: the object is looked at, and if it is not there, the put is tried again.
//!
//! # Errors
//!
//! Messages and causes hold the text of `object_store`'s errors without what may be secret in it: the
//! queries of URLs (signatures), users before an `@`, bodies of answers but for their code.
#![forbid(unsafe_code)]

mod conditions;
mod config;
mod destroy;
mod error;
mod factory;
mod folder;
mod layout;
mod list;
mod open;
mod redact;
mod roots;
mod store;
mod url;

pub use config::ObjectStoreConfig;
pub use factory::ObjectStoreFactory;
pub use selfenc_core::store::objects::Conditions;
pub use store::ObjectBackend;

/// The crate below, in the version that this one is built on.
pub use object_store;
