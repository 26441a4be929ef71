//! Where chunks live: the contract every backend keeps, and what is built on it.
//!
//! A **chunk** is immutable, opaque and named by the hash of its own bytes ([`ChunkId`]). A **root** is
//! a small named value that changes only by compare-and-swap. [`ChunkStore`] keeps the first,
//! [`RootStore`] the second, and a [`Backend`] is both.
//!
//! To write a backend, implement the two traits, or, where the engine below blocks (files, embedded
//! databases), implement [`BlockingEngine`] and wrap it in [`Blocking`]. What backends over a service of
//! objects have in common is in [`objects`].

mod attended;
mod backend;
mod blocking;
mod capabilities;
mod chunk_store;
mod chunks_only;
mod error;
mod ext;
mod forward;
mod grouped;
mod id;
mod info;
mod name;
pub mod objects;
mod registry;
pub(crate) mod retry;
pub(crate) mod rng;
mod root_store;
mod url;

pub use attended::attended;
pub use backend::Backend;
pub use blocking::{Blocking, BlockingEngine, off_the_executor};
pub use capabilities::{Capabilities, DEFAULT_MAX_CHUNK_LEN, Durability};
pub use chunk_store::{ChunkMeta, ChunkStore, PutOutcome};
pub use chunks_only::ChunksOnly;
pub use error::{Error, ErrorKind, Result};
pub use ext::{BackendExt, ChunkStoreExt, CopyReport, RootStoreExt};
pub use id::{ChunkId, ParseIdError};
pub use info::StoreInfo;
pub use name::{InvalidName, RootName};
pub use registry::{Corner, OpenMode, Registry, StoreFactory};
pub use retry::{Attempts, Pacer, RetryPolicy};
pub use root_store::{Expect, Root, RootStore, RootVersion, Swap};
pub use url::StoreUrl;
