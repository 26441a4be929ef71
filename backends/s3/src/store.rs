use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use selfenc_core::store::objects::{Conditions, DuplicateRate, ObjectNames};
use selfenc_core::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, PutOutcome, Result, StoreInfo, attended,
};
use tokio::sync::OnceCell;

use crate::delete::Rung;
use crate::guard::Guard;
use crate::put::PutStrategy;
use crate::request::{Lane, Requests};

/// A store in a bucket; opened by [`S3Config`](crate::S3Config).
#[derive(Clone)]
pub struct S3Backend {
    pub(crate) inner: Arc<Inner>,
    pub(crate) capabilities: Capabilities,
}

pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) names: ObjectNames,
    pub(crate) info: StoreInfo,
    pub(crate) max_chunk_len: u64,
    pub(crate) requests: Requests,
    /// Empty while nobody was allowed to try.
    pub(crate) conditions: OnceCell<Conditions>,
    /// Whether puts ask for the condition; off once the service has said that it knows none.
    pub(crate) creates: AtomicBool,
    pub(crate) strategy: PutStrategy,
    pub(crate) duplicates: DuplicateRate,
    pub(crate) kept_as: KeptAs,
    pub(crate) guard: Guard,
    /// How a batch of deletes is sent, as far as this service has been found to take it.
    pub(crate) rung: Rung,
    /// Members of a batch that are asked for at a time.
    pub(crate) in_flight: usize,
    /// Keys in a page of a listing.
    pub(crate) page: i32,
}

// Not derived: a client shows too much of itself.
impl fmt::Debug for S3Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Backend")
            .field("info", &self.inner.info)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

/// How the service is to keep objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptAs {
    pub(crate) class: Option<StorageClass>,
    pub(crate) encryption: Option<ServerSideEncryption>,
    pub(crate) kms_key: Option<String>,
}

impl KeptAs {
    pub(crate) fn applied(&self, request: PutObjectFluentBuilder) -> PutObjectFluentBuilder {
        request
            .set_storage_class(self.class.clone())
            .set_server_side_encryption(self.encryption.clone())
            .set_ssekms_key_id(self.kms_key.clone())
    }
}

impl Inner {
    async fn get_chunk(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let operation = self.begin("get", Lane::Data, 0);
        let doing = "read the object of the chunk";
        let key = self.names.chunk(id);
        let found = self.get_object(&operation, &key, self.max_chunk_len, doing).await?;
        Ok(found.map(|found| found.bytes))
    }

    async fn stat_chunk(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        let operation = self.begin("stat", Lane::Data, 0);
        let found = self.look(&operation, &self.names.chunk(id)).await?;
        if found.is_none() {
            self.check_bucket(&operation).await?;
        }
        Ok(found.map(|len| ChunkMeta { id, len }))
    }

    async fn delete_chunk(&self, id: ChunkId) -> Result<()> {
        let operation = self.begin("delete", Lane::Maintenance, 0);
        let doing = "remove the object of the chunk";
        Ok(self.delete_object(&operation, &self.names.chunk(id), doing).await?)
    }
}

impl S3Backend {
    /// Does `work` in a task of its own, so that what has a permit gives it back also when nobody polls.
    pub(crate) async fn run<T, W>(
        &self,
        op: &'static str,
        work: impl FnOnce(Arc<Inner>) -> W + Send,
    ) -> Result<T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        attended(op, work(Arc::clone(&self.inner))).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for S3Backend {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.capabilities.check_len(id, &data)?;
        let put = self.run("put", move |inner| async move { inner.put_chunk(id, data).await });
        put.await.map_err(|e| e.with_chunk(id))
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let get = self.run("get", move |inner| async move { inner.get_chunk(id).await });
        get.await.map_err(|e| e.with_chunk(id))
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        let delete = self.run("delete", move |inner| async move { inner.delete_chunk(id).await });
        delete.await.map_err(|e| e.with_chunk(id))
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        crate::list::chunks(Arc::clone(&self.inner), after)
    }

    fn info(&self) -> StoreInfo {
        self.inner.info.clone()
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        let stat = self.run("stat", move |inner| async move { inner.stat_chunk(id).await });
        stat.await.map_err(|e| e.with_chunk(id))
    }

    /// What the service has acknowledged is durable.
    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        let puts = stream::iter(chunks).map(|(id, data)| self.put(id, data));
        puts.buffered(self.inner.in_flight).collect().await
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        crate::delete::many(&self.inner, ids).await
    }
}
