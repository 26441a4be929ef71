use std::collections::HashMap;
use std::path::Path;

use futures::TryStreamExt;

use super::driver::Driver;
use super::output::Output;
use super::storage::fetching;
use super::{DataMap, EncryptedChunk, SelfEncryption, XorName, streaming_decrypt};
use crate::compat::{self, Generation};
use crate::{Bytes, Error, Result};

/// The data behind `data_map`, of chunks in memory, in any order and of either generation. Chunks of something
/// else do not matter.
///
/// # Errors
/// [`Error::ChunkMissing`] naming a chunk that is not there; [`Error::BadMap`] for what is no map;
/// [`Error::Corrupt`] for a map that does not belong to its chunks.
pub fn decrypt(data_map: &DataMap, chunks: &[EncryptedChunk]) -> Result<Bytes> {
    let mut chunks = Chunks::new(chunks);
    let get = |name| chunks.get(name).ok_or(Error::ChunkMissing { chunk: name.into() });
    let engine = SelfEncryption::reader()?;
    let map = compat::DataMap::try_from(data_map)?;
    let read =
        Driver::new(
            |caller| async move { engine.open(caller.store(), map).await?.read_at(0, usize::MAX).await },
        );
    read.finish(fetching(get))
}

/// [`decrypt`], by the name that the original's README promises.
///
/// # Errors
/// As there.
pub fn decrypt_full_set(data_map: &DataMap, chunks: &[EncryptedChunk]) -> Result<Bytes> {
    decrypt(data_map, chunks)
}

/// The content of one chunk, where nothing is known but its index, the hashes of all contents, and how often the
/// map was shrunk whose chunks these are: 0 for data. Either generation is read.
///
/// With a map at hand, [`DataMapIndex::decrypt_chunk`](super::DataMapIndex::decrypt_chunk) checks more.
///
/// # Errors
/// [`Error::Corrupt`] unless it is the chunk of this index, and at most 64 MiB; [`Error::BadMap`] if there is no
/// chunk of this index.
pub fn decrypt_chunk(
    chunk_index: usize,
    content: &Bytes,
    src_hashes: &[XorName],
    child_level: usize,
) -> Result<Bytes> {
    let hash = |index: usize| src_hashes[index].0;
    compat::decrypt_chunk(chunk_index, src_hashes.len(), child_level as u64, hash, content)
}

/// Writes the data behind `data_map` to a file, in constant memory. `get_chunk` brings what is stored under a
/// name.
///
/// The file is there as a whole or not at all: it is written under a temporary name, made durable once, and
/// renamed, also over an older one.
///
/// ```
/// use std::fs;
/// use selfenc::classic::functions::{decrypt_from_storage, encrypt_from_file};
/// use selfenc::store::{self, ErrorKind};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = std::env::temp_dir().join(format!("selfenc-functions-{}", std::process::id()));
/// # fs::create_dir_all(dir.join("chunks"))?;
/// fs::write(dir.join("input"), "some bytes")?;
/// let (data_map, names) = encrypt_from_file(&dir.join("input"), &dir.join("chunks"))?;
/// assert_eq!(names.len(), 3);
///
/// decrypt_from_storage(&data_map, &dir.join("output"), |name| {
///     let read = fs::read(dir.join("chunks").join(name.to_hex()));
///     Ok(read.map_err(|e| store::Error::from_io("get", "", e).with_chunk(name.into()))?.into())
/// })?;
/// assert_eq!(fs::read(dir.join("output"))?, b"some bytes");
/// # fs::remove_dir_all(dir)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Corrupt`] naming a chunk that is not what the map says; [`Error::BadMap`]; [`Error::Store`] naming
/// the file if it cannot be written; or what `get_chunk` returns, which ends everything.
pub fn decrypt_from_storage<F>(data_map: &DataMap, output_filepath: &Path, get_chunk: F) -> Result<()>
where
    F: FnMut(XorName) -> Result<Bytes>,
{
    let engine = SelfEncryption::reader()?;
    let map = compat::DataMap::try_from(data_map)?;
    let mut output = Output::create(output_filepath)?;
    let read = Driver::new(|caller| async move {
        let reader = engine.open(caller.store(), map).await?;
        let mut pieces = reader.stream(0..reader.len());
        while let Some(piece) = pieces.try_next().await? {
            output.write(&piece)?;
        }
        Ok(output)
    });
    read.finish(fetching(get_chunk))?.finish()
}

/// [`decrypt_from_storage`] with a function that brings many chunks at once: of each pair of index and name, the
/// index and what is stored under the name, in any order.
///
/// # Errors
/// As there, and [`Error::ChunkMissing`] naming a chunk that was left out.
pub fn streaming_decrypt_from_storage<F>(
    data_map: &DataMap,
    output_filepath: &Path,
    get_chunk_parallel: F,
) -> Result<()>
where
    F: Fn(&[(usize, XorName)]) -> Result<Vec<(usize, Bytes)>>,
{
    let mut output = Output::create(output_filepath)?;
    for piece in streaming_decrypt(data_map, get_chunk_parallel)? {
        output.write(&piece?)?;
    }
    output.finish()
}

/// The chunk of these bytes, if `name` is theirs in either generation.
///
/// # Errors
/// [`Error::Corrupt`] naming the chunk.
pub fn verify_chunk(name: XorName, bytes: &[u8]) -> Result<EncryptedChunk> {
    let chunk = name.into();
    match Generation::of_chunk(chunk, bytes) {
        Some(_) => Ok(EncryptedChunk { content: Bytes::copy_from_slice(bytes) }),
        None => Err(Error::Corrupt { chunk }),
    }
}

/// Chunks in memory, by their names in one generation, and once that is not enough, in both.
struct Chunks<'a> {
    given: &'a [EncryptedChunk],
    by_name: HashMap<XorName, &'a Bytes>,
    named: Vec<Generation>,
}

impl<'a> Chunks<'a> {
    fn new(given: &'a [EncryptedChunk]) -> Self {
        Self { given, by_name: HashMap::with_capacity(given.len()), named: Vec::new() }
    }

    fn get(&mut self, name: XorName) -> Option<Bytes> {
        for generation in [Generation::Two, Generation::One] {
            if !self.named.contains(&generation) {
                let entry =
                    |chunk: &'a EncryptedChunk| (XorName(generation.hash(&chunk.content)), &chunk.content);
                self.by_name.extend(self.given.iter().map(entry));
                self.named.push(generation);
            }
            if let Some(found) = self.by_name.get(&name) {
                return Some((*found).clone());
            }
        }
        None
    }
}
