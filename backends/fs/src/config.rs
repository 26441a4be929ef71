use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use selfenc_core::store::{
    Backend, Blocking, DEFAULT_MAX_CHUNK_LEN, Durability, Error, ErrorKind, OpenMode, Result, StoreFactory,
    StoreUrl, off_the_executor,
};

use crate::destroy::destroy;
use crate::error::failed;
use crate::layout::{FsLayout, Layout};
use crate::open::not_a_folder;
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
    layout: Option<FsLayout>,
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
            layout: None,
            durability: Durability::OnPut,
            max_chunk_len: DEFAULT_MAX_CHUNK_LEN,
            os: Arc::new(RealOs),
        }
    }

    /// What a `file:` URL says: the path, `durability=on-put` or `on-flush`, and `layout=flat`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a URL without a path, or with other settings.
    pub fn from_url(url: &StoreUrl) -> Result<Self> {
        url.allow_query(&["durability", "layout"])?;
        let mut config = Self::new(url.to_file_path()?);
        for (name, value) in url.query() {
            config = match (name, value) {
                ("durability", "on-put") => config.with_durability(Durability::OnPut),
                ("durability", "on-flush") => config.with_durability(Durability::OnFlush),
                ("layout", "flat") => config.with_layout(FsLayout::Flat),
                ("layout", other) => {
                    let message = format!("layout is flat, or left out, not '{other}'");
                    return Err(Error::new(ErrorKind::InvalidInput, "open", message));
                }
                (_, other) => {
                    let message = format!("durability is on-put or on-flush, not '{other}'");
                    return Err(Error::new(ErrorKind::InvalidInput, "open", message));
                }
            };
        }
        Ok(config)
    }

    /// How the store uses its folder. Unless told, a folder that is there, without a marker, and in which files
    /// are named by 64 hexadecimal digits, is opened as flat; none is made so.
    #[must_use]
    pub fn with_layout(mut self, layout: FsLayout) -> Self {
        self.layout = Some(layout);
        self
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
    ///   that is no folder; for a store that is not flat, if it is to be; for `Durability::Volatile`.
    /// * [`ErrorKind::Unsupported`] for a store of a newer layout.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(self, mode: OpenMode) -> Result<FsStore> {
        off_the_executor("open", move || self.open_engine(mode)).await.map(Blocking::new)
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
        let dir = absolute("open", &self.dir)?;
        FsEngine::open(&self.os, &dir, self.layout, mode, self.durability, self.max_chunk_len)
    }
}

/// Opens `file:` URLs: `file:///path`, `file:path`, with `?durability=on-flush` to make chunks durable on
/// flush only, and `?layout=flat` for a folder of nothing but chunks.
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

    /// A folder in that of `url`, which must be there; whether it is a store does not matter. A store
    /// looks at no other names in its folder than its own.
    async fn corner(&self, url: &StoreUrl, name: &str) -> Result<StoreUrl> {
        let dir = FsConfig::from_url(url)?.dir;
        off_the_executor("corner", move || check_folder(&absolute("corner", &dir)?)).await?;
        url.join(name)
    }

    /// Removes the store's files, and the folder if nothing else is in it. Other files, and whatever is
    /// behind a symbolic link, are left.
    async fn destroy(&self, url: &StoreUrl) -> Result<()> {
        let FsConfig { dir, layout, .. } = FsConfig::from_url(url)?;
        let layout = layout.unwrap_or_default();
        off_the_executor("destroy", move || destroy(&Layout::new(absolute("destroy", &dir)?, layout))).await
    }
}

/// Absolute, so that it stays the same when the program changes its folder.
fn absolute(op: &'static str, dir: &Path) -> Result<PathBuf> {
    std::path::absolute(dir).map_err(|e| failed(op, "find", dir, e))
}

fn check_folder(dir: &Path) -> Result<()> {
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(not_a_folder("corner", dir)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let message = format!("{}: there is no such folder; make it, or check the path", dir.display());
            Err(Error::new(ErrorKind::ContainerMissing, "corner", message).with_source(e))
        }
        Err(e) => Err(failed("corner", "look at", dir, e)),
    }
}
