use std::sync::Arc;

use async_trait::async_trait;
use selfenc_core::store::{Backend, OpenMode, Result, StoreFactory, StoreUrl};

use crate::S3Config;
use crate::destroy::destroy;

/// Opens `s3:` URLs, as the [crate's documentation](crate#urls) describes them.
#[derive(Clone, Copy, Debug)]
pub struct S3Factory;

#[async_trait]
impl StoreFactory for S3Factory {
    fn scheme(&self) -> &'static str {
        "s3"
    }

    async fn open(&self, url: &StoreUrl, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(S3Config::from_url(url)?.open(mode).await?))
    }

    /// A prefix below that of `url`, in the same bucket, which must be there. A store ignores what is below
    /// its prefix and not its own.
    async fn corner(&self, url: &StoreUrl, name: &str) -> Result<StoreUrl> {
        Arc::new(S3Config::from_url(url)?.reach("corner").await?).check_medium("corner").await?;
        url.join(name)
    }

    /// Removes the store's objects. In a bucket with versions, what S3 keeps of them stays.
    async fn destroy(&self, url: &StoreUrl) -> Result<()> {
        destroy(&Arc::new(S3Config::from_url(url)?.reach("destroy").await?)).await
    }
}
