//! Where everything stands in the store's folder.

use std::ffi::OsStr;
use std::path::PathBuf;

use selfenc_core::store::{ChunkId, RootName};

/// The file that makes a folder a store.
pub(crate) const MARKER: &str = "selfenc-store";

/// What the marker says before the number of the layout.
pub(crate) const MARKER_TEXT: &str = "selfenc filesystem store, layout ";

/// The layout that this version reads and writes.
pub(crate) const LAYOUT: u32 = 1;

/// The sub-folders of a store.
pub(crate) const FOLDERS: [&str; 3] = ["chunks", "roots", "tmp"];

/// The number of chunk folders: one for each first byte.
pub(crate) const SHARDS: u8 = u8::MAX;

/// The paths of one store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
    pub(crate) marker: PathBuf,
    pub(crate) chunks: PathBuf,
    pub(crate) roots: PathBuf,
    pub(crate) roots_lock: PathBuf,
    pub(crate) tmp: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: PathBuf) -> Self {
        let roots = dir.join("roots");
        Self {
            marker: dir.join(MARKER),
            chunks: dir.join("chunks"),
            roots_lock: roots.join(".lock"),
            roots,
            tmp: dir.join("tmp"),
            dir,
        }
    }

    /// The folder of the chunks whose ids start with this byte.
    pub(crate) fn shard(&self, first: u8) -> PathBuf {
        self.chunks.join(format!("{first:02x}"))
    }

    pub(crate) fn chunk(&self, id: ChunkId) -> PathBuf {
        let digits = id.to_string();
        self.chunks.join(&digits[..2]).join(&digits[2..])
    }

    pub(crate) fn root(&self, name: &RootName) -> PathBuf {
        self.roots.join(root_file_name(name))
    }

    pub(crate) fn session_lock(&self, session: &str) -> PathBuf {
        self.tmp.join(format!("{session}.lock"))
    }
}

/// The chunk whose file has this name in this shard folder; `None` for what is no chunk.
pub(crate) fn parse_chunk(shard: u8, name: &OsStr) -> Option<ChunkId> {
    let rest = name.to_str()?;
    if rest.len() != 62 || !is_lower_hex(rest) {
        return None;
    }
    format!("{shard:02x}{rest}").parse().ok()
}

/// The first byte of the ids whose folder has this name.
pub(crate) fn parse_shard(name: &OsStr) -> Option<u8> {
    let digits = name.to_str().filter(|name| name.len() == 2 && is_lower_hex(name))?;
    u8::from_str_radix(digits, 16).ok()
}

/// Hashed, so that no name can trouble a file system: not by its length, its case or its characters.
pub(crate) fn root_file_name(name: &RootName) -> String {
    blake3::hash(name.as_str().as_bytes()).to_hex().to_string()
}

pub(crate) fn is_root_file(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.len() == 64 && is_lower_hex(name))
}

/// What stands in `tmp`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TmpEntry<'a> {
    /// The lock of a session.
    Lock(&'a str),
    /// A temporary of a session.
    Temporary(&'a str),
}

impl<'a> TmpEntry<'a> {
    pub(crate) fn parse(name: &'a OsStr) -> Option<Self> {
        let (session, rest) = name.to_str()?.split_at_checked(16)?;
        let number =
            || rest.strip_prefix('-').filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        match rest {
            _ if !is_lower_hex(session) => None,
            ".lock" => Some(Self::Lock(session)),
            _ => number().map(|_| Self::Temporary(session)),
        }
    }
}

/// What a marker says of the layout; `None` if it is no marker.
pub(crate) fn parse_marker(text: &[u8]) -> Option<u32> {
    let number = std::str::from_utf8(text).ok()?.strip_prefix(MARKER_TEXT)?.strip_suffix('\n')?;
    number.parse().ok()
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_names_there_and_back_and_nothing_else() {
        let mut bytes = [0xff; 32];
        bytes[31] = 0x01;
        let id = ChunkId::from_bytes(bytes);
        let path = Layout::new("/s".into()).chunk(id);
        assert!(path.starts_with("/s/chunks/ff"));
        let name = path.file_name().unwrap();
        assert_eq!(parse_chunk(0xff, name), Some(id));
        let text = name.to_str().unwrap();
        for bad in [&text[1..], &text.to_uppercase(), &format!("{text}0"), &format!("{}-", &text[1..]), ""] {
            assert_eq!(parse_chunk(0xff, OsStr::new(bad)), None, "{bad}");
        }
    }

    #[test]
    fn shard_names() {
        assert_eq!(parse_shard(OsStr::new("00")), Some(0));
        assert_eq!(parse_shard(OsStr::new("af")), Some(0xaf));
        for bad in ["", "a", "AF", "+1", "0g", "000"] {
            assert_eq!(parse_shard(OsStr::new(bad)), None, "{bad}");
        }
    }

    #[test]
    fn tmp_names() {
        let session = "0123456789abcdef";
        assert_eq!(TmpEntry::parse(OsStr::new("0123456789abcdef.lock")), Some(TmpEntry::Lock(session)));
        assert_eq!(TmpEntry::parse(OsStr::new("0123456789abcdef-7")), Some(TmpEntry::Temporary(session)));
        for bad in
            ["", "x", "0123456789abcdef", "0123456789abcdef-", "0123456789abcdef-x", "0123456789ABCDEF-1"]
        {
            assert_eq!(TmpEntry::parse(OsStr::new(bad)), None, "{bad}");
        }
    }

    #[test]
    fn markers() {
        assert_eq!(parse_marker(b"selfenc filesystem store, layout 1\n"), Some(1));
        assert_eq!(parse_marker(b"selfenc filesystem store, layout 23\n"), Some(23));
        for bad in
            [&b""[..], b"selfenc filesystem store, layout 1", b"selfenc filesystem store, layout \n", b"\xff"]
        {
            assert_eq!(parse_marker(bad), None);
        }
    }
}
