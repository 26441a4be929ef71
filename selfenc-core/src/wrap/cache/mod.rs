mod flight;
mod limits;
mod state;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use self::flight::Flight;
use self::limits::Limits;
use self::state::{Deleting, Entry, Putting, State, Ticket};
use super::verify::{Check, aside, matches};
use crate::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Expect, PutOutcome, Result, Root, RootName, RootStore,
    StoreInfo, Swap,
};

/// Keeps chunks in memory, up to so many bytes, and asks the inner store once for what many want at once.
///
/// What is kept came from a `get` or a `put` that the inner store said `Ok` to. Errors are never kept, nor
/// are roots. A chunk that takes more than a quarter of the budget is not kept. Every entry is a copy and
/// counts with 128 bytes beside its own, so that the budget bounds the memory. The number of entries and their
/// age can be bounded beside that.
///
/// ```
/// # use std::time::Duration;
/// # use selfenc_core::store::ChunkStore;
/// use selfenc_core::wrap::Cache;
///
/// # fn example(store: impl ChunkStore) -> Cache<impl ChunkStore> {
/// // 64 MiB, a thousand chunks and a quarter of an hour, whichever comes first.
/// Cache::new(store, 64 << 20).with_max_entries(1000).with_ttl(Duration::from_secs(900))
/// # }
/// ```
///
/// A hit says what the chunk's bytes are, not that the inner store still has them: `stat`, and so
/// [`contains`](crate::store::ChunkStoreExt::contains), always asks it. A put that finds the chunk there
/// already takes the entry out, so that reading it back reads the inner store. A delete through this cache
/// reaches it before and after the inner store; a delete by somebody else does not, nor one that failed or
/// was dropped and lands later.
///
/// Capabilities are the inner store's; with [`with_exclusive`](Self::with_exclusive), `shared` is off.
#[derive(Clone)]
pub struct Cache<S> {
    inner: Arc<S>,
    state: Arc<State>,
    check: Option<Check>,
    exclusive: bool,
}

/// How a [`Cache`] did since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Gets that the cache answered.
    pub hits: u64,
    /// Gets that went to the inner store, alone or together with others.
    pub misses: u64,
    /// Entries that were no longer what their names say, and were fetched again.
    pub evicted_damaged: u64,
    /// Entries that were asked for when their time was up, and were fetched again.
    pub expired: u64,
    /// What is kept now, in bytes, as it counts against the budget.
    pub bytes: u64,
    /// Entries that are kept now, those included whose time is up and that nobody asked for since.
    pub entries: u64,
}

impl<S> Cache<S> {
    /// Keeps up to `bytes` of what `inner` holds.
    #[must_use]
    pub fn new(inner: S, bytes: u64) -> Self {
        Self { inner: Arc::new(inner), state: State::new(Limits::new(bytes)), check: None, exclusive: false }
    }

    /// Checks every hit, and what is about to be kept, against its name. A damaged entry is taken out and
    /// fetched again; what the inner store gives is passed on as it is.
    #[must_use]
    pub fn with_check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// Says that nobody puts into the inner store but through this cache, which then remembers what is
    /// absent too: until a put fails or is dropped, for that one may still land.
    #[must_use]
    pub fn with_exclusive(mut self, on: bool) -> Self {
        self.exclusive = on;
        self
    }

    /// Keeps no more than `entries` chunks, what is known to be absent included; 0 keeps nothing. The bound in
    /// bytes stays.
    ///
    /// An entry then takes an `entries`-th of the bytes at least. Where chunks are of one length, either bound
    /// can be reached; where small and large ones mix, less may be kept than either allows.
    ///
    /// The cache begins empty and with new counts, shared with no clone that was made before.
    #[must_use]
    pub fn with_max_entries(self, entries: usize) -> Self {
        let limits = Limits { entries: Some(entries), ..self.state.limits() };
        Self { state: State::new(limits), ..self }
    }

