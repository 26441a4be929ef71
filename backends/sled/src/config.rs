use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use selfenc_core::store::{
    Backend, Blocking, DEFAULT_MAX_CHUNK_LEN, Error, ErrorKind, OpenMode, Result, StoreFactory, StoreUrl,
    off_the_executor,
};

use crate::destroy::destroy;
use crate::error::io_failed;
use crate::layout::Layout;
use crate::open::{not_a_folder, open};
use crate::{SledEngine, SledStore};

/// sled's own default is 1 GiB.
const DEFAULT_CACHE: u64 = 16 << 20;

/// Less than this sled cannot divide among its 256 shards.
const MIN_CACHE: u64 = 1 << 20;

/// Where a store in a sled database is and how it is used.
///
/// ```no_run
/// use selfenc_core::store::OpenMode;
/// use selfenc_sled::SledConfig;
///
/// # async fn example() -> selfenc_core::store::Result<()> {
/// let store = SledConfig::new("/var/chunks").with_cache_capacity(64 << 20).open(OpenMode::Existing).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SledConfig {
    dir: PathBuf,
    cache: u64,
    max_chunk_len: u64,
    sync: fn(&File) -> io::Result<()>,
}

impl SledConfig {
    /// The store in `dir`, with a cache of 16 MiB.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            cache: DEFAULT_CACHE,
            max_chunk_len: DEFAULT_MAX_CHUNK_LEN,
            sync: File::sync_all,
        }
    }

    /// What a `sled:` URL says: the path, and `cache=` in bytes, or with `K`, `M` or `G` in powers of 1024.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a URL without a path, or with other settings.
    pub fn from_url(url: &StoreUrl) -> Result<Self> {
        url.allow_query(&["cache"])?;
        let mut config = Self::new(url.to_file_path()?);
        for (_, value) in url.query() {
            config.cache = parse_bytes(value).ok_or_else(|| {
                let message = format!("cache is a number of bytes such as 16777216 or 16M, not '{value}'");
                Error::new(ErrorKind::InvalidInput, "open", message)
            })?;
        }
        Ok(config)
    }

    /// How much of the database sled keeps in memory, in bytes, at least 1 MiB. sled needs some 70 MiB beside
    /// it.
    #[must_use]
    pub fn with_cache_capacity(mut self, bytes: u64) -> Self {
        self.cache = bytes;
        self
    }

    /// The longest chunk, in bytes; 72 MiB unless set.
    #[must_use]
    pub fn with_max_chunk_len(mut self, bytes: u64) -> Self {
        self.max_chunk_len = bytes;
        self
    }

    /// How `flush` syncs sled's log, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_sync(mut self, sync: fn(&File) -> io::Result<()>) -> Self {
        self.sync = sync;
        self
    }

    /// Opens the store.
    ///
    /// `OpenMode::Create` makes the folder, its missing parents and the store, and completes a store whose
    /// making was interrupted.
    ///
    /// # Errors
    /// * [`ErrorKind::ContainerMissing`] with `OpenMode::Existing`, if the folder is missing or is no store.
    /// * [`ErrorKind::InvalidInput`] with `OpenMode::Create`, if the folder holds something else, such as
    ///   another program's database; for a path that is no folder; for a cache below 1 MiB.
    /// * [`ErrorKind::Unsupported`] for a store of a newer layout.
    /// * [`ErrorKind::Locked`] if it is open already, here or in another process.
    /// * [`ErrorKind::Corrupt`] if sled cannot read its files.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(self, mode: OpenMode) -> Result<SledStore> {
        off_the_executor("open", move || self.open_engine(mode)).await.map(Blocking::new)
    }

    /// Opens the store without a runtime, for [`Blocking`] or for blocking use.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_engine(self, mode: OpenMode) -> Result<SledEngine> {
        if self.cache < MIN_CACHE {
            let message = format!("a cache of {} bytes is too small; give it 1M or more", self.cache);
            return Err(Error::new(ErrorKind::InvalidInput, "open", message));
        }
        let layout = Layout::new(absolute("open", &self.dir)?);
        SledEngine::new(open(layout, mode, self.cache, self.sync)?, self.max_chunk_len)
    }
}

/// Opens `sled:` URLs: `sled:///path`, `sled:path`, with `?cache=64M` for a larger cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct SledFactory;

#[async_trait]
impl StoreFactory for SledFactory {
    fn scheme(&self) -> &'static str {
        "sled"
    }

    async fn open(&self, url: &StoreUrl, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(SledConfig::from_url(url)?.open(mode).await?))
    }

    /// A folder in that of `url`, which must be there; whether it is a store does not matter. A store
    /// looks at no other names in its folder than its own.
    async fn corner(&self, url: &StoreUrl, name: &str) -> Result<StoreUrl> {
        let dir = SledConfig::from_url(url)?.dir;
        off_the_executor("corner", move || check_folder(&absolute("corner", &dir)?)).await?;
        url.join(name)
    }

    /// Removes the store's files, and the folder if nothing else is in it. Other files, and whatever is
    /// behind a symbolic link, are left.
    async fn destroy(&self, url: &StoreUrl) -> Result<()> {
        let dir = SledConfig::from_url(url)?.dir;
        off_the_executor("destroy", move || destroy(absolute("destroy", &dir)?)).await
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(unit)
}

/// Absolute, so that it stays the same when the program changes its folder.
fn absolute(op: &'static str, dir: &Path) -> Result<PathBuf> {
    std::path::absolute(dir).map_err(|e| io_failed(op, "find", dir, e))
}

fn check_folder(dir: &Path) -> Result<()> {
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(not_a_folder("corner", dir)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let message = format!("{}: there is no such folder; make it, or check the path", dir.display());
            Err(Error::new(ErrorKind::ContainerMissing, "corner", message).with_source(e))
        }
        Err(e) => Err(io_failed("corner", "look at", dir, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("1048576", 1 << 20), ("64K", 64 << 10), ("16M", 16 << 20), ("2G", 2 << 30)] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for bad in ["", "M", "-1", "+1", "1.5M", "16MB", "é", "99999999999999999999", "99999999999G"] {
            assert_eq!(parse_bytes(bad), None, "{bad}");
        }
    }
}
