//! What happens to chunks on the CPU pool, in batches: encode and hash, derive and encrypt, and back.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::budget::Permit;
use super::buffers::{Buffer, Buffers};
use super::chunking::Chunk;
use super::codec::{self, Compression};
use super::keys::{Binding, chunk_key, content_hashes, content_label};
use super::map::{Entry, Node};
use super::room::{Data, Place};
use super::secret::Secret;
use super::suite::{ChunkKey, Digest, Kind, Suite};
use crate::store::ChunkId;

/// What is the same for every chunk of one input.
#[derive(Clone)]
pub(super) struct Recipe {
    pub(super) suite: Suite,
    pub(super) compression: Compression,
    pub(super) binding: Binding,
    pub(super) secret: Secret,
}

/// An encoded chunk and its content hash: what its neighbours need to know of it.
pub(super) struct Prepared {
    encoded: Buffer,
    pub(super) content: Digest,
    len: u64,
    permit: Permit,
}

/// A chunk that is ready to be stored.
pub(super) struct Sealed {
    pub(super) stored: Bytes,
    /// The map's entry; its end is known only in order.
    pub(super) entry: Entry,
    /// The length of the data it holds.
    pub(super) len: u64,
    pub(super) permit: Permit,
}

impl Recipe {
    /// Compresses and hashes.
    pub(super) fn prepare(&self, chunks: Vec<Chunk>) -> Vec<Prepared> {
        let encoded: Vec<_> = chunks
            .into_iter()
            .map(|Chunk { buffer, mut permit }| {
                let len = (buffer.len() - codec::HEADER) as u64;
                let encoded = codec::encode(buffer, self.compression);
                // From here on the chunk is encrypted in place: one copy, not two.
                permit.shrink_to(encoded.len() / 2);
                (encoded, len, permit)
            })
            .collect();
        let hashes = content_hashes(self.suite, Kind::Data, encoded.iter().map(|(e, ..)| &e[..]));
        encoded
            .into_iter()
            .zip(hashes)
            .map(|((encoded, len, permit), content)| Prepared { encoded, content, len, permit })
            .collect()
    }

    /// Derives, encrypts and names. Each chunk comes with its neighbours' content hashes.
    pub(super) fn seal(&self, mut chunks: Vec<(Prepared, [Digest; 2])>) -> Vec<Sealed> {
        let key = |(Prepared { content, .. }, neighbours): &_| {
            chunk_key(self.suite, Kind::Data, self.binding, &self.secret, content, neighbours)
        };
        let keys: Vec<_> = chunks.iter().map(key).collect();
        let encoded = chunks.iter_mut().map(|(chunk, _)| chunk.encoded.vec());
        self.suite.seal_batch(Kind::Data, keys.iter().zip(encoded).collect());
        let names = names(self.suite, chunks.iter().map(|(chunk, _)| &chunk.encoded[..]));
        let sealed = chunks.into_iter().zip(keys).zip(names);
        sealed
            .map(|(((Prepared { encoded: stored, content, len, permit }, _), key), name)| {
                let entry = entry(&stored, name, key, content);
                Sealed { stored: Bytes::from(stored), entry, len, permit }
            })
            .collect()
    }

    /// Makes the page of `entries`; always raw and bound to itself alone.
    pub(super) fn seal_page(&self, level: u8, entries: &[Entry]) -> (Bytes, Entry) {
        let mut page = codec::buffer(Node::MAX_PAGE);
        Node::write_page(level, entries, &mut page);
        let mut encoded = codec::encode(page.into(), Compression::None);
        let content = content_hashes(self.suite, Kind::Page, [&encoded[..]])[0];
        let none = [[0; 32]; 2];
        let key = chunk_key(self.suite, Kind::Page, Binding::Own, &self.secret, &content, &none);
        self.suite.seal_batch(Kind::Page, vec![(&key, encoded.vec())]);
        let stored = encoded;
        let name = self.suite.hash(&[], &stored);
        let mut entry = entry(&stored, name, key, content);
        entry.end = entries.last().map_or(0, |last| last.end);
        (Bytes::from(stored), entry)
    }
}

