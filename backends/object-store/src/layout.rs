//! Names of objects.

use object_store::path::Path;
use selfenc_core::store::{ChunkId, RootName};

const MARKER: &str = "selfenc-store";
const MARKER_TEXT: &str = "selfenc object store, layout ";
const PROBE: &str = "selfenc-probe-";

/// The layout that this version writes, and the only one that it reads.
pub(crate) const LAYOUT: u32 = 1;

/// The last shard: the first two hex digits of a chunk's name.
pub(crate) const SHARDS: u8 = 0xff;

/// Hex digits of a root's name in one part of a path. Longer parts than 255 bytes are refused by some.
const ROOT_PART: usize = 128;
/// Tells a root from the path of a longer name, on services where an object cannot also be a folder.
const ROOT_END: &str = ".root";

/// Where everything is, below a prefix.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) prefix: Path,
    pub(crate) marker: Path,
    pub(crate) chunks: Path,
    pub(crate) roots: Path,
}

impl Layout {
    pub(crate) fn new(prefix: Path) -> Self {
        let child = |name| prefix.clone().join(name);
        Self { marker: child(MARKER), chunks: child("chunks"), roots: child("roots"), prefix }
    }

    pub(crate) fn chunk(&self, id: ChunkId) -> Path {
        let digits = id.to_string();
        self.chunks.clone().join(&digits[..2]).join(&digits[2..])
    }

    pub(crate) fn shard(&self, shard: u8) -> Path {
        self.chunks.clone().join(format!("{shard:02x}"))
    }

    /// The shard that a folder of `chunks` is, if it is one.
    pub(crate) fn parse_shard(&self, folder: &Path) -> Option<u8> {
        let [digits] = parts(folder, &self.chunks)?;
        parse_shard(&digits)
    }

    pub(crate) fn parse_chunk(&self, location: &Path) -> Option<ChunkId> {
        let [shard, rest] = parts(location, &self.chunks)?;
        parse_digits(parse_shard(&shard)?, &rest)
    }

    pub(crate) fn root(&self, name: &RootName) -> Path {
        let digits = hex(name.as_str().as_bytes()) + ROOT_END;
        let (mut path, mut rest) = (self.roots.clone(), &digits[..]);
        while rest.len() > ROOT_PART + ROOT_END.len() {
            let (part, more) = rest.split_at(ROOT_PART);
            (path, rest) = (path.join(part), more);
        }
        path.join(rest)
    }

    pub(crate) fn parse_root(&self, location: &Path) -> Option<RootName> {
        let digits: String =
            location.prefix_match(&self.roots)?.map(|part| part.as_ref().to_owned()).collect();
        let digits = digits.strip_suffix(ROOT_END)?;
        let bytes =
            digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
        let name = String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()?;
        let name = RootName::new(name).ok()?;
        (self.root(&name) == *location).then_some(name)
    }

    pub(crate) fn probe(&self, digits: &str) -> Path {
        self.prefix.clone().join(format!("{PROBE}{digits}"))
    }

    /// Whether a store made this object, or would have.
    pub(crate) fn is_ours(&self, location: &Path) -> bool {
        let is_probe =
            || parts(location, &self.prefix).is_some_and(|[name]: [String; 1]| ends_in_hex(&name, PROBE, 32));
        *location == self.marker
            || self.parse_chunk(location).is_some()
            || self.parse_root(location).is_some()
            || is_probe()
    }

    /// Whether it is in a corner, which `Registry::corner` names `selfenc-test-` and 16 hex digits.
    pub(crate) fn is_in_corner(&self, location: &Path) -> bool {
        let first = location.prefix_match(&self.prefix).and_then(|mut parts| parts.next());
        first.is_some_and(|name| is_corner(name.as_ref()))
    }
}

fn is_corner(name: &str) -> bool {
    ends_in_hex(name, "selfenc-test-", 16)
}

/// Whether it is `prefix` and then so many hex digits.
fn ends_in_hex(name: &str, prefix: &str, digits: usize) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == digits && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// The chunk of this shard with these other 62 digits.
pub(crate) fn parse_digits(shard: u8, rest: &str) -> Option<ChunkId> {
    let digits = format!("{shard:02x}{rest}");
    let id: ChunkId = digits.parse().ok()?;
    // One name for each chunk: lower case.
    (id.to_string() == digits).then_some(id)
}

