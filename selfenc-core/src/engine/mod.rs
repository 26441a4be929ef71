//! From bytes to chunks and back.
//!
//! [`Engine::write`] cuts a source of unknown length into chunks, compresses and encrypts each with a
//! key made from content hashes, stores it under the hash of what is stored, and returns a [`DataMap`].
//! [`Engine::open`] reads it back. Formats are in `docs/format.md`.

pub mod blocking;
mod budget;
mod buffers;
mod chunking;
mod codec;
mod config;
#[allow(clippy::module_inception)] // the room is named after its main thing
mod engine;
mod error;
mod keys;
mod limits;
mod map;
pub(crate) mod pkcs7;
mod pool;
mod progress;
mod read;
mod room;
mod sealing;
mod secret;
mod settings;
mod suite;
mod write;

pub use chunking::Chunking;
pub use codec::Compression;
pub use config::EncryptionConfig;
pub use engine::Engine;
pub use error::{Error, MapError, Result};
pub use keys::{Binding, name_matches};
pub use limits::{FAN, INLINE, MAX_LEN, MAX_LEVEL, MAX_STORED};
pub use map::{ChunkInfo, DataMap};
pub use pool::CpuPool;
pub use progress::{Observer, Progress};
pub use read::{ReadHandle, Reader, Verified};
pub use secret::{GroupSecret, Scope, SealKey};
pub use settings::{CacheConfig, CompressionConfig, KeyConfig, MemoryConfig, ParallelConfig};
pub use suite::Suite;
pub use write::Written;

/// What `compat` shares with this pipeline.
#[cfg(feature = "compat")]
pub(crate) mod shared {
    pub(crate) use super::budget::{Budget, Permit};
    pub(crate) use super::buffers::{Buffer, Buffers};
    pub(crate) use super::chunking::{Chunk, ChunkSource, Cutter};
    pub(crate) use super::codec::{HEADER, brotli};
    pub(crate) use super::progress::Meter;
    pub(crate) use super::read::{join, slice, until};
    pub(crate) use super::room::{Data, Place, Room, Target, gather};
    pub(crate) use super::secret::Secret;
    pub(crate) use super::write::sink::Sink;
    pub(crate) use super::write::{batches, one_by_one};
}
