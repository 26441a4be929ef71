//! A fast store in front of a slow one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use self::fast::{Look, news};
use super::fence::Fence;
use super::verify::{Check, matches};
use crate::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, Expect, PutOutcome, Result, Root,
    RootName, RootStore, StoreInfo, Swap,
};

mod fast;

/// A fast store in front of a slow one, which is the truth.
///
/// * `put` is `Ok` once the slow store has the chunk; if it is new there, the fast one gets it too, if it
///   can take it.
/// * `get` asks the fast store first. What it lacks, cannot read or has damaged comes from the slow one,
///   and goes back into the fast one.
/// * `delete` reaches both, or is an error: first the fast store, then the slow one. No refill that was
///   under way brings the chunk back. After a delete that failed or was dropped, the fast store may still
///   show the chunk until the delete is repeated.
/// * `stat`, `list`, `flush` and the roots are the slow store's alone: what is durable is asked of the
///   truth.
///
/// Nothing is evicted from the fast store: once it is full its puts fail, which is counted, and the slow
/// store serves the rest. A fast store that may hang wants a [`Timeout`](super::Timeout) around it. What
/// somebody else deletes from the slow store stays readable here until it is deleted here.
///
/// Capabilities are the slow store's, with `drop_ordered` and `deletes` only if both are.
pub struct Tiered<F, S> {
    fast: Arc<F>,
    slow: Arc<S>,
    check: Option<Check>,
    fence: Arc<Fence>,
    counters: Arc<Counters>,
}

/// How a [`Tiered`] fared. Calls of `get`, but for `fast_errors`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TieredStats {
    /// Answered by the fast store.
    pub hits: u64,
    /// Not in the fast store.
    pub misses: u64,
    /// Damaged in the fast store: removed and, if the slow store had it, put again.
    pub damaged: u64,
    /// Requests to the fast store, batch members each, that failed and cost nothing but time.
    pub fast_errors: u64,
}

#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    damaged: AtomicU64,
    fast_errors: AtomicU64,
}

impl<F: ChunkStore, S: ChunkStore> Tiered<F, S> {
    /// Puts `fast` in front of `slow`.
    #[must_use]
    pub fn new(fast: F, slow: S) -> Self {
        Self {
            fast: Arc::new(fast),
            slow: Arc::new(slow),
            check: None,
            fence: Arc::default(),
            counters: Arc::default(),
        }
    }

    /// Checks what either store gives against its name, so that damage in the fast one heals and damage
    /// in the slow one does not spread.
    #[must_use]
    pub fn with_check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// The slow store, which is the truth.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.slow
    }

    /// The store in front.
    #[must_use]
    pub fn fast(&self) -> &F {
        &self.fast
    }

    /// How it fared so far.
    #[must_use]
    pub fn stats(&self) -> TieredStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TieredStats {
            hits: read(&self.counters.hits),
            misses: read(&self.counters.misses),
            damaged: read(&self.counters.damaged),
            fast_errors: read(&self.counters.fast_errors),
        }
    }

    fn can_delete(&self, id: ChunkId) -> Result<()> {
        if self.capabilities().deletes {
            return Ok(());
        }
        let message = "one of the two stores deletes nothing";
        Err(Error::new(ErrorKind::Unsupported, "delete", message).with_chunk(id))
    }
}

/// Whether `data` is what `id` says, as far as can be told.
pub(super) async fn passes(check: Option<Check>, id: ChunkId, data: &Bytes) -> bool {
    match check {
        Some(check) => matches(check, id, data).await,
        None => true,
    }
}

/// What a store owes for a member of a batch that it gave no answer for.
pub(super) fn unanswered(op: &'static str) -> Error {
    Error::new(ErrorKind::Other, op, "the store gave fewer answers than it was asked for")
}

fn count(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

impl<F: fmt::Debug, S: fmt::Debug> fmt::Debug for Tiered<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiered")
            .field("check", &self.check.is_some())
            .field("fast", &self.fast)
            .field("slow", &self.slow)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<F: ChunkStore, S: ChunkStore> ChunkStore for Tiered<F, S> {
    fn capabilities(&self) -> Capabilities {
        let (fast, slow) = (self.fast.capabilities(), self.slow.capabilities());
        slow.with_drop_ordered(slow.drop_ordered && fast.drop_ordered)
            .with_deletes(slow.deletes && fast.deletes)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        let change = self.fence.change([id]);
        let outcome = self.slow.put(id, data.clone()).await;
        if let Some(data) = news(&outcome, data) {
            self.follow(change, vec![(id, Some(data))]).await;
        }
        outcome
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let look = self.look(id).await;
        if let Look::Hit(data) = look {
            return Ok(Some(data));
        }
        let ticket = self.fence.ticket(id);
        let damaged = matches!(look, Look::Damaged);
        let found = match self.slow.get(id).await {
            Ok(Some(data)) if !passes(self.check, id, &data).await => {
                let message = "the bytes in the slow store are not what the chunk's name says";
                Err(Error::new(ErrorKind::Corrupt, "get", message).with_chunk(id))
            }
            found => found,
        };
        let data = found.as_ref().ok().cloned().flatten();
        if damaged || (data.is_some() && !matches!(look, Look::Failed)) {
            self.refill(ticket, damaged, id, data).await;
        }
        found
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.can_delete(id)?;
        let _change = self.begin_delete([id]).await;
        self.fast.delete(id).await?;
        self.slow.delete(id).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.slow.list(after)
    }

    fn info(&self) -> StoreInfo {
        StoreInfo::around("tiered", [self.fast.info(), self.slow.info()])
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.slow.stat(id).await
    }

    async fn flush(&self) -> Result<()> {
        self.slow.flush().await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        let change = self.fence.change(chunks.iter().map(|(id, _)| *id));
        let results = self.slow.put_many(chunks.clone()).await;
        let taken = chunks.into_iter().zip(&results).map(|((id, data), result)| (id, news(result, data)));
        self.follow(change, taken.collect()).await;
        results
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        if !self.capabilities().deletes {
            return ids.into_iter().map(|id| self.can_delete(id)).collect();
        }
        let _change = self.begin_delete(ids.iter().copied()).await;
        let fast = self.fast.delete_many(ids.clone()).await;
        let gone = ids.iter().zip(&fast).filter(|(_, result)| result.is_ok());
        let mut slow = self.slow.delete_many(gone.map(|(id, _)| *id).collect()).await.into_iter();
        fast.into_iter()
            .map(|result| result.and_then(|()| slow.next().unwrap_or_else(|| Err(unanswered("delete")))))
            .collect()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<F: ChunkStore, S: RootStore> RootStore for Tiered<F, S> {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.slow.load(name).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.slow.swap(name, expect, new).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.slow.names()
    }
}
