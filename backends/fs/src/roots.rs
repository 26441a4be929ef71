//! Roots: a file for each, replaced whole.
//!
//! ```text
//! "SERT" ‖ 1 ‖ nonce[16] ‖ name_len u16le ‖ name ‖ value ‖ BLAKE3 of all before [32]
//! ```
//!
//! The nonce is fresh for each swap and is the root's version, so a version never comes back. The file's
//! name is a hash, so the record holds the name itself.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use bytes::Bytes;
use selfenc_core::store::{Error, ErrorKind, Expect, Result, Root, RootName, RootVersion, Swap};

use crate::FsEngine;
use crate::error::failed;
use crate::layout::{is_root_file, root_file_name};

const MAGIC: &[u8; 5] = b"SERT\x01";
const NONCE_LEN: usize = 16;
const HASH_LEN: usize = 32;

/// The longest value of a root. Roots are small; this only keeps a damaged length from filling memory.
const MAX_VALUE_LEN: usize = 16 << 20;

/// Everything around the longest value.
const MAX_RECORD_LEN: u64 =
    (MAX_VALUE_LEN + MAGIC.len() + NONCE_LEN + 2 + RootName::MAX_LEN + HASH_LEN) as u64;

/// A root's file, checked.
struct Record {
    name: RootName,
    root: Root,
    bytes: Bytes,
}

impl Record {
    fn new(nonce: [u8; NONCE_LEN], name: &RootName, value: &[u8]) -> Self {
        // `RootName` is at most 255 bytes.
        let name_len = u16::try_from(name.as_str().len()).unwrap_or(u16::MAX);
        let mut bytes = Vec::with_capacity(value.len() + 512);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&name_len.to_le_bytes());
        bytes.extend_from_slice(name.as_str().as_bytes());
        let start = bytes.len();
        bytes.extend_from_slice(value);
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        let bytes = Bytes::from(bytes);
        let value = bytes.slice(start..start + value.len());
        Self { name: name.clone(), root: Root { value, version: RootVersion::new(nonce.to_vec()) }, bytes }
    }

    /// `None` if the bytes are no whole record.
    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Bytes::from(bytes);
        let (body, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH_LEN)?)?;
        if blake3::hash(body).as_bytes() != hash {
            return None;
        }
        let rest = body.strip_prefix(MAGIC)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
        let (name_len, rest) = rest.split_first_chunk::<2>()?;
        let (name, value) = rest.split_at_checked(usize::from(u16::from_le_bytes(*name_len)))?;
        let name = RootName::new(std::str::from_utf8(name).ok()?).ok()?;
        let root = Root { value: bytes.slice_ref(value), version: RootVersion::new(nonce.to_vec()) };
        Some(Self { name, root, bytes })
    }
}

impl FsEngine {
    pub(crate) fn load_root(&self, name: &RootName) -> Result<Option<Root>> {
        let record = self.read_record("load", name)?;
        if record.is_none() {
            self.check_container("load")?;
        }
        Ok(record.map(|record| record.root))
    }

    pub(crate) fn swap_root(&self, name: &RootName, expect: &Expect, new: Option<&[u8]>) -> Result<Swap> {
        if new.is_some_and(|value| value.len() > MAX_VALUE_LEN) {
            let message =
                format!("a root holds at most {MAX_VALUE_LEN} bytes; put larger things into chunks");
            return Err(Error::new(ErrorKind::InvalidInput, "swap", message));
        }
        let (roots, lock) = (&self.layout.roots, &self.layout.roots_lock);
        let _exclusive = self
            .in_folder("swap", roots, || self.os.lock(lock))?
            .map_err(|e| failed("swap", "lock", lock, e))?;
        let old = self.read_record("swap", name)?;
        if !expect.matches(old.as_ref().map(|record| &record.root)) {
            return Ok(Swap::Conflict(old.map(|record| record.root)));
        }
        let path = self.layout.root(name);
        let new = match new {
            Some(value) => Some(self.place_root(&path, name, value)?),
            None if old.is_none() && self.in_doubt().contains(name) => return Err(doubtful(&path)),
            None => self.remove_root(&path)?,
        };
        let synced = self.shards.sync_folders().and_then(|()| self.os.sync_dir(roots));
        synced.map_err(|e| self.undo(name, old.as_ref(), failed("swap", "sync", roots, e)))?;
        self.in_doubt().remove(name);
        Ok(Swap::Done(new))
    }

    fn in_doubt(&self) -> MutexGuard<'_, HashSet<RootName>> {
        self.roots_in_doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place_root(&self, path: &Path, name: &RootName, value: &[u8]) -> Result<RootVersion> {
        let mut nonce = [0; NONCE_LEN];
        self.os.random(&mut nonce).map_err(|e| failed("swap", "make a version for", path, e))?;
        let record = Record::new(nonce, name, value);
        self.write_record(path, &record.bytes)?;
        Ok(record.root.version)
    }

