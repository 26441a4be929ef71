use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use super::{Capabilities, ChunkId, Error, ErrorKind, Result, StoreInfo};

/// How many requests the default batch methods keep in flight.
const BATCH_IN_FLIGHT: usize = 8;

/// A place to keep immutable, content-addressed chunks.
///
/// # Guarantees
///
/// Every implementation keeps these, and the conformance suite cites them by number.
///
/// * **G1 atomic.** Readers see a whole chunk or none.
/// * **G2 visible.** Once `put` is `Ok`, every handle sees it.
/// * **G3 idempotent.** `put` and `delete` may be repeated; deleting what is absent is `Ok`.
/// * **G4 durable.** As [`Capabilities::durability`] says; always after `flush`.
/// * **G5 absent.** Absence is `Ok(None)`; anything else (a missing bucket, a denied read) is `Err`.
/// * **G6 droppable.** A dropped future leaves the chunk whole or absent; with
///   [`Capabilities::drop_ordered`], a dropped `delete` never erases a later `put` through one handle.
/// * **G7 listing.** Ascending by id. Every chunk present throughout appears once; deletes do not fail
///   it; it ends after an `Err`.
/// * **G8 classified.** Errors say what kind they are and whether retrying can help.
/// * **G9 async.** Nothing blocks the executor.
///
/// # The caller's promise
///
/// One id, one value. If it is broken, the store keeps one of the values whole. A stored value of
/// another length is replaced by `put`, which answers [`PutOutcome::Inserted`]: that heals a truncated
/// chunk.
///
/// `delete` is for a collector that knows no writer relies on the chunk: a `put` and a `delete` of one
/// id at the same time end in either state.
///
/// # Reading is bounded
///
/// `get` never buffers more than [`Capabilities::max_chunk_len`]: a longer stored value is
/// [`ErrorKind::Corrupt`], unread. There is no ranged read, because the name covers the whole chunk and
/// nothing below a whole chunk can be verified.
///
/// Stores do not verify hashes, since they do not know which hash made an id. Every reader above does.
#[async_trait]
pub trait ChunkStore: Debug + Send + Sync + 'static {
    /// What this store promises; constant for its life.
    fn capabilities(&self) -> Capabilities;

    /// Stores `data` under `id`.
    ///
    /// # Errors
    /// [`ErrorKind::ChunkTooLarge`] above the store's limit, with nothing stored; otherwise as the medium
    /// fails. A failed put leaves the chunk absent, or as it was.
    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome>;

    /// The chunk's bytes, or `None` if it is absent.
    ///
    /// # Errors
    /// As the medium fails; absence is not an error (G5).
    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>>;

    /// Removes the chunk.
    ///
    /// # Errors
    /// As the medium fails; removing what is absent is not an error (G3).
    async fn delete(&self, id: ChunkId) -> Result<()>;

    /// The chunks whose ids are greater than `after`, ascending; all of them for `None`.
    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>>;

    /// What and where this store is, for logs. Holds no secrets.
    fn info(&self) -> StoreInfo {
        StoreInfo::backend("store", std::any::type_name::<Self>())
    }

    /// The chunk's id and length, or `None` if it is absent.
    ///
    /// # Errors
    /// As for `get`.
    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        Ok(self.get(id).await?.map(|data| ChunkMeta { id, len: data.len() as u64 }))
    }

    /// Makes every earlier `Ok` survive a crash (G4).
    ///
    /// # Errors
    /// If it cannot; nothing put since the last `Ok` flush may then be relied on.
    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// Stores many chunks; the answers are in the order of the input, each chunk's its own.
    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        stream::iter(chunks).map(|(id, data)| self.put(id, data)).buffered(BATCH_IN_FLIGHT).collect().await
    }

    /// Removes many chunks; the answers are in the order of the input.
    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        stream::iter(ids).map(|id| self.delete(id)).buffered(BATCH_IN_FLIGHT).collect().await
    }
}

/// A chunk's name and the length of what is stored, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkMeta {
    /// The chunk's name.
    pub id: ChunkId,
    /// The length of the stored bytes.
    pub len: u64,
}

/// What a `put` found. Advisory: accounting, not locking (a put retried after a lost reply is `Present`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PutOutcome {
    /// It was not there, or had another length, and now is.
    Inserted,
    /// It was there already.
    Present,
    /// It is there now; whether it was before, the store did not find out.
    Unchecked,
}

impl Capabilities {
    /// Refuses a chunk that is longer than [`Capabilities::max_chunk_len`], for the first line of a `put`.
    ///
    /// # Errors
    /// [`ErrorKind::ChunkTooLarge`], naming the chunk and both lengths.
    pub fn check_len(&self, id: ChunkId, data: &[u8]) -> Result<()> {
        if data.len() as u64 <= self.max_chunk_len {
            return Ok(());
        }
        let message = format!("{} bytes; this store takes at most {}", data.len(), self.max_chunk_len);
        Err(Error::new(ErrorKind::ChunkTooLarge, "put", message).with_chunk(id))
    }
}