    /// Keeps nothing longer than `ttl`, however often it is asked for: from then on it is fetched again, and what
    /// was kept is never returned. Zero keeps nothing. What nobody asks for goes when others need its room.
    ///
    /// The clock is [`tokio::time::Instant`], which stands still in a runtime whose time is paused.
    ///
    /// The cache begins empty and with new counts, shared with no clone that was made before.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        let limits = Limits { ttl: Some(ttl), ..self.state.limits() };
        Self { state: State::new(limits), ..self }
    }

    /// The store that misses go to.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// How it did so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let (entries, bytes) = self.state.size();
        CacheStats {
            hits: self.state.hits.load(Ordering::Relaxed),
            misses: self.state.misses.load(Ordering::Relaxed),
            evicted_damaged: self.state.damaged.load(Ordering::Relaxed),
            expired: self.state.expired.load(Ordering::Relaxed),
            bytes,
            entries,
        }
    }

    /// What the cache answers by itself.
    async fn look_up(&self, id: ChunkId) -> Option<Option<Bytes>> {
        match (self.state.look_up(id)?, self.check) {
            (Entry::Absent, _) => Some(None),
            (Entry::Here(data), Some(check)) if !matches(check, id, &data).await => {
                self.state.evict_damaged(id, &data);
                tracing::warn!(target: "selfenc::store", chunk = %id.short(), "a cached chunk is damaged");
                None
            }
            (Entry::Here(data), _) => Some(Some(data)),
        }
    }
}

impl<S: ChunkStore> Cache<S> {
    /// The request for a chunk that is not kept: under way already, or begun now.
    fn fetch(&self, id: ChunkId) -> Flight {
        let (inner, state) = (Arc::clone(&self.inner), Arc::clone(&self.state));
        let (check, exclusive) = (self.check, self.exclusive);
        self.state.join(id, |ticket| {
            Flight::new(async move {
                let answer = inner.get(id).await;
                match &answer {
                    Ok(Some(data)) => keep(&state, check, &ticket, id, data).await,
                    Ok(None) if exclusive && state.limits().have_room(0) => ticket.keep_absent(),
                    Ok(None) | Err(_) => {}
                }
                ticket.land();
                answer.map_err(Arc::new)
            })
        })
    }

    async fn put_done(&self, putting: &mut Putting, id: ChunkId, data: &Bytes, outcome: PutOutcome) {
        if let Some(ticket) = putting.done(outcome) {
            keep(&self.state, self.check, ticket, id, data).await;
        }
    }
}

/// Keeps a copy of `data`, if it has room and is what its name says. A copy, because `data` may be a small
/// part of a buffer that it would keep alive as a whole.
async fn keep(state: &State, check: Option<Check>, ticket: &Ticket, id: ChunkId, data: &Bytes) {
    if !state.limits().have_room(data.len()) {
        return;
    }
    let shared = data.clone();
    let copy = move || {
        let good = check.is_none_or(|check| check(id, &shared));
        good.then(|| Bytes::copy_from_slice(&shared))
    };
    if let Some(copy) = aside(data.len(), copy).await {
        ticket.keep(copy);
    }
}

impl<S: fmt::Debug> fmt::Debug for Cache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("inner", &self.inner)
            .field("state", &self.state)
            .field("checked", &self.check.is_some())
            .field("exclusive", &self.exclusive)
            .finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ChunkStore> ChunkStore for Cache<S> {
    fn capabilities(&self) -> Capabilities {
        let inner = self.inner.capabilities();
        inner.with_shared(inner.shared && !self.exclusive)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        let mut putting = Putting::start(&self.state, id);
        let outcome = self.inner.put(id, data.clone()).await?;
        self.put_done(&mut putting, id, &data, outcome).await;
        Ok(outcome)
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        if let Some(known) = self.look_up(id).await {
            self.state.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(known);
        }
        self.state.misses.fetch_add(1, Ordering::Relaxed);
        self.fetch(id).answer().await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        let _deleting = Deleting::start(&self.state, id);
        self.inner.delete(id).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.inner.list(after)
    }

    fn info(&self) -> StoreInfo {
        self.inner.info().wrapped("cache", self.state.limits())
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.inner.stat(id).await
    }

    async fn flush(&self) -> Result<()> {
        self.inner.flush().await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        let mut putting: Vec<_> = chunks.iter().map(|(id, _)| Putting::start(&self.state, *id)).collect();
        let outcomes = self.inner.put_many(chunks.clone()).await;
        for ((putting, (id, data)), outcome) in putting.iter_mut().zip(&chunks).zip(&outcomes) {
            if let Ok(outcome) = outcome {
                self.put_done(putting, *id, data, *outcome).await;
            }
        }
        outcomes
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        let _deleting: Vec<_> = ids.iter().map(|id| Deleting::start(&self.state, *id)).collect();
        self.inner.delete_many(ids).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: RootStore> RootStore for Cache<S> {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.inner.load(name).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.inner.swap(name, expect, new).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.inner.names()
    }
}
