use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::OnceLock;

use tokio::io::AsyncRead;

use super::driver::Driver;
use super::output::{self, Output};
use super::storage::{Blocking, storing};
use super::{DataMap, EncryptedChunk, EncryptionStream, XorName, expand};
use crate::compat::{self, Generation, Written};
use crate::{Bytes, CpuPool, EncryptionConfig, Engine, Error, Result};

/// The encrypting functions with what the original has chosen when it is built: the generation of the format,
/// and the longest chunk.
///
/// Two builds of the original with another `MAX_CHUNK_SIZE` share no chunk, and nothing records it. Here it is
/// a number at run time.
///
/// ```
/// use selfenc::classic::functions::{SelfEncryption, decrypt};
/// use selfenc::compat::Generation;
///
/// # fn main() -> selfenc::Result<()> {
/// // What releases 0.34.2 and 0.34.3 write.
/// let old = SelfEncryption::new(Generation::One).with_max_chunk_size(4 << 20);
/// let (data_map, chunks) = old.encrypt("some bytes".into())?;
/// assert_eq!(decrypt(&data_map, &chunks)?, "some bytes");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfEncryption {
    generation: Generation,
    max_chunk_size: u32,
}

/// The second generation in chunks of [`MAX_CHUNK_SIZE`](super::MAX_CHUNK_SIZE), as the newest release.
impl Default for SelfEncryption {
    fn default() -> Self {
        Self::new(Generation::Two)
    }
}

impl SelfEncryption {
    /// What reading may have in flight, in bytes.
    pub(super) const READ_MEMORY: u64 = 256 << 20;

    /// Writes this generation, in chunks of at most its own default.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        Self { generation, max_chunk_size: generation.default_max_chunk_size() }
    }

    /// With another `MAX_CHUNK_SIZE`, in bytes, which the functions check. Beyond 32 MiB, writing takes eight times
    /// as much memory.
    #[must_use]
    pub fn with_max_chunk_size(mut self, bytes: usize) -> Self {
        self.max_chunk_size = u32::try_from(bytes).unwrap_or(u32::MAX);
        self
    }

    /// What it writes.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The longest content of a chunk, in bytes.
    #[must_use]
    pub fn max_chunk_size(&self) -> usize {
        self.max_chunk_size as usize
    }

    /// See [`encrypt`].
    ///
    /// # Errors
    /// As there, and [`Error::InvalidConfig`] for a longest chunk that is not of 113 bytes to 64 MiB − 1.
    #[allow(clippy::needless_pass_by_value)] // as the original has it
    pub fn encrypt(&self, bytes: Bytes) -> Result<(DataMap, Vec<EncryptedChunk>)> {
        let mut stored = HashMap::new();
        let written = self.write(&bytes[..], |name, content| {
            stored.insert(name, content);
            Ok(())
        })?;
        let names = names(&written, |name| kept(&stored, name))?;
        let chunks = names.into_iter().map(|name| Ok(EncryptedChunk { content: kept(&stored, name)? }));
        Ok((written.map.into(), chunks.collect::<Result<_>>()?))
    }

    /// See [`encrypt_from_file`].
    ///
    /// # Errors
    /// As there, and [`Error::InvalidConfig`] for a longest chunk that is not of 113 bytes to 64 MiB − 1.
    pub fn encrypt_from_file(&self, file_path: &Path, output_dir: &Path) -> Result<(DataMap, Vec<XorName>)> {
        let path = |name: XorName| output_dir.join(name.to_hex());
        let written = self.write(open(file_path)?, |name, content| {
            let mut file = Output::create(&path(name))?;
            file.write(&content)?;
            file.rename().map(drop)
        })?;
        output::sync(output_dir)?;
        let read = |name| fs::read(path(name)).map(Bytes::from).map_err(output::failed("read", &path(name)));
        let names = names(&written, read)?;
        Ok((written.map.into(), names))
    }

    /// See [`shrink_data_map`].
    ///
    /// # Errors
    /// As there, and [`Error::InvalidConfig`] for a longest chunk that is not of 113 bytes to 64 MiB − 1.
    pub fn shrink_data_map<F>(
        &self,
        data_map: DataMap,
        mut store_chunk: F,
    ) -> Result<(DataMap, Vec<EncryptedChunk>)>
    where
        F: FnMut(XorName, Bytes) -> Result<()>,
    {
        if data_map.len() <= 3 {
            return Ok((data_map, Vec::new()));
        }
        let mut stored = HashMap::new();
        let store = |name, content: Bytes| {
            stored.insert(name, content.clone());
            store_chunk(name, content)
        };
        let (map, engine) = (compat::DataMap::try_from(data_map)?, self.engine()?);
        let level = map.child().unwrap_or(0);
        let driver = Driver::new(|caller| async move { engine.shrink(caller.store(), map).await });
        let shrunk = driver.finish(storing(store))?;
        let maps = expand::levels(shrunk.clone(), level, |name| kept(&stored, name))?;
        let content = |name| Ok(EncryptedChunk { content: kept(&stored, name)? });
        let chunks = maps.iter().flat_map(names_of).map(content).collect::<Result<_>>()?;
        Ok((shrunk.into(), chunks))
    }

    /// See [`streaming_encrypt_from_file`].
    ///
    /// # Errors
    /// As there, and [`Error::InvalidConfig`] for a longest chunk that is not of 113 bytes to 64 MiB − 1.
    pub fn streaming_encrypt_from_file<F>(&self, file_path: &Path, store_chunk: F) -> Result<DataMap>
    where
        F: FnMut(XorName, Bytes) -> Result<()>,
    {
        Ok(self.write(open(file_path)?, store_chunk)?.map.into())
    }

    /// See [`streaming_encrypt_datamaps_from_file`].
    ///
    /// # Errors
    /// As there, and [`Error::InvalidConfig`] for a longest chunk that is not of 113 bytes to 64 MiB − 1.
    pub fn streaming_encrypt_datamaps_from_file(&self, file_path: &Path) -> Result<(DataMap, DataMap)> {
        let written = self.write(open(file_path)?, |_, _| Ok(()))?;
        Ok((written.map.into(), written.root.into()))
    }

    /// See [`stream_encrypt`].
    ///
    /// # Errors
    /// As there, and [`Error::InvalidConfig`] for a longest chunk that is not of 113 bytes to 64 MiB − 1.
    pub fn stream_encrypt<I>(&self, data_size: usize, data_iter: I) -> Result<EncryptionStream<I>>
    where
        I: Iterator<Item = Bytes>,
    {
        EncryptionStream::new(self.engine()?, data_size as u64, data_iter)
    }

    fn write<R, F>(&self, source: R, store_chunk: F) -> Result<Written>
    where
        R: AsyncRead + Send,
        F: FnMut(XorName, Bytes) -> Result<()>,
    {
        let engine = self.engine()?;
        let driver = Driver::new(|caller| async move { engine.write(caller.store(), source).await });
        driver.finish(storing(store_chunk))
    }

    /// An engine whose memory is enough for four longest chunks, twice each.
    fn engine(&self) -> Result<compat::Engine> {
        let memory = 4 * (2 * u64::from(self.max_chunk_size) + (128 << 10));
        let native = native(memory.max(Self::READ_MEMORY))?;
        compat::Engine::new(&native, self.generation).with_max_chunk_size(self.max_chunk_size)
    }

    /// What reads both generations.
    pub(super) fn reader() -> Result<compat::Engine> {
        Ok(compat::Engine::new(&native(Self::READ_MEMORY)?, Generation::Two))
    }

    /// The threads that all these functions share: one for each core.
    pub(in crate::classic) fn pool() -> Result<CpuPool> {
        static POOL: OnceLock<CpuPool> = OnceLock::new();
        if let Some(pool) = POOL.get() {
            return Ok(pool.clone());
        }
        let pool = CpuPool::new(0)?;
        Ok(POOL.get_or_init(|| pool).clone())
    }
}