/// The parts of `location` below `folder`, if there are as many as asked for.
fn parts<const N: usize>(location: &Path, folder: &Path) -> Option<[String; N]> {
    let below: Vec<_> = location.prefix_match(folder)?.map(|part| part.as_ref().to_owned()).collect();
    below.try_into().ok()
}

pub(crate) fn parse_shard(digits: &str) -> Option<u8> {
    let shard = u8::from_str_radix(digits, 16).ok()?;
    (format!("{shard:02x}") == digits).then_some(shard)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the marker says.
pub(crate) fn marker_text() -> String {
    format!("{MARKER_TEXT}{LAYOUT}\n")
}

/// The layout that a marker names; `None` if it is none of ours.
pub(crate) fn parse_marker(text: &[u8]) -> Option<u32> {
    str::from_utf8(text).ok()?.strip_prefix(MARKER_TEXT)?.strip_suffix('\n')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::new(Path::from("some/where"))
    }

    #[test]
    fn chunks_are_named_by_hex_digits() {
        let id = ChunkId::from_bytes([0xab; 32]);
        let path = layout().chunk(id);
        assert_eq!(path.as_ref(), format!("some/where/chunks/ab/{}", "ab".repeat(31)));
        assert_eq!(layout().parse_chunk(&path), Some(id));
        assert_eq!(layout().parse_shard(&layout().shard(0x0f)), Some(0x0f));
    }

    #[test]
    fn what_is_nearly_a_chunk_is_none() {
        let digits = "0".repeat(62);
        for bad in [
            format!("some/where/chunks/00/{}", &digits[1..]),
            format!("some/where/chunks/00/{digits}0"),
            format!("some/where/chunks/0/0{digits}"),
            format!("some/where/chunks/AB/{digits}"),
            format!("some/where/chunks/00/{}G", &digits[1..]),
            format!("some/where/chunks/00/{digits}/x"),
            format!("some/where/chunks/{digits}00"),
            format!("else/where/chunks/00/{digits}"),
            format!("some/where/00/{digits}"),
        ] {
            assert_eq!(layout().parse_chunk(&Path::from(bad.as_str())), None, "{bad}");
        }
        assert!(parse_shard("+1").is_none() && parse_shard("1").is_none() && parse_shard("FF").is_none());
    }

    #[test]
    fn every_root_name_has_a_path_of_its_own() {
        let long = "x".repeat(255);
        for name in
            [".", "..", "a/b", "CON", "ü", "u\u{308}", "%2e", "A", "a", &long, &long[..64], &long[..128]]
        {
            let name = RootName::new(name).unwrap();
            let path = layout().root(&name);
            assert_eq!(layout().parse_root(&path), Some(name), "{path}");
            assert!(path.parts().all(|part| part.as_ref().len() < 200), "{path}");
        }
        assert_eq!(layout().root(&RootName::new("main").unwrap()).as_ref(), "some/where/roots/6d61696e.root");
        for bad in ["6D.root", "6d", "6.root", "00.root", ".root", "6d/61.root", "ff.root"] {
            let path = Path::from(format!("some/where/roots/{bad}"));
            assert_eq!(layout().parse_root(&path), None, "{bad}");
        }
    }

    #[test]
    fn ours_is_what_a_store_makes() {
        let at = |name: &str| Path::from(format!("some/where/{name}"));
        let probe = "selfenc-probe-00112233445566778899aabbccddeeff";
        for ours in ["selfenc-store", probe, "roots/6d.root"] {
            assert!(layout().is_ours(&at(ours)), "{ours}");
        }
        let probes =
            [&probe[..20], &probe.to_ascii_uppercase(), &format!("{probe}0"), "selfenc-probe-notes.txt"];
        for foreign in ["thesis.txt", "chunks/readme", "roots/readme", "selfenc-probe-1/x", "selfenc-store/x"]
            .into_iter()
            .chain(probes)
        {
            assert!(!layout().is_ours(&at(foreign)), "{foreign}");
        }
        assert!(layout().is_in_corner(&at("selfenc-test-0123456789abcdef/chunks/x")));
        assert!(!layout().is_in_corner(&at("selfenc-test-0123456789abcdeg/x")));
    }

    #[test]
    fn markers() {
        assert_eq!(parse_marker(marker_text().as_bytes()), Some(LAYOUT));
        assert_eq!(parse_marker(b"selfenc object store, layout 2\n"), Some(2));
        for bad in
            [&b""[..], b"selfenc filesystem store, layout 1\n", b"selfenc object store, layout 1", b"\xff"]
        {
            assert_eq!(parse_marker(bad), None);
        }
    }
}
