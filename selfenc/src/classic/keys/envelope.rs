//! A sealed map and the epoch whose key it needs; the format is in the module's documentation.

use selfenc_core::engine::{DataMap, MapError};

use super::super::error::{Error, Result};

const MAGIC: &[u8; 5] = b"SEPOC";
const VERSION: u8 = 1;
const HEAD: usize = MAGIC.len() + 1 + 8;
/// The longest sealed map of `docs/format.md`.
const MAX_SEALED: usize = 55_448;

/// What a key store's sealed bytes say before they are opened. Nothing is copied.
pub(super) struct Envelope<'a> {
    pub(super) epoch: u64,
    pub(super) sealed: &'a [u8],
}

impl<'a> Envelope<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let invalid = |message: &str| Err(Error::InvalidData(message.into()));
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return invalid(if DataMap::is_sealed(bytes) {
                "the data map was sealed without a key store; open it with DataMap::unseal"
            } else {
                "not a data map that a key store sealed"
            });
        };
        match rest.first() {
            Some(&VERSION) => {}
            Some(&version) if version > VERSION => return Err(MapError::NewerVersion(version).into()),
            _ => return invalid("the sealed data map is damaged"),
        }
        let Some((epoch, sealed)) = rest[1..].split_first_chunk() else {
            return invalid("the sealed data map is cut short");
        };
        if sealed.len() > MAX_SEALED {
            return invalid("the sealed data map is longer than one can be");
        }
        match u64::from_le_bytes(*epoch) {
            0 => invalid("the sealed data map is damaged"),
            epoch => Ok(Self { epoch, sealed }),
        }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.sealed.len());
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(self.sealed);
        bytes
    }

    pub(super) fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        match Envelope::parse(bytes) {
            Err(Error::InvalidData(message)) => message,
            _ => panic!("{bytes:?} is read"),
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_table() {
        let bytes = Envelope { epoch: 0x0102, sealed: b"SESL" }.write();
        assert_eq!(bytes, b"SEPOC\x01\x02\x01\0\0\0\0\0\0SESL");
        let read = Envelope::parse(&bytes).unwrap();
        assert_eq!((read.epoch, read.sealed), (0x0102, &b"SESL"[..]));
        let last = Envelope { epoch: u64::MAX, sealed: b"" }.write();
        assert_eq!(Envelope::parse(&last).unwrap().epoch, u64::MAX);
    }

    #[test]
    fn what_is_not_one_is_refused_by_its_reason() {
        let good = Envelope { epoch: 1, sealed: b"" }.write();
        for cut in 0..5 {
            assert!(refusal(&good[..cut]).starts_with("not a data map"));
        }
        assert!(refusal(&good[..5]).contains("damaged"));
        for cut in 6..HEAD {
            assert!(refusal(&good[..cut]).contains("cut short"));
        }
        assert!(refusal(b"SESL\x01").contains("DataMap::unseal"));
        assert!(refusal(b"SEPOC\x00").contains("damaged"));
        assert!(refusal(b"SEPOC\x02").contains("version 2"));
        assert!(refusal(&Envelope { epoch: 0, sealed: b"" }.write()).contains("damaged"));
        let longest = vec![0; MAX_SEALED + 1];
        assert!(Envelope::parse(&Envelope { epoch: 1, sealed: &longest[1..] }.write()).is_ok());
        assert!(refusal(&Envelope { epoch: 1, sealed: &longest }.write()).contains("longer"));
    }
}