fn native(memory: u64) -> Result<Engine> {
    Engine::with_pool(EncryptionConfig::new().with_memory_budget(memory), SelfEncryption::pool()?)
}

fn open(path: &Path) -> Result<Blocking<File>> {
    File::open(path).map(Blocking).map_err(output::failed("open", path))
}

fn kept(stored: &HashMap<XorName, Bytes>, name: XorName) -> Result<Bytes> {
    stored.get(&name).cloned().ok_or(Error::ChunkMissing { chunk: name.into() })
}

/// The names of all chunks in the original's order: those of the data, then those of each level of maps.
fn names(written: &Written, get_chunk: impl FnMut(XorName) -> Result<Bytes>) -> Result<Vec<XorName>> {
    let maps = expand::levels(written.map.clone(), 0, get_chunk)?;
    Ok([&written.root].into_iter().chain(&maps).flat_map(names_of).collect())
}

fn names_of(map: &compat::DataMap) -> impl Iterator<Item = XorName> {
    map.infos().iter().map(|info| info.dst_hash.into())
}

/// Encrypts `bytes` in memory. The chunks are all that reading needs, those of maps included; the map is the
/// secret.
///
/// ```
/// use selfenc::Bytes;
/// use selfenc::classic::functions::{decrypt, encrypt};
///
/// # fn main() -> selfenc::Result<()> {
/// let data = Bytes::from("Hello, World!".repeat(1000));
/// let (data_map, encrypted_chunks) = encrypt(data.clone())?;
/// assert_eq!(decrypt(&data_map, &encrypted_chunks)?, data);
/// # Ok(())
/// # }
/// ```
///
/// It may also be called inside of an async runtime, whose thread it then keeps busy.
///
/// # Errors
/// [`Error::TooShort`] for fewer than [`MIN_ENCRYPTABLE_BYTES`](super::MIN_ENCRYPTABLE_BYTES).
pub fn encrypt(bytes: Bytes) -> Result<(DataMap, Vec<EncryptedChunk>)> {
    SelfEncryption::default().encrypt(bytes)
}

