//! One chunk by itself, for programs that fetch chunks in a way of their own.

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::brotli;
use super::cipher::{self, Neighbours};
use super::generation::Generation;
use super::map::{DataMap, LEAST_CHUNKS};
use crate::engine::{CpuPool, Error, MAX_LEN, MapError, Result};
use crate::store::ChunkId;

impl DataMap {
    /// The content of chunk `index`, of what is stored of it, in either generation. The name of what is stored,
    /// the cipher, the length and the hash of the content are checked.
    ///
    /// # Errors
    /// [`Error::Corrupt`] naming the chunk; [`MapError::Invalid`] if the map has no chunk of this index.
    pub fn decrypt_chunk(&self, index: usize, stored: &[u8]) -> Result<Bytes> {
        let info = self.infos().get(index).ok_or(NO_SUCH_CHUNK)?;
        let chunk = info.dst_hash;
        let open = || {
            let generation = Generation::of_chunk(chunk, stored)?;
            let neighbours = self.neighbours(index, self.child().unwrap_or(0));
            let len = usize::try_from(info.src_size).ok()?;
            cipher::open(generation, &neighbours, stored, len)
        };
        open().map(Bytes::from).ok_or(Error::Corrupt { chunk })
    }

    /// The same of many chunks, each given with its index, on the threads of `pool`; in the order given.
    ///
    /// # Errors
    /// As for [`decrypt_chunk`](Self::decrypt_chunk), of the first that fails.
    pub async fn decrypt_chunks(&self, pool: &CpuPool, chunks: Vec<(usize, Bytes)>) -> Result<Vec<Bytes>> {
        let decrypt = |(index, stored): (usize, Bytes)| {
            let map = self.clone();
            pool.run(move || map.decrypt_chunk(index, &stored))
        };
        stream::iter(chunks).map(decrypt).buffered(pool.threads() + 1).try_collect().await
    }
}

/// The content of chunk `index` of `count`, where nothing is known but the hashes of all contents and how often
/// the map was shrunk whose chunks these are (0 for data). Tries both generations; no content is longer than
/// 64 MiB, and its hash is checked.
///
/// # Errors
/// [`Error::Corrupt`] naming the chunk by its BLAKE3 hash; [`MapError::Invalid`] if there is no chunk of this
/// index, or fewer than three.
pub fn decrypt_chunk(
    index: usize,
    count: usize,
    level: u64,
    src_hash: impl Fn(usize) -> [u8; 32],
    stored: &[u8],
) -> Result<Bytes> {
    if count < LEAST_CHUNKS || index >= count {
        return Err(NO_SUCH_CHUNK.into());
    }
    let neighbours = Neighbours::of(index, level, count, src_hash);
    let open = |generation: Generation| {
        let mut data = stored.to_vec();
        let compressed = cipher::decrypt(generation, &neighbours, &mut data)?;
        let content = brotli::decompress_unknown(compressed, MAX_LEN as usize)?;
        (generation.hash(&content) == neighbours.own).then_some(content)
    };
    // The second says itself whether the key is right; the first decrypts anything.
    let content = [Generation::Two, Generation::One].into_iter().find_map(open);
    let name = || ChunkId::from_bytes(Generation::Two.hash(stored));
    content.map(Bytes::from).ok_or_else(|| Error::Corrupt { chunk: name() })
}

const NO_SUCH_CHUNK: MapError = MapError::Invalid("it has no chunk of this index");

#[cfg(test)]
mod tests {
    use super::super::map::ChunkInfo;
    use super::*;

    /// Three chunks with these contents, encrypted as those of a map that was shrunk `level` times.
    fn three(generation: Generation, level: u64, contents: [&[u8]; 3]) -> (DataMap, Vec<Bytes>) {
        let hashes = contents.map(|content| generation.hash(content));
        let seal = |index: usize| {
            let neighbours = Neighbours::of(index, level, 3, |index| hashes[index]);
            Bytes::from(cipher::seal(generation, &neighbours, contents[index]))
        };
        let stored: Vec<_> = (0..3).map(seal).collect();
        let info = |index: usize| ChunkInfo {
            index: index as u64,
            dst_hash: ChunkId::from_bytes(generation.hash(&stored[index])),
            src_hash: hashes[index],
            src_size: contents[index].len() as u64,
        };
        let infos = (0..3).map(info).collect();
        let map = if level == 0 { DataMap::new(infos) } else { DataMap::with_child(infos, level) };
        (map.unwrap(), stored)
    }

    #[test]
    fn a_chunk_opens_with_and_without_its_map() {
        for (generation, level) in Generation::ALL.into_iter().flat_map(|g| [(g, 0), (g, 2)]) {
            let (map, stored) = three(generation, level, [b"first", b"second", b"third"]);
            let hash = |index: usize| map.infos()[index].src_hash;
            assert_eq!(map.decrypt_chunk(1, &stored[1]).unwrap(), "second");
            assert_eq!(decrypt_chunk(1, 3, level, hash, &stored[1]).unwrap(), "second");
            assert!(matches!(map.decrypt_chunk(1, &stored[0]), Err(Error::Corrupt { chunk })
                if chunk == map.infos()[1].dst_hash));
            assert!(matches!(decrypt_chunk(1, 3, level, hash, &stored[0]), Err(Error::Corrupt { .. })));
            assert!(matches!(map.decrypt_chunk(3, &stored[0]), Err(Error::BadMap(_))));
            assert!(matches!(decrypt_chunk(3, 3, level, hash, &stored[0]), Err(Error::BadMap(_))));
            assert!(matches!(decrypt_chunk(0, 2, level, hash, &stored[0]), Err(Error::BadMap(_))));
        }
    }

    /// 65 MiB of zeros in less than a hundred bytes.
    #[test]
    fn a_chunk_does_not_grow_beyond_the_longest() {
        let bomb = vec![0; 65 << 20];
        for len in [64 << 20, 65 << 20] {
            let hashes = [&bomb[..len], b"b", b"c"].map(|content| Generation::Two.hash(content));
            let hash = |index: usize| hashes[index];
            let stored = cipher::seal(Generation::Two, &Neighbours::of(0, 0, 3, hash), &bomb[..len]);
            assert!(stored.len() < 1000);
            assert_eq!(decrypt_chunk(0, 3, 0, hash, &stored).is_ok(), len == 64 << 20);
        }
    }

    #[tokio::test]
    async fn many_chunks_keep_their_order() {
        let (map, stored) = three(Generation::Two, 0, [b"first", b"second", b"third"]);
        let pool = CpuPool::new(2).unwrap();
        let asked = [2, 0, 1].map(|index| (index, stored[index].clone())).to_vec();
        assert_eq!(map.decrypt_chunks(&pool, asked).await.unwrap(), ["third", "first", "second"]);
        let swapped = vec![(0, stored[0].clone()), (1, stored[2].clone())];
        let e = map.decrypt_chunks(&pool, swapped).await.unwrap_err();
        assert_eq!(e.chunk(), Some(map.infos()[1].dst_hash));
    }
}
