use crate::store::id::hex;
use crate::store::registry::CORNER_PREFIX;
use crate::store::{ChunkId, RootName};

const MARKER: &str = "selfenc-store";
const CHUNKS: &str = "chunks/";
const ROOTS: &str = "roots/";
const PROBE: &str = "selfenc-probe-";

/// Hex digits of a root's name in one part of a key. Longer parts than 255 bytes are refused by some.
const ROOT_PART: usize = 128;
/// Tells a root from the folder of a longer name, on services where an object cannot also be a folder.
const ROOT_END: &str = ".root";

/// The keys of a store's objects, all below a prefix.
///
/// ```
/// use selfenc_core::store::ChunkId;
/// use selfenc_core::store::objects::ObjectNames;
///
/// let names = ObjectNames::new("backups/laptop");
/// let id = ChunkId::from_bytes([0xab; 32]);
/// assert_eq!(names.chunk(id), format!("backups/laptop/chunks/ab/{}", "ab".repeat(31)));
/// assert_eq!(names.parse_chunk(&names.chunk(id)), Some(id));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectNames {
    prefix: String,
}

impl ObjectNames {
    /// The keys below `prefix`, which neither begins nor ends with a slash; `""` is the bucket itself.
    ///
    /// Which prefixes a service takes is for the backend to check.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        let end = if prefix.is_empty() { "" } else { "/" };
        Self { prefix: format!("{prefix}{end}") }
    }

    /// What all keys begin with: the prefix and a slash, or nothing.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of the marker, which is there if the store is.
    #[must_use]
    pub fn marker(&self) -> String {
        self.at(MARKER)
    }

    /// What the keys of all chunks begin with.
    #[must_use]
    pub fn chunks(&self) -> String {
        self.at(CHUNKS)
    }

    /// What the keys of all roots begin with.
    #[must_use]
    pub fn roots(&self) -> String {
        self.at(ROOTS)
    }

    /// The key of a chunk. Keys have the order of the chunks' names.
    #[must_use]
    pub fn chunk(&self, id: ChunkId) -> String {
        let digits = id.to_string();
        let (shard, rest) = digits.split_at(2);
        format!("{}{CHUNKS}{shard}/{rest}", self.prefix)
    }

    /// The key of a root.
    #[must_use]
    pub fn root(&self, name: &RootName) -> String {
        let digits = hex(name.as_str().as_bytes());
        let (mut key, mut rest) = (self.roots(), &digits[..]);
        while rest.len() > ROOT_PART {
            let (part, more) = rest.split_at(ROOT_PART);
            key.push_str(part);
            key.push('/');
            rest = more;
        }
        key + rest + ROOT_END
    }

    /// The key of an object on which to try what a service does. The digits are random, so that nobody
    /// else uses it.
    #[must_use]
    pub fn probe(&self, digits: &[u8; 16]) -> String {
        self.at(PROBE) + &hex(digits)
    }

    /// The chunk with this key, if it is one: each has a single key, in lower case.
    #[must_use]
    pub fn parse_chunk(&self, key: &str) -> Option<ChunkId> {
        let digits = self.below(key)?.strip_prefix(CHUNKS)?.replacen('/', "", 1);
        let id = digits.parse().ok()?;
        (self.chunk(id) == key).then_some(id)
    }

    /// The name of the root with this key, if it is one.
    #[must_use]
    pub fn parse_root(&self, key: &str) -> Option<RootName> {
        let digits = self.below(key)?.strip_prefix(ROOTS)?.strip_suffix(ROOT_END)?.replace('/', "");
        let byte = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
        let bytes = digits.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>()?;
        let name = RootName::new(String::from_utf8(bytes).ok()?).ok()?;
        (self.root(&name) == key).then_some(name)
    }

    /// Whether a store made the object with this key, or would have.
    #[must_use]
    pub fn is_ours(&self, key: &str) -> bool {
        let Some(name) = self.below(key) else { return false };
        name == MARKER
            || self.parse_chunk(key).is_some()
            || self.parse_root(key).is_some()
            || ends_in_hex(name, PROBE, 32)
    }

    /// Whether it is in a corner, where tests make stores of their own: see
    /// [`Registry::corner`](crate::store::Registry::corner).
    #[must_use]
    pub fn is_in_corner(&self, key: &str) -> bool {
        let first = self.below(key).and_then(|name| name.split('/').next());
        first.is_some_and(|first| ends_in_hex(first, CORNER_PREFIX, 16))
    }

    fn at(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn below<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.prefix)
    }
}

