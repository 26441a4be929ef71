//! What a root's object holds.
//!
//! ```text
//! generation u64le ‖ nonce[16] ‖ state u8 (0 a value, 1 removed) ‖ value
//! ```
//!
//! Generation and nonce are the root's version. A service's own version may come back with the same
//! bytes; these do not: each swap counts on and draws a nonce. A removed root leaves a record, so that
//! the count goes on.

use bytes::Bytes;
use selfenc_core::store::{Root, RootVersion};

/// Generation and nonce.
const VERSION_LEN: usize = 24;
/// Everything before the value.
pub(crate) const HEADER_LEN: usize = VERSION_LEN + 1;

const VALUE: u8 = 0;
const REMOVED: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record(Bytes);

impl Record {
    /// What comes after `before`: a value, or a removal.
    pub(crate) fn after(before: Option<&Self>, nonce: [u8; 16], value: Option<&[u8]>) -> Self {
        let generation = before.map_or(0, |before| before.generation().wrapping_add(1));
        let mut bytes = Vec::with_capacity(HEADER_LEN + value.map_or(0, <[u8]>::len));
        bytes.extend_from_slice(&generation.to_le_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.push(if value.is_some() { VALUE } else { REMOVED });
        bytes.extend_from_slice(value.unwrap_or_default());
        Self(bytes.into())
    }

    /// `None` if the bytes are no record.
    pub(crate) fn parse(bytes: Bytes) -> Option<Self> {
        let is_record = match *bytes.get(VERSION_LEN)? {
            VALUE => true,
            REMOVED => bytes.len() == HEADER_LEN,
            _ => false,
        };
        is_record.then_some(Self(bytes))
    }

    fn generation(&self) -> u64 {
        self.0.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }

    /// Whether both would follow the same record, so that one kept the other out.
    pub(crate) fn is_rival(&self, other: &Self) -> bool {
        self.generation() == other.generation() && self != other
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    pub(crate) fn version(&self) -> RootVersion {
        RootVersion::new(self.0.slice(..VERSION_LEN))
    }

    /// The root, unless it was removed.
    pub(crate) fn root(&self) -> Option<Root> {
        let is_value = self.0.get(VERSION_LEN) == Some(&VALUE);
        is_value.then(|| Root { value: self.0.slice(HEADER_LEN..), version: self.version() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_these_bytes() {
        let first = Record::after(None, [7; 16], Some(b"value"));
        assert_eq!(first.bytes(), [&[0; 8][..], &[7; 16], b"\0value"].concat());
        let second = Record::after(Some(&first), [8; 16], None);
        assert_eq!(second.bytes(), [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[8; 16], b"\x01"].concat());
        assert_eq!(Record::parse(first.bytes()), Some(first.clone()));
        assert_eq!(first.root().unwrap().value, "value");
        assert_eq!(second.root(), None);
        assert_eq!(Record::after(None, [1; 16], Some(b"")).root().unwrap().value, "");
    }

    #[test]
    fn anything_else_is_none() {
        for bad in [vec![], vec![0; 24], [&[0; 24][..], b"\x02"].concat(), [&[0; 24][..], b"\x01x"].concat()]
        {
            assert_eq!(Record::parse(bad.clone().into()), None, "{bad:?}");
        }
    }
}