fn entry(stored: &[u8], name: Digest, key: ChunkKey, content: Digest) -> Entry {
    let stored = u32::try_from(stored.len()).unwrap_or(u32::MAX);
    Entry { end: 0, stored, name: ChunkId::from_bytes(name), key, content }
}

/// A chunk to be opened.
pub(super) struct Wanted<'a> {
    pub(super) entry: &'a Entry,
    pub(super) stored: Bytes,
    /// The length of its data.
    pub(super) len: u32,
    pub(super) place: Option<Place>,
}

/// The data of chunks; `None` of one if anything about it is not as its entry says.
///
/// Each comes with the exact length of data that is expected: nothing longer is ever made.
pub(super) fn open_data(suite: Suite, chunks: Vec<Wanted<'_>>, buffers: &Buffers) -> Vec<Option<Data>> {
    let split = |Wanted { entry, stored, len, place }| ((entry, stored), (len, place));
    let (chunks, wanted): (Vec<_>, Vec<_>) = chunks.into_iter().map(split).unzip();
    let opened = open(suite, Kind::Data, chunks, |stored| buffers.take_bytes(stored));
    let decode = |(encoded, (len, place)): (Option<_>, _)| codec::decode(encoded?, len, place, buffers);
    opened.into_iter().zip(wanted).map(decode).collect()
}

/// The plaintext of a map page, which holds keys and is wiped; `None` if anything is not as the entry says.
pub(super) fn open_page(suite: Suite, entry: &Entry, stored: Bytes) -> Option<Zeroizing<Vec<u8>>> {
    // In memory of its own, which is wiped.
    let opened = open(suite, Kind::Page, vec![(entry, stored)], |stored| Vec::from(stored).into());
    let mut page = Zeroizing::new(std::mem::take(opened.into_iter().next().flatten()?.vec()));
    codec::decode_raw(&mut page, Node::MAX_PAGE)?;
    Some(page)
}

fn names<'a>(suite: Suite, stored: impl IntoIterator<Item = &'a [u8]>) -> Vec<Digest> {
    suite.hash_batch(stored.into_iter().map(|stored| [stored, &[]]))
}

/// E of each: only once the stored length, the name, the cipher and the content hash are right may anything be
/// decoded.
fn open(
    suite: Suite,
    kind: Kind,
    chunks: Vec<(&Entry, Bytes)>,
    take: impl Fn(Bytes) -> Buffer + Sync,
) -> Vec<Option<Buffer>> {
    // Lanes and threads that would be idle are worth a copy of what is stored. A page holds keys, and is decrypted
    // only if it is the right one.
    match &chunks[..] {
        _ if kind == Kind::Page => in_turn(suite, kind, chunks, take),
        [(entry, stored)] => vec![on_two_threads(suite, kind, entry, stored, take)],
        some if 2 * some.len() <= suite.lanes() => side_by_side(suite, kind, some, take),
        _ => in_turn(suite, kind, chunks, take),
    }
}

/// Decrypts, and hashes what was stored and what came out in one call.
///
/// What is not named as it should be has been decrypted by then. All of it is hashed whether its padding is
/// right or not: otherwise a store could find that out by the time that it takes.
fn side_by_side(
    suite: Suite,
    kind: Kind,
    chunks: &[(&Entry, Bytes)],
    take: impl Fn(Bytes) -> Buffer,
) -> Vec<Option<Buffer>> {
    let decrypted = chunks.iter().map(|(entry, stored)| decrypt(suite, kind, entry, take(stored.clone())));
    let decrypted: Vec<_> = decrypted.collect();
    let label = content_label(suite, kind);
    let messages = chunks.iter().zip(&decrypted);
    let messages =
        messages.flat_map(|((_, stored), (data, _))| [[&stored[..], &[]], [&label[..], &data[..]]]);
    let hashes = suite.hash_batch(messages);
    let compare = |((chunk, decrypted), [name, content]): ((&(&Entry, Bytes), _), &[Digest; 2])| {
        let (entry, stored) = chunk;
        if_right(entry, stored, decrypted, name, content)
    };
    chunks.iter().zip(decrypted).zip(hashes.as_chunks().0).map(compare).collect()
}

