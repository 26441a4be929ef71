//! The reference reader against a writer made from the same document: what is right it reads, what is wrong it
//! rejects, by the rule of `docs/format.md` section 8 that the test names.

mod answers;
mod cdc;
mod chunks;
mod codecs;
mod maps;
#[path = "../reference/mod.rs"]
mod reference;
mod writer;

use reference::{read, read_with};
use writer::{Entry, Root, Writer, plain_envelope, shake};

const SUITES: [u8; 2] = [0x10, 0x11];

/// Longer than an inline input, shorter than a chunk.
const LEN: usize = 5000;

/// Bytes without a pattern.
fn random(len: usize) -> Vec<u8> {
    shake(&[b"reference test"], len)
}

/// What the reader makes of a map and the chunks of `writer`.
fn result(map: &[u8], writer: &Writer) -> Result<Vec<u8>, String> {
    read(map, &|name| writer.chunks.get(name).cloned())
}

#[track_caller]
fn reads(root: &Root, writer: &Writer, input: &[u8]) {
    let content = result(&root.bytes(), writer).expect("the map and its chunks are right");
    assert!(content == input, "other bytes came out");
}

#[track_caller]
fn rejects(rule: &str, map: &[u8], writer: &Writer) {
    let error = result(map, writer).expect_err("the map or a chunk is wrong");
    assert!(error.starts_with(&format!("{rule}: ")), "expected {rule}, got {error}");
}

#[test]
fn inputs_come_back() {
    for suite in SUITES {
        for binding in [0, 1] {
            for len in [0, 1, 4095, 4096, 4097, 5120, 5121, 6144, 50_000] {
                let mut writer = Writer { binding, ..Writer::new(suite) };
                let root = writer.write(&random(len), 1024);
                reads(&root, &writer, &random(len));
            }
        }
    }
}

#[test]
fn one_and_two_chunks_are_their_own_neighbours() {
    for suite in SUITES {
        for size in [8192, 4000] {
            let mut writer = Writer { binding: 1, secret: [7; 32], ..Writer::new(suite) };
            let root = writer.write(&random(LEN), size);
            assert_eq!(root.count, if size == 8192 { 1 } else { 2 });
            reads(&root, &writer, &random(LEN));
        }
    }
}

#[test]
fn a_level_of_pages() {
    for suite in SUITES {
        for chunks in [512, 513, 1024, 1025] {
            let mut writer = Writer { binding: 1, ..Writer::new(suite) };
            let input = random(chunks * 1024 - 5);
            let root = writer.write(&input, 1024);
            assert_eq!(root.level, u8::from(chunks > 512));
            reads(&root, &writer, &input);
        }
    }
}

/// The same one-byte chunk 512 · 512 + 1 times: a large tree over a small store.
#[test]
fn two_levels_of_pages() {
    let mut writer = Writer::new(0x11);
    let entry = writer.own(0, 0, &plain_envelope(b"x"));
    let entries = (1..=512 * 512 + 1).map(|end| Entry { end, ..entry.clone() }).collect();
    let root = writer.tree(entries);
    assert_eq!((root.level, root.count), (2, 2));

    let mut bytes = 0;
    let store = |name: &[u8; 32]| writer.chunks.get(name).cloned();
    read_with(&root.bytes(), &store, &mut |content| {
        assert_eq!(content, b"x");
        bytes += content.len();
    })
    .expect("the map is right");
    assert_eq!(bytes, 512 * 512 + 1);
}

/// One flipped bit anywhere: always an error.
#[test]
fn flipped_bits() {
    for suite in SUITES {
        let mut writer = Writer { binding: 1, ..Writer::new(suite) };
        let map = writer.write(&random(LEN), 2000).bytes();
        for at in 0..map.len() {
            let mut flipped = map.clone();
            flipped[at] ^= 1 << (at % 8);
            result(&flipped, &writer).expect_err("a flipped bit in the map");
        }
        let names: Vec<[u8; 32]> = writer.chunks.keys().copied().collect();
        for name in names {
            for at in (0..writer.chunks[&name].len()).step_by(7) {
                writer.chunks.get_mut(&name).unwrap()[at] ^= 1 << (at % 8);
                rejects("K2", &map, &writer);
                writer.chunks.get_mut(&name).unwrap()[at] ^= 1 << (at % 8);
            }
        }
        assert_eq!(result(&map, &writer).unwrap(), random(LEN));
    }
}
