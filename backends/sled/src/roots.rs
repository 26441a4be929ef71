//! Roots: a record for each, changed by sled's compare-and-swap, and the value in pieces.
//!
//! ```text
//! tree roots:       name -> nonce[16] ‖ length u64 le
//! tree root-values: nonce[16] ‖ index u32 be -> a piece
//! ```
//!
//! The nonce is fresh for each swap and is the root's version, so a version never comes back. The value is
//! written before the record that names it; what a crash leaves between the two is seen by nobody.

use selfenc_core::store::{Error, ErrorKind, Expect, Result, Root, RootName, RootVersion, Swap};
use sled::IVec;

use crate::error::failed;
use crate::pieces;
use crate::store::{Database, random};

const NONCE_LEN: usize = 16;

/// The longest value of a root. Roots are small; this only keeps a damaged length from filling memory.
const MAX_VALUE_LEN: usize = 16 << 20;

/// A root's record, as it stands in the tree.
#[derive(PartialEq)]
struct Record {
    raw: IVec,
    nonce: [u8; NONCE_LEN],
    len: usize,
}

impl Record {
    fn new(nonce: [u8; NONCE_LEN], len: usize) -> Self {
        let raw = [&nonce[..], &(len as u64).to_le_bytes()].concat().into();
        Self { raw, nonce, len }
    }

    /// `None` if the bytes are no record.
    fn parse(raw: IVec) -> Option<Self> {
        let (nonce, len) = raw.split_first_chunk::<NONCE_LEN>()?;
        let len = usize::try_from(u64::from_le_bytes(len.try_into().ok()?)).ok()?;
        (len <= MAX_VALUE_LEN).then_some(Self { nonce: *nonce, len, raw })
    }

    fn version(&self) -> RootVersion {
        RootVersion::new(self.nonce.to_vec())
    }
}

impl Database {
    pub(crate) fn load_root(&self, op: &'static str, name: &RootName) -> Result<Option<Root>> {
        let mut record = self.record(op, name)?;
        loop {
            let Some(found) = record else { return Ok(None) };
            let mut value = Vec::new();
            let read = pieces::read(&self.root_values, &found.nonce, found.len, &mut value);
            if read.map_err(|e| failed(op, e))? {
                return Ok(Some(Root { value: value.into(), version: found.version() }));
            }
            record = self.record(op, name)?;
            // Not swapped in the meantime, so it is not for that.
            if record.as_ref() == Some(&found) {
                return Err(damaged(op, name));
            }
        }
    }

    pub(crate) fn swap_root(&self, name: &RootName, expect: &Expect, new: Option<&[u8]>) -> Result<Swap> {
        if new.is_some_and(|value| value.len() > MAX_VALUE_LEN) {
            let message =
                format!("a root holds at most {MAX_VALUE_LEN} bytes; put larger things into chunks");
            return Err(Error::new(ErrorKind::InvalidInput, "swap", message));
        }
        let old = self.record("swap", name)?;
        let is_expected = match (expect, &old) {
            (Expect::Absent, None) => true,
            (Expect::Version(version), Some(old)) => *version == old.version(),
            _ => false,
        };
        if !is_expected {
            return Ok(Swap::Conflict(self.load_root("swap", name)?));
        }
        let new = new.map(|value| self.write_value(value)).transpose()?;
        let swapped = self.roots.compare_and_swap(
            name.as_str(),
            old.as_ref().map(|old| &old.raw),
            new.as_ref().map(|new| &new.raw),
        );
        let was_swapped = swapped.map_err(|e| failed("swap", e))?.is_ok();
        let unused = if was_swapped { old.as_ref() } else { new.as_ref() };
        if let Some(unused) = unused {
            pieces::clear(&self.root_values, &unused.nonce).map_err(|e| failed("swap", e))?;
        }
        if !was_swapped {
            return Ok(Swap::Conflict(self.load_root("swap", name)?));
        }
        // It covers the chunks that were put before, so that no root points past what is durable.
        self.flush("swap")?;
        Ok(Swap::Done(new.map(|new| new.version())))
    }

    pub(crate) fn root_names(&self) -> Result<Vec<RootName>> {
        let name = |key: sled::Result<IVec>| {
            let key = key.map_err(|e| failed("names", e))?;
            let name = std::str::from_utf8(&key).ok().and_then(|name| RootName::new(name).ok());
            name.ok_or_else(|| {
                Error::new(ErrorKind::Corrupt, "names", "a root has no name that can be; restore a copy")
            })
        };
        self.roots.iter().keys().map(name).collect()
    }

    fn write_value(&self, value: &[u8]) -> Result<Record> {
        let record = Record::new(random("swap")?, value.len());
        pieces::write(&self.root_values, &record.nonce, value).map_err(|e| failed("swap", e))?;
        Ok(record)
    }

    fn record(&self, op: &'static str, name: &RootName) -> Result<Option<Record>> {
        let raw = self.roots.get(name.as_str()).map_err(|e| failed(op, e))?;
        raw.map(|raw| Record::parse(raw).ok_or_else(|| damaged(op, name))).transpose()
    }
}

fn damaged(op: &'static str, name: &RootName) -> Error {
    let message = format!("the record of root '{name}' is damaged; restore a copy of the store");
    Error::new(ErrorKind::Corrupt, op, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_these_bytes_and_no_others() {
        let record = Record::new([7; 16], 300);
        assert_eq!(record.raw, [&[7; 16][..], &[44, 1, 0, 0, 0, 0, 0, 0]].concat());
        let parsed = Record::parse(record.raw.clone()).unwrap();
        assert_eq!((parsed.nonce, parsed.len), ([7; 16], 300));
        for bad in [&record.raw[..23], &[&record.raw[..], &[0]].concat(), &[0xff; 24], &[]] {
            assert!(Record::parse(bad.into()).is_none(), "{bad:?}");
        }
    }
}
