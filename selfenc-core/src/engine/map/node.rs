use super::bytes::Fields;
use super::entry::Entry;
use crate::engine::limits::{FAN, MAX_LEN, MAX_STORED};

/// The entries of a page or of the root, checked, and where in the data they are.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Node {
    /// What the entries are: 0 data chunks, above that pages of the level below.
    pub(in crate::engine) level: u8,
    /// The offset in the data where the first entry begins.
    pub(in crate::engine) start: u64,
    /// Whether nothing of this level follows.
    pub(in crate::engine) last: bool,
    /// At least one, with ends ascending.
    pub(in crate::engine) entries: Vec<Entry>,
}

impl Node {
    /// Checks what every list of entries must keep, whoever holds it.
    pub(super) fn new(level: u8, start: u64, last: bool, entries: Vec<Entry>) -> Result<Self, &'static str> {
        if entries.is_empty() || entries.len() > FAN {
            return Err("a list of entries is empty or too long");
        }
        let mut end = start;
        for entry in &entries {
            if entry.end <= end {
                return Err("ends do not ascend");
            }
            if level == 0 && entry.end - end > u64::from(MAX_LEN) {
                return Err("a chunk is too long");
            }
            if entry.stored == 0 || entry.stored > MAX_STORED {
                return Err("a stored length is out of range");
            }
            end = entry.end;
        }
        Ok(Self { level, start, last, entries })
    }

    /// Where entry `index` begins.
    pub(in crate::engine) fn start_of(&self, index: usize) -> u64 {
        index.checked_sub(1).map_or(self.start, |before| self.entries[before].end)
    }

    /// Where the last entry ends.
    pub(in crate::engine) fn end(&self) -> u64 {
        self.entries.last().map_or(self.start, |entry| entry.end)
    }

    /// The entry that holds `offset`, or the number of entries past the end.
    pub(in crate::engine) fn index_of(&self, offset: u64) -> usize {
        self.entries.partition_point(|entry| entry.end <= offset)
    }

    /// A page's plaintext: `level u8 ‖ count u32le ‖ entries`.
    pub(in crate::engine) fn write_page(level: u8, entries: &[Entry], out: &mut Vec<u8>) {
        out.push(level);
        #[allow(clippy::cast_possible_truncation)] // at most FAN
        out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
        for entry in entries {
            entry.write(out);
        }
    }

    /// The longest page, in bytes of plaintext.
    pub(in crate::engine) const MAX_PAGE: usize = 5 + FAN * Entry::LEN;

    /// Reads entry `index`'s page. `None` if it is not the page that stands there.
    pub(in crate::engine) fn read_page(&self, index: usize, page: &[u8]) -> Option<Self> {
        let mut fields = Fields(page);
        let level = fields.u8()?;
        if Some(level) != self.level.checked_sub(1) {
            return None;
        }
        let last = self.last && index + 1 == self.entries.len();
        let entries = read_entries(&mut fields)?;
        if !last && entries.len() != FAN {
            return None;
        }
        let node = Self::new(level, self.start_of(index), last, entries).ok()?;
        (node.end() == self.entries.get(index)?.end).then_some(node)
    }
}

/// Reads `count u32le ‖ entries` to the end of the bytes; checks the count before it allocates.
pub(super) fn read_entries(fields: &mut Fields<'_>) -> Option<Vec<Entry>> {
    let count = usize::try_from(fields.u32()?).ok()?;
    if count > FAN || fields.0.len() != count * Entry::LEN {
        return None;
    }
    // Room for all at once: a vector that grows leaves copies of keys behind.
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(Entry::read(fields)?);
    }
    Some(entries)
}
