use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use selfenc_core::store::{
    Backend, Blocking, DEFAULT_MAX_CHUNK_LEN, Durability, Error, ErrorKind, OpenMode, Result, StoreFactory,
    StoreUrl,
};

use crate::error::failed;
use crate::os::{Os, RealOs};
use crate::{FsEngine, FsStore};

/// Where a filesystem store is and how it is used.
///
/// ```no_run
/// use selfenc_core::store::{Durability, OpenMode};
/// use selfenc_fs::FsConfig;
///
/// # async fn example() -> selfenc_core::store::Result<()> {
/// let store = FsConfig::new("/var/chunks").with_durability(Durability::OnFlush);
/// let store = store.open(OpenMode::Existing).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FsConfig {
    dir: PathBuf,
    durability: Durability,
    max_chunk_len: u64,
    os: Arc<dyn Os>,
}

impl FsConfig {
    /// The store in `dir`, durable on put.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            durability: Durability::OnPut,
            max_chunk_len: DEFAULT_MAX_CHUNK_LEN,
            os: Arc::new(RealOs),
        }
    }

    /// What a `file:` URL says: the path, and `durability=on-put` or `on-flush`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a URL without a path, or with other settings.
    pub fn from_url(url: &StoreUrl) -> Result<Self> {
        url.allow_query(&["durability"])?;
        let mut config = Self::new(url.to_file_path()?);
        for (_, value) in url.query() {
            config.durability = match value {
                "on-put" => Durability::OnPut,
                "on-flush" => Durability::OnFlush,
                other => {
                    let message = format!("durability is on-put or on-flush, not '{other}'");
                    return Err(Error::new(ErrorKind::InvalidInput, "open", message));
                }
            };
        }
        Ok(config)
    }

    /// When chunks become durable. [`Durability::OnFlush`] saves the syncs of folders: about half of all.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The longest chunk, in bytes; 72 MiB unless set.
    #[must_use]
    pub fn with_max_chunk_len(mut self, bytes: u64) -> Self {
        self.max_chunk_len = bytes;
        self
    }

    /// The operating system below, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_os(mut self, os: Arc<dyn Os>) -> Self {
        self.os = os;
        self
    }

    /// Opens the store.
    ///
    /// `OpenMode::Create` makes the folder, its missing parents and the store, and completes a store whose
    /// making was interrupted.
    ///
    /// # Errors
    /// * [`ErrorKind::ContainerMissing`] with `OpenMode::Existing`, if the folder is missing or is no store.
    /// * [`ErrorKind::InvalidInput`] with `OpenMode::Create`, if the folder holds something else; for a path
    ///   that is no folder; for `Durability::Volatile`.
    /// * [`ErrorKind::Unsupported`] for a store of a newer layout.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(self, mode: OpenMode) -> Result<FsStore> {
        match tokio::task::spawn_blocking(move || self.open_engine(mode)).await {
            Ok(engine) => engine.map(Blocking::new),
            Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Err(_) => Err(Error::new(ErrorKind::Closed, "open", "the runtime is shutting down")),
        }
    }

    /// Opens the store without a runtime, for [`Blocking`] or for blocking use.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_engine(self, mode: OpenMode) -> Result<FsEngine> {
        if self.durability == Durability::Volatile {
            let message = "a filesystem store is durable on put or on flush, not volatile";
            return Err(Error::new(ErrorKind::InvalidInput, "open", message));
        }
        // Absolute, so that it stays the same when the program changes its folder.
        let dir = std::path::absolute(&self.dir).map_err(|e| failed("open", "find", &self.dir, e))?;
        FsEngine::open(self.os, dir, mode, self.durability, self.max_chunk_len)
    }
}

/// Opens `file:` URLs: `file:///path`, `file:path`, with `?durability=on-flush` to make chunks durable on
/// flush only.
#[derive(Clone, Copy, Debug, Default)]
pub struct FsFactory;

#[async_trait]
impl StoreFactory for FsFactory {
    fn scheme(&self) -> &'static str {
        "file"
    }

    async fn open(&self, url: &StoreUrl, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(FsConfig::from_url(url)?.open(mode).await?))
    }
}
