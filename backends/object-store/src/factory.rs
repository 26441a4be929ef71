use std::sync::Arc;

use async_trait::async_trait;
use selfenc_core::store::{Backend, OpenMode, Result, StoreFactory, StoreUrl};

use crate::ObjectStoreConfig;

/// Opens the URLs of one scheme, as [`ObjectStoreConfig::from_url`] describes them.
#[derive(Clone, Copy, Debug)]
pub struct ObjectStoreFactory {
    scheme: &'static str,
}

impl ObjectStoreFactory {
    /// `objects:/path`: a folder.
    pub const LOCAL: Self = Self { scheme: "objects" };

    /// `gs://bucket/prefix`: Google Cloud Storage.
    #[cfg(feature = "gcp")]
    pub const GCS: Self = Self { scheme: "gs" };

    /// `az://container/prefix`: Azure Blob Storage.
    #[cfg(feature = "azure")]
    pub const AZURE: Self = Self { scheme: "az" };

    /// `http://host/prefix`: a WebDAV server, unencrypted.
    #[cfg(feature = "http")]
    pub const HTTP: Self = Self { scheme: "http" };

    /// `https://host/prefix`: a WebDAV server.
    #[cfg(feature = "http")]
    pub const HTTPS: Self = Self { scheme: "https" };
}

#[async_trait]
impl StoreFactory for ObjectStoreFactory {
    fn scheme(&self) -> &'static str {
        self.scheme
    }

    async fn open(&self, url: &StoreUrl, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(ObjectStoreConfig::from_url(url)?.open(mode).await?))
    }

    /// A prefix below that of `url`, in the same bucket or folder, which must be there. A store ignores
    /// what is below its prefix and not its own.
    async fn corner(&self, url: &StoreUrl, name: &str) -> Result<StoreUrl> {
        ObjectStoreConfig::from_url(url)?.check_medium().await?;
        url.join(name)
    }

    /// Removes the store's objects; in a folder also the folders, where nothing else is in them.
    async fn destroy(&self, url: &StoreUrl) -> Result<()> {
        ObjectStoreConfig::from_url(url)?.destroy().await
    }
}
