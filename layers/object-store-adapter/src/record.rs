//! What stands behind an object's root.
//!
//! A record is written like any other data: its bytes go through the engine in the private scope, and the
//! sealed map of them is the value of the root. Up to 4096 bytes the map holds them itself; then an
//! object costs one root and its data. A longer record (with a map of more than about 35 entries, with
//! nearly 4096 bytes of data, or with long attributes) costs a chunk besides.
//!
//! | size | field |
//! |---|---|
//! | 1 | version, 1 |
//! | 8 | seconds of the last change since 1970, i64 |
//! | 4 | nanoseconds of the last change, u32 |
//! | 4 + n | path: length u32, UTF-8 |
//! | 4 | number of attributes, u32 |
//! | each | kind u8; for kind 6 its key: length u32, UTF-8; value: length u32, UTF-8 |
//! | 4 + n | data map: length u32, the root of `docs/format.md` section 4 |
//!
//! Integers are little-endian, and nothing follows. The object's size is the map's. Kinds of attributes:
//! 0 Content-Disposition, 1 Content-Encoding, 2 Content-Language, 3 Content-Type, 4 Cache-Control,
//! 5 storage class, 6 metadata of the caller's own.

use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{Attribute, Attributes};
use selfenc_core::engine::{DataMap, Error, MapError};
use zeroize::Zeroizing;

use crate::error::Problem;

const VERSION: u8 = 1;
const METADATA: u8 = 6;
/// The longest record, in bytes: a longest map and much room for path and attributes.
pub(crate) const MAX_RECORD: u64 = 1 << 20;

/// An object but for its data.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) path: Path,
    pub(crate) modified: DateTime<Utc>,
    pub(crate) attributes: Attributes,
    pub(crate) map: DataMap,
}

impl Record {
    /// A record of this moment.
    pub(crate) fn new(path: Path, attributes: Attributes, map: DataMap) -> Self {
        Self { path, modified: Utc::now(), attributes, map }
    }

