use std::io;
use std::path::Path;

use selfenc_core::store::{ChunkId, Error, ErrorKind};

/// "Too many open files", of this process and of the whole system. The standard library has no kind for
/// them; the numbers are the same on every Unix.
#[cfg(unix)]
const TOO_MANY_FILES: [i32; 2] = [24, 23];
/// `ERROR_TOO_MANY_OPEN_FILES`.
#[cfg(not(unix))]
const TOO_MANY_FILES: [i32; 1] = [4];

/// The error for a failed system call: `doing` and `path` say what was tried.
pub(crate) fn failed(op: &'static str, doing: &str, path: &Path, e: io::Error) -> Error {
    let remedy = remedy(&e);
    let message = format!("cannot {doing} {}: {e}{remedy}", path.display());
    match kind(&e) {
        Some(kind) => Error::new(kind, op, message).with_source(e),
        None => Error::from_io(op, message, e),
    }
}

/// The same for a chunk's own file. The message shows the path by the first digits of the name, as a glob.
pub(crate) fn chunk_failed(op: &'static str, doing: &str, shard: &Path, id: ChunkId, e: io::Error) -> Error {
    let digits = id.short();
    // In a shard, a file is called by what its folder does not say.
    let named = if shard.ends_with(&digits[..2]) { &digits[2..] } else { &digits[..] };
    let file = shard.join(format!("{named}*"));
    failed(op, doing, &file, e).with_chunk(id)
}

/// The table, where it says more than [`Error::from_io`].
fn kind(e: &io::Error) -> Option<ErrorKind> {
    if e.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code)) {
        return Some(ErrorKind::Unavailable);
    }
    match e.kind() {
        io::ErrorKind::OutOfMemory => Some(ErrorKind::Unavailable),
        io::ErrorKind::IsADirectory => Some(ErrorKind::Corrupt),
        // Paths are made by the store: if one is not valid, the folder is not what it was.
        io::ErrorKind::InvalidInput => Some(ErrorKind::Other),
        _ => None,
    }
}

fn remedy(e: &io::Error) -> &'static str {
    if e.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code)) {
        return "; raise the limit on open files, or use fewer at once";
    }
    match e.kind() {
        io::ErrorKind::CrossesDevices => "; chunks, roots and tmp must be on one file system",
        io::ErrorKind::IsADirectory => "; a folder stands where a file belongs: move it away",
        _ => "",
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Errno (Linux numbers), the kind, whether a retry can help.
    const TABLE: [(i32, ErrorKind, bool); 13] = [
        (28, ErrorKind::Full, false),             // ENOSPC
        (13, ErrorKind::PermissionDenied, false), // EACCES
        (1, ErrorKind::PermissionDenied, false),  // EPERM
        (30, ErrorKind::ReadOnly, false),         // EROFS
        (5, ErrorKind::Other, false),             // EIO
        (24, ErrorKind::Unavailable, true),       // EMFILE
        (23, ErrorKind::Unavailable, true),       // ENFILE
        (12, ErrorKind::Unavailable, true),       // ENOMEM
        (4, ErrorKind::Unavailable, true),        // EINTR
        (16, ErrorKind::Unavailable, true),       // EBUSY
        (21, ErrorKind::Corrupt, false),          // EISDIR
        (18, ErrorKind::Other, false),            // EXDEV
        (27, ErrorKind::Full, false),             // EFBIG
    ];

    #[test]
    fn a_chunk_is_named_by_its_first_digits_in_either_layout() {
        let id = ChunkId::from_bytes([0xAB; 32]);
        let told = |folder| {
            let e = chunk_failed("get", "read", Path::new(folder), id, io::Error::from_raw_os_error(5));
            e.to_string()
        };
        assert!(told("/s/chunks/ab").contains("/s/chunks/ab/ababab*"), "{}", told("/s/chunks/ab"));
        assert!(told("/s/flat").contains("/s/flat/abababab*"), "{}", told("/s/flat"));
    }

    #[test]
    fn every_errno_has_its_kind() {
        for (code, kind, transient) in TABLE {
            let e = failed("put", "write", Path::new("/a/b"), io::Error::from_raw_os_error(code));
            assert_eq!((e.kind(), e.is_transient()), (kind, transient), "errno {code}: {e}");
            assert!(e.to_string().contains("cannot write /a/b"), "{e}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_numbers() {
        for (code, kind) in
            [(122, ErrorKind::Full), (116, ErrorKind::Unavailable), (36, ErrorKind::InvalidInput)]
        {
            let e = failed("put", "write", Path::new("/a"), io::Error::from_raw_os_error(code));
            assert_eq!(e.kind(), kind, "errno {code}: {e}");
        }
    }

    #[test]
    fn a_chunk_is_named_by_eight_digits() {
        let id = ChunkId::from_bytes([0xab; 32]);
        let e = chunk_failed("get", "read", Path::new("/s/chunks/ab"), id, io::Error::from_raw_os_error(5));
        assert!(e.to_string().starts_with("get abababab: failed: cannot read /s/chunks/ab/ababab*: "), "{e}");
        assert!(!e.to_string().contains("abababababab"), "{e}");
    }
}
