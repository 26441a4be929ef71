use object_store::path::Path;
use selfenc_core::engine;
use selfenc_core::store::{self, ErrorKind, StoreInfo};

use crate::record::MAX_RECORD;

/// What `object_store`'s generic errors call this store.
const STORE: &str = "selfenc";

/// What the adapter itself finds wrong. One line each; no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("{0} keeps no roots, and each object is a root; use a store that does, such as file: or sqlite:")]
    NoRoots(StoreInfo),
    #[error("there is no such object")]
    Absent,
    #[error("there is such an object already")]
    Exists,
    #[error("the object has changed; get it again and decide anew")]
    Changed,
    #[error("an update needs the e_tag that an earlier get, head, list or put gave")]
    NoTag,
    #[error("old versions are not kept; leave the version out, or use the e_tag in if_match")]
    NoVersions,
    #[error("an object needs a path of at least one segment")]
    NoPath,
    #[error("attribute {0} cannot be kept; leave it out")]
    UnknownAttribute(String),
    #[error("path, attributes and map take more than {MAX_RECORD} bytes; use shorter attributes")]
    TooLong,
    #[error("the object's root holds another object's record: the store has mixed up its roots")]
    OtherRecord,
    #[error("the object's record is damaged; put the object again or restore the store")]
    DamagedRecord,
    #[error("the object's record has version {0}; this program reads version 1, a newer one is needed")]
    NewerRecord(u8),
    #[error("the upload was completed or aborted, or has failed; begin another")]
    UploadOver,
    #[error("{0} parts are not finished; await each future of put_part, then complete")]
    UnfinishedParts(usize),
    #[error("a multipart upload needs a tokio runtime; call it inside one")]
    NoRuntime,
}

impl Problem {
    /// The same as `object_store` says it.
    pub(crate) fn at(self, path: &Path) -> object_store::Error {
        use object_store::Error as E;
        let path = path.to_string();
        match self {
            Self::Absent => E::NotFound { path, source: self.into() },
            Self::Exists => E::AlreadyExists { path, source: self.into() },
            Self::Changed => E::Precondition { path, source: self.into() },
            Self::NoRoots(_) | Self::NoVersions | Self::UnknownAttribute(_) => {
                E::NotSupported { source: self.into() }
            }
            _ => generic(self),
        }
    }
}

/// Any other error, under this store's name.
pub(crate) fn generic(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store: STORE, source: source.into() }
}

/// A store's error as `object_store` says it.
///
/// A missing chunk or container is not `NotFound`, which would say that the object does not exist.
pub(crate) fn from_store(path: &Path, e: store::Error) -> object_store::Error {
    use object_store::Error as E;
    let path = path.to_string();
    match e.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnly => E::PermissionDenied { path, source: e.into() },
        ErrorKind::Unauthenticated => E::Unauthenticated { path, source: e.into() },
        ErrorKind::Unsupported => E::NotSupported { source: e.into() },
        _ => generic(e),
    }
}

/// The engine's error as `object_store` says it.
pub(crate) fn from_engine(path: &Path, e: engine::Error) -> object_store::Error {
    match e {
        engine::Error::Store(e) => from_store(path, e),
        e => generic(e),
    }
}

#[cfg(test)]
mod tests {
    use object_store::Error as E;

    use super::*;

    fn store(kind: ErrorKind) -> E {
        from_store(&Path::from("a"), store::Error::new(kind, "get", "no"))
    }

    #[test]
    fn each_kind_of_store_error_has_its_variant() {
        assert!(
            matches!(store(ErrorKind::PermissionDenied), E::PermissionDenied { path, .. } if path == "a")
        );
        assert!(matches!(store(ErrorKind::ReadOnly), E::PermissionDenied { .. }));
        assert!(matches!(store(ErrorKind::Unauthenticated), E::Unauthenticated { path, .. } if path == "a"));
        assert!(matches!(store(ErrorKind::Unsupported), E::NotSupported { .. }));
        for kind in [
            ErrorKind::InvalidInput,
            ErrorKind::ChunkTooLarge,
            ErrorKind::ChunkMissing,
            ErrorKind::Corrupt,
            ErrorKind::Full,
            ErrorKind::ContainerMissing,
            ErrorKind::Locked,
            ErrorKind::Closed,
            ErrorKind::Conflict,
            ErrorKind::Unavailable,
            ErrorKind::Throttled,
            ErrorKind::Timeout,
            ErrorKind::Other,
        ] {
            assert!(matches!(store(kind), E::Generic { store: "selfenc", .. }), "{kind:?}");
        }
    }

    #[test]
    fn the_engine_passes_a_stores_error_on() {
        let denied = store::Error::new(ErrorKind::ReadOnly, "put", "no");
        let path = Path::from("a");
        assert!(matches!(from_engine(&path, denied.into()), E::PermissionDenied { .. }));
        assert!(matches!(from_engine(&path, engine::Error::WrongKey), E::Generic { .. }));
    }

    #[test]
    fn each_problem_has_its_variant() {
        let at = |problem: Problem| problem.at(&Path::from("a"));
        assert!(matches!(at(Problem::Absent), E::NotFound { path, .. } if path == "a"));
        assert!(matches!(at(Problem::Exists), E::AlreadyExists { .. }));
        assert!(matches!(at(Problem::Changed), E::Precondition { .. }));
        assert!(matches!(at(Problem::NoVersions), E::NotSupported { .. }));
        assert!(matches!(at(Problem::NoRoots(StoreInfo::backend("x", ""))), E::NotSupported { .. }));
        assert!(matches!(at(Problem::UnknownAttribute("x".into())), E::NotSupported { .. }));
        for problem in [
            Problem::NoTag,
            Problem::NoPath,
            Problem::TooLong,
            Problem::OtherRecord,
            Problem::DamagedRecord,
            Problem::NewerRecord(2),
            Problem::UploadOver,
            Problem::UnfinishedParts(1),
            Problem::NoRuntime,
        ] {
            assert!(matches!(at(problem), E::Generic { store: "selfenc", .. }));
        }
    }
}