/// Encrypts a file of any length into a folder, which must be there: each chunk is a file named by its 64 hex
/// digits. Returns the map and the names.
///
/// Each file is written under a temporary name and renamed. After a failure, whole chunks may be left.
///
/// # Errors
/// [`Error::Store`] naming the file that fails, or [`Error::Source`] if it is the input while it is read;
/// [`Error::TooShort`] for fewer than three bytes.
pub fn encrypt_from_file(file_path: &Path, output_dir: &Path) -> Result<(DataMap, Vec<XorName>)> {
    SelfEncryption::default().encrypt_from_file(file_path, output_dir)
}

/// Encrypts `data_map` itself, and the map of that, until it has three chunks; `store_chunk` keeps what that
/// makes. Returns the map and the chunks. A map of no more than three chunks comes back as it is.
///
/// ```
/// use std::collections::HashMap;
/// use selfenc::classic::functions::{SelfEncryption, get_root_data_map, shrink_data_map};
/// use selfenc::{Error, compat::Generation};
///
/// # fn main() -> selfenc::Result<()> {
/// # let file = std::env::temp_dir().join(format!("selfenc-shrink-{}", std::process::id()));
/// # std::fs::write(&file, vec![7; 5000]).unwrap();
/// let small_chunks = SelfEncryption::new(Generation::Two).with_max_chunk_size(1024);
/// let (_, data_map) = small_chunks.streaming_encrypt_datamaps_from_file(&file)?;
/// # std::fs::remove_file(&file).unwrap();
/// assert_eq!(data_map.len(), 5);
///
/// let mut storage = HashMap::new();
/// let store = |name, content| {
///     storage.insert(name, content);
///     Ok(())
/// };
/// let (shrunk, _) = shrink_data_map(data_map.clone(), store)?;
/// assert_eq!((shrunk.len(), shrunk.child()), (3, Some(1)));
///
/// let mut retrieve = |name| storage.get(&name).cloned().ok_or(Error::ChunkMissing { chunk: name.into() });
/// assert_eq!(get_root_data_map(shrunk, &mut retrieve)?, data_map);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::BadMap`] for what is no map, or what `store_chunk` returns.
pub fn shrink_data_map<F>(data_map: DataMap, store_chunk: F) -> Result<(DataMap, Vec<EncryptedChunk>)>
where
    F: FnMut(XorName, Bytes) -> Result<()>,
{
    SelfEncryption::default().shrink_data_map(data_map, store_chunk)
}

/// Encrypts a file of any length in constant memory; `store_chunk` keeps each chunk under its name. The third
/// chunk comes first, and the first two when the input has ended.
///
/// # Errors
/// [`Error::Store`] if the file cannot be opened, [`Error::Source`] if it cannot be read;
/// [`Error::TooShort`] for fewer than three bytes; or what `store_chunk` returns, which ends everything.
pub fn streaming_encrypt_from_file<F>(file_path: &Path, store_chunk: F) -> Result<DataMap>
where
    F: FnMut(XorName, Bytes) -> Result<()>,
{
    SelfEncryption::default().streaming_encrypt_from_file(file_path, store_chunk)
}

/// The maps that a file would get, and nothing stored: the one that the other functions return, then the one of
/// the data itself.
///
/// # Errors
/// As for [`streaming_encrypt_from_file`].
pub fn streaming_encrypt_datamaps_from_file(file_path: &Path) -> Result<(DataMap, DataMap)> {
    SelfEncryption::default().streaming_encrypt_datamaps_from_file(file_path)
}

/// Encrypts what an iterator gives, `data_size` bytes in all, as its chunks are asked for.
///
/// ```
/// use std::collections::HashMap;
/// use selfenc::{Bytes, Result};
/// use selfenc::classic::functions::{XorName, stream_encrypt, streaming_decrypt};
///
/// # fn main() -> selfenc::Result<()> {
/// let data = b"Hello, world!".repeat(1000);
/// let mut stream = stream_encrypt(data.len(), data.chunks(1024).map(Bytes::copy_from_slice))?;
/// let mut storage = HashMap::new();
/// for chunk in stream.chunks() {
///     let (name, content) = chunk?;
///     storage.insert(name, content);
/// }
/// let data_map = stream.into_datamap().expect("the stream came to its end");
///
/// let stream = streaming_decrypt(&data_map, |wanted: &[(usize, XorName)]| {
///     Ok(wanted.iter().map(|(index, name)| (*index, storage[name].clone())).collect())
/// })?;
/// let pieces: Vec<_> = stream.collect::<Result<_>>()?;
/// assert_eq!(pieces.concat(), data);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooShort`] for a `data_size` of fewer than three bytes. An input that turns out to be shorter or
/// longer is an error of the stream.
pub fn stream_encrypt<I>(data_size: usize, data_iter: I) -> Result<EncryptionStream<I>>
where
    I: Iterator<Item = Bytes>,
{
    SelfEncryption::default().stream_encrypt(data_size, data_iter)
}
