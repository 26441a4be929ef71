use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error as Below, ObjectStore};
use selfenc_core::store::objects::Conditions;
use selfenc_core::store::objects::DuplicateRate;
use selfenc_core::store::{
    Capabilities, DEFAULT_MAX_CHUNK_LEN, Durability, Error, ErrorKind, OpenMode, Result, StoreInfo, StoreUrl,
};
use tokio::sync::OnceCell;

use crate::ObjectBackend;
use crate::conditions::probe;
use crate::error::{failed, io_failed};
use crate::folder::{Folder, is_folder, make_with_parents, remove_leavings};
use crate::layout::Layout;
use crate::open::{Found, find, make};
use crate::redact::clean;
use crate::store::Inner;

/// How many requests a batch keeps in flight unless set.
const IN_FLIGHT: usize = 16;

/// Puts something around the store below, for tests.
type Around = Arc<dyn Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync>;

/// Which objects a store is made of, and how they are used.
///
/// ```no_run
/// use selfenc_core::store::OpenMode;
/// use selfenc_object_store::ObjectStoreConfig;
///
/// # async fn example() -> selfenc_core::store::Result<()> {
/// let store = ObjectStoreConfig::local("/var/objects").open(OpenMode::Create).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ObjectStoreConfig {
    medium: Medium,
    prefix: Path,
    info: Option<StoreInfo>,
    durability: Durability,
    max_chunk_len: u64,
    in_flight: usize,
    conditions: Option<Conditions>,
    checks_puts: bool,
    lists_in_order: bool,
    around: Option<Around>,
}

#[derive(Clone)]
enum Medium {
    Objects(Arc<dyn ObjectStore>),
    Folder(PathBuf),
}

// Not derived: some stores show their credentials.
impl fmt::Debug for ObjectStoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.info.as_ref().map(ToString::to_string);
        f.debug_struct("ObjectStoreConfig")
            .field("info", &place)
            .field("prefix", &self.prefix.as_ref())
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

impl ObjectStoreConfig {
    /// A store in `objects`, which keep what they acknowledge as `durability` says:
    /// [`Durability::OnPut`] or [`Durability::Volatile`].
    ///
    /// For a folder use [`local`](Self::local), which knows more about it.
    #[must_use]
    pub fn new(objects: Arc<dyn ObjectStore>, durability: Durability) -> Self {
        Self::with_medium(Medium::Objects(objects), durability)
    }

    /// A store in a folder, durable on put.
    #[must_use]
    pub fn local(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        let info = StoreInfo::backend("objects", dir.display());
        Self {
            info: Some(info),
            // As its source says: hard links do not replace, and updates are not implemented.
            conditions: Some(Conditions { create: true, update: false }),
            checks_puts: true,
            ..Self::with_medium(Medium::Folder(dir), Durability::OnPut)
        }
    }

    fn with_medium(medium: Medium, durability: Durability) -> Self {
        Self {
            medium,
            prefix: Path::default(),
            info: None,
            durability,
            max_chunk_len: DEFAULT_MAX_CHUNK_LEN,
            in_flight: IN_FLIGHT,
            conditions: None,
            checks_puts: false,
            lists_in_order: false,
            around: None,
        }
    }

    /// What a URL says: `objects:/path`, and with the features for them `gs://bucket/prefix`,
    /// `az://container/prefix`, `http://host/prefix`, `https://host/prefix`.
    ///
    /// Credentials come from the environment, as `object_store` reads it: `GOOGLE_…`, `AZURE_…`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for another scheme, a URL without a path or host, or unknown settings;
    /// [`ErrorKind::Unsupported`] for a scheme whose feature is off.
    pub fn from_url(url: &StoreUrl) -> Result<Self> {
        crate::url::config(url)
    }

