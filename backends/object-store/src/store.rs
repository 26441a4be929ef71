use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    Error as Below, GetResult, GetResultPayload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use selfenc_core::store::objects::Conditions;
use selfenc_core::store::objects::DuplicateRate;
use selfenc_core::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, PutOutcome, Result, StoreInfo,
};
use tokio::sync::OnceCell;

use crate::conditions::probe;
use crate::error::{failed, is_ambiguous, is_not_found, is_unsupported};
use crate::folder::{Folder, Writing};
use crate::layout::Layout;
use crate::open::gone;

/// How often a put starts again because others put and deleted the same chunk in between.
const PUT_ATTEMPTS: usize = 5;

/// A store in objects; opened by [`ObjectStoreConfig`](crate::ObjectStoreConfig).
#[derive(Clone)]
pub struct ObjectBackend(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) layout: Layout,
    pub(crate) info: StoreInfo,
    pub(crate) capabilities: Capabilities,
    /// Empty while nobody was allowed to try.
    pub(crate) conditions: OnceCell<Conditions>,
    /// A put would make a missing container anew.
    pub(crate) checks_puts: bool,
    pub(crate) folder: Option<Arc<Folder>>,
    pub(crate) duplicates: DuplicateRate,
    pub(crate) in_flight: usize,
    /// The service lists by name, all of it in one stream.
    pub(crate) lists_in_order: bool,
}

// Not derived: some stores show their credentials.
impl fmt::Debug for ObjectBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBackend")
            .field("info", &self.0.info)
            .field("capabilities", &self.0.capabilities)
            .finish_non_exhaustive()
    }
}

/// What a look at a chunk's object showed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    SameLength,
    OtherLength,
}

impl Inner {
    /// Tells a missing chunk or root from a missing store.
    pub(crate) async fn check_container(&self, op: &'static str) -> Result<()> {
        match self.store.head(&self.layout.marker).await {
            Ok(_) => Ok(()),
            Err(e) if is_not_found(&e) => Err(gone(op, &self.info.to_string(), &e)),
            Err(e) => Err(failed(op, "look at the marker of the store", &e)),
        }
    }

    /// The conditions that the service keeps, tried now if nobody could before.
    pub(crate) async fn conditions(&self, op: &'static str) -> Result<Conditions> {
        self.conditions.get_or_try_init(|| probe(op, &*self.store, &self.layout)).await.copied()
    }

    /// After a look that found nothing.
    async fn check_absent(&self, op: &'static str, id: ChunkId) -> Result<()> {
        if let Some(folder) = &self.folder {
            folder.check_vacant(op, id).await?;
        }
        self.check_container(op).await
    }

    /// The length of the chunk's object, if there is one.
    async fn look(&self, op: &'static str, id: ChunkId) -> Result<Option<u64>> {
        match self.store.head(&self.layout.chunk(id)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(e) if is_not_found(&e) => self.check_absent(op, id).await.map(|()| None),
            Err(e) => Err(failed(op, "look at the object of the chunk", &e)),
        }
    }

    async fn look_for(&self, id: ChunkId, len: u64) -> Result<Seen> {
        Ok(match self.look("put", id).await? {
            None => Seen::Nothing,
            Some(found) if found == len => Seen::SameLength,
            Some(_) => Seen::OtherLength,
        })
    }

    /// Looking first is cheap in a folder, and pays elsewhere while there are duplicates.
    fn looks_first(&self) -> bool {
        self.folder.is_some() || self.duplicates.is_likely()
    }

    async fn put_chunk(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        let len = data.len() as u64;
        if self.folder.as_ref().is_some_and(|folder| folder.doubts(id)) {
            self.check_container("put").await?;
            return self.write(id, data, PutMode::Overwrite).await.map_err(|e| cannot_write(&e));
        }
        let mut creates = self.conditions.get().is_none_or(|known| known.create);
        // A look that finds nothing looks for the store as well.
        let mut seen = if self.looks_first() { Some(self.look_for(id, len).await?) } else { None };
        if seen.is_none() && creates && self.checks_puts {
            self.check_container("put").await?;
        }
        let mut last = None;
        for _ in 0..PUT_ATTEMPTS {
            let mode = match seen {
                Some(Seen::SameLength) => return self.present(id).await,
                Some(Seen::OtherLength) => PutMode::Overwrite,
                _ if creates => PutMode::Create,
                Some(Seen::Nothing) => PutMode::Overwrite,
                None => {
                    seen = Some(self.look_for(id, len).await?);
                    continue;
                }
            };
            let is_create = mode == PutMode::Create;
            match self.write(id, data.clone(), mode).await {
                Ok(outcome) => return Ok(outcome),
                // It exists, or a race is undecided: a look tells.
                Err(e @ (Below::AlreadyExists { .. } | Below::Precondition { .. })) => {
                    seen = Some(self.look_for(id, len).await?);
                    last = Some(e);
                }
                Err(e) if is_create && is_unsupported(&e) => (creates, seen) = (false, None),
                // It may be there all the same, whoever put it. (In a folder it is not durable then.)
                Err(e) if is_create && is_ambiguous(&e) && self.folder.is_none() => {
                    match self.look_for(id, len).await {
                        Ok(Seen::SameLength) => return self.present(id).await,
                        _ => return Err(cannot_write(&e)),
                    }
                }
                Err(e) => return Err(cannot_write(&e)),
            }
        }
        Err(last.map_or_else(changing, |e| cannot_write(&e)))
    }

    async fn present(&self, id: ChunkId) -> Result<PutOutcome> {
        if let Some(folder) = &self.folder {
            let writing = folder.writing(id);
            folder.settle(id).await?;
            writing.end();
        }
        self.duplicates.note(true);
        Ok(PutOutcome::Present)
    }

