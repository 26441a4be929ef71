//! Maps that an enemy might send: each breaks one rule, under a digest that is right.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Body, DataMap, Entry, Header, Node};
use crate::engine::chunking::Chunking;
use crate::engine::error::{Error, MapError};
use crate::engine::keys::Binding;
use crate::engine::limits::{FAN, MAX_LEN, MAX_STORED};
use crate::engine::suite::Suite;
use crate::store::ChunkId;

/// Where the fields of a root begin.
const SUITE: usize = 6;
const LEVEL: usize = 7;
const FLAGS: usize = 8;
const BINDING: usize = 9;
const CHUNKER: usize = 10;
const P0: usize = 11;
const P1: usize = 15;
const P2: usize = 19;
const TOTAL: usize = 23;
const COUNT: usize = 31;
const ENTRIES: usize = 35;
const ENTRY: usize = 108;

fn entry(end: u64) -> Entry {
    let name = ChunkId::from_bytes([end.to_le_bytes()[1]; 32]);
    Entry { end, stored: 100, name, key: Zeroizing::new([1; 32]), content: [2; 32] }
}

fn entries(count: u64) -> Vec<Entry> {
    (1..=count).map(|i| entry(i * 4096)).collect()
}

/// A root of level 0 with three chunks of 4096 bytes.
fn tree() -> Vec<u8> {
    let chunking = Some(Chunking::fixed(4096));
    let header = Header { suite: Suite::default(), binding: Binding::Own, chunking, total: 3 * 4096 };
    let node = Node { level: 0, start: 0, last: true, entries: entries(3) };
    DataMap::new(header, Body::Tree(Arc::new(node))).to_secret_bytes().to_vec()
}

fn inline(data: &[u8]) -> Vec<u8> {
    let total = data.len() as u64;
    let header = Header { suite: Suite::default(), binding: Binding::Own, chunking: None, total };
    let body = Body::Inline(Arc::new(Zeroizing::new(data.to_vec())));
    DataMap::new(header, body).to_secret_bytes().to_vec()
}

/// Writes the right digest under changed bytes.
fn sign(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 32);
    let digest = Suite::default().hash(&[], &bytes);
    bytes.extend_from_slice(&digest);
    bytes
}

fn refusal(bytes: &[u8]) -> MapError {
    match DataMap::from_bytes(bytes) {
        Err(Error::BadMap(reason)) => reason,
        other => panic!("accepted: {other:?}"),
    }
}

#[test]
fn each_broken_rule_is_refused() {
    let le32 = |n: u32| n.to_le_bytes().to_vec();
    let le64 = |n: u64| n.to_le_bytes().to_vec();
    let second = ENTRIES + ENTRY;
    assert!(DataMap::from_bytes(&sign(tree())).is_ok());
    for (what, at, bytes) in [
        ("a suite of the compat module", SUITE, vec![1]),
        ("unknown suite", SUITE, vec![0x12]),
        ("level without pages to fill it", LEVEL, vec![8]),
        ("unknown flag", FLAGS, vec![2]),
        ("inline, and long", FLAGS, vec![1]),
        ("unknown binding", BINDING, vec![2]),
        ("no chunker", CHUNKER, vec![0]),
        ("unknown chunker", CHUNKER, vec![3]),
        ("tiny chunks", P0, le32(1023)),
        ("huge chunks", P0, le32(MAX_LEN + 1)),
        ("min_chunks of two", P1, le32(2)),
        ("p2 of fixed chunks", P2, le32(1)),
        ("total below the entries", TOTAL, le64(3 * 4096 - 1)),
        ("total above the entries", TOTAL, le64(3 * 4096 + 1)),
        ("total of small data", TOTAL, le64(4096)),
        ("total of everything", TOTAL, le64(u64::MAX)),
        ("no entry", COUNT, le32(0)),
        ("fewer entries than there are", COUNT, le32(2)),
        ("a million entries", COUNT, le32(1_000_000)),
        ("as many entries as can be said", COUNT, le32(u32::MAX)),
        ("an end at the start", ENTRIES, le64(0)),
        ("an end after the next", ENTRIES, le64(5 * 4096)),
        ("the same end twice", second, le64(4096)),
        ("an end of everything", second, le64(u64::MAX)),
        ("nothing stored", ENTRIES + 8, le32(0)),
        ("more stored than can be", ENTRIES + 8, le32(MAX_STORED + 1)),
    ] {
        let mut map = tree();
        map[at..at + bytes.len()].copy_from_slice(&bytes);
        // Without a known suite there is no digest to compare.
        assert!(at == SUITE || refusal(&map) == MapError::Damaged, "{what}: the old digest");
        assert!(matches!(refusal(&sign(map)), MapError::Invalid(_)), "{what}");
    }
}