    /// Everything below `prefix`, such as `backups/laptop`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for empty parts, `.`, `..`, and what `object_store` does not allow.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self> {
        self.prefix = Path::parse(prefix).map_err(|e| {
            let message = format!("'{}' cannot be a prefix of objects", clean(prefix));
            Error::new(ErrorKind::InvalidInput, "open", message).with_source(e)
        })?;
        Ok(self)
    }

    /// The longest chunk, in bytes; 72 MiB unless set.
    #[must_use]
    pub fn with_max_chunk_len(mut self, bytes: u64) -> Self {
        self.max_chunk_len = bytes;
        self
    }

    /// How many requests a batch keeps in flight; 16 unless set.
    #[must_use]
    pub fn with_in_flight(mut self, requests: usize) -> Self {
        self.in_flight = requests.max(1);
        self
    }

    /// What the service is known to keep, so that `open` does not try it (five requests).
    #[must_use]
    pub fn with_conditions(mut self, known: Conditions) -> Self {
        self.conditions = Some(known);
        self
    }

    /// Whether each put of a new chunk looks first whether the store is still there. Needed where a put
    /// makes a missing container anew, as in a folder; a request more. Off unless set.
    #[must_use]
    pub fn with_checked_puts(mut self, on: bool) -> Self {
        self.checks_puts = on;
        self
    }

    /// Whether the service lists by name, as the large clouds do. Then a listing is one stream; otherwise
    /// it is one request or more for each of 256 shards. Off unless set; the order is checked.
    #[must_use]
    pub fn with_lists_in_order(mut self, on: bool) -> Self {
        self.lists_in_order = on;
        self
    }

    /// What logs call the store; it must hold no secrets.
    #[must_use]
    pub fn with_info(mut self, info: StoreInfo) -> Self {
        self.info = Some(info);
        self
    }

    /// Something around the store below, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_around(
        mut self,
        around: impl Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync + 'static,
    ) -> Self {
        self.around = Some(Arc::new(around));
        self
    }

    /// Opens the store.
    ///
    /// `OpenMode::Create` makes it, and a missing folder; never a bucket.
    ///
    /// # Errors
    /// * [`ErrorKind::ContainerMissing`] with `OpenMode::Existing`, if there is no store; also if there is
    ///   no bucket.
    /// * [`ErrorKind::InvalidInput`] with `OpenMode::Create`, if something else is below the prefix; for a
    ///   path that is no folder; for `Durability::OnFlush`, since nothing here can be flushed.
    /// * [`ErrorKind::Unsupported`] for a store of a newer layout.
    /// * As the service fails.
    pub async fn open(self, mode: OpenMode) -> Result<ObjectBackend> {
        if self.durability == Durability::OnFlush {
            let message = "objects are durable on put, or volatile; there is nothing to flush";
            return Err(Error::new(ErrorKind::InvalidInput, "open", message));
        }
        let (store, folder) = self.reach("open", mode).await?;
        let info = self.info(&store);
        let (layout, place) = (Layout::new(self.prefix), info.to_string());
        let found = find(&store, &layout, &place, mode).await?;
        match (&folder, found) {
            (Some(folder), Found::Nothing) => folder.make_shards().await?,
            (Some(folder), Found::Store) => folder.mend_shards().await?,
            (None, _) => {}
        }
        if found == Found::Nothing {
            make(&store, &layout, &place).await?;
        }
        let known = match self.conditions {
            Some(known) => Some(known),
            None => probe("open", &*store, &layout).await.map(Some).or_else(unless_denied)?,
        };
        let capabilities = Capabilities::new(self.durability)
            .with_exact_outcome(known.is_some_and(|known| known.create))
            .with_roots(known.is_none_or(Conditions::roots))
            .with_drop_ordered(false)
            .with_max_chunk_len(self.max_chunk_len);
        Ok(ObjectBackend(Arc::new(Inner {
            store,
            layout,
            info,
            capabilities,
            conditions: OnceCell::new_with(known),
            checks_puts: self.checks_puts,
            folder,
            duplicates: DuplicateRate::default(),
            in_flight: self.in_flight,
            lists_in_order: self.lists_in_order,
        })))
    }

    /// Removes the store. `Ok` if there is none.
    pub(crate) async fn destroy(self) -> Result<()> {
        let dir = match &self.medium {
            Medium::Folder(dir) if !is_folder("destroy", dir.clone()).await? => return Ok(()),
            Medium::Folder(dir) => Some(dir.clone()),
            Medium::Objects(_) => None,
        };
        let (store, _) = self.reach("destroy", OpenMode::Existing).await?;
        let (place, layout) = (self.info(&store).to_string(), Layout::new(self.prefix));
        let left = crate::destroy::destroy(&store, &layout, &place).await;
        if let Some(dir) = dir.filter(|_| left.is_ok()) {
            remove_leavings(dir).await?;
        }
        left
    }

    /// Whether the medium is there: the folder, the bucket.
    pub(crate) async fn check_medium(self) -> Result<()> {
        let (store, _) = self.reach("corner", OpenMode::Existing).await?;
        let first =
            futures::StreamExt::next(&mut store.list(Some(&self.prefix).filter(|p| !p.is_root()))).await;
        first.transpose().map(drop).map_err(|e| failed("corner", "list what is there", &e))
    }

    /// The store below, and what is known of its folder.
    async fn reach(
        &self,
        op: &'static str,
        mode: OpenMode,
    ) -> Result<(Arc<dyn ObjectStore>, Option<Arc<Folder>>)> {
        let (store, folder): (Arc<dyn ObjectStore>, _) = match &self.medium {
            Medium::Objects(store) => (Arc::clone(store), None),
            Medium::Folder(dir) => {
                let (store, dir) = self.reach_folder(op, dir, mode).await?;
                (Arc::new(store), Some(Folder::new(dir)))
            }
        };
        Ok((
            self.around.as_ref().map_or_else(|| Arc::clone(&store), |around| around(Arc::clone(&store))),
            folder,
        ))
    }

    async fn reach_folder(
        &self,
        op: &'static str,
        dir: &std::path::Path,
        mode: OpenMode,
    ) -> Result<(LocalFileSystem, PathBuf)> {
        if !self.prefix.is_root() {
            let message = "a folder needs no prefix; name the folder below instead";
            return Err(Error::new(ErrorKind::InvalidInput, op, message));
        }
        // Absolute, so that it stays the same when the program changes its folder.
        let dir = std::path::absolute(dir).map_err(|e| io_failed(op, "find the folder", e))?;
        if !is_folder(op, dir.clone()).await? {
            if mode == OpenMode::Existing {
                let message = format!(
                    "{}: there is no such folder; check the path, or create the store",
                    dir.display()
                );
                return Err(Error::new(ErrorKind::ContainerMissing, op, message));
            }
            make_with_parents(dir.clone()).await?;
        }
        // Both work in the same folder, also when a link on the way is turned elsewhere.
        let open = move || {
            let real = std::fs::canonicalize(&dir);
            let real = real.map_err(|e| io_failed(op, &format!("find {}", dir.display()), e))?;
            let store =
                LocalFileSystem::new_with_prefix(&real).map_err(|e| failed(op, "open the folder", &e))?;
            Ok((store.with_fsync(true), real))
        };
        let opened = tokio::task::spawn_blocking(open).await;
        opened.map_err(|source| failed(op, "open the folder", &Below::JoinError { source }))?
    }

    fn info(&self, store: &Arc<dyn ObjectStore>) -> StoreInfo {
        let of_objects = || {
            let slash = if self.prefix.is_root() { "" } else { "/" };
            StoreInfo::backend("object-store", clean(&format!("{store}{slash}{}", self.prefix)))
        };
        self.info.clone().unwrap_or_else(of_objects)
    }
}

/// Who may only read cannot try, and needs not know.
fn unless_denied(e: Error) -> Result<Option<Conditions>> {
    match e.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnly | ErrorKind::Unauthenticated => Ok(None),
        _ => Err(e),
    }
}
