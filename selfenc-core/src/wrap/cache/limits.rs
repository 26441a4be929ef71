use std::fmt;
use std::time::Duration;

/// What an entry counts for beside its bytes: its name, its handle and its place.
pub(super) const ENTRY: u64 = 128;

/// One chunk takes at most this part of the budget.
const LARGEST: u64 = 4;

/// More bytes than any memory has. Sums of as many do not overflow, and floating-point numbers are exact.
const ALL: u64 = 1 << 52;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: u64,
    pub(super) entries: Option<usize>,
    pub(super) ttl: Option<Duration>,
}

impl Limits {
    pub(super) const fn new(bytes: u64) -> Self {
        Self { bytes, entries: None, ttl: None }
    }

    /// Whether a chunk of this length may be kept: one that is too large would drive out too many others.
    pub(super) fn have_room(&self, len: usize) -> bool {
        let fits = (len as u64).saturating_add(ENTRY) <= self.bytes / LARGEST;
        fits && self.entries != Some(0) && self.ttl != Some(Duration::ZERO)
    }

    /// The bytes that all entries may count for, and those that one counts for at least.
    ///
    /// The table underneath bounds a sum and nothing else. So of n entries each counts for an n-th at least,
    /// and a sum that is n of these lets in n of the smallest and never one more.
    pub(super) fn capacity(&self) -> (u64, u64) {
        let bytes = self.bytes.min(ALL);
        match self.entries.map(|entries| entries as u64) {
            // As many do not fit in any case.
            Some(entries) if entries > 0 && bytes / entries >= ENTRY => {
                (bytes / entries * entries, bytes / entries)
            }
            _ => (bytes, 0),
        }
    }

    /// A hint for the first allocation, and for how many that were there once are known still.
    pub(super) fn likely_entries(&self) -> usize {
        let by_bytes = usize::try_from(self.bytes >> 16).unwrap_or(usize::MAX);
        by_bytes.min(self.entries.unwrap_or(usize::MAX)).clamp(16, 1 << 16)
    }
}

/// The bytes in MiB where they are a whole number of them.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bytes >> 20, self.bytes % (1 << 20)) {
            (mib, 0) => write!(f, "{mib} MiB")?,
            _ => write!(f, "{} bytes", self.bytes)?,
        }
        match self.entries {
            None => {}
            Some(1) => f.write_str(", 1 entry")?,
            Some(entries) => write!(f, ", {entries} entries")?,
        }
        self.ttl.map_or(Ok(()), |ttl| write!(f, ", {ttl:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_of_the_smallest_fit_as_there_may_be_and_no_byte_more() {
        for bytes in [1000, 1 << 20, (1 << 20) + 7, 1 << 52, u64::MAX] {
            for entries in [1, 2, 3, 7, 100, 1000, 8191, 1_000_000] {
                let limits = Limits { entries: Some(entries), ..Limits::new(bytes) };
                let (capacity, least) = limits.capacity();
                assert!(capacity <= bytes);
                let most = capacity / least.max(ENTRY);
                assert!(most <= entries as u64, "{bytes} bytes, {entries} entries");
                assert!(least == 0 || most == entries as u64, "{bytes} bytes, {entries} entries");
            }
        }
    }

    #[test]
    fn it_says_what_it_is() {
        let limits = Limits::new(3 << 20);
        let short = Limits { entries: Some(1), ttl: Some(Duration::from_millis(1500)), bytes: 10 };
        assert_eq!(limits.to_string(), "3 MiB");
        assert_eq!(Limits { entries: Some(9), ..limits }.to_string(), "3 MiB, 9 entries");
        assert_eq!(short.to_string(), "10 bytes, 1 entry, 1.5s");
    }
}
