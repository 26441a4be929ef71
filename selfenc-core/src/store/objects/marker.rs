/// The layout that this version writes, and the only one that it reads.
pub const LAYOUT: u32 = 1;

/// Longer than any marker, in bytes. What is longer is none, and need not be read.
pub const MAX_MARKER_LEN: u64 = 256;

const TEXT: &str = "selfenc object store, layout ";

/// What the marker of a store says.
#[must_use]
pub fn marker_text() -> String {
    format!("{TEXT}{LAYOUT}\n")
}

/// The layout that a marker names; `None` if it is none of ours.
#[must_use]
pub fn parse_marker(text: &[u8]) -> Option<u32> {
    str::from_utf8(text).ok()?.strip_prefix(TEXT)?.strip_suffix('\n')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers() {
        assert_eq!(marker_text(), "selfenc object store, layout 1\n");
        assert_eq!(parse_marker(marker_text().as_bytes()), Some(LAYOUT));
        assert_eq!(parse_marker(b"selfenc object store, layout 2\n"), Some(2));
        for bad in
            [&b""[..], b"selfenc filesystem store, layout 1\n", b"selfenc object store, layout 1", b"\xff"]
        {
            assert_eq!(parse_marker(bad), None);
        }
    }
}
