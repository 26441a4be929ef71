use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use selfenc_core::store::{
    Backend, Blocking, DEFAULT_MAX_CHUNK_LEN, Durability, Error, ErrorKind, OpenMode, Result, StoreFactory,
    StoreUrl, off_the_executor,
};

use crate::connect::{Connector, Rewrite};
use crate::destroy::destroy;
use crate::open::{Settings, open};
use crate::{SqliteEngine, SqliteStore};

/// See `docs/performance.md` for what it was chosen from.
const PAGE_SIZE: u32 = 16 << 10;

/// What one transaction takes in chunks, besides its first: large ones gain nothing by company.
const GROUP_BYTES: usize = 4 << 20;

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const READERS: usize = 8;

/// SQLite takes a billion bytes in a row; this leaves room for the row itself.
const LONGEST_CHUNK: u64 = 1_000_000_000 - 1024;

/// Where an SQLite store is and how it is used.
///
/// ```no_run
/// use selfenc_core::store::{Durability, OpenMode};
/// use selfenc_sqlite::SqliteConfig;
///
/// # async fn example() -> selfenc_core::store::Result<()> {
/// let store = SqliteConfig::new("/var/chunks.db").with_durability(Durability::OnFlush);
/// let store = store.open(OpenMode::Existing).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteConfig {
    path: PathBuf,
    durability: Durability,
    max_chunk_len: u64,
    page_size: u32,
    busy_timeout: Duration,
    readers: usize,
    read_only: bool,
    group_bytes: usize,
    vfs: Option<String>,
    rewrite: Rewrite,
}

impl SqliteConfig {
    /// The store in the file `path`, durable on put.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::OnPut,
            max_chunk_len: DEFAULT_MAX_CHUNK_LEN,
            page_size: PAGE_SIZE,
            busy_timeout: BUSY_TIMEOUT,
            readers: READERS,
            read_only: false,
            group_bytes: GROUP_BYTES,
            vfs: None,
            rewrite: Rewrite::default(),
        }
    }

    /// What an `sqlite:` URL says: the path, `durability=on-put` or `on-flush`, and `page_size=` in bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a URL without a path, or with other settings.
    pub fn from_url(url: &StoreUrl) -> Result<Self> {
        url.allow_query(&["durability", "page_size"])?;
        let mut config = Self::new(url.to_file_path()?);
        for (key, value) in url.query() {
            match (key, value) {
                ("durability", "on-put") => config.durability = Durability::OnPut,
                ("durability", "on-flush") => config.durability = Durability::OnFlush,
                ("durability", other) => {
                    return Err(invalid(format!("durability is on-put or on-flush, not '{other}'")));
                }
                (_, size) => config.page_size = size.parse().map_err(|_| bad_page_size(size))?,
            }
        }
        config.check()?;
        Ok(config)
    }

    /// When chunks become durable. [`Durability::OnFlush`] (`synchronous=NORMAL`) saves a sync per
    /// transaction.
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

    /// The size of a page in a new file, in bytes: a power of two from 4096 to 65536. A file that is there
    /// keeps its own.
    #[must_use]
    pub fn with_page_size(mut self, bytes: u32) -> Self {
        self.page_size = bytes;
        self
    }

    /// How long to wait for a connection of another process that holds the file; 5 s unless set.
    #[must_use]
    pub fn with_busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How many connections may read at once; 8 unless set. Each is opened when it is first needed.
    #[must_use]
    pub fn with_readers(mut self, readers: usize) -> Self {
        self.readers = readers;
        self
    }

    /// Never writes to the file: what would is [`ErrorKind::ReadOnly`].
    #[must_use]
    pub fn with_read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// How many bytes of chunks are committed together; 0 commits each alone. For measuring.
    #[doc(hidden)]
    #[must_use]
    pub fn with_group_bytes(mut self, bytes: usize) -> Self {
        self.group_bytes = bytes;
        self
    }

    /// The name of the SQLite VFS below, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_vfs(mut self, name: &str) -> Self {
        self.vfs = Some(name.to_owned());
        self
    }

    /// How the log is written anew, bytes where they stand and then a sync, for tests with another VFS.
    #[doc(hidden)]
    #[must_use]
    pub fn with_rewrite(mut self, rewrite: impl Fn(&Path) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.rewrite = Rewrite(Arc::new(rewrite));
        self
    }

    /// Opens the store.
    ///
    /// `OpenMode::Create` makes the file, not its folder, and completes one whose making was interrupted. A
    /// file that cannot be written is opened to be read.
    ///
    /// # Errors
    /// * [`ErrorKind::ContainerMissing`] with `OpenMode::Existing`, if there is no such file or it is empty;
    ///   in either mode if its folder is not there.
    /// * [`ErrorKind::InvalidInput`] for a file that is no SQLite database or another program's, and for a
    ///   folder; for `Durability::Volatile`, and other settings that cannot be.
    /// * [`ErrorKind::Unsupported`] for a store of a newer schema, and if the SQLite that this program was
    ///   built with is older than 3.51.3.
    /// * [`ErrorKind::Unavailable`] if another process holds the file for longer than the busy timeout.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(self, mode: OpenMode) -> Result<SqliteStore> {
        off_the_executor("open", move || self.open_engine(mode)).await.map(Blocking::new)
    }

    /// Opens the store without a runtime, for [`Blocking`] or for blocking use.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_engine(self, mode: OpenMode) -> Result<SqliteEngine> {
        self.check()?;
        let connector = self.connector("open")?;
        let settings = Settings {
            mode,
            durability: self.durability,
            max_chunk_len: self.max_chunk_len,
            page_size: self.page_size,
            readers: self.readers,
            read_only: self.read_only,
            group_bytes: self.group_bytes,
        };
        open(connector, &settings)
    }

    fn connector(&self, op: &'static str) -> Result<Connector> {
        // A file that is not the operating system's may be called anything.
        let path = if self.vfs.is_some() { self.path.clone() } else { absolute(op, &self.path)? };
        let (vfs, rewrite) = (self.vfs.clone(), self.rewrite.clone());
        Ok(Connector { path, vfs, busy_timeout: self.busy_timeout, rewrite })
    }

    fn check(&self) -> Result<()> {
        if self.durability == Durability::Volatile {
            return Err(invalid("an SQLite store is durable on put or on flush, not volatile"));
        }
        if !self.page_size.is_power_of_two() || !(4096..=65536).contains(&self.page_size) {
            return Err(bad_page_size(&self.page_size.to_string()));
        }
        if self.max_chunk_len > LONGEST_CHUNK {
            return Err(invalid(format!(
                "SQLite keeps chunks of at most {LONGEST_CHUNK} bytes; set a lower limit"
            )));
        }
        Ok(())
    }

    /// The same settings for another file.
    fn url_of(&self, path: &Path) -> Result<StoreUrl> {
        let durability = if self.durability == Durability::OnPut { "on-put" } else { "on-flush" };
        let url = StoreUrl::from_path("sqlite", path)?;
        format!("{url}?durability={durability}&page_size={}", self.page_size).parse()
    }
}

