use std::collections::hash_map::RandomState;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::{Mutex, Semaphore};

use super::attended::attended;
use super::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, Expect, PutOutcome, Result, Root,
    RootName, RootStore, StoreInfo, Swap,
};

/// Locks for ids: few enough to cost nothing, enough that two ids in flight seldom share one.
const STRIPES: usize = 1024;

/// Blocking calls at once. tokio's own limit of 512 threads would let one busy store take them all.
const THREADS: usize = 64;

/// A storage engine whose calls block: files, sled, SQLite. [`Blocking`] makes it a store.
///
/// Each method means what its namesake in [`ChunkStore`] and [`RootStore`] does. Writes to one id
/// through one [`Blocking`] never overlap; reads may overlap anything.
pub trait BlockingEngine: Debug + Send + Sync + 'static {
    /// See [`ChunkStore::capabilities`].
    fn capabilities(&self) -> Capabilities;
    /// See [`ChunkStore::info`].
    fn info(&self) -> StoreInfo;
    /// See [`ChunkStore::put`]. The length was checked.
    ///
    /// # Errors
    /// As there.
    fn put(&self, id: ChunkId, data: &Bytes) -> Result<PutOutcome>;
    /// See [`ChunkStore::get`].
    ///
    /// # Errors
    /// As there.
    fn get(&self, id: ChunkId) -> Result<Option<Bytes>>;
    /// See [`ChunkStore::stat`].
    ///
    /// # Errors
    /// As there.
    fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>>;
    /// See [`ChunkStore::delete`].
    ///
    /// # Errors
    /// As there.
    fn delete(&self, id: ChunkId) -> Result<()>;
    /// The next chunks after `after`, ascending, as many as come naturally; empty at the end.
    ///
    /// # Errors
    /// As for [`ChunkStore::list`].
    fn page(&self, after: Option<ChunkId>) -> Result<Vec<ChunkMeta>>;
    /// See [`ChunkStore::flush`].
    ///
    /// # Errors
    /// As there.
    fn flush(&self) -> Result<()>;
    /// See [`RootStore::load`].
    ///
    /// # Errors
    /// As there.
    fn load(&self, name: &RootName) -> Result<Option<Root>>;
    /// See [`RootStore::swap`]. Swaps of one name through one [`Blocking`] never overlap.
    ///
    /// # Errors
    /// As there.
    fn swap(&self, name: &RootName, expect: &Expect, new: Option<Bytes>) -> Result<Swap>;
    /// Every root's name; see [`RootStore::names`].
    ///
    /// # Errors
    /// As there.
    fn names(&self) -> Result<Vec<RootName>>;
}

/// The one adapter that makes a [`BlockingEngine`] a store.
///
/// Calls run on tokio's blocking threads, at most 64 at once. A write takes its id's lock before it
/// starts, and the lock moves into the blocking closure: when the caller drops the future, the orphaned
/// write still finishes before the next write to that id starts (guarantee G6).
#[derive(Debug)]
pub struct Blocking<E> {
    engine: Arc<E>,
    locks: Stripes,
    threads: Arc<Semaphore>,
}

impl<E: BlockingEngine> Blocking<E> {
    /// Makes `engine` a store.
    #[must_use]
    pub fn new(engine: E) -> Self {
        Self { engine: Arc::new(engine), locks: Stripes::new(), threads: Arc::new(Semaphore::new(THREADS)) }
    }

    /// The engine below.
    #[must_use]
    pub fn engine(&self) -> &E {
        &self.engine
    }

