//! A store that goes wrong on purpose, the same way every time.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use self::plan::Subject;
use self::shared::{Shared, wait};
use super::tiered::unanswered;
use crate::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Expect, PutOutcome, Result, Root, RootName, RootStore,
    StoreInfo, Swap,
};
use crate::wrap::Op;

mod plan;
mod shared;

pub use plan::{Failure, Fault, FaultKind, FaultPlan};

/// Injects faults between a caller and a good store, for tests: of everything that must survive them.
///
/// Seeded: the same plan and the same calls give the same faults (see [`FaultPlan`]), so a failed test is
/// repeated by its seed. Each member of a batch, and each item of a listing, meets its own fault.
/// Capabilities are the inner store's; a lost reply breaks the promise that a failed put changes nothing,
/// as networks do. It remembers every id, and every fault, for as long as it lives.
///
/// ```
/// # use std::sync::Arc;
/// # use selfenc_core::store::{Backend, ChunkId, ChunkStore, ErrorKind};
/// use selfenc_core::wrap::{Failure, FaultPlan, Faulty, Op};
///
/// # async fn example(store: Arc<dyn Backend>, id: ChunkId) {
/// let store = Faulty::new(store, FaultPlan::new(42).with_failures_before(10).with_damage(1));
/// store.arm(Op::Flush, Failure::Before(ErrorKind::Full));
/// assert_eq!(store.flush().await.unwrap_err().kind(), ErrorKind::Full);
/// store.disarm();
/// for fault in store.log() {
///     println!("{fault}");
/// }
/// # }
/// ```
pub struct Faulty<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Faulty<S> {
    /// Lets what is asked of `inner` go wrong by `plan`.
    #[must_use]
    pub fn new(inner: S, plan: FaultPlan) -> Self {
        Self { inner, shared: Arc::new(Shared::new(plan)) }
    }

    /// The good store below.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Makes every call of `op` fail from now on. An armed `Put` or `Delete` is also one of each member
    /// of a batch.
    pub fn arm(&self, op: Op, failure: Failure) {
        self.shared.arm(op, failure);
    }

    /// Ends what [`Self::arm`] began; the plan goes on.
    pub fn disarm(&self) {
        self.shared.disarm();
    }

    /// The faults so far, in the order in which they happened.
    #[must_use]
    pub fn log(&self) -> Vec<Fault> {
        self.shared.log()
    }

    async fn run<T>(&self, op: Op, subject: Subject, work: impl Future<Output = Result<T>>) -> Result<T> {
        let draw = self.shared.draw(op, &subject, &[op]);
        wait(draw.delay).await;
        self.shared.before(op, &subject, &draw)?;
        let value = work.await?;
        self.shared.after(op, &subject, &draw)?;
        Ok(value)
    }

    /// Runs what is left of a batch after the faults before it, and loses some of its replies.
    async fn batch<I, T, W>(
        &self,
        (op, one): (Op, Op),
        items: Vec<I>,
        id: impl Fn(&I) -> ChunkId,
        work: impl FnOnce(Vec<I>) -> W,
    ) -> Vec<Result<T>>
    where
        W: Future<Output = Vec<Result<T>>>,
    {
        let subjects = items.iter().map(|item| Subject::Chunk(id(item)));
        let drawn: Vec<_> = subjects
            .map(|subject| {
                let draw = self.shared.draw(one, &subject, &[op, one]);
                (subject, draw)
            })
            .collect();
        wait(drawn.iter().map(|(_, draw)| draw.delay).max().unwrap_or_default()).await;
        let before: Vec<_> =
            drawn.iter().map(|(subject, draw)| self.shared.before(one, subject, draw)).collect();
        let left = items.into_iter().zip(&before).filter(|(_, before)| before.is_ok());
        let left: Vec<_> = left.map(|(item, _)| item).collect();
        let done = if left.is_empty() { Vec::new() } else { work(left).await };
        let mut done = done.into_iter();
        let mut results = Vec::with_capacity(before.len());
        for (before, (subject, draw)) in before.into_iter().zip(&drawn) {
            results.push(match before {
                Err(e) => Err(e),
                Ok(()) => match done.next().unwrap_or_else(|| Err(unanswered(one.as_str()))) {
                    Ok(value) => self.shared.after(one, subject, draw).map(|()| value),
                    Err(e) => Err(e),
                },
            });
        }
        results
    }

    fn listing<T: Send + 'static>(
        &self,
        op: Op,
        items: BoxStream<'static, Result<T>>,
        subject: impl Fn(&T) -> Subject + Clone + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let shared = Arc::clone(&self.shared);
        let step = move |(items, new): (Option<BoxStream<'static, Result<T>>>, bool)| {
            let (shared, subject) = (Arc::clone(&shared), subject.clone());
            async move {
                let mut items = items?;
                let ended = |e| Some((Err(e), (None, false)));
                if new && let Err(e) = shared.start_listing(op).await {
                    return ended(e);
                }
                match items.next().await {
                    Some(Ok(item)) => match shared.next_item(op, &subject(&item)) {
                        Ok(()) => Some((Ok(item), (Some(items), false))),
                        Err(e) => ended(e),
                    },
                    Some(Err(e)) => ended(e),
                    None => shared.next_item(op, &Subject::End).err().and_then(ended),
                }
            }
        };
        stream::unfold((Some(items), true), step).fuse().boxed()
    }
}

impl<S: fmt::Debug> fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty")
            .field("plan", &self.shared.plan)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ChunkStore> ChunkStore for Faulty<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.run(Op::Put, Subject::Chunk(id), self.inner.put(id, data)).await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let subject = Subject::Chunk(id);
        let draw = self.shared.draw(Op::Get, &subject, &[Op::Get]);
        wait(draw.delay).await;
        self.shared.before(Op::Get, &subject, &draw)?;
        let data = self.inner.get(id).await?;
        self.shared.after(Op::Get, &subject, &draw)?;
        Ok(data.map(|data| self.shared.spoilt(id, data, &draw)))
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.run(Op::Delete, Subject::Chunk(id), self.inner.delete(id)).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.listing(Op::List, self.inner.list(after), |meta| Subject::Chunk(meta.id))
    }

    fn info(&self) -> StoreInfo {
        self.inner.info().wrapped("faulty", format_args!("seed {}", self.shared.plan.seed))
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.run(Op::Stat, Subject::Chunk(id), self.inner.stat(id)).await
    }

    async fn flush(&self) -> Result<()> {
        self.run(Op::Flush, Subject::Store, self.inner.flush()).await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        self.batch((Op::PutMany, Op::Put), chunks, |(id, _)| *id, |left| self.inner.put_many(left)).await
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        self.batch((Op::DeleteMany, Op::Delete), ids, |id| *id, |left| self.inner.delete_many(left)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: RootStore> RootStore for Faulty<S> {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.run(Op::Load, Subject::Root(name.clone()), self.inner.load(name)).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.run(Op::Swap, Subject::Root(name.clone()), self.inner.swap(name, expect, new)).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.listing(Op::Names, self.inner.names(), |name| Subject::Root(name.clone()))
    }
}