    fn write_record(&self, path: &Path, record: &[u8]) -> Result<()> {
        let mut temporary = self.write("swap", record)?;
        temporary.rename(path).map_err(|e| failed("swap", "rename a temporary to", path, e))
    }

    fn remove_root(&self, path: &Path) -> Result<Option<RootVersion>> {
        match self.os.remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("swap", "remove", path, e)),
            _ => Ok(None),
        }
    }

    /// Puts back what a swap replaced, after its sync failed: the new value may not be durable, and nobody
    /// shall take it for settled because it can be read.
    fn undo(&self, name: &RootName, old: Option<&Record>, cause: Error) -> Error {
        let path = self.layout.root(name);
        let undone = match old {
            Some(old) => self.write_record(&path, &old.bytes),
            None => self.remove_root(&path).map(drop),
        };
        if let Err(error) = undone {
            tracing::warn!(%error, "a change of a root that could not be made durable stays");
            self.in_doubt().insert(name.clone());
        }
        cause
    }

    fn read_record(&self, op: &'static str, name: &RootName) -> Result<Option<Record>> {
        let path = self.layout.root(name);
        match self.read_file(op, &path)? {
            Some(record) if record.name != *name => Err(damaged(op, &path)),
            record => Ok(record),
        }
    }

    fn read_file(&self, op: &'static str, path: &Path) -> Result<Option<Record>> {
        let read = self.os.metadata(path).and_then(|found| match found.is_file {
            true => self.os.read(path, MAX_RECORD_LEN + 1).map(Some),
            false => Ok(None),
        });
        match read {
            Ok(bytes) => match bytes.and_then(Record::parse) {
                None => Err(damaged(op, path)),
                record => Ok(record),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(op, "read", path, e)),
        }
    }

    pub(crate) fn root_names(&self) -> Result<Vec<RootName>> {
        let roots = &self.layout.roots;
        let files = match self.os.read_dir(roots) {
            Ok(files) => files,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return self.check_container("names").map(|()| Vec::new());
            }
            Err(e) => return Err(failed("names", "read the folder", roots, e)),
        };
        let mut names = Vec::new();
        for file in files.iter().filter(|file| is_root_file(file)) {
            let path = roots.join(file);
            // Removed since the folder was read: skipped.
            let Some(record) = self.read_file("names", &path)? else { continue };
            if file.to_str() != Some(&root_file_name(&record.name)) {
                return Err(damaged("names", &path));
            }
            names.push(record.name);
        }
        Ok(names)
    }
}

/// The root is absent because its removal could neither be made durable nor be undone. No sync settles
/// that, only a new change.
fn doubtful(path: &Path) -> Error {
    let message = format!(
        "an earlier removal of {} could not be made durable; set the root and remove it again",
        path.display()
    );
    Error::new(ErrorKind::Other, "swap", message)
}

fn damaged(op: &'static str, path: &Path) -> Error {
    let message = format!("{} is no whole root record; move it away, or restore it", path.display());
    Error::new(ErrorKind::Corrupt, op, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        Record::new([7; 16], &RootName::new("näme").unwrap(), b"value")
    }

    #[test]
    fn a_record_is_these_bytes() {
        let record = sample();
        let body =
            b"SERT\x01\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x05\0n\xc3\xa4mevalue";
        assert_eq!(&record.bytes[..body.len()], body);
        assert_eq!(&record.bytes[body.len()..], blake3::hash(body).as_bytes());
        let parsed = Record::parse(record.bytes.to_vec()).unwrap();
        assert_eq!((parsed.name.as_str(), &parsed.root.value[..]), ("näme", &b"value"[..]));
        assert_eq!(parsed.root.version.as_bytes(), [7; 16]);
    }

    #[test]
    fn every_damage_is_noticed() {
        let good = sample().bytes.to_vec();
        for at in 0..good.len() {
            assert!(Record::parse(good[..at].to_vec()).is_none(), "cut at {at}");
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert!(Record::parse(bad).is_none(), "flipped at {at}");
        }
        assert!(Record::parse([&good[..], b"x"].concat()).is_none());
    }

    #[test]
    fn a_right_hash_over_wrong_contents_is_no_record() {
        for body in [&b""[..], b"SERT\x01", b"SERT\x02", &[b"SERT\x01", &[0; 16][..], &[0xff; 2]].concat()] {
            let bytes = [body, &blake3::hash(body).as_bytes()[..]].concat();
            assert!(Record::parse(bytes).is_none(), "{body:?}");
        }
    }
}
