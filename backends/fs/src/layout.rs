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

/// How a store uses its folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FsLayout {
    /// A marker, 256 folders for chunks, and one for roots.
    #[default]
    Sharded,
    /// Nothing but a file for each chunk, named by 64 hexadecimal digits, as self_encryption leaves them. There
    /// are no roots.
    Flat,
}

/// How the names of temporaries begin in a flat store, among the chunks.
const FLAT_TMP: &str = ".selfenc-";

/// The paths of one store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) form: FsLayout,
    pub(crate) dir: PathBuf,
    pub(crate) marker: PathBuf,
    pub(crate) chunks: PathBuf,
    pub(crate) roots: PathBuf,
    pub(crate) roots_lock: PathBuf,
    pub(crate) tmp: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: PathBuf, form: FsLayout) -> Self {
        let roots = dir.join("roots");
        let (chunks, tmp) = match form {
            FsLayout::Sharded => (dir.join("chunks"), dir.join("tmp")),
            FsLayout::Flat => (dir.clone(), dir.clone()),
        };
        Self { form, marker: dir.join(MARKER), chunks, roots_lock: roots.join(".lock"), roots, tmp, dir }
    }

    pub(crate) fn is_flat(&self) -> bool {
        self.form == FsLayout::Flat
    }

    /// The folder of the chunks whose ids start with this byte.
    pub(crate) fn shard(&self, first: u8) -> PathBuf {
        match self.form {
            FsLayout::Sharded => self.chunks.join(format!("{first:02x}")),
            FsLayout::Flat => self.chunks.clone(),
        }
    }

    pub(crate) fn chunk(&self, id: ChunkId) -> PathBuf {
        let digits = id.to_string();
        match self.form {
            FsLayout::Sharded => self.chunks.join(&digits[..2]).join(&digits[2..]),
            FsLayout::Flat => self.chunks.join(digits),
        }
    }

    pub(crate) fn root(&self, name: &RootName) -> PathBuf {
        self.roots.join(root_file_name(name))
    }

    pub(crate) fn session_lock(&self, session: &str) -> PathBuf {
        self.tmp.join(format!("{}{session}.lock", self.tmp_prefix()))
    }

    pub(crate) fn temporary(&self, session: &str, number: u64) -> PathBuf {
        self.tmp.join(format!("{}{session}-{number}", self.tmp_prefix()))
    }

    /// What this name in `tmp` is, if it is a temporary or a lock.
    pub(crate) fn parse_tmp<'a>(&self, name: &'a OsStr) -> Option<TmpEntry<'a>> {
        TmpEntry::parse(name.to_str()?.strip_prefix(self.tmp_prefix())?)
    }

    fn tmp_prefix(&self) -> &'static str {
        match self.form {
            FsLayout::Sharded => "",
            FsLayout::Flat => FLAT_TMP,
        }
    }
}

/// The chunk whose file has this name in a flat store; `None` for what is no chunk.
pub(crate) fn parse_flat(name: &OsStr) -> Option<ChunkId> {
    let digits = name.to_str().filter(|name| name.len() == 64 && is_lower_hex(name))?;
    digits.parse().ok()
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
    fn parse(name: &'a str) -> Option<Self> {
        let (session, rest) = name.split_at_checked(16)?;
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
        let path = Layout::new("/s".into(), FsLayout::Sharded).chunk(id);
        assert!(path.starts_with("/s/chunks/ff"));
        let name = path.file_name().unwrap();
        assert_eq!(parse_chunk(0xff, name), Some(id));
        let text = name.to_str().unwrap();
        for bad in [&text[1..], &text.to_uppercase(), &format!("{text}0"), &format!("{}-", &text[1..]), ""] {
            assert_eq!(parse_chunk(0xff, OsStr::new(bad)), None, "{bad}");
        }
    }

    #[test]
    fn flat_names_there_and_back_and_nothing_else() {
        let layout = Layout::new("/s".into(), FsLayout::Flat);
        let id = ChunkId::from_bytes([0xab; 32]);
        let path = layout.chunk(id);
        assert_eq!(path.parent(), Some(&*layout.shard(0xab)));
        assert_eq!(path.file_name().and_then(parse_flat), Some(id));
        for bad in ["DATAMAP", "ab", &"AB".repeat(32), &"ab".repeat(33), ".selfenc-0123456789abcdef-7"] {
            assert_eq!(parse_flat(OsStr::new(bad)), None, "{bad}");
        }
        let session = "0123456789abcdef";
        let (lock, temporary) = (layout.session_lock(session), layout.temporary(session, 7));
        let parse = |path: &PathBuf| path.file_name().map(|name| format!("{:?}", layout.parse_tmp(name)));
        assert_eq!(parse(&lock).as_deref(), Some("Some(Lock(\"0123456789abcdef\"))"));
        assert_eq!(parse(&temporary).as_deref(), Some("Some(Temporary(\"0123456789abcdef\"))"));
        assert_eq!(layout.parse_tmp(OsStr::new("0123456789abcdef-7")), None, "no name of ours");
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
        assert_eq!(TmpEntry::parse("0123456789abcdef.lock"), Some(TmpEntry::Lock(session)));
        assert_eq!(TmpEntry::parse("0123456789abcdef-7"), Some(TmpEntry::Temporary(session)));
        for bad in
            ["", "x", "0123456789abcdef", "0123456789abcdef-", "0123456789abcdef-x", "0123456789ABCDEF-1"]
        {
            assert_eq!(TmpEntry::parse(bad), None, "{bad}");
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
