//! A store that can be stopped between two operations, as if its process were killed there.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use selfenc_core::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, Expect, PutOutcome, Result, Root,
    RootName, RootStore, StoreInfo, Swap,
};
use selfenc_sled::SledStore;
use tokio::sync::{RwLock, RwLockReadGuard};

/// Whether the store is alive; held while it works.
pub type Gate = Arc<RwLock<bool>>;

/// The store, until its gate says that it is dead.
#[derive(Debug)]
pub struct Gated {
    pub inner: Arc<SledStore>,
    pub gate: Gate,
}

impl Gated {
    async fn enter(&self) -> Result<RwLockReadGuard<'_, bool>> {
        let alive = self.gate.read().await;
        if *alive { Ok(alive) } else { Err(Error::new(ErrorKind::Closed, "harness", "it was killed")) }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for Gated {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        let _alive = self.enter().await?;
        self.inner.put(id, data).await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let _alive = self.enter().await?;
        self.inner.get(id).await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        let _alive = self.enter().await?;
        self.inner.delete(id).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.inner.list(after)
    }

    fn info(&self) -> StoreInfo {
        self.inner.info()
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        let _alive = self.enter().await?;
        self.inner.stat(id).await
    }

    async fn flush(&self) -> Result<()> {
        let _alive = self.enter().await?;
        self.inner.flush().await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        match self.enter().await {
            Ok(_alive) => self.inner.put_many(chunks).await,
            Err(e) => chunks.iter().map(|_| Err(Error::new(e.kind(), "put", "it was killed"))).collect(),
        }
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        match self.enter().await {
            Ok(_alive) => self.inner.delete_many(ids).await,
            Err(e) => ids.iter().map(|_| Err(Error::new(e.kind(), "delete", "it was killed"))).collect(),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RootStore for Gated {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        let _alive = self.enter().await?;
        self.inner.load(name).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        let _alive = self.enter().await?;
        self.inner.swap(name, expect, new).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        let (inner, gate) = (Arc::clone(&self.inner), Arc::clone(&self.gate));
        let names = async move {
            let alive = gate.read_owned().await;
            if *alive {
                inner.names()
            } else {
                stream::iter([Err(Error::new(ErrorKind::Closed, "names", "it was killed"))]).boxed()
            }
        };
        stream::once(names).flatten().boxed()
    }
}
