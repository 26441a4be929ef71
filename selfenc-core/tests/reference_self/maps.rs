//! Sections 8.1 to 8.3: sealed maps, roots and trees that are wrong.

use super::reference::unseal;
use super::writer::{Entry, Root, Writer, envelope, plain_envelope, seal};
use super::{LEN, SUITES, random, reads, rejects, result};

/// `change` is given a right root of three chunks.
#[track_caller]
fn rejects_root(rule: &str, change: impl Fn(&mut Root)) {
    for suite in SUITES {
        let mut writer = Writer::new(suite);
        let mut root = writer.write(&random(LEN), 2000);
        change(&mut root);
        rejects(rule, &root.bytes(), &writer);
    }
}

#[track_caller]
fn rejects_inline(rule: &str, change: impl Fn(&mut Root)) {
    for suite in SUITES {
        let writer = Writer::new(suite);
        let mut root = writer.inline(b"inline");
        change(&mut root);
        rejects(rule, &root.bytes(), &writer);
    }
}

#[test]
fn wrong_roots() {
    let writer = Writer::new(0x10);
    let right = writer.inline(b"").bytes();
    assert_eq!(right.len(), 67);
    rejects("M1", &right[..66], &writer);
    rejects("M1", &[], &writer);
    rejects("M1", &vec![0; 55_364], &writer);
    rejects("M2", &[b"SEMAQ", &right[5..]].concat(), &writer);
    rejects("M3", &[b"SEMAP\x02", &right[6..]].concat(), &writer);
    for suite in [0x00, 0x01, 0x02, 0x0f, 0x12, 0xff] {
        rejects_root("M4", |root| root.suite = suite);
    }
    for at in 7..67 {
        let mut flipped = right.clone();
        flipped[at] ^= 1;
        rejects("M5", &flipped, &writer);
    }
}

#[test]
fn wrong_root_fields() {
    for bit in 1..8 {
        rejects_root("M6", |root| root.flags |= 1 << bit);
    }
    rejects_root("M7", |root| root.binding = 2);
    rejects_root("M8", |root| root.chunker = 3);
    rejects_root("M8", |root| root.chunker = 0);
    rejects_root("M8", |root| root.flags = 1);
    rejects_inline("M8", |root| root.chunker = 1);
    rejects_inline("M9", |root| root.p[2] = 1);
    rejects_root("M10", |root| root.level = 8);
    rejects_root("M10", |root| root.level = 255);
}

#[test]
fn wrong_inline_roots() {
    rejects_inline("M11", |root| root.level = 1);
    rejects_inline("M11", |root| root.binding = 1);
    rejects_inline("M11", |root| root.count -= 1);
    rejects_inline("M11", |root| root.total -= 1);
    rejects_inline("M11", |root| (root.total, root.count, root.body) = (4097, 4097, vec![0; 4097]));
    rejects_inline("M13", |root| root.body.push(0));
    rejects_inline("M13", |root| root.body.truncate(root.body.len() - 1));
}

#[test]
fn wrong_counts() {
    rejects_root("M12", |root| root.total = 4096);
    rejects_root("M12", |root| (root.count, root.body) = (0, vec![]));
    rejects_root("M12", |root| root.count = 513);
    // Declared, not there: nothing is allocated for it.
    rejects_root("M12", |root| root.count = u32::MAX);
    rejects_root("M13", |root| root.count = 512);
    rejects_root("M12", |root| {
        root.level = 1;
        root.count = 1;
        root.body.truncate(108);
    });
    rejects_root("M13", |root| root.count -= 1);
    rejects_root("M13", |root| root.body.push(0));
}

#[test]
fn chunker_parameters() {
    let right = [
        (1, [1024, 0, 0]),
        (1, [1025, 3, 0]),
        (1, [64 << 20, 0, 0]),
        (1, [(64 << 20) - 1, 3, 0]),
        (2, [64, 256, 1024]),
        (2, [1 << 20, 4 << 20, 16 << 20]),
        (2, [1024, 1024, 1024]),
    ];
    for (chunker, p) in right {
        let mut writer = Writer::new(0x10);
        let root = Root { chunker, p, ..writer.write(&random(LEN), 1024) };
        reads(&root, &writer, &random(LEN));
    }
    let wrong = [
        (1, [1023, 0, 0]),
        (1, [(64 << 20) + 1, 0, 0]),
        (1, [1024, 1, 0]),
        (1, [64 << 20, 3, 0]),
        (1, [1024, 0, 1]),
        (2, [62, 256, 1024]),
        (2, [64, 254, 1024]),
        (2, [64, 256, 1022]),
        (2, [(1 << 20) + 2, 4 << 20, 16 << 20]),
        (2, [1 << 20, (4 << 20) + 2, 16 << 20]),
        (2, [1 << 20, 4 << 20, (16 << 20) + 2]),
        (2, [65, 256, 1024]),
        (2, [64, 257, 1024]),
        (2, [64, 256, 1025]),
        (2, [512, 256, 1024]),
        (2, [64, 2048, 1024]),
    ];
    for (chunker, p) in wrong {
        rejects_root("M9", |root| (root.chunker, root.p) = (chunker, p));
    }
}

