//! Section 6: from an entry to the decoded content of its chunk.

use super::codec;
use super::suite::Suite;
use super::{ENTRY, FAN, Fields, MAX_LEN, Store, check, hex};

/// Section 6.2: what a chunk holds. It is hashed and authenticated along with the content.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// 0.
    Data,
    /// 1.
    Page,
}

/// Section 5.1.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) end: u64,
    pub(super) stored: u32,
    name: [u8; 32],
    ck: [u8; 32],
    e: [u8; 32],
}

impl Entry {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut fields = Fields(bytes);
        Ok(Self {
            end: fields.u64()?,
            stored: fields.u32()?,
            name: fields.array()?,
            ck: fields.array()?,
            e: fields.array()?,
        })
    }
}

/// Section 6.6. `span` is the number of input bytes below the entry: a data chunk's exact length.
pub(super) fn read(
    suite: Suite,
    entry: &Entry,
    kind: Kind,
    span: u64,
    store: &Store<'_>,
) -> Result<Vec<u8>, String> {
    let name = hex(&entry.name);
    let stored = store(&entry.name).ok_or_else(|| format!("missing: no chunk {name}"))?;
    open(suite, entry, kind, span, &stored).map_err(|error| format!("{error} (chunk {name})"))
}

/// Steps 2 to 7.
fn open(suite: Suite, entry: &Entry, kind: Kind, span: u64, stored: &[u8]) -> Result<Vec<u8>, String> {
    check(stored.len() as u64 == u64::from(entry.stored), "K1: not as long as the entry says")?;
    check(suite.hash(stored) == entry.name, "K2: the name is not the hash of the chunk")?;
    let kind_byte = match kind {
        Kind::Data => 0,
        Kind::Page => 1,
    };
    let envelope = suite.decrypt(&entry.ck, kind_byte, stored)?;
    check(suite.content_hash(kind_byte, &envelope) == entry.e, "K4: wrong content hash")?;
    decode(kind, span, &envelope)
}

/// Steps 6 and 7: from E to the content.
fn decode(kind: Kind, span: u64, envelope: &[u8]) -> Result<Vec<u8>, String> {
    check(envelope.len() >= 9, "K5: the envelope is too short")?;
    let mut fields = Fields(envelope);
    let (codec, len, body_len) = (fields.u8()?, fields.u32()?, fields.u32()?);

    check(codec <= if kind == Kind::Data { 2 } else { 0 }, "K6: this codec is not allowed here")?;
    let len_is_right = match kind {
        Kind::Data => u64::from(len) == span && (1..=MAX_LEN).contains(&u64::from(len)),
        Kind::Page => (5 + ENTRY..=5 + ENTRY * FAN).contains(&(len as usize)),
    };
    check(len_is_right, "K7: wrong length of content")?;
    let body = fields.bytes(body_len as usize).map_err(|_| "K8: the body is cut off")?;
    check(fields.0.iter().all(|&byte| byte == 0), "K9: the filler is not zero")?;
    match codec {
        0 => codec::none(body, len as usize),
        1 => codec::brotli(body, len as usize),
        _ => codec::zstd(body, len as usize),
    }
}
