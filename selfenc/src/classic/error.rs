//! The errors of this module.

use std::error::Error as StdError;

use selfenc_core::engine::{self, MapError};
use selfenc_core::store;

/// The result of an operation of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the groups that a caller can do something about. One line each; no secrets.
///
/// What the engine says arrives through [`From`]: a store's failure is [`ChunkStore`](Self::ChunkStore), data
/// that is not what it should be is [`InvalidData`](Self::InvalidData), a setting is
/// [`InvalidConfig`](Self::InvalidConfig) or [`Unsupported`](Self::Unsupported), and everything else is [`Encryption`](Self::Encryption).
///
/// ```
/// use selfenc::classic::error::Error;
///
/// fn advice(e: &Error) -> &'static str {
///     match e {
///         Error::InvalidData(_) => "look for another copy",
///         Error::ChunkStore(_) => "look after the store",
///         Error::InvalidConfig(_) | Error::Unsupported(_) => "change the settings",
///         _ => "read the message",
///     }
/// }
///
/// let refused = selfenc::EncryptionConfig::new().with_chunk_size(1).validate().unwrap_err();
/// assert_eq!(advice(&refused.into()), "change the settings");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data, a data map or a chunk is not what it should be, or a chunk is missing; the message names it.
    #[error("{0}")]
    InvalidData(String),
    /// The store failed: a [`store::Error`], or whatever a store of your own reports.
    #[error(transparent)]
    ChunkStore(Box<dyn StdError + Send + Sync>),
    /// The engine failed in another way: no randomness, cancelled, the wrong key.
    #[error(transparent)]
    Encryption(engine::Error),
    /// A setting, or a kind of map, that is understood and cannot be honoured; the message says what can.
    #[error("{0}")]
    Unsupported(String),
    /// A setting is out of its range; the message names it and the range.
    #[error("{0}")]
    InvalidConfig(String),
    /// The chunks that are held, there being no store, exceed their part of the memory budget.
    #[error(
        "the chunks take more than there is room for in the memory budget of {budget} bytes; give a store to write them to"
    )]
    OverBudget {
        /// The budget, in bytes.
        budget: u64,
    },
    /// A decryptor was told nowhere to read from.
    #[error("there is nowhere to read chunks from; give a store or the chunks")]
    NoSource,
    /// Bytes that are to be a key are too few, or obviously no key.
    #[error("the key material is refused: {0}")]
    KeyMaterial(String),
    /// The key store does not have this epoch.
    #[error("epoch {epoch} is not in this key store: it was retired, or another key store sealed the map")]
    UnknownEpoch {
        /// The epoch that a sealed map names.
        epoch: u64,
    },
    /// The epoch cannot be retired while sealed maps need it.
    #[error("epoch {epoch} is needed by {maps} sealed maps; rewrap or forget them first")]
    EpochInUse {
        /// The epoch.
        epoch: u64,
        /// The sealed maps that are counted.
        maps: usize,
    },
    /// The newest epoch cannot be retired: it is the one that seals.
    #[error("epoch {epoch} is the newest, which seals; rotate first")]
    EpochIsNewest {
        /// The epoch.
        epoch: u64,
    },
}

impl Error {
    /// The failure of a store of your own. A text is a cause too.
    ///
    /// ```
    /// use selfenc::classic::error::Error;
    ///
    /// assert_eq!(Error::chunk_store("the tape is full").to_string(), "the tape is full");
    /// ```
    #[must_use]
    pub fn chunk_store(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::ChunkStore(cause.into())
    }
}

impl From<engine::Error> for Error {
    fn from(e: engine::Error) -> Self {
        use engine::Error as E;
        // What becomes a text has no source, so nothing of the chain is lost.
        match e {
            E::Store(e) => Self::ChunkStore(Box::new(e)),
            E::Corrupt { .. } | E::ChunkMissing { .. } | E::BadMap(_) | E::TooShort { .. } => {
                Self::InvalidData(e.to_string())
            }
            E::InvalidConfig(_) | E::BudgetTooSmall { .. } => Self::InvalidConfig(e.to_string()),
            E::Unsupported(message) => Self::Unsupported(message),
            other => Self::Encryption(other),
        }
    }
}

