use object_store::path::Path;
use selfenc_core::engine::SealKey;
use selfenc_core::store::RootName;
use zeroize::Zeroizing;

/// BLAKE3 contexts: each makes another key of the seal key.
const NAME_KEY: &str = "selfenc object store v1 root name";
const KEY_ID: &str = "selfenc object store v1 key id";
/// Bytes of the key's id: enough to tell the keys of one store apart.
const ID_LEN: usize = 8;

/// The names of roots: `obj-`, the key's id, `-`, and a keyed hash of the path, both in hex.
///
/// Without the key nobody learns a path or can try one. The id says whose root it is, so that adapters
/// with different keys share a store and each sees its own objects alone.
pub(crate) struct Names {
    key: Zeroizing<[u8; 32]>,
    prefix: String,
}

impl Names {
    pub(crate) fn new(key: &SealKey) -> Self {
        let id = blake3::derive_key(KEY_ID, key.expose());
        let prefix = format!("obj-{}-", hex(&id[..ID_LEN]));
        Self { key: Zeroizing::new(blake3::derive_key(NAME_KEY, key.expose())), prefix }
    }

    /// The root of the object at `path`.
    pub(crate) fn of(&self, path: &Path) -> RootName {
        let hash = blake3::keyed_hash(&self.key, path.as_ref().as_bytes());
        let name = format!("{}{}", self.prefix, hash.to_hex());
        RootName::new(name).expect("85 characters, all of them letters, digits and dashes")
    }

    /// Whether a root is one of these objects'.
    pub(crate) fn is_ours(&self, name: &RootName) -> bool {
        name.as_str().starts_with(&self.prefix)
    }

    /// What the names of all roots begin with. No secret: it stands in the store.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of lower-case hex; `None` if it is none.
pub(crate) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks_exact(2).map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?)).collect()
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_depends_on_key_and_path() {
        let names = Names::new(&SealKey::from_bytes([1; 32]));
        let others = Names::new(&SealKey::from_bytes([2; 32]));
        let (a, b) = (Path::from("a"), Path::from("b"));
        assert_eq!(names.of(&a), names.of(&a));
        assert_ne!(names.of(&a), names.of(&b));
        assert_ne!(names.of(&a), others.of(&a));
        assert!(names.is_ours(&names.of(&a)));
        assert!(!names.is_ours(&others.of(&a)));
        assert_eq!(names.of(&a).as_str().len(), 85);
    }

    /// What is stored under these names stays readable, so they never change.
    #[test]
    fn names_are_frozen() {
        let names = Names::new(&SealKey::from_bytes([0; 32]));
        assert_eq!(names.of(&Path::from("a/b")).as_str(), FROZEN);
    }

    const FROZEN: &str =
        "obj-8bb3c34253a4d3e1-5a0008f0e8b5917a0fabf8e5410bae80c2eefeed861fea28b9fab406e3933896";

    #[test]
    fn hex_goes_there_and_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        assert_eq!(unhex(""), Some(Vec::new()));
        for bad in ["0", "0g", "AB", "é"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
