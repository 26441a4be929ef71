use std::convert::Infallible;
use std::io;

use crate::store::{self, ChunkId, ErrorKind};

/// The result of an engine operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong while encrypting or reading. One line each; no secrets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(store::Error),
    /// Reading the input failed.
    #[error("reading the input failed")]
    Source(#[source] io::Error),
    /// A chunk is not what the map says it is: nothing of it was released.
    #[error("chunk {} is corrupt", chunk.short())]
    Corrupt {
        /// The damaged chunk.
        chunk: ChunkId,
    },
    /// The store does not have a chunk that the map needs.
    #[error("chunk {} is not in the store", chunk.short())]
    ChunkMissing {
        /// The missing chunk.
        chunk: ChunkId,
    },
    /// The bytes are not a data map that can be read.
    #[error(transparent)]
    BadMap(#[from] MapError),
    /// The key does not open this sealed map.
    #[error("this key does not open the sealed data map")]
    WrongKey,
    /// The memory budget is too small for these chunks.
    #[error(
        "a memory budget of {budget} bytes is too small for chunks of this size; {needed} bytes are needed"
    )]
    BudgetTooSmall {
        /// The smallest budget that works, in bytes.
        needed: u64,
        /// The budget that was given, in bytes.
        budget: u64,
    },
    /// A setting is out of its range; the message names it and the range.
    #[error("{0}")]
    InvalidConfig(String),
    /// A setting is understood and cannot be honoured here; the message says who can.
    #[error("{0}")]
    Unsupported(String),
    /// The input is shorter than the suite can hold: self_encryption cuts every input into three chunks.
    #[error("an input of {len} bytes is too short for this suite; it takes {least} bytes or more")]
    TooShort {
        /// The bytes of the input.
        len: u64,
        /// The fewest that there must be.
        least: u64,
    },
    /// The observer asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// A blocking call was made inside an async runtime.
    #[error("a blocking call inside an async runtime; use the async functions there")]
    InsideRuntime,
    /// The operating system gave no randomness, threads or runtime.
    #[error("the operating system refused {what}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why it was refused.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why bytes are not a data map that this version reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The bytes do not begin like a data map.
    #[error("not a selfenc data map")]
    NotADataMap,
    /// The map was written by a newer version.
    #[error("the data map has format version {0}; this program reads version 1, a newer one is needed")]
    NewerVersion(u8),
    /// The map is sealed and needs its key.
    #[error("the data map is sealed; its key is needed")]
    Sealed,
    /// The map is damaged: cut short, or its digest does not match.
    #[error("the data map is damaged")]
    Damaged,
    /// The map breaks a rule of the format.
    #[error("the data map is invalid: {0}")]
    Invalid(&'static str),
}

impl Error {
    /// The chunk that the error is about.
    #[must_use]
    pub fn chunk(&self) -> Option<ChunkId> {
        match self {
            Self::Corrupt { chunk } | Self::ChunkMissing { chunk } => Some(*chunk),
            Self::Store(e) => e.chunk(),
            _ => None,
        }
    }

    pub(crate) fn system(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::System { what, source: source.into() }
    }
}

/// For what converts without failing where something else might.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<store::Error> for Error {
    fn from(e: store::Error) -> Self {
        match (e.kind(), e.chunk()) {
            (ErrorKind::Corrupt, Some(chunk)) => Self::Corrupt { chunk },
            (ErrorKind::ChunkMissing, Some(chunk)) => Self::ChunkMissing { chunk },
            _ => Self::Store(e),
        }
    }
}

impl From<Error> for io::Error {
    fn from(e: Error) -> Self {
        let kind = match &e {
            Error::Source(source) => source.kind(),
            Error::Corrupt { .. } | Error::BadMap(_) => io::ErrorKind::InvalidData,
            Error::ChunkMissing { .. } => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, e)
    }
}
