//! Names of objects, as paths of `object_store`.

use object_store::path::Path;
use selfenc_core::store::objects::ObjectNames;
use selfenc_core::store::{ChunkId, RootName};

/// The last shard: the first two hex digits of a chunk's name.
pub(crate) const SHARDS: u8 = 0xff;

/// Where everything is, below a prefix.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    names: ObjectNames,
    pub(crate) prefix: Path,
    pub(crate) marker: Path,
    pub(crate) chunks: Path,
    pub(crate) roots: Path,
}

impl Layout {
    pub(crate) fn new(prefix: Path) -> Self {
        let names = ObjectNames::new(prefix.as_ref());
        let at = |key: &str| below(&prefix, &names, key);
        let (marker, chunks, roots) = (at(&names.marker()), at(&names.chunks()), at(&names.roots()));
        Self { names, prefix, marker, chunks, roots }
    }

    pub(crate) fn chunk(&self, id: ChunkId) -> Path {
        self.path(&self.names.chunk(id))
    }

    pub(crate) fn shard(&self, shard: u8) -> Path {
        self.chunks.clone().join(format!("{shard:02x}"))
    }

    /// The shard that a folder of `chunks` is, if it is one.
    pub(crate) fn parse_shard(&self, folder: &Path) -> Option<u8> {
        let mut parts = folder.prefix_match(&self.chunks)?;
        let digits = parts.next()?;
        parts.next().is_none().then(|| parse_shard(digits.as_ref()))?
    }

    pub(crate) fn parse_chunk(&self, location: &Path) -> Option<ChunkId> {
        self.names.parse_chunk(location.as_ref())
    }

    pub(crate) fn root(&self, name: &RootName) -> Path {
        self.path(&self.names.root(name))
    }

    pub(crate) fn parse_root(&self, location: &Path) -> Option<RootName> {
        self.names.parse_root(location.as_ref())
    }

    pub(crate) fn probe(&self, digits: &[u8; 16]) -> Path {
        self.path(&self.names.probe(digits))
    }

    /// Whether a store made this object, or would have.
    pub(crate) fn is_ours(&self, location: &Path) -> bool {
        self.names.is_ours(location.as_ref())
    }

    /// Whether it is in a corner, where tests make stores of their own.
    pub(crate) fn is_in_corner(&self, location: &Path) -> bool {
        self.names.is_in_corner(location.as_ref())
    }

    fn path(&self, key: &str) -> Path {
        below(&self.prefix, &self.names, key)
    }
}

/// The path of a key. The prefix is kept as it is: as text it would be escaped again.
fn below(prefix: &Path, names: &ObjectNames, key: &str) -> Path {
    let mut path = prefix.clone();
    path.extend(key[names.prefix().len()..].split_terminator('/'));
    path
}

/// The chunk of this shard with these other 62 digits.
pub(crate) fn parse_digits(shard: u8, rest: &str) -> Option<ChunkId> {
    let names = ObjectNames::new("");
    names.parse_chunk(&format!("{}{shard:02x}/{rest}", names.chunks()))
}

pub(crate) fn parse_shard(digits: &str) -> Option<u8> {
    let shard = u8::from_str_radix(digits, 16).ok()?;
    (format!("{shard:02x}") == digits).then_some(shard)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::new(Path::from("some/where"))
    }

    #[test]
    fn paths_are_the_keys() {
        let (id, main) = (ChunkId::from_bytes([0xab; 32]), RootName::new("main").unwrap());
        let long = RootName::new("x".repeat(255)).unwrap();
        let (rest, part) = ("ab".repeat(31), "78".repeat(64));
        // The last two hold what `object_store` escapes: once, not again.
        for (prefix, start) in [
            (Path::default(), ""),
            (Path::from("some/where"), "some/where/"),
            (Path::from("a%b/{c}"), "a%25b/%7Bc%7D/"),
            (Path::parse("a%25b/ü").unwrap(), "a%25b/ü/"),
        ] {
            let layout = Layout::new(prefix);
            assert_eq!(layout.marker.as_ref(), format!("{start}selfenc-store"));
            assert_eq!(layout.chunks.as_ref(), format!("{start}chunks"));
            assert_eq!(layout.roots.as_ref(), format!("{start}roots"));
            assert_eq!(layout.chunk(id).as_ref(), format!("{start}chunks/ab/{rest}"));
            assert_eq!(layout.shard(0x0f).as_ref(), format!("{start}chunks/0f"));
            assert_eq!(layout.root(&main).as_ref(), format!("{start}roots/6d61696e.root"));
            let tail = &part[..126];
            assert_eq!(layout.root(&long).as_ref(), format!("{start}roots/{part}/{part}/{part}/{tail}.root"));
            let probe = layout.probe(&[0x0a; 16]);
            assert_eq!(probe.as_ref(), format!("{start}selfenc-probe-{}", "0a".repeat(16)));

            assert_eq!(layout.parse_chunk(&layout.chunk(id)), Some(id));
            assert_eq!(layout.parse_root(&layout.root(&main)), Some(main.clone()));
            assert_eq!(layout.parse_root(&layout.root(&long)), Some(long.clone()));
            assert!([layout.marker.clone(), probe].iter().all(|path| layout.is_ours(path)));
            let corner = layout.prefix.clone().join("selfenc-test-0123456789abcdef").join("x");
            assert!(layout.is_in_corner(&corner) && !layout.is_ours(&corner));
        }
    }

    #[test]
    fn shards_are_two_digits() {
        let at = |name: &str| Path::from(format!("some/where/{name}"));
        assert_eq!(layout().parse_shard(&layout().shard(0x0f)), Some(0x0f));
        for bad in ["chunks", "chunks/0", "chunks/0F", "chunks/0f/00", "roots/0f"] {
            assert_eq!(layout().parse_shard(&at(bad)), None, "{bad}");
        }
        assert!(parse_shard("+1").is_none() && parse_shard("1").is_none() && parse_shard("FF").is_none());
    }

    #[test]
    fn digits_are_a_chunk_of_their_shard() {
        let rest = "ab".repeat(31);
        assert_eq!(parse_digits(0xab, &rest), Some(ChunkId::from_bytes([0xab; 32])));
        for bad in [&rest[1..], &rest.to_uppercase(), &format!("{rest}a"), &format!("/{rest}"), "é"] {
            assert_eq!(parse_digits(0xab, bad), None, "{bad}");
        }
    }
}
