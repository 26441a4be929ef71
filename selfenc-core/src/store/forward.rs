//! `Arc<S>` and `Box<S>` are stores too, and forward every method, so that a specialised `stat` or
//! `put_many` is never lost behind a pointer.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use super::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Expect, PutOutcome, Result, Root, RootName, RootStore,
    StoreInfo, Swap,
};

macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: ChunkStore + ?Sized> ChunkStore for $pointer<S> {
            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }
            async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
                (**self).put(id, data).await
            }
            async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
                (**self).get(id).await
            }
            async fn delete(&self, id: ChunkId) -> Result<()> {
                (**self).delete(id).await
            }
            fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
                (**self).list(after)
            }
            fn info(&self) -> StoreInfo {
                (**self).info()
            }
            async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
                (**self).stat(id).await
            }
            async fn flush(&self) -> Result<()> {
                (**self).flush().await
            }
            async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
                (**self).put_many(chunks).await
            }
            async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
                (**self).delete_many(ids).await
            }
        }

        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: RootStore + ?Sized> RootStore for $pointer<S> {
            async fn load(&self, name: &RootName) -> Result<Option<Root>> {
                (**self).load(name).await
            }
            async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
                (**self).swap(name, expect, new).await
            }
            fn names(&self) -> BoxStream<'static, Result<RootName>> {
                (**self).names()
            }
        }
    };
}

forward!(Arc);
forward!(Box);
