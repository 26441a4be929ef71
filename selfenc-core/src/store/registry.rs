use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Backend, Error, ErrorKind, Result, StoreUrl};

/// The backends that can be opened by URL. Open: a third party's [`StoreFactory`] joins by `register`.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    factories: BTreeMap<&'static str, Arc<dyn StoreFactory>>,
}

/// Opens the stores of one URL scheme.
#[async_trait]
pub trait StoreFactory: Debug + Send + Sync + 'static {
    /// The scheme, in lower case and without the colon.
    fn scheme(&self) -> &'static str;

    /// Opens the store at `url`, whose scheme is this one's.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a URL it cannot read, [`ErrorKind::ContainerMissing`] if there is no
    /// store and `mode` does not make one, or as the medium fails.
    async fn open(&self, url: &StoreUrl, mode: OpenMode) -> Result<Arc<dyn Backend>>;
}

/// What to do where there is no store yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Fail with [`ErrorKind::ContainerMissing`].
    Existing,
    /// Make an empty one.
    Create,
}

impl Registry {
    /// A registry that knows no scheme.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a backend, in place of an earlier one of the same scheme.
    #[must_use]
    pub fn register(mut self, factory: impl StoreFactory) -> Self {
        self.factories.insert(factory.scheme(), Arc::new(factory));
        self
    }

    /// The schemes that can be opened, in order.
    pub fn schemes(&self) -> impl Iterator<Item = &'static str> {
        self.factories.keys().copied()
    }

    /// Opens the store at `url`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a URL that cannot be read, or whose scheme is not registered (the
    /// message lists those that are); otherwise as the backend fails.
    pub async fn open(&self, url: &str, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        let url: StoreUrl = url.parse()?;
        let Some(factory) = self.factories.get(url.scheme()) else {
            let known: Vec<_> = self.schemes().collect();
            let message = format!("no backend for '{}:'; this build has {}", url.scheme(), known.join(", "));
            return Err(Error::new(ErrorKind::InvalidInput, "open", message));
        };
        factory.open(&url, mode).await
    }
}
