use std::fmt;

use bytes::Bytes;

use crate::store::{Root, RootVersion};

/// Generation and nonce.
const VERSION_LEN: usize = 24;

/// Everything in a record before the value, in bytes. An object of this length is an empty value, or a
/// removal.
pub const HEADER_LEN: usize = VERSION_LEN + 1;

/// The longest value of a root, in bytes. Roots are small; this only keeps a damaged one from filling
/// memory.
pub const MAX_VALUE_LEN: usize = 16 << 20;

/// The longest record, in bytes.
pub const MAX_RECORD_LEN: u64 = (MAX_VALUE_LEN + HEADER_LEN) as u64;

const VALUE: u8 = 0;
const REMOVED: u8 = 1;

/// What a root's object holds.
///
/// ```text
/// generation u64le ‖ nonce[16] ‖ state u8 (0 a value, 1 removed) ‖ value
/// ```
///
/// Generation and nonce are the root's version. A service's own version may come back with the same
/// bytes; these do not: each swap counts on and draws a nonce. A removed root leaves a record, so that
/// the count goes on. `Debug` shows the length, not the value.
#[derive(Clone, PartialEq, Eq)]
pub struct RootRecord(Bytes);

impl RootRecord {
    /// What comes after `before`: a value, or with `None` a removal. The nonce is drawn anew for each.
    ///
    /// Lengths are the caller's: a value above [`MAX_VALUE_LEN`] must not be written.
    #[must_use]
    pub fn after(before: Option<&Self>, nonce: [u8; 16], value: Option<&[u8]>) -> Self {
        let generation = before.map_or(0, |before| before.generation().wrapping_add(1));
        let mut bytes = Vec::with_capacity(HEADER_LEN + value.map_or(0, <[u8]>::len));
        bytes.extend_from_slice(&generation.to_le_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.push(if value.is_some() { VALUE } else { REMOVED });
        bytes.extend_from_slice(value.unwrap_or_default());
        Self(bytes.into())
    }

    /// The record in the bytes of an object; `None` if they are none.
    #[must_use]
    pub fn parse(bytes: Bytes) -> Option<Self> {
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
    #[must_use]
    pub fn is_rival(&self, other: &Self) -> bool {
        self.generation() == other.generation() && self != other
    }

    /// The bytes of the object.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The version of the root, also of one that was removed.
    #[must_use]
    pub fn version(&self) -> RootVersion {
        RootVersion::new(self.0.slice(..VERSION_LEN))
    }

    /// The root, unless it was removed.
    #[must_use]
    pub fn root(&self) -> Option<Root> {
        let is_value = self.0.get(VERSION_LEN) == Some(&VALUE);
        is_value.then(|| Root { value: self.0.slice(HEADER_LEN..), version: self.version() })
    }
}

impl fmt::Debug for RootRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootRecord").field("version", &self.version()).field("root", &self.root()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_these_bytes() {
        let first = RootRecord::after(None, [7; 16], Some(b"value"));
        assert_eq!(first.bytes(), [&[0; 8][..], &[7; 16], b"\0value"].concat());
        let second = RootRecord::after(Some(&first), [8; 16], None);
        assert_eq!(second.bytes(), [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[8; 16], b"\x01"].concat());
        assert_eq!(second.bytes().len(), HEADER_LEN);
        assert_eq!(RootRecord::parse(first.bytes()), Some(first.clone()));
        assert_eq!(first.root().unwrap().value, "value");
        assert_eq!(second.root(), None);
        assert_eq!(RootRecord::after(None, [1; 16], Some(b"")).root().unwrap().value, "");
        assert!(!format!("{first:?}").contains("value"), "{first:?}");
    }

    #[test]
    fn anything_else_is_none() {
        for bad in [vec![], vec![0; 24], [&[0; 24][..], b"\x02"].concat(), [&[0; 24][..], b"\x01x"].concat()]
        {
            assert_eq!(RootRecord::parse(bad.clone().into()), None, "{bad:?}");
        }
    }

    #[test]
    fn rivals_follow_the_same_record() {
        let first = RootRecord::after(None, [1; 16], Some(b"x"));
        let next = |nonce| RootRecord::after(Some(&first), [nonce; 16], Some(b"x"));
        assert!(next(2).is_rival(&next(3)));
        assert!(!next(2).is_rival(&next(2)), "it is itself");
        assert!(!next(2).is_rival(&first) && !first.is_rival(&next(2)));
    }
}