    /// The bytes, which hold keys.
    ///
    /// # Errors
    /// [`Problem::TooLong`] above [`MAX_RECORD`], [`Problem::UnknownAttribute`].
    pub(crate) fn to_secret_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let map = self.map.to_secret_bytes();
        let attributes: usize = self.attributes.iter().map(|(key, value)| room(key) + value.len()).sum();
        // As long as it gets: a buffer that grows leaves copies of keys behind.
        let room = 1 + 8 + 4 + 4 + self.path.as_ref().len() + 4 + attributes + 4 + map.len();
        if room as u64 > MAX_RECORD {
            return Err(Problem::TooLong);
        }
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        out.push(VERSION);
        out.extend_from_slice(&self.modified.timestamp().to_le_bytes());
        out.extend_from_slice(&self.modified.timestamp_subsec_nanos().to_le_bytes());
        write(&mut out, self.path.as_ref().as_bytes())?;
        out.extend_from_slice(&len(self.attributes.len())?);
        for (key, value) in &self.attributes {
            write_attribute(&mut out, key)?;
            write(&mut out, value.as_bytes())?;
        }
        write(&mut out, &map)?;
        Ok(out)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Problem::DamagedRecord`] or [`Problem::NewerRecord`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => parse(&mut Fields(rest)).ok_or(Problem::DamagedRecord)?,
            Some((&version, _)) if version > VERSION => Err(Problem::NewerRecord(version)),
            _ => Err(Problem::DamagedRecord),
        }
    }
}

/// What an attribute takes beside its value, at most.
fn room(key: &Attribute) -> usize {
    let key = if let Attribute::Metadata(key) = key { key.len() } else { 0 };
    1 + 4 + key + 4
}

fn len(n: usize) -> Result<[u8; 4], Problem> {
    Ok(u32::try_from(n).map_err(|_| Problem::TooLong)?.to_le_bytes())
}

fn write(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Problem> {
    out.extend_from_slice(&len(bytes.len())?);
    out.extend_from_slice(bytes);
    Ok(())
}

fn write_attribute(out: &mut Vec<u8>, key: &Attribute) -> Result<(), Problem> {
    let kind = match key {
        Attribute::ContentDisposition => 0,
        Attribute::ContentEncoding => 1,
        Attribute::ContentLanguage => 2,
        Attribute::ContentType => 3,
        Attribute::CacheControl => 4,
        Attribute::StorageClass => 5,
        Attribute::Metadata(key) => {
            out.push(METADATA);
            return write(out, key.as_bytes());
        }
        other => return Err(Problem::UnknownAttribute(format!("{other:?}"))),
    };
    out.push(kind);
    Ok(())
}

/// Reads what follows the version; `None` if it is no record, an error if its map is a newer one's.
fn parse(fields: &mut Fields<'_>) -> Option<Result<Record, Problem>> {
    let seconds = i64::from_le_bytes(fields.array()?);
    let modified = DateTime::from_timestamp(seconds, fields.u32()?)?;
    let text = fields.text()?;
    let path = Path::parse(text).ok().filter(|path| path.as_ref() == text)?;
    let count = fields.u32()?;
    let mut attributes = Attributes::new();
    for _ in 0..count {
        let key = match fields.array()? {
            [0] => Attribute::ContentDisposition,
            [1] => Attribute::ContentEncoding,
            [2] => Attribute::ContentLanguage,
            [3] => Attribute::ContentType,
            [4] => Attribute::CacheControl,
            [5] => Attribute::StorageClass,
            [METADATA] => Attribute::Metadata(fields.text()?.to_owned().into()),
            _ => return None,
        };
        attributes.insert(key, fields.text()?.to_owned().into());
    }
    let map = match DataMap::from_bytes(fields.bytes()?) {
        Ok(map) => map,
        Err(Error::BadMap(MapError::NewerVersion(version))) => {
            return Some(Err(Problem::NewerRecord(version)));
        }
        Err(_) => return None,
    };
    fields.0.is_empty().then_some(Ok(Record { path, modified, attributes, map }))
}

/// What of a record is not read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use selfenc_core::engine::{EncryptionConfig, Engine, Scope};
    use selfenc_memory::MemoryStore;

    use super::*;

    async fn record() -> Record {
        let engine = Engine::new(EncryptionConfig::new().with_threads(1)).unwrap();
        let written = engine.write_bytes(Arc::new(MemoryStore::new()), &Scope::Private, b"data").await;
        let attributes = Attributes::from_iter([
            (Attribute::ContentDisposition, "a"),
            (Attribute::ContentEncoding, "b"),
            (Attribute::ContentLanguage, "c"),
            (Attribute::ContentType, "d"),
            (Attribute::CacheControl, ""),
            (Attribute::StorageClass, "f"),
            (Attribute::Metadata("key".into()), "g"),
            (Attribute::Metadata("".into()), "ü"),
        ]);
        Record::new(Path::from("a/ü %"), attributes, written.unwrap().map)
    }

    #[tokio::test]
    async fn a_record_goes_there_and_back() {
        let record = record().await;
        let bytes = record.to_secret_bytes().unwrap();
        let back = Record::from_bytes(&bytes).unwrap();
        assert_eq!(
            (back.path, back.modified, back.attributes),
            (record.path, record.modified, record.attributes)
        );
        assert_eq!(back.map.to_secret_bytes(), record.map.to_secret_bytes());
    }

    /// `docs` and old stores know this layout.
    #[tokio::test]
    async fn the_layout_is_frozen() {
        let mut record = record().await;
        record.path = Path::from("p");
        record.modified = DateTime::from_timestamp(-2, 5).unwrap();
        record.attributes = Attributes::from_iter([(Attribute::Metadata("k".into()), "v")]);
        let map = record.map.to_secret_bytes();
        let mut expected = vec![1, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 5, 0, 0, 0];
        expected.extend_from_slice(&[1, 0, 0, 0, b'p', 1, 0, 0, 0, 6, 1, 0, 0, 0, b'k', 1, 0, 0, 0, b'v']);
        expected.extend_from_slice(&u32::try_from(map.len()).unwrap().to_le_bytes());
        expected.extend_from_slice(&map);
        assert_eq!(*record.to_secret_bytes().unwrap(), expected);
    }

    #[tokio::test]
    async fn a_cut_or_longer_or_newer_record_is_refused() {
        let bytes = record().await.to_secret_bytes().unwrap();
        for cut in 0..bytes.len() {
            assert!(matches!(Record::from_bytes(&bytes[..cut]), Err(Problem::DamagedRecord)), "{cut}");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert!(matches!(Record::from_bytes(&longer), Err(Problem::DamagedRecord)));
        longer[0] = 2;
        assert!(matches!(Record::from_bytes(&longer), Err(Problem::NewerRecord(2))));
        longer[0] = 0;
        assert!(matches!(Record::from_bytes(&longer), Err(Problem::DamagedRecord)));
    }

    #[tokio::test]
    async fn a_record_above_the_limit_is_refused() {
        let mut record = record().await;
        let long = "x".repeat(usize::try_from(MAX_RECORD).unwrap());
        record.attributes.insert(Attribute::ContentType, long.into());
        assert!(matches!(record.to_secret_bytes(), Err(Problem::TooLong)));
    }
}