/// Hashes what was stored while another thread decrypts, and hashes what comes out; and all of it, as above.
fn on_two_threads(
    suite: Suite,
    kind: Kind,
    entry: &Entry,
    stored: &Bytes,
    take: impl Fn(Bytes) -> Buffer + Sync,
) -> Option<Buffer> {
    let name = || suite.hash(&[], stored);
    let decrypted = || {
        let decrypted = decrypt(suite, kind, entry, take(stored.clone()));
        let content = suite.hash(&content_label(suite, kind), &decrypted.0);
        (decrypted, content)
    };
    let ((decrypted, content), name) = rayon::join(decrypted, name);
    if_right(entry, stored, decrypted, &name, &content)
}

/// What `stored`, in a buffer of its own, was encrypted from, and whether it could be.
fn decrypt(suite: Suite, kind: Kind, entry: &Entry, mut stored: Buffer) -> (Buffer, bool) {
    let is_open = suite.open(kind, &entry.key, stored.vec()).is_some();
    (stored, is_open)
}

fn if_right(
    entry: &Entry,
    stored: &Bytes,
    (data, is_open): (Buffer, bool),
    name: &Digest,
    content: &Digest,
) -> Option<Buffer> {
    let is_named = stored.len() == entry.stored as usize && name == entry.name.as_bytes();
    (is_named && is_open && *content == entry.content).then_some(data)
}

