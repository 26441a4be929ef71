//! The three binary forms. Integers are little-endian, of 64 bits.
//!
//! | releases | form | length for `c` chunks |
//! |---|---|---|
//! | up to 0.30 | `c ‖ chunks` | 80c + 8 |
//! | 0.31 | `c ‖ chunks ‖ child` | 80c + 9 or 80c + 17 |
//! | since 0.32 | `1 ‖ c ‖ chunks ‖ child` | 80c + 10 or 80c + 18 |
//!
//! A chunk is `index ‖ dst_hash[32] ‖ src_hash[32] ‖ src_size`; a child is a byte 0, or 1 and an integer.

use zeroize::Zeroizing;

use super::{ChunkInfo, DataMap};
use crate::engine::MapError;
use crate::store::ChunkId;

/// Bytes of a chunk.
const CHUNK: usize = 80;

/// The form that is written, and its first byte.
const VERSION: u8 = 1;

/// Whether a map of a release that shrinks maps may have this length.
pub(super) fn may_be(len: u64) -> bool {
    matches!(len % CHUNK as u64, 9 | 10 | 17 | 18)
}

/// Whether what begins so, and has this length, may be such a map.
pub(super) fn may_begin(head: &[u8], len: u64) -> bool {
    let (mut rest, has_version) = (head, matches!(len % CHUNK as u64, 10 | 18));
    if has_version && take::<1>(&mut rest) != Ok([VERSION]) {
        return false;
    }
    let count = take(&mut rest).map(u64::from_le_bytes);
    may_be(len) && count == Ok(len / CHUNK as u64)
}

pub(super) fn parse(bytes: &[u8]) -> Result<DataMap, MapError> {
    // Which form it is follows from its length: these differ modulo 80.
    let (has_version, child_len) = match bytes.len() % CHUNK {
        8 => (false, 0),
        9 => (false, 1),
        17 => (false, 9),
        10 => (true, 1),
        18 => (true, 9),
        _ => return Err(MapError::NotADataMap),
    };
    let mut rest = bytes;
    if has_version && take::<1>(&mut rest)? != [VERSION] {
        return Err(MapError::NotADataMap);
    }
    let count = u64::from_le_bytes(take(&mut rest)?);
    // Before anything is made of it.
    if (rest.len() - child_len) as u64 != count.checked_mul(CHUNK as u64).ok_or(MapError::NotADataMap)? {
        return Err(MapError::NotADataMap);
    }
    let (mut listed, mut child) = rest.split_at(rest.len() - child_len);
    let mut chunks = Vec::with_capacity(listed.len() / CHUNK);
    while !listed.is_empty() {
        chunks.push(ChunkInfo {
            index: u64::from_le_bytes(take(&mut listed)?),
            dst_hash: ChunkId::from_bytes(take(&mut listed)?),
            src_hash: take(&mut listed)?,
            src_size: u64::from_le_bytes(take(&mut listed)?),
        });
    }
    let child = match (child_len, take(&mut child).unwrap_or([0])) {
        (0 | 1, [0]) => None,
        (9, [1]) => Some(u64::from_le_bytes(take(&mut child)?)),
        _ => return Err(MapError::Damaged),
    };
    DataMap::build(chunks, child)
}

pub(super) fn write(map: &DataMap) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(CHUNK * map.len() + 18));
    bytes.push(VERSION);
    bytes.extend_from_slice(&(map.len() as u64).to_le_bytes());
    for chunk in map.infos() {
        bytes.extend_from_slice(&chunk.index.to_le_bytes());
        bytes.extend_from_slice(chunk.dst_hash.as_bytes());
        bytes.extend_from_slice(&chunk.src_hash);
        bytes.extend_from_slice(&chunk.src_size.to_le_bytes());
    }
    match map.child() {
        None => bytes.push(0),
        Some(child) => {
            bytes.push(1);
            bytes.extend_from_slice(&child.to_le_bytes());
        }
    }
    bytes
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], MapError> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(MapError::NotADataMap)?;
    *rest = left;
    Ok(*taken)
}
