use crate::Bytes;
use crate::store::ChunkId;

/// A chunk as it is stored: of data, or of a page of a large data map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The hash of what is stored, which is its name in every store.
    pub name: ChunkId,
    /// What is stored: compressed and encrypted.
    pub content: Bytes,
}