impl From<store::Error> for Error {
    fn from(e: store::Error) -> Self {
        engine::Error::from(e).into()
    }
}

impl From<MapError> for Error {
    fn from(e: MapError) -> Self {
        engine::Error::from(e).into()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use selfenc_core::store::{ChunkId, ErrorKind};

    use super::*;

    const CHUNK: ChunkId = ChunkId::from_bytes([0xAB; 32]);

    fn system() -> engine::Error {
        engine::Error::System { what: "randomness", source: "there is none".into() }
    }

    #[test]
    fn what_the_engine_says_goes_into_its_group_in_the_same_words() {
        use engine::Error as E;
        type Is = fn(&Error) -> bool;
        let data: Is = |e| matches!(e, Error::InvalidData(_));
        let config: Is = |e| matches!(e, Error::InvalidConfig(_));
        let store: Is = |e| matches!(e, Error::ChunkStore(_));
        let other: Is = |e| matches!(e, Error::Encryption(_));
        let full = || store::Error::new(ErrorKind::Full, "put", "no space on it").with_chunk(CHUNK);
        let rows: [(fn() -> E, Is); 12] = [
            (|| E::Corrupt { chunk: CHUNK }, data),
            (|| E::ChunkMissing { chunk: CHUNK }, data),
            (|| MapError::Damaged.into(), data),
            (|| E::TooShort { len: 2, least: 3 }, data),
            (|| E::InvalidConfig("threads: 0 to 1024".into()), config),
            (|| E::BudgetTooSmall { needed: 9, budget: 1 }, config),
            (|| E::Store(store::Error::new(ErrorKind::Timeout, "get", "no answer")), store),
            (|| E::Unsupported("keys: none here".into()), |e| matches!(e, Error::Unsupported(_))),
            (|| E::WrongKey, other),
            (|| E::Cancelled, other),
            (|| E::Source(io::Error::other("it broke")), other),
            (system, other),
        ];
        for (make, is) in rows {
            let mapped = Error::from(make());
            assert!(is(&mapped), "{mapped:?}");
            assert_eq!(mapped.to_string(), make().to_string());
        }
        assert!(store(&full().into()));
        assert!(data(&store::Error::new(ErrorKind::Corrupt, "get", "").with_chunk(CHUNK).into()));
        assert!(data(&store::Error::new(ErrorKind::ChunkMissing, "get", "").with_chunk(CHUNK).into()));
        assert!(data(&MapError::Sealed.into()));
    }

    #[test]
    fn the_chain_of_sources_is_kept() {
        let full = || store::Error::from_io("put", "writing", io::Error::other("the disk is gone"));
        let mapped = Error::from(engine::Error::Store(full()));
        assert_eq!(mapped.source().unwrap().to_string(), "the disk is gone");
        let Error::ChunkStore(inner) = mapped else { panic!() };
        assert_eq!(inner.downcast_ref::<store::Error>().unwrap().kind(), full().kind());

        let engines = Error::from(engine::Error::Source(io::Error::other("it broke")));
        assert_eq!(engines.source().unwrap().to_string(), "it broke");
        assert_eq!(Error::from(system()).source().unwrap().to_string(), "there is none");
        let own = Error::chunk_store(io::Error::other("a disk of one's own"));
        assert!(matches!(own, Error::ChunkStore(e) if e.is::<io::Error>()));
    }

    #[test]
    fn each_message_is_one_line_and_no_name_is_whole() {
        let whole = CHUNK.to_string();
        for e in [
            engine::Error::Corrupt { chunk: CHUNK }.into(),
            store::Error::new(ErrorKind::Full, "put", "").with_chunk(CHUNK).into(),
            Error::OverBudget { budget: 5 },
            Error::NoSource,
            Error::KeyMaterial("it is text".into()),
            Error::UnknownEpoch { epoch: 3 },
            Error::EpochInUse { epoch: 3, maps: 2 },
            Error::EpochIsNewest { epoch: 3 },
        ] {
            let text = e.to_string();
            assert!(!text.is_empty() && !text.contains('\n') && !text.contains(&whole), "{text}");
        }
    }

    #[test]
    fn errors_cross_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
    }
}