/// `change` is given the entries of a right root of level 0.
#[track_caller]
fn rejects_entries(rule: &str, total: u64, change: impl Fn(&mut Vec<Entry>)) {
    for suite in SUITES {
        let mut writer = Writer::new(suite);
        let mut entries: Vec<Entry> =
            (1..=3).map(|i| writer.own(0, i * 2000, &plain_envelope(&random(2000)))).collect();
        change(&mut entries);
        let root = Root { total, ..writer.root(0, &entries) };
        rejects(rule, &root.bytes(), &writer);
    }
}

#[test]
fn wrong_entries() {
    rejects_entries("N5", 6000, |entries| entries[1].stored = 0);
    rejects_entries("N5", 6000, |entries| entries[1].stored = (68 << 20) + 1);
    rejects_entries("K1", 6000, |entries| entries[1].stored = 68 << 20);
    rejects_entries("N6", 6000, |entries| entries[0].end = 0);
    rejects_entries("N6", 6000, |entries| entries[1].end = 2000);
    rejects_entries("N6", 6000, |entries| entries.swap(0, 1));
    rejects_entries("N7", 6000, |entries| entries[1].end = 6001);
    rejects_entries("N7", 5999, |_| ());
    rejects_entries("N9", 6001, |_| ());
    rejects_entries("N9", 6000, |entries| entries.truncate(2));
    let far = 4000 + (64 << 20);
    rejects_entries("K7", far, |entries| entries[2].end = far);
    rejects_entries("N8", far + 1, |entries| entries[2].end = far + 1);
    rejects_entries("N8", u64::MAX, |entries| entries[2].end = u64::MAX);
    rejects_entries("K7", 6000, |entries| entries[0].end += 1);
}

/// 513 one-byte chunks' entries and more, for trees of any shape.
fn bytes_entries(writer: &mut Writer, count: u64) -> Vec<Entry> {
    let entry = writer.own(0, 0, &plain_envelope(b"x"));
    (1..=count).map(|end| Entry { end, ..entry.clone() }).collect()
}

/// A map of level 1 over `5000` one-byte chunks, whose pages are as `cut` says.
#[track_caller]
fn pages(rule: Option<&str>, cut: &[(usize, u8)]) {
    for suite in SUITES {
        let mut writer = Writer::new(suite);
        let entries = bytes_entries(&mut writer, cut.iter().map(|(count, _)| *count as u64).sum());
        let mut rest = entries.as_slice();
        let mut above = Vec::new();
        for &(count, level) in cut {
            let (run, others) = rest.split_at(count);
            above.push(writer.page(level, run));
            rest = others;
        }
        let root = writer.root(1, &above);
        match rule {
            Some(rule) => rejects(rule, &root.bytes(), &writer),
            None => reads(&root, &writer, &vec![b'x'; entries.len()]),
        }
    }
}

#[test]
fn wrong_pages() {
    let full = [(512, 0); 9];
    pages(None, &full);
    pages(None, &[&full[..], &[(1, 0)]].concat());
    pages(Some("N4"), &[&full[..], &[(511, 0), (1, 0)]].concat());
    pages(Some("N4"), &[&[(1, 0)], &full[..]].concat());
    pages(Some("K7"), &[&full[..], &[(513, 0)]].concat());
    pages(Some("N2"), &[&full[..], &[(512, 1)]].concat());
    pages(Some("N2"), &[&[(512, 255)], &full[..]].concat());
}

