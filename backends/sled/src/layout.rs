//! Where everything stands in the store's folder.

use std::ffi::OsStr;
use std::path::PathBuf;

/// The file that makes a folder a store, of whatever kind.
pub(crate) const MARKER: &str = "selfenc-store";

/// The marker while it is written.
pub(crate) const NEW_MARKER: &str = "selfenc-store.new";

/// What the marker says before the number of the layout.
pub(crate) const MARKER_TEXT: &str = "selfenc sled store, layout ";

/// The layout that this version reads and writes.
pub(crate) const LAYOUT: u32 = 1;

/// Held locked for as long as the store is open.
pub(crate) const LOCK: &str = "lock";

/// The folder that sled is given.
pub(crate) const DATABASE: &str = "sled";

/// The paths of one store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
    pub(crate) marker: PathBuf,
    pub(crate) lock: PathBuf,
    pub(crate) database: PathBuf,
    /// Where sled puts values that are too long for its log. Pieces are not.
    pub(crate) blobs: PathBuf,
    /// sled's log, which holds everything else.
    pub(crate) log: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: PathBuf) -> Self {
        let database = dir.join(DATABASE);
        Self {
            marker: dir.join(MARKER),
            lock: dir.join(LOCK),
            blobs: database.join("blobs"),
            log: database.join("db"),
            database,
            dir,
        }
    }
}

/// Whether the store made a file of this name in its folder.
pub(crate) fn is_own_file(name: &OsStr) -> bool {
    [MARKER, NEW_MARKER, LOCK].iter().any(|own| name == *own)
}

/// Whether sled makes a file of this name in its folder: `db`, `conf`, `snap.<16 hex>`, and a snapshot that
/// is being written.
pub(crate) fn is_sled_file(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let snapshot = name.strip_prefix("snap.").map(|rest| rest.strip_suffix(".generating").unwrap_or(rest));
    let is_hex = |digits: &str| digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    matches!(name, "db" | "conf") || snapshot.is_some_and(is_hex)
}

/// Whether this is a snapshot that sled is writing.
pub(crate) fn is_half_snapshot(name: &OsStr) -> bool {
    is_sled_file(name) && name.as_encoded_bytes().ends_with(b".generating")
}

/// Whether sled makes a file of this name in `blobs`: a number.
pub(crate) fn is_blob(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether this is a name that `Registry::corner` gives: `selfenc-test-` and 16 hex digits.
pub(crate) fn is_corner(name: &OsStr) -> bool {
    let digits = name.to_str().and_then(|name| name.strip_prefix("selfenc-test-"));
    digits.is_some_and(|digits| {
        digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// What a marker says of the layout; `None` if it is not the marker of a store in sled.
pub(crate) fn parse_marker(text: &[u8]) -> Option<u32> {
    let number = std::str::from_utf8(text).ok()?.strip_prefix(MARKER_TEXT)?.strip_suffix('\n')?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers() {
        assert_eq!(parse_marker(b"selfenc sled store, layout 1\n"), Some(1));
        assert_eq!(parse_marker(b"selfenc sled store, layout 23\n"), Some(23));
        for bad in
            [&b""[..], b"selfenc sled store, layout 1", b"selfenc filesystem store, layout 1\n", b"\xff"]
        {
            assert_eq!(parse_marker(bad), None);
        }
    }

    #[test]
    fn names_that_sled_gives() {
        for ours in ["db", "conf", "snap.00000000000ABCDE", "snap.0000000000000001.generating"] {
            assert!(is_sled_file(OsStr::new(ours)), "{ours}");
        }
        for other in ["", "db2", "snap.", "snap.0000000000000001.old", "snap.000000000000000g", "blobs"] {
            assert!(!is_sled_file(OsStr::new(other)), "{other}");
        }
        assert!(is_half_snapshot(OsStr::new("snap.0000000000000001.generating")));
        assert!(!is_half_snapshot(OsStr::new("snap.0000000000000001")));
        assert!(is_blob(OsStr::new("15385596772")));
        for other in ["", "x", "1.tmp", "-1"] {
            assert!(!is_blob(OsStr::new(other)), "{other}");
        }
    }
}
