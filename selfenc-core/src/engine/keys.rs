//! Content hashes and chunk keys: what makes equal data give equal chunks.

use zeroize::Zeroizing;

use super::secret::Secret;
use super::suite::{ChunkKey, Digest, Kind, Suite};
use crate::store::ChunkId;

const CONTENT: &[u8] = b"selfenc v1 content\0";
const CHUNK_KEY: &[u8] = b"selfenc v1 chunk key\0";

/// Which content hashes a data chunk's key is made from, besides its own. Map pages are always `Own`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Binding {
    /// None: a chunk's key depends on that chunk alone.
    Own = 0,
    /// Those of the next two chunks, the first following the last: the original's habit.
    Next = 1,
}

impl Binding {
    pub(super) fn from_id(id: u8) -> Option<Self> {
        [Self::Own, Self::Next].into_iter().find(|binding| *binding as u8 == id)
    }
}

/// e: the content hashes of encoded chunks.
pub(super) fn content_hashes<'a>(
    suite: Suite,
    kind: Kind,
    encoded: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Digest> {
    let label = content_label(suite, kind);
    suite.hash_batch(encoded.into_iter().map(|encoded| [label.as_slice(), encoded]))
}

/// What an encoded chunk is hashed after.
pub(super) fn content_label(suite: Suite, kind: Kind) -> Vec<u8> {
    [CONTENT, &[suite.id(), kind as u8]].concat()
}

/// ck: the key of the chunk with content hash `own`; `neighbours` are zeros unless the binding is `Next`.
pub(super) fn chunk_key(
    suite: Suite,
    kind: Kind,
    binding: Binding,
    secret: &Secret,
    own: &Digest,
    neighbours: &[Digest; 2],
) -> ChunkKey {
    let fields = [suite.id(), kind as u8, binding as u8];
    let mut message = Zeroizing::new(Vec::with_capacity(CHUNK_KEY.len() + fields.len() + 4 * 32));
    message.extend_from_slice(CHUNK_KEY);
    message.extend_from_slice(&fields);
    message.extend_from_slice(secret.expose());
    message.extend_from_slice(own);
    message.extend_from_slice(&neighbours[0]);
    message.extend_from_slice(&neighbours[1]);
    Zeroizing::new(suite.hash(&[], &message))
}

/// Whether `data` is what the name `id` stands for, whichever suite wrote it.
///
/// Names are plain hashes of what is stored, so whoever keeps a store can check it without any key.
/// BLAKE3 is tried first, being many times faster than SHA3-256.
#[must_use]
pub fn name_matches(id: ChunkId, data: &[u8]) -> bool {
    [Suite::Blake3ChaCha20Poly1305, Suite::Sha3Aes256Cbc]
        .into_iter()
        .any(|suite| suite.hash(&[], data) == *id.as_bytes())
}
