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
        url.allow_query(&[])?;
        if !url.path().is_empty() {
            let message = format!("'{url}': a memory store has no path; write memory:");
            return Err(Error::new(ErrorKind::InvalidInput, "open", message));
        }
        Ok(Arc::new(MemoryStore::new()))
    }
}
