//! Section 13: the values in the document are those that its text gives. They were computed with other tools.

use super::reference::unseal;
use super::writer::{Writer, content_hash, encrypt, envelope, hash, seal, shake};
use super::{SUITES, result};

/// The document, without what only lays it out.
fn document() -> String {
    include_str!("../../../docs/format.md").replace("`<br>`", "").replace(['\n', ' '], "")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn is_printed(what: &str, bytes: &[u8]) {
    assert!(document().contains(&hex(bytes)), "{what} is not in the document: {}", hex(bytes));
}

#[test]
fn one_chunk() {
    for suite in SUITES {
        let plain = envelope(0, 3, b"abc");
        let mut writer = Writer::new(suite);
        let entry = writer.own(0, 3, &plain);
        assert_eq!(content_hash(suite, 0, &plain), entry.e);
        is_printed("E", &plain);
        is_printed("e", &entry.e);
        is_printed("ck", &entry.ck);
        is_printed("name", &entry.name);
        is_printed("C", &encrypt(suite, 0, &entry.ck, &plain));
    }
}

#[test]
fn expanded_keys() {
    let ck = |suite| Writer::new(suite).own(0, 3, &envelope(0, 3, b"abc")).ck;
    let secrets = shake(&[b"selfenc v1 expand\0\x10", &ck(0x10)], 112);
    is_printed("key", &secrets[..32]);
    is_printed("iv", &secrets[32..48]);
    is_printed("pad", &secrets[48..]);
    is_printed("key", &blake3::derive_key("selfenc v1 expand", &[b"\x11".as_slice(), &ck(0x11)].concat()));
}

#[test]
fn inline_maps() {
    let key: [u8; 32] = std::array::from_fn(|i| i.try_into().unwrap());
    let salt: [u8; 32] = std::array::from_fn(|i| (i + 32).try_into().unwrap());
    for suite in SUITES {
        let writer = Writer::new(suite);
        let map = writer.inline(b"abc").bytes();
        let (fields, digest) = map.split_at(38);
        if suite == 0x10 {
            is_printed("fields", fields);
        }
        is_printed("digest", digest);
        assert_eq!(map.len(), 70);

        let sealed = seal(&key, salt, &map);
        assert_eq!(sealed.len(), 155);
        is_printed("commit", &sealed[37..69]);
        is_printed("ct", &sealed[69..]);
        assert_eq!(result(&unseal(&key, &sealed).unwrap(), &writer).unwrap(), b"abc");
    }
}

#[test]
fn three_chunks() {
    for suite in SUITES {
        let mut writer = Writer { binding: 1, ..Writer::new(suite) };
        let map = writer.write(&[0; 5000], 2048).bytes();
        assert_eq!((map.len(), writer.chunks.len()), (391, 3));
        if suite == 0x10 {
            is_printed("fields", &map[..35]);
        }
        is_printed("digest", &map[391 - 32..]);
        writer.chunks.keys().for_each(|name| is_printed("name", name));
    }
}

#[test]
fn seeds() {
    for suite in SUITES {
        let bytes = hash(suite, &[b"selfenc v1 chunker\0", &[1; 32]]);
        is_printed("first bytes", &bytes[..8]);
        let seed = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        is_printed("seed", &seed.to_be_bytes());
    }
}

/// The labels' bytes in section 2.
#[test]
fn labels() {
    for label in ["content", "chunk key", "expand", "chunker", "seal"] {
        let label = format!("selfenc v1 {label}");
        assert!(document().contains(&format!("|`{}`|`{}`|", label.replace(' ', ""), hex(label.as_bytes()))));
    }
}