/// Hashes what is stored, decrypts in place, and hashes what came out.
fn in_turn(
    suite: Suite,
    kind: Kind,
    chunks: Vec<(&Entry, Bytes)>,
    take: impl Fn(Bytes) -> Buffer,
) -> Vec<Option<Buffer>> {
    let names = names(suite, chunks.iter().map(|(_, stored)| &stored[..]));
    let decrypt = |((entry, stored), name): ((&Entry, Bytes), Digest)| {
        let is_named = stored.len() == entry.stored as usize && name == *entry.name.as_bytes();
        let (data, is_open) = is_named.then(|| decrypt(suite, kind, entry, take(stored)))?;
        is_open.then_some(data)
    };
    let expected: Vec<_> = chunks.iter().map(|(entry, _)| entry.content).collect();
    let encoded: Vec<_> = chunks.into_iter().zip(names).map(decrypt).collect();
    let contents = content_hashes(suite, kind, encoded.iter().filter_map(Option::as_deref));
    let mut contents = contents.into_iter();
    let compare = |(encoded, expected): (Option<Buffer>, Digest)| {
        encoded.filter(|_| contents.next().is_some_and(|content| content == expected))
    };
    encoded.into_iter().zip(expected).map(compare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk that holds exactly this E, rightly hashed and encrypted: what a hostile writer can make.
    fn chunk_of(suite: Suite, kind: Kind, encoded: Vec<u8>) -> (Bytes, Entry) {
        let content = content_hashes(suite, kind, [encoded.as_slice()])[0];
        let key = ChunkKey::new([9; 32]);
        let stored = suite.seal(kind, &key, encoded);
        let name = suite.hash(&[], &stored);
        let entry = entry(&stored, name, key, content);
        (Bytes::from(stored), entry)
    }

    /// One chunk's data.
    fn open_data(suite: Suite, entry: &Entry, stored: Bytes, len: u32) -> Option<Bytes> {
        open_all(suite, vec![(entry, stored, len)]).pop().flatten()
    }

    fn open_all(suite: Suite, chunks: Vec<(&Entry, Bytes, u32)>) -> Vec<Option<Bytes>> {
        let wanted = |(entry, stored, len)| Wanted { entry, stored, len, place: None };
        let opened = super::open_data(suite, chunks.into_iter().map(wanted).collect(), &Buffers::default());
        opened.into_iter().map(|data| data.map(Bytes::from)).collect()
    }

    /// By every way to hash: of few chunks and of many, side by side and in turn.
    #[test]
    fn what_is_wrong_with_one_chunk_is_nothing_to_the_others() {
        for (suite, count) in Suite::ALL.into_iter().flat_map(|suite| [(suite, 2), (suite, 3), (suite, 9)]) {
            let plain = |n: usize| vec![u8::try_from(n).unwrap(); 100 * n + 1];
            let chunks: Vec<_> = (0..count)
                .map(|n| chunk_of(suite, Kind::Data, encoded(&plain(n), Compression::None)))
                .collect();
            for wrong in 0..count - 1 {
                let mut batch: Vec<_> = chunks.clone();
                let Entry { content, .. } = &mut batch[wrong].1;
                content[0] ^= 1;
                batch[wrong + 1].0 = Bytes::from(vec![0; batch[wrong + 1].0.len()]);
                let asked =
                    batch.iter().zip(0..).map(|((stored, entry), n)| (entry, stored.clone(), 100 * n + 1));
                let opened = open_all(suite, asked.collect());
                assert_eq!(opened.len(), count);
                for (n, data) in opened.into_iter().enumerate() {
                    assert_eq!(data.is_none(), n == wrong || n == wrong + 1);
                    assert!(data.is_none_or(|data| data == plain(n)));
                }
            }
        }
    }

    /// What is decrypted before its name is compared is refused for its name alone.
    #[test]
    fn a_wrong_name_is_refused_over_right_content() {
        for (suite, count) in Suite::ALL.into_iter().flat_map(|suite| [(suite, 1), (suite, 2), (suite, 9)]) {
            let (stored, entry) = chunk_of(suite, Kind::Data, encoded(&[7; 100], Compression::None));
            let mut wrong = entry.clone();
            wrong.name = ChunkId::from_bytes([0; 32]);
            for (entry, is_right) in [(&entry, true), (&wrong, false)] {
                let asked = (0..count).map(|_| (entry, stored.clone(), 100)).collect();
                let opened = open_all(suite, asked);
                assert_eq!(opened.len(), count);
                assert!(opened.iter().all(|data| data.is_some() == is_right));
            }
        }
    }

    fn encoded(plain: &[u8], compression: Compression) -> Vec<u8> {
        let mut buffer = codec::buffer(plain.len());
        buffer.extend_from_slice(plain);
        codec::encode(buffer.into(), compression).to_vec()
    }

    #[test]
    fn a_bomb_in_a_true_chunk_stops_at_its_length() {
        let huge = vec![0; 16 << 20];
        for suite in Suite::ALL {
            for compression in [Compression::Zstd { level: 3 }, Compression::Brotli { quality: 4 }] {
                let mut bomb = encoded(&huge, compression);
                assert!(bomb.len() < 4096);
                bomb[1..5].copy_from_slice(&1024u32.to_le_bytes());
                let (stored, entry) = chunk_of(suite, Kind::Data, bomb);
                assert!(open_data(suite, &entry, stored.clone(), 1024).is_none());
                assert!(open_data(suite, &entry, stored, 16 << 20).is_none());
            }
        }
    }

    #[test]
    fn a_page_and_a_chunk_never_stand_for_each_other() {
        for suite in Suite::ALL {
            let plain = encoded(&[0; 5], Compression::None);
            let (stored, entry) = chunk_of(suite, Kind::Data, plain.clone());
            assert!(open_data(suite, &entry, stored.clone(), 5).is_some());
            assert!(open_page(suite, &entry, stored).is_none());
            let (stored, entry) = chunk_of(suite, Kind::Page, plain);
            assert!(open_page(suite, &entry, stored.clone()).is_some());
            assert!(open_data(suite, &entry, stored, 5).is_none());
        }
    }

    #[test]
    fn a_compressed_or_oversized_page_is_refused() {
        for suite in Suite::ALL {
            for page in [
                encoded(&[0; 5000], Compression::Zstd { level: 3 }),
                encoded(&vec![0; Node::MAX_PAGE + 1], Compression::None),
            ] {
                let (stored, entry) = chunk_of(suite, Kind::Page, page);
                assert!(open_page(suite, &entry, stored).is_none());
            }
        }
    }

    #[test]
    fn a_wrong_content_hash_is_refused_under_a_right_name() {
        for suite in Suite::ALL {
            let (stored, mut entry) = chunk_of(suite, Kind::Data, encoded(b"x", Compression::None));
            assert_eq!(open_data(suite, &entry, stored.clone(), 1).unwrap(), "x");
            assert!(open_data(suite, &entry, stored.clone(), 2).is_none());
            entry.content[0] ^= 1;
            assert!(open_data(suite, &entry, stored, 1).is_none());
        }
    }
}