/// In the middle of a tree of two levels, a page that is the last of its parent but not of its row.
#[test]
fn a_short_page_below_a_full_one() {
    let mut writer = Writer::new(0x11);
    let entries = bytes_entries(&mut writer, 512 * 512 - 1 + 512);
    let (left, right) = entries.split_at(512 * 512 - 1);
    let mut lower =
        |run: &[Entry]| -> Vec<Entry> { run.chunks(512).map(|run| writer.page(0, run)).collect() };
    let (left, right) = (lower(left), lower(right));
    let upper = [writer.page(1, &left), writer.page(1, &right)];
    let root = writer.root(2, &upper);
    rejects("N4", &root.bytes(), &writer);
}

/// The last page of a map of level 1, as `envelope` makes it from the right plaintext.
#[track_caller]
fn last_page(rule: &str, make: impl Fn(Vec<u8>) -> Vec<u8>) {
    for suite in SUITES {
        let mut writer = Writer::new(suite);
        let entries = bytes_entries(&mut writer, 512 * 9 + 2);
        let mut above: Vec<Entry> = entries.chunks(512).map(|run| writer.page(0, run)).collect();
        let plain =
            [&[0, 2, 0, 0, 0], entries[512 * 9].bytes().as_slice(), &entries[512 * 9 + 1].bytes()].concat();
        let end = entries.len() as u64;
        above[9] = writer.own(1, end, &make(plain));
        rejects(rule, &writer.root(1, &above).bytes(), &writer);
    }
}

#[test]
fn wrong_page_contents() {
    last_page("K6", |plain| envelope(1, plain.len(), &plain));
    last_page("K6", |plain| envelope(2, plain.len(), &plain));
    last_page("K7", |plain| plain_envelope(&plain[..112]));
    last_page("K10", |plain| envelope(0, plain.len(), &plain[1..]));
    let with_count = |plain: &[u8], count: u32| [&plain[..1], &count.to_le_bytes(), &plain[5..]].concat();
    for count in [0, 1, 3, 513, u32::MAX] {
        last_page("N3", |plain| plain_envelope(&with_count(&plain, count)));
    }
    last_page("N3", |plain| plain_envelope(&[plain.as_slice(), &[0]].concat()));
    last_page("N3", |plain| plain_envelope(&plain[..plain.len() - 1]));
    // The span of a page is the one that its entry has in the parent.
    let shifted = |mut plain: Vec<u8>, entry: usize, end: u64| {
        plain[5 + 108 * entry..][..8].copy_from_slice(&end.to_le_bytes());
        plain_envelope(&plain)
    };
    last_page("N6", |plain| shifted(plain, 0, 4608));
    last_page("N7", |plain| shifted(plain, 1, 4611));
    last_page("N9", |plain| plain_envelope(&[&[0, 1, 0, 0, 0], &plain[5..113]].concat()));
}

/// A page of data entries read as data, and the other way round.
#[test]
fn kinds_are_not_mixed() {
    let mut writer = Writer::new(0x10);
    let entries = bytes_entries(&mut writer, 600);
    let mut above: Vec<Entry> = entries.chunks(512).map(|run| writer.page(0, run)).collect();
    above.iter_mut().for_each(|entry| entry.end += 10_000);
    rejects("K4", &writer.root(0, &above).bytes(), &writer);
    let data = [Entry { end: 5000, ..entries[0].clone() }, Entry { end: 6000, ..entries[0].clone() }];
    rejects("K4", &writer.root(1, &data).bytes(), &writer);
}

#[test]
fn sealed_maps() {
    let (key, salt) = ([3; 32], [4; 32]);
    for suite in SUITES {
        let mut writer = Writer::new(suite);
        let root = writer.write(&random(LEN), 2000).bytes();
        let sealed = seal(&key, salt, &root);
        assert_eq!(sealed.len(), root.len() + 85);
        assert_eq!(result(&unseal(&key, &sealed).unwrap(), &writer).unwrap(), random(LEN));

        let rejects = |rule: &str, key: &[u8; 32], bytes: &[u8]| {
            let error = unseal(key, bytes).unwrap_err();
            assert!(error.starts_with(rule), "expected {rule}, got {error}");
        };
        rejects("S1", &key, &sealed[..151]);
        rejects("S1", &key, &vec![0; 55_449]);
        rejects("S4", &[5; 32], &sealed);
        rejects("S5", &key, &sealed[..sealed.len() - 1]);
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            let rule = match at {
                0..4 => "S2",
                4 => "S3",
                5..69 => "S4",
                _ => "S5",
            };
            rejects(rule, &key, &flipped);
        }
    }
}
