//! Sections 4, 5 and 7: the root, the pages below it, and the whole input.

use super::chunk::{self, Entry, Kind};
use super::suite::Suite;
use super::{ENTRY, FAN, Fields, INLINE, MAX_LEN, MAX_LEVEL, MAX_STORED, Store, check};

/// The whole input of a bare map.
pub(crate) fn read(map: &[u8], store: &Store<'_>) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    read_with(map, store, &mut |bytes| out.extend_from_slice(bytes))?;
    Ok(out)
}

/// The same, chunk by chunk. After an error, what was given to `sink` is a correct beginning of the input.
pub(crate) fn read_with(map: &[u8], store: &Store<'_>, sink: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    let root = Root::parse(map)?;
    if root.inline {
        sink(root.body);
        return Ok(());
    }
    let node = Node { level: root.level, start: 0, end: root.total, entries: root.body };
    Walk { suite: root.suite, store, sink }.node(&node, true)
}

/// Section 4, after checks M1 to M13. What a reader has no use for (binding, chunker) is not kept.
struct Root<'a> {
    suite: Suite,
    level: u8,
    inline: bool,
    total: u64,
    body: &'a [u8],
}

impl<'a> Root<'a> {
    fn parse(map: &'a [u8]) -> Result<Self, String> {
        check((67..=55_363).contains(&map.len()), "M1: not as long as a root")?;
        let (hashed, digest) = map.split_at(map.len() - 32);
        let mut fields = Fields(hashed);
        check(fields.bytes(5)? == b"SEMAP", "M2: not a data map")?;
        check(fields.u8()? == 1, "M3: unknown version")?;
        let suite = Suite::from_id(fields.u8()?)?;
        check(suite.hash(hashed) == digest, "M5: wrong digest")?;

        let (level, flags, binding, chunker) = (fields.u8()?, fields.u8()?, fields.u8()?, fields.u8()?);
        let p = [fields.u32()?, fields.u32()?, fields.u32()?];
        let (total, count) = (fields.u64()?, fields.u32()?);
        let inline = flags & 1 == 1;
        check(flags <= 1, "M6: unknown flag")?;
        check(binding <= 1, "M7: unknown binding")?;
        check(chunker <= 2 && (chunker == 0) == inline, "M8: unknown or wrong chunker")?;
        check(parameters_are_right(chunker, p), "M9: chunker parameters out of range")?;
        check(level <= MAX_LEVEL, "M10: level too high")?;

        let body_len = if inline {
            let plain = level == 0 && binding == 0;
            check(plain && total <= INLINE && u64::from(count) == total, "M11: not an inline root")?;
            count as usize
        } else {
            let least = if level == 0 { 1 } else { 2 };
            let right = total > INLINE && (least..=FAN).contains(&(count as usize));
            check(right, "M12: wrong total or count")?;
            count as usize * ENTRY
        };
        let body = fields.bytes(body_len).map_err(|_| "M13: too few bytes")?;
        check(fields.0.is_empty(), "M13: trailing bytes")?;
        Ok(Self { suite, level, inline, total, body })
    }
}

/// M9: the table in section 4.
fn parameters_are_right(chunker: u8, [p0, p1, p2]: [u32; 3]) -> bool {
    match chunker {
        0 => p0 == 0 && p1 == 0 && p2 == 0,
        1 => {
            p2 == 0
                && ((1024..=67_108_864).contains(&p0) && p1 == 0
                    || (1024..67_108_864).contains(&p0) && p1 == 3)
        }
        _ => {
            let in_range = (64..=1_048_576).contains(&p0)
                && (256..=4_194_304).contains(&p1)
                && (1024..=16_777_216).contains(&p2);
            let even = (p0 | p1 | p2) % 2 == 0;
            in_range && even && p0 <= p1 && p1 <= p2
        }
    }
}

/// The root's entries, or a page's: section 5.3.
struct Node<'a> {
    level: u8,
    start: u64,
    end: u64,
    entries: &'a [u8],
}

struct Walk<'a> {
    suite: Suite,
    store: &'a Store<'a>,
    sink: &'a mut dyn FnMut(&[u8]),
}

impl Walk<'_> {
    /// Section 7. `last`: the node is the last of its row (5.3); so is then its last child.
    fn node(&mut self, node: &Node<'_>, last: bool) -> Result<(), String> {
        let entries = entries_of(node)?;
        let mut start = node.start;
        for (i, entry) in entries.iter().enumerate() {
            if node.level == 0 {
                let content = chunk::read(self.suite, entry, Kind::Data, entry.end - start, self.store)?;
                (self.sink)(&content);
            } else {
                let page = chunk::read(self.suite, entry, Kind::Page, entry.end - start, self.store)?;
                let last = last && i + 1 == entries.len();
                let entries = page_entries(&page, node.level - 1, last)?;
                self.node(&Node { level: node.level - 1, start, end: entry.end, entries }, last)?;
            }
            start = entry.end;
        }
        Ok(())
    }
}

/// N2 to N4. N1 was part of K7.
fn page_entries(page: &[u8], level: u8, last: bool) -> Result<&[u8], String> {
    let mut fields = Fields(page);
    check(fields.u8()? == level, "N2: a page of the wrong level")?;
    let count = fields.u32()? as usize;
    let right = (1..=FAN).contains(&count) && fields.0.len() == count * ENTRY;
    check(right, "N3: wrong count of entries in a page")?;
    check(last || count == FAN, "N4: a page is not full and not the last")?;
    Ok(fields.0)
}

/// N5 to N9, for all entries before the first is used.
fn entries_of(node: &Node<'_>) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let mut start = node.start;
    for bytes in node.entries.chunks(ENTRY) {
        let entry = Entry::parse(bytes)?;
        check((1..=MAX_STORED).contains(&entry.stored), "N5: stored out of range")?;
        check(entry.end > start, "N6: ends do not increase")?;
        check(entry.end <= node.end, "N7: an end outside the span")?;
        check(node.level > 0 || entry.end - start <= MAX_LEN, "N8: a data chunk too long")?;
        start = entry.end;
        entries.push(entry);
    }
    check(start == node.end, "N9: the last end does not close the span")?;
    Ok(entries)
}