    async fn write(&self, id: ChunkId, data: Bytes, mode: PutMode) -> Result<PutOutcome, Below> {
        let payload = PutPayload::from_bytes(data);
        let writing = self.folder.as_ref().map(|folder| folder.writing(id));
        let written = self.store.put_opts(&self.layout.chunk(id), payload, PutOptions::from(mode)).await;
        writing.into_iter().for_each(Writing::end);
        match (&written, &self.folder) {
            (Ok(_), Some(folder)) => folder.note_written(id),
            (Err(Below::AlreadyExists { .. }), _) | (_, None) => {}
            (Err(_), Some(folder)) => folder.note_failed(id),
        }
        if written.is_ok() {
            self.duplicates.note(false);
        }
        written.map(|_| PutOutcome::Inserted)
    }

    async fn get_chunk(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let found = match self.store.get(&self.layout.chunk(id)).await {
            Ok(found) => found,
            Err(e) if is_not_found(&e) => return self.check_absent("get", id).await.map(|()| None),
            Err(e) => return Err(failed("get", "read the object of the chunk", &e)),
        };
        let max = self.capabilities.max_chunk_len;
        read_body("get", found, max).await.map(Some)
    }

    fn note_deleted(&self, id: ChunkId) {
        if let Some(folder) = &self.folder {
            folder.note_deleted(id);
        }
    }

    async fn delete_chunk(&self, id: ChunkId) -> Result<()> {
        match self.store.delete(&self.layout.chunk(id)).await {
            Ok(()) => {
                self.note_deleted(id);
                Ok(())
            }
            Err(e) if is_not_found(&e) => {
                // Somebody else's delete, or one's own that was dropped, may not be durable yet.
                self.check_container("delete").await?;
                self.note_deleted(id);
                Ok(())
            }
            Err(e) => Err(failed("delete", "remove the object of the chunk", &e)),
        }
    }

    /// Removes what a service removes in one go; the rest, and whatever failed, one by one, so that each
    /// has an answer of its own.
    async fn delete_together(&self, ids: &[ChunkId]) -> HashSet<Path> {
        let paths: Vec<_> = ids.iter().map(|id| Ok(self.layout.chunk(*id))).collect();
        let removed = self.store.delete_stream(stream::iter(paths).boxed());
        removed.filter_map(|removed| std::future::ready(removed.ok())).collect().await
    }
}

/// The whole body, of the length that was announced, or an error. Never reads more than `max` bytes.
pub(crate) async fn read_body(op: &'static str, found: GetResult, max: u64) -> Result<Bytes> {
    let len = found.meta.size;
    if len > max {
        let message = format!("its object has {len} bytes, more than the longest allowed, {max}");
        return Err(Error::new(ErrorKind::Corrupt, op, message));
    }
    let cannot = |e: &Below| failed(op, "read the object to its end", e);
    if let GetResultPayload::File(..) = found.payload {
        return found.bytes().await.map_err(|e| cannot(&e));
    }
    let mut body = found.into_stream();
    let (mut whole, mut parts, mut read) = (Bytes::new(), Vec::new(), 0);
    while let Some(part) = body.next().await {
        let part = part.map_err(|e| cannot(&e))?;
        read += part.len() as u64;
        if read > len {
            let message = format!("the service sends more than the {len} bytes that it announced");
            let cause = io::Error::from(io::ErrorKind::InvalidData);
            return Err(Error::new(ErrorKind::Corrupt, op, message).with_source(cause));
        }
        if whole.is_empty() {
            whole = part;
        } else if !part.is_empty() {
            // Copied, not kept: a part of a few bytes may hold a large buffer.
            if parts.is_empty() {
                parts.reserve_exact(usize::try_from(len).unwrap_or_default());
                parts.extend_from_slice(&whole);
            }
            parts.extend_from_slice(&part);
        }
    }
    if read < len {
        let message = format!("the answer ended after {read} of {len} bytes");
        let cause = io::Error::from(io::ErrorKind::UnexpectedEof);
        return Err(Error::new(ErrorKind::Unavailable, op, message).with_source(cause));
    }
    Ok(if parts.is_empty() { whole } else { parts.into() })
}

fn cannot_write(e: &Below) -> Error {
    failed("put", "write the object of the chunk", e)
}

fn changing() -> Error {
    Error::new(ErrorKind::Conflict, "put", "others put and delete this chunk all the time; try again later")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for ObjectBackend {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.0.capabilities.check_len(id, &data)?;
        self.0.put_chunk(id, data).await.map_err(|e| e.with_chunk(id))
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.0.get_chunk(id).await.map_err(|e| e.with_chunk(id))
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.0.delete_chunk(id).await.map_err(|e| e.with_chunk(id))
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        crate::list::list(Arc::clone(&self.0), after)
    }

    fn info(&self) -> StoreInfo {
        self.0.info.clone()
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        let found = self.0.look("stat", id).await.map_err(|e| e.with_chunk(id))?;
        Ok(found.map(|len| ChunkMeta { id, len }))
    }

    async fn flush(&self) -> Result<()> {
        match &self.0.folder {
            Some(folder) => folder.flush().await,
            None => Ok(()),
        }
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        let puts = stream::iter(chunks).map(|(id, data)| self.put(id, data));
        puts.buffered(self.0.in_flight).collect().await
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        let removed = self.0.delete_together(&ids).await;
        let one_by_one = stream::iter(ids).map(|id| {
            let is_removed = removed.contains(&self.0.layout.chunk(id));
            async move {
                if is_removed {
                    self.0.note_deleted(id);
                    return Ok(());
                }
                self.delete(id).await
            }
        });
        one_by_one.buffered(self.0.in_flight).collect().await
    }
}
