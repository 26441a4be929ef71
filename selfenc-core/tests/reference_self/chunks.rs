//! Section 8.4 up to the codecs: chunks and envelopes that are wrong.

use super::writer::{Entry, Root, Writer, encrypt, envelope, plain_envelope};
use super::{LEN, SUITES, random, reads, rejects};

/// A map of one data chunk of `len` bytes with this envelope.
pub(crate) fn one_chunk(suite: u8, envelope: &[u8], len: usize) -> (Root, Writer) {
    let mut writer = Writer::new(suite);
    let entry = writer.own(0, len as u64, envelope);
    (writer.root(0, &[entry]), writer)
}

#[track_caller]
pub(crate) fn rejects_envelope(rule: &str, envelope: &[u8]) {
    for suite in SUITES {
        let (root, writer) = one_chunk(suite, envelope, LEN);
        rejects(rule, &root.bytes(), &writer);
    }
}

#[test]
fn zero_filler_is_read_over_and_other_filler_is_not() {
    let content = random(LEN);
    for suite in SUITES {
        let filled = [plain_envelope(&content), vec![0; 1000]].concat();
        let (root, writer) = one_chunk(suite, &filled, LEN);
        reads(&root, &writer, &content);
    }
    for nonzero in [0, 500, 999] {
        let mut filler = vec![0; 1000];
        filler[nonzero] = 1;
        rejects_envelope("K9", &[plain_envelope(&content), filler].concat());
    }
}

#[test]
fn wrong_envelopes() {
    let content = random(LEN);
    rejects_envelope("K5", &[]);
    rejects_envelope("K5", &[0; 8]);
    rejects_envelope("K6", &envelope(3, LEN, &content));
    rejects_envelope("K7", &envelope(0, 0, &[]));
    rejects_envelope("K7", &envelope(0, LEN - 1, &content));
    rejects_envelope("K7", &envelope(0, LEN + 1, &content));
    rejects_envelope("K8", &plain_envelope(&content)[..9 + LEN - 1]);
    // A body of 4 GiB, declared in nine bytes.
    rejects_envelope("K8", &[&envelope(0, LEN, &[])[..5], &[0xff; 4]].concat());
    rejects_envelope("K10", &envelope(0, LEN, &content[..LEN - 1]));
    rejects_envelope("K10", &envelope(0, LEN, &random(LEN + 1)));
}

/// A chunk that is wrong before its envelope is looked at.
#[test]
fn wrong_chunks() {
    for suite in SUITES {
        let content = plain_envelope(&random(LEN));
        let (root, mut writer) = one_chunk(suite, &content, LEN);
        let (name, stored) = writer.chunks.clone().into_iter().next().expect("one chunk");
        let mut put = |rule, bytes: Vec<u8>| {
            writer.chunks.insert(name, bytes);
            rejects(rule, &root.bytes(), &writer);
        };
        put("K1", vec![]);
        put("K1", stored[..stored.len() - 1].to_vec());
        put("K1", [stored.as_slice(), &[0]].concat());
        for at in [0, 17, stored.len() - 1] {
            let mut flipped = stored.clone();
            flipped[at] ^= 1;
            put("K2", flipped);
        }
        writer.chunks.clear();
        rejects("missing", &root.bytes(), &writer);
    }
}

#[test]
fn wrong_keys_and_hashes() {
    let content = plain_envelope(&random(LEN));
    for suite in SUITES {
        let mut writer = Writer::new(suite);
        let good = writer.own(0, LEN as u64, &content);
        let map_of = |writer: &Writer, entry: &Entry| writer.root(0, std::slice::from_ref(entry)).bytes();

        rejects("K4", &map_of(&writer, &Entry { e: [1; 32], ..good.clone() }), &writer);
        // A page's chunk where data belongs: suite 11 binds the kind in the tag, both bind it in e.
        let page = writer.own(1, LEN as u64, &content);
        rejects(if suite == 0x10 { "K4" } else { "K3" }, &map_of(&writer, &page), &writer);
        // Not a whole number of blocks; shorter than a tag.
        let cut = writer.put_raw(LEN as u64, vec![5; 15], good.ck, good.e);
        rejects("K3", &map_of(&writer, &cut), &writer);
        if suite == 0x11 {
            rejects("K3", &map_of(&writer, &Entry { ck: [1; 32], ..good.clone() }), &writer);
        }
    }
}

/// PKCS#7: each padding byte counts, not only the last.
#[test]
fn wrong_padding() {
    let mut writer = Writer::new(0x10);
    let ck = [9; 32];
    let body = [0; 16];
    // The padding block that `encrypt` adds is cut off, so the given last block is taken for padding.
    for last in [[17; 16], [0; 16], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3]] {
        let stored = encrypt(0x10, 0, &ck, &[body, last].concat())[..32].to_vec();
        let entry = writer.put_raw(LEN as u64, stored, ck, [0; 32]);
        rejects("K3", &writer.root(0, &[entry]).bytes(), &writer);
    }
    let stored = encrypt(0x10, 0, &ck, &[body, [16; 16]].concat())[..32].to_vec();
    let entry = writer.put_raw(LEN as u64, stored, ck, [0; 32]);
    rejects("K4", &writer.root(0, &[entry]).bytes(), &writer);
}
