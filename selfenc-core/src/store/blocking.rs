use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use super::attended::attended;
use super::grouped::Grouped;
use super::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, Expect, PutOutcome, Result, Root,
    RootName, RootStore, StoreInfo, Swap,
};

/// Locks for ids: few enough to cost nothing, enough that two ids in flight seldom share one.
const STRIPES: usize = 1024;

/// Chunks put by one call, which has the locks of all of them.
pub(super) const TOGETHER: usize = 64;

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
    /// See [`ChunkStore::put_many`]: as many puts, by an engine that does them faster together. The lengths were
    /// checked; an id may be there twice. An engine that cannot says `None`, having done nothing, and then
    /// they are put side by side.
    fn put_many(&self, chunks: &[(ChunkId, Bytes)]) -> Option<Vec<Result<PutOutcome>>> {
        let _ = chunks;
        None
    }
    /// How many bytes of chunks `put_many` is given at once when puts that wait at the same time are made by one call
    /// of it, one after the other, as an engine with a single writer wants it. 0, unless it says otherwise, gives
    /// every put a call and a thread of its own. Constant; an engine that says more never refuses `put_many`.
    fn group_bytes(&self) -> usize {
        0
    }
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
    grouped: Arc<Grouped>,
}

impl<E: BlockingEngine> Blocking<E> {
    /// Makes `engine` a store.
    #[must_use]
    pub fn new(engine: E) -> Self {
        Self {
            engine: Arc::new(engine),
            locks: Stripes::new(),
            threads: Arc::new(Semaphore::new(THREADS)),
            grouped: Arc::default(),
        }
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

    /// `None` if the engine does not put chunks together.
    async fn put_together(&self, chunks: Vec<(ChunkId, Bytes)>) -> Option<Vec<Result<PutOutcome>>> {
        let capabilities = self.capabilities();
        let too_long = |(id, data): &(ChunkId, Bytes)| capabilities.check_len(*id, data).err();
        let refused: Vec<_> = chunks.iter().map(too_long).collect();
        let fits = chunks
            .into_iter()
            .zip(&refused)
            .filter_map(|(chunk, refused)| refused.is_none().then_some(chunk));
        let chunks: Vec<_> = fits.collect();
        let ids: Vec<_> = chunks.iter().map(|(id, _)| *id).collect();
        let locks = self.locks.of_all(&ids);
        let put = move |engine: &E| Ok(engine.put_many(&chunks));
        let put = run(Arc::clone(&self.engine), Arc::clone(&self.threads), "put", locks, put).await;
        let mut answers = match put {
            Ok(answers) => answers?.into_iter(),
            // The same for each: the runtime is shutting down.
            Err(e) => {
                let again = |id: &ChunkId| Err(Error::new(e.kind(), "put", e.to_string()).with_chunk(*id));
                ids.iter().map(again).collect::<Vec<_>>().into_iter()
            }
        };
        let nothing = || Err(Error::new(ErrorKind::Other, "put", "the engine gave no answer"));
        let answer =
            |refused: Option<Error>| refused.map_or_else(|| answers.next().unwrap_or_else(nothing), Err);
        Some(refused.into_iter().map(answer).collect())
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

/// Runs `call` on a blocking thread while it holds `lock`. Dropping the caller's future ends the wait for it; a
/// call that has begun keeps the lock to its end.
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
    let granted = async move {
        // The lock comes first: whoever waits for a thread must never keep one from a lock's holder.
        let guard = lock.await;
        (guard, threads.acquire_owned().await)
    };
    let begin = move |granted| {
        off_the_executor(op, move || {
            let result = call(&engine);
            // An orphan keeps the engine only until here, so that dropping the store releases its locks.
            drop((granted, engine));
            result
        })
    };
    once_granted(op, granted, begin).await
}

/// Begins when locks and permits are granted.
///
/// Waiting for them is [`attended`]: they must not be granted to somebody who is not polled any more. Where there
/// is nothing to wait for, no task is made: to wake another thread for that, and be woken by it, takes longer
/// than a short call.
async fn once_granted<G, T, W>(
    op: &'static str,
    granted: impl Future<Output = G> + Send + 'static,
    begin: impl FnOnce(G) -> W + Send + 'static,
) -> Result<T>
where
    G: Send + 'static,
    T: Send + 'static,
    W: Future<Output = Result<T>> + Send,
{
    let mut granted = Box::pin(granted);
    match futures::poll!(&mut granted) {
        Poll::Ready(granted) => begin(granted).await,
        Poll::Pending => attended(op, async move { begin(granted.await).await }).await,
    }
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
        if self.engine.group_bytes() == 0 {
            return self.run_locked("put", id, move |engine| engine.put(id, &data)).await;
        }
        let (grouped, engine) = (Arc::clone(&self.grouped), Arc::clone(&self.engine));
        let put = move |lock| grouped.put(engine, (id, data), lock);
        once_granted("put", self.locks.of(id).lock_owned(), put).await
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
        let mut answers = Vec::with_capacity(chunks.len());
        for some in chunks.chunks(TOGETHER) {
            match self.put_together(some.to_vec()).await {
                Some(together) => answers.extend(together),
                None => {
                    let puts = stream::iter(some.to_vec()).map(|(id, data)| self.put(id, data));
                    answers.extend(puts.buffered(THREADS / 4).collect::<Vec<_>>().await);
                }
            }
        }
        answers
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
        Arc::clone(&self.locks[self.stripe(key)])
    }

    /// Takes the locks of all keys, in one order everywhere, so that nobody waits for another in a circle.
    fn of_all(&self, keys: &[ChunkId]) -> impl Future<Output = Vec<OwnedMutexGuard<()>>> + Send + use<> {
        let stripes: BTreeSet<_> = keys.iter().map(|key| self.stripe(key)).collect();
        let locks: Vec<_> = stripes.into_iter().map(|stripe| Arc::clone(&self.locks[stripe])).collect();
        stream::iter(locks).then(Mutex::lock_owned).collect()
    }

    #[allow(clippy::cast_possible_truncation)] // any bits of the hash will do
    fn stripe(&self, key: impl Hash) -> usize {
        self.hasher.hash_one(key) as usize % STRIPES
    }
}
