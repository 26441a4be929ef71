use std::sync::Arc;

use async_trait::async_trait;
use selfenc_core::store::{Backend, Error, ErrorKind, OpenMode, Result, StoreFactory, StoreUrl};

use crate::MemoryStore;

/// Opens `memory:` URLs. Each opening is a new, empty store, in either mode.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryFactory;

#[async_trait]
impl StoreFactory for MemoryFactory {
    fn scheme(&self) -> &'static str {
        "memory"
    }

    async fn open(&self, url: &StoreUrl, _mode: OpenMode) -> Result<Arc<dyn Backend>> {
        check("open", url)?;
        Ok(Arc::new(MemoryStore::new()))
    }

    /// The same URL: each opening is a store of its own.
    async fn corner(&self, url: &StoreUrl, _name: &str) -> Result<StoreUrl> {
        check("corner", url)?;
        Ok(url.clone())
    }

    /// There is nothing to remove: a store is gone with its last handle.
    async fn destroy(&self, url: &StoreUrl) -> Result<()> {
        check("destroy", url)
    }
}

fn check(op: &'static str, url: &StoreUrl) -> Result<()> {
    url.allow_query(&[])?;
    if url.path().is_empty() {
        return Ok(());
    }
    let message = format!("'{url}': a memory store has no path; write memory:");
    Err(Error::new(ErrorKind::InvalidInput, op, message))
}

#[cfg(test)]
mod tests {
    use selfenc_core::store::Registry;

    use super::*;

    #[tokio::test]
    async fn a_corner_is_just_another_store() {
        let corner = Registry::new().register(MemoryFactory).corner("memory:").await.unwrap();
        corner.open(OpenMode::Create).await.unwrap();
        corner.destroy().await.unwrap();
        assert_eq!(corner.open(OpenMode::Create).await.unwrap_err().kind(), ErrorKind::Closed);
        let bad: StoreUrl = "memory:/a".parse().unwrap();
        assert_eq!(MemoryFactory.corner(&bad, "x").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(MemoryFactory.destroy(&bad).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