/// Opens `sqlite:` URLs: `sqlite:///path.db`, `sqlite:path.db`, with `?durability=on-flush` to make chunks
/// durable on flush only, and `&page_size=` for a new file.
#[derive(Clone, Copy, Debug, Default)]
pub struct SqliteFactory;

#[async_trait]
impl StoreFactory for SqliteFactory {
    fn scheme(&self) -> &'static str {
        "sqlite"
    }

    async fn open(&self, url: &StoreUrl, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(SqliteConfig::from_url(url)?.open(mode).await?))
    }

    /// The file `name.db` beside that of `url`, whose folder must be there; in it if `url` names a folder.
    async fn corner(&self, url: &StoreUrl, name: &str) -> Result<StoreUrl> {
        // What is no single part of a path is refused there.
        url.join(name)?;
        let (config, file) = (SqliteConfig::from_url(url)?, format!("{name}.db"));
        off_the_executor("corner", move || {
            let path = absolute("corner", &config.path)?;
            let folder = if path.is_dir() { &path } else { path.parent().unwrap_or(&path) };
            check_folder(folder)?;
            config.url_of(&folder.join(file))
        })
        .await
    }

    /// Removes the file and what SQLite keeps beside it. A file that is no store is left, and so is one
    /// that another process has open.
    async fn destroy(&self, url: &StoreUrl) -> Result<()> {
        let connector = SqliteConfig::from_url(url)?.connector("destroy")?;
        off_the_executor("destroy", move || destroy(&connector)).await
    }
}

/// Absolute, so that it stays the same when the program changes its folder, and never looks like one of
/// SQLite's own names (`:memory:`, `file:…`).
fn absolute(op: &'static str, path: &Path) -> Result<PathBuf> {
    std::path::absolute(path)
        .map_err(|e| Error::from_io(op, format!("cannot find {}: {e}", path.display()), e))
}

fn check_folder(folder: &Path) -> Result<()> {
    let name = folder.display();
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Error::new(ErrorKind::InvalidInput, "corner", format!("{name} is not a folder"))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let message = format!("{name}: there is no such folder; make it, or check the path");
            Err(Error::new(ErrorKind::ContainerMissing, "corner", message).with_source(e))
        }
        Err(e) => Err(Error::from_io("corner", format!("cannot look at {name}: {e}"), e)),
    }
}

fn bad_page_size(size: &str) -> Error {
    invalid(format!("page_size is a power of two from 4096 to 65536, not '{size}'"))
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, "open", message)
}
