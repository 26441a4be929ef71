use std::fmt;

use zeroize::Zeroizing;

use super::bytes::Fields;
use crate::engine::suite::{ChunkKey, Digest};
use crate::store::ChunkId;

/// What is needed to fetch, check and decrypt one chunk. `Debug` shows no key.
#[derive(Clone)]
pub(in crate::engine) struct Entry {
    /// The offset in the data after this chunk, or after the page's last chunk.
    pub(in crate::engine) end: u64,
    /// The stored length in bytes.
    pub(in crate::engine) stored: u32,
    /// The hash of what is stored.
    pub(in crate::engine) name: ChunkId,
    /// ck.
    pub(in crate::engine) key: ChunkKey,
    /// e.
    pub(in crate::engine) content: Digest,
}

impl Entry {
    /// An entry's length in a page or a root.
    pub(super) const LEN: usize = 8 + 4 + 3 * 32;

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.end.to_le_bytes());
        out.extend_from_slice(&self.stored.to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(self.key.as_slice());
        out.extend_from_slice(&self.content);
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            end: fields.u64()?,
            stored: fields.u32()?,
            name: ChunkId::from_bytes(fields.array()?),
            key: Zeroizing::new(fields.array()?),
            content: fields.array()?,
        })
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("end", &self.end)
            .field("stored", &self.stored)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
