//! JSON, as serde writes the original's types: hashes are hexadecimal digits. Old releases wrote the bare list.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{ChunkInfo, DataMap};
use crate::engine::MapError;
use crate::store::ChunkId;

/// What else is in it does not matter.
#[derive(Deserialize, Serialize)]
struct Map {
    chunk_identifiers: Vec<Chunk>,
    #[serde(default)]
    child: Option<u64>,
}

#[derive(Deserialize, Serialize)]
struct Chunk {
    index: u64,
    dst_hash: Hex,
    src_hash: Hex,
    src_size: u64,
}

/// 64 hexadecimal digits.
#[derive(Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
#[derive(Clone, Copy)]
struct Hex([u8; 32]);

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const NO_HASH: &str = "a hash has 64 hexadecimal digits";
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| NO_HASH)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Err(NO_HASH) };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        hex.0.iter().fold(Self::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

pub(super) fn parse(text: &str) -> Result<DataMap, MapError> {
    // Not by trial, which would keep everything in a form of its own first.
    let parsed = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(text).map(|chunks| (chunks, None)),
        false => serde_json::from_str(text).map(|map: Map| (map.chunk_identifiers, map.child)),
    };
    let (chunks, child): (Vec<Chunk>, _) = parsed.map_err(|e| {
        // What serde says may repeat what it read.
        if e.is_eof() { MapError::Damaged } else { MapError::NotADataMap }
    })?;
    let chunk = |chunk: Chunk| ChunkInfo {
        index: chunk.index,
        dst_hash: ChunkId::from_bytes(chunk.dst_hash.0),
        src_hash: chunk.src_hash.0,
        src_size: chunk.src_size,
    };
    DataMap::build(chunks.into_iter().map(chunk).collect(), child)
}

pub(super) fn write(map: &DataMap) -> Zeroizing<String> {
    let chunk = |chunk: &ChunkInfo| Chunk {
        index: chunk.index,
        dst_hash: Hex(*chunk.dst_hash.as_bytes()),
        src_hash: Hex(chunk.src_hash),
        src_size: chunk.src_size,
    };
    let text = Map { chunk_identifiers: map.infos().iter().map(chunk).collect(), child: map.child() };
    Zeroizing::new(serde_json::to_string(&text).expect("strings and numbers always go into JSON"))
}