    async fn run<T, F>(&self, op: &'static str, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&E) -> Result<T> + Send + 'static,
    {
        run(Arc::clone(&self.engine), Arc::clone(&self.threads), op, future::ready(()), call).await
    }

    async fn run_locked<T, F>(&self, op: &'static str, key: impl Hash, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&E) -> Result<T> + Send + 'static,
    {
        let lock = self.locks.of(key).lock_owned();
        run(Arc::clone(&self.engine), Arc::clone(&self.threads), op, lock, call).await
    }
}

/// Runs `call` on a blocking thread while it holds `lock`.
///
/// Waiting for the lock and for a thread is [`attended`]: it must not be granted to somebody who is not
/// polled any more. Dropping the caller's future ends the wait; a call that has begun keeps the lock to
/// its end.
async fn run<E, T, L, F>(
    engine: Arc<E>,
    threads: Arc<Semaphore>,
    op: &'static str,
    lock: impl Future<Output = L> + Send + 'static,
    call: F,
) -> Result<T>
where
    E: BlockingEngine,
    T: Send + 'static,
    L: Send + 'static,
    F: FnOnce(&E) -> Result<T> + Send + 'static,
{
    attended(op, async move {
        // The lock comes first: whoever waits for a thread must never keep one from a lock's holder.
        let guard = lock.await;
        let permit = threads.acquire_owned().await;
        off_the_executor(op, move || {
            let result = call(&engine);
            // An orphan keeps the engine only until here, so that dropping the store releases its locks.
            drop((guard, engine, permit));
            result
        })
        .await
    })
    .await
}

/// Runs `work` on a blocking thread, for what a backend does outside [`Blocking`], such as opening. Once
/// begun it ends, also when the future is dropped; a panic of it is passed on.
///
/// # Errors
/// Those of `work`; [`ErrorKind::Closed`] if the runtime is shutting down.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn off_the_executor<T: Send + 'static>(
    op: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(Error::new(ErrorKind::Closed, op, "the runtime is shutting down")),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<E: BlockingEngine> ChunkStore for Blocking<E> {
    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.capabilities().check_len(id, &data)?;
        self.run_locked("put", id, move |engine| engine.put(id, &data)).await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.run("get", move |engine| engine.get(id)).await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.run_locked("delete", id, move |engine| engine.delete(id)).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        let (engine, threads) = (Arc::clone(&self.engine), Arc::clone(&self.threads));
        let pages = stream::try_unfold(Some(after), move |position| {
            let (engine, threads) = (Arc::clone(&engine), Arc::clone(&threads));
            async move {
                let Some(after) = position else { return Ok(None) };
                let page =
                    run(engine, threads, "list", future::ready(()), move |engine| engine.page(after)).await?;
                let next = page.last().map(|meta| Some(meta.id));
                Ok::<_, Error>(next.map(|next| (page, Some(next))))
            }
        });
        pages
            .flat_map(|page| match page {
                Ok(metas) => stream::iter(metas.into_iter().map(Ok).collect::<Vec<_>>()),
                Err(e) => stream::iter(vec![Err(e)]),
            })
            .fuse()
            .boxed()
    }

    fn info(&self) -> StoreInfo {
        self.engine.info()
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.run("stat", move |engine| engine.stat(id)).await
    }

    async fn flush(&self) -> Result<()> {
        self.run("flush", BlockingEngine::flush).await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        stream::iter(chunks).map(|(id, data)| self.put(id, data)).buffered(THREADS / 4).collect().await
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        stream::iter(ids).map(|id| self.delete(id)).buffered(THREADS / 4).collect().await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<E: BlockingEngine> RootStore for Blocking<E> {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        let name = name.clone();
        self.run("load", move |engine| engine.load(&name)).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        let name = name.clone();
        self.run_locked("swap", name.clone(), move |engine| engine.swap(&name, &expect, new)).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        let names = run(
            Arc::clone(&self.engine),
            Arc::clone(&self.threads),
            "names",
            future::ready(()),
            BlockingEngine::names,
        );
        stream::once(names)
            .flat_map(|names| match names {
                Ok(names) => stream::iter(names.into_iter().map(Ok).collect::<Vec<_>>()),
                Err(e) => stream::iter(vec![Err(e)]),
            })
            .boxed()
    }
}

/// A fixed set of locks, chosen by hash: one id always meets the same one.
#[derive(Debug)]
struct Stripes {
    hasher: RandomState,
    locks: Box<[Arc<Mutex<()>>]>,
}

impl Stripes {
    fn new() -> Self {
        Self { hasher: RandomState::new(), locks: (0..STRIPES).map(|_| Arc::default()).collect() }
    }

    fn of(&self, key: impl Hash) -> Arc<Mutex<()>> {
        #[allow(clippy::cast_possible_truncation)] // any bits of the hash will do
        let stripe = self.hasher.hash_one(key) as usize % STRIPES;
        Arc::clone(&self.locks[stripe])
    }
}
