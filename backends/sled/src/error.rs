use std::any::Any;
use std::io;
use std::path::Path;

use selfenc_core::store::{Error, ErrorKind};

/// What sled says when somebody else has its file locked. It gives no other sign of it.
const LOCK_WORDS: &str = "could not acquire lock";

/// The error for what sled says.
pub(crate) fn failed(op: &'static str, e: sled::Error) -> Error {
    let error = |kind, message: &'static str| Error::new(kind, op, message);
    match e {
        sled::Error::Io(e) if is_lock(&e) => locked(op).with_source(e),
        // A file is shorter than what points into it, or is gone.
        sled::Error::Io(e) if matches!(e.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound) => {
            error(ErrorKind::Corrupt, "sled misses a part of its files; restore a copy").with_source(e)
        }
        sled::Error::Io(e) => {
            let remedy = match e.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    "; make room and open the store again"
                }
                _ => "; open the store again",
            };
            // Not `from_io`'s guess for a name that cannot be: the store made the names.
            let message = format!("sled: {e}{remedy}");
            let error = Error::from_io(op, message, e);
            // sled refuses every later write with the same error, so no retry helps.
            error.with_transient(false)
        }
        e @ sled::Error::Corruption { .. } => {
            error(ErrorKind::Corrupt, "sled finds damage in its files; restore a copy").with_source(e)
        }
        e @ sled::Error::CollectionNotFound(_) => {
            error(ErrorKind::Corrupt, "sled misses a part of its database; restore a copy").with_source(e)
        }
        e @ sled::Error::Unsupported(_) => {
            error(ErrorKind::Unsupported, "sled 0.34 does not do this; was it made by another sled?")
                .with_source(e)
        }
        e @ sled::Error::ReportableBug(_) => {
            error(ErrorKind::Other, "sled met a bug of its own; open the store again").with_source(e)
        }
    }
}

/// The same for a system call of the store itself: `doing` and `path` say what was tried.
pub(crate) fn io_failed(op: &'static str, doing: &str, path: &Path, e: io::Error) -> Error {
    Error::from_io(op, format!("cannot {doing} {}: {e}", path.display()), e)
}

/// Somebody else has the database.
pub(crate) fn locked(op: &'static str) -> Error {
    let message = "another process or handle has this store open; close it, for sled allows one at a time";
    Error::new(ErrorKind::Locked, op, message)
}

/// The error after sled panicked. Where it was reading, that is damage that it did not expect.
pub(crate) fn panicked(op: &'static str, panic: &(dyn Any + Send)) -> Error {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    let kind = match op {
        "put" | "delete" | "swap" | "flush" | "close" => ErrorKind::Other,
        _ => ErrorKind::Corrupt,
    };
    let said: String = said.chars().take(200).collect();
    Error::new(kind, op, format!("sled panicked, by damage or a bug; open the store again ({said})"))
}

fn is_lock(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::Other && e.to_string().contains(LOCK_WORDS)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn io(kind: io::ErrorKind) -> sled::Error {
        sled::Error::Io(io::Error::from(kind))
    }

    #[test]
    fn every_error_has_its_kind() {
        let lock = io::Error::other("could not acquire lock on \"/s/db\": WouldBlock");
        let table = [
            (sled::Error::Io(lock), ErrorKind::Locked),
            (io(io::ErrorKind::StorageFull), ErrorKind::Full),
            (io(io::ErrorKind::QuotaExceeded), ErrorKind::Full),
            (io(io::ErrorKind::FileTooLarge), ErrorKind::Full),
            (io(io::ErrorKind::PermissionDenied), ErrorKind::PermissionDenied),
            (io(io::ErrorKind::ReadOnlyFilesystem), ErrorKind::ReadOnly),
            (io(io::ErrorKind::UnexpectedEof), ErrorKind::Corrupt),
            (io(io::ErrorKind::NotFound), ErrorKind::Corrupt),
            (io(io::ErrorKind::Interrupted), ErrorKind::Unavailable),
            (sled::Error::Io(io::Error::from_raw_os_error(5)), ErrorKind::Other),
            (sled::Error::Corruption { at: None, bt: () }, ErrorKind::Corrupt),
            (sled::Error::CollectionNotFound("x".into()), ErrorKind::Corrupt),
            (sled::Error::Unsupported("segment size".into()), ErrorKind::Unsupported),
            (sled::Error::ReportableBug("oh".into()), ErrorKind::Other),
        ];
        for (cause, kind) in table {
            let (cause, e) = (cause.to_string(), failed("put", cause));
            assert_eq!((e.kind(), e.is_transient()), (kind, false), "{cause}: {e}");
            assert!(e.source().is_some(), "{cause}");
        }
    }

    #[test]
    fn a_panic_is_damage_where_sled_read() {
        let e = panicked("get", &"index out of bounds".to_owned());
        assert_eq!(e.kind(), ErrorKind::Corrupt);
        assert!(e.to_string().contains("(index out of bounds)"), "{e}");
        assert_eq!(panicked("put", &"oh").kind(), ErrorKind::Other);
        assert_eq!(panicked("put", &7).kind(), ErrorKind::Other);
    }
}