#[test]
fn inline_maps_have_rules_of_their_own() {
    for (what, at, byte) in [
        ("a level", LEVEL, 1),
        ("a binding", BINDING, 1),
        ("a chunker", CHUNKER, 1),
        ("a parameter", P2, 1),
        ("not marked", FLAGS, 0),
        ("another total", TOTAL, 6),
        ("another count", COUNT, 4),
    ] {
        let mut map = inline(b"hello");
        map[at] = byte;
        assert!(matches!(refusal(&sign(map)), MapError::Invalid(_)), "{what}");
    }
    let mut longer = inline(&[7; 4096]);
    longer.insert(ENTRIES, 7);
    longer[TOTAL..TOTAL + 8].copy_from_slice(&4097u64.to_le_bytes());
    longer[COUNT..COUNT + 4].copy_from_slice(&4097u32.to_le_bytes());
    assert!(matches!(refusal(&sign(longer)), MapError::Invalid(_)));
}

#[test]
fn trailing_bytes_and_missing_ones_are_refused() {
    for map in [tree(), inline(b"hello")] {
        let mut longer = map.clone();
        longer.insert(map.len() - 32, 0);
        assert!(matches!(refusal(&sign(longer)), MapError::Invalid(_)));
        let mut shorter = map.clone();
        shorter.remove(map.len() - 33);
        assert!(matches!(refusal(&sign(shorter)), MapError::Invalid(_)));
        assert_eq!(refusal(&[map.as_slice(), &[0]].concat()), MapError::Damaged);
    }
    let mut endless = tree();
    endless.resize(100_000, 0);
    assert_eq!(refusal(&sign(endless)), MapError::Damaged);
}

#[test]
fn a_million_entries_declared_in_ten_bytes_allocate_nothing() {
    let mut map = tree();
    map.truncate(COUNT);
    map.extend_from_slice(&1_000_000u32.to_le_bytes());
    map.extend_from_slice(&[0; 10 + 32]);
    assert!(matches!(refusal(&sign(map)), MapError::Invalid(_)));
}

#[test]
fn a_chunk_longer_than_the_limit_is_refused() {
    let too_long = vec![entry(u64::from(MAX_LEN) + 1)];
    assert!(Node::new(0, 0, true, too_long.clone()).is_err());
    assert!(Node::new(1, 0, true, too_long).is_ok(), "a page covers more");
}

/// A parent of level 1 whose first page is full and whose second has three entries.
fn parent(last: bool) -> Node {
    let ends = [FAN as u64 * 4096, (FAN as u64 + 3) * 4096];
    Node { level: 1, start: 0, last, entries: ends.map(entry).to_vec() }
}

fn page(level: u8, entries: &[Entry]) -> Vec<u8> {
    let mut page = Vec::new();
    Node::write_page(level, entries, &mut page);
    page
}

#[test]
fn pages_stand_where_they_stand_and_nowhere_else() {
    let full = entries(FAN as u64);
    let rest: Vec<_> = (1..=3).map(|i| entry((FAN as u64 + i) * 4096)).collect();
    let parent = parent(true);
    assert!(parent.read_page(0, &page(0, &full)).is_some());
    assert!(parent.read_page(1, &page(0, &rest)).is_some());
    let refused = |index: usize, page: &[u8]| assert!(parent.read_page(index, page).is_none());
    refused(1, &page(0, &full)); // the first page again
    refused(0, &page(0, &rest));
    refused(0, &page(1, &full)); // a level that does not fall: a loop
    refused(0, &page(0, &full[1..])); // not full, and not the last
    refused(1, &page(0, &rest[..2])); // ends before its entry does
    refused(1, &page(0, &[])); // nothing
    refused(0, &[]);
    refused(0, &page(0, &full)[..1000]);
    refused(0, &[page(0, &full), vec![0]].concat());
    let mut many = page(0, &rest);
    many[1..5].copy_from_slice(&1_000_000u32.to_le_bytes());
    refused(1, &many);
    assert!(self::parent(false).read_page(1, &page(0, &rest)).is_none(), "the last of its parent only");
}

#[test]
fn debug_shows_no_key_and_no_data() {
    let map = DataMap::from_bytes(&tree()).unwrap();
    let shown = format!("{map:?} {:?}", entry(5));
    assert!(!shown.contains("1, 1, 1") && !shown.contains("0101"), "{shown}");
    let shown = format!("{:?}", DataMap::from_bytes(&inline(b"hello")).unwrap());
    assert!(!shown.contains("hello") && !shown.contains("104, 101"), "{shown}");
}