/// Whether it is `prefix` and then so many hex digits.
fn ends_in_hex(name: &str, prefix: &str, digits: usize) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == digits && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> ObjectNames {
        ObjectNames::new("some/where")
    }

    #[test]
    fn keys_are_below_the_prefix() {
        let root = RootName::new("main").unwrap();
        for (prefix, start) in [("", ""), ("a", "a/"), ("a/b", "a/b/"), ("ü %2F", "ü %2F/")] {
            let names = ObjectNames::new(prefix);
            assert_eq!(names.prefix(), start);
            assert_eq!(names.marker(), format!("{start}selfenc-store"));
            assert_eq!(names.chunks(), format!("{start}chunks/"));
            assert_eq!(names.roots(), format!("{start}roots/"));
            assert_eq!(
                names.probe(&[0xf0; 16]),
                format!("{start}selfenc-probe-f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0")
            );
            assert_eq!(names.root(&root), format!("{start}roots/6d61696e.root"));
            assert_eq!(names.parse_root(&names.root(&root)), Some(root.clone()));
            assert!(names.is_ours(&names.marker()) && names.is_ours(&names.probe(&[0; 16])));
        }
    }

    #[test]
    fn chunks_are_named_by_hex_digits() {
        let id = ChunkId::from_bytes([0xab; 32]);
        let key = names().chunk(id);
        assert_eq!(key, format!("some/where/chunks/ab/{}", "ab".repeat(31)));
        assert_eq!(names().parse_chunk(&key), Some(id));
        for byte in 0..=255 {
            let id = ChunkId::from_bytes(std::array::from_fn(|i| byte ^ i.to_le_bytes()[0]));
            assert_eq!(names().parse_chunk(&names().chunk(id)), Some(id));
        }
    }

    #[test]
    fn what_is_nearly_a_chunk_is_none() {
        let digits = "0".repeat(62);
        for bad in [
            format!("some/where/chunks/00/{}", &digits[1..]),
            format!("some/where/chunks/00/{digits}0"),
            format!("some/where/chunks/0/0{digits}"),
            format!("some/where/chunks/000/{}", &digits[1..]),
            format!("some/where/chunks/AB/{digits}"),
            format!("some/where/chunks/00/{}G", &digits[1..]),
            format!("some/where/chunks/00/{}é", &digits[2..]),
            format!("some/where/chunks/00/{digits}/x"),
            format!("some/where/chunks/00//{digits}"),
            format!("some/where/chunks/{digits}00"),
            format!("some/where//chunks/00/{digits}"),
            format!("some/wherechunks/00/{digits}"),
            format!("else/where/chunks/00/{digits}"),
            format!("some/where/00/{digits}"),
            format!("chunks/00/{digits}"),
        ] {
            assert_eq!(names().parse_chunk(&bad), None, "{bad}");
            assert!(!names().is_ours(&bad), "{bad}");
        }
    }

    #[test]
    fn every_root_name_has_a_key_of_its_own() {
        let long = "x".repeat(255);
        let lengths = [63, 64, 65, 128, 255].map(|len| &long[..len]);
        for name in [".", "..", "a/b", "CON", "ü", "u\u{308}", "%2e", "A", "a"].into_iter().chain(lengths) {
            let name = RootName::new(name).unwrap();
            let key = names().root(&name);
            assert_eq!(names().parse_root(&key), Some(name), "{key}");
            assert!(key.split('/').all(|part| !part.is_empty() && part.len() < 200), "{key}");
        }
        let (part, rest) = ("78".repeat(64), "78.root");
        let name = RootName::new(&long[..65]).unwrap();
        assert_eq!(names().root(&name), format!("some/where/roots/{part}/{rest}"));
        for bad in ["6D.root", "6d", "6.root", "00.root", ".root", "6d/61.root", "ff.root", "+6.root"] {
            assert_eq!(names().parse_root(&format!("some/where/roots/{bad}")), None, "{bad}");
        }
        assert_eq!(names().parse_root(&format!("some/where/roots/{part}{rest}")), None, "it has one key");
    }

    #[test]
    fn ours_is_what_a_store_makes() {
        let at = |name: &str| format!("some/where/{name}");
        let probe = "selfenc-probe-00112233445566778899aabbccddeeff";
        for ours in ["selfenc-store", probe, "roots/6d.root"] {
            assert!(names().is_ours(&at(ours)), "{ours}");
            assert!(!names().is_ours(ours), "{ours}: it is not below the prefix");
        }
        let probes =
            [&probe[..20], &probe.to_ascii_uppercase(), &format!("{probe}0"), "selfenc-probe-notes.txt"];
        for foreign in
            ["", "thesis.txt", "chunks/readme", "roots/readme", "selfenc-probe-1/x", "selfenc-store/x"]
                .into_iter()
                .chain(probes)
        {
            assert!(!names().is_ours(&at(foreign)), "{foreign}");
        }
        assert!(names().is_in_corner(&at("selfenc-test-0123456789abcdef/chunks/x")));
        assert!(!names().is_in_corner(&at("selfenc-test-0123456789abcdeg/x")));
        assert!(!names().is_in_corner("selfenc-test-0123456789abcdef/x"));
    }
}
