//! Counters and `tracing` events for what goes through a store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};

use self::call::{Call, Listing, Watch};
use self::counts::{Counters, add};
use crate::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Expect, PutOutcome, Result, Root, RootName, RootStore,
    StoreInfo, Swap,
};
use crate::wrap::Op;

mod call;
mod counts;

pub use counts::{Counts, OpCounts};

/// Counts every call and tells `tracing` about it; changes nothing.
///
/// Each call ends in one event of target `selfenc::store`: `op`, `store`, `chunk` (eight hex digits),
/// `bytes` or `items`, `elapsed_us` and `outcome` at debug level, or `kind` and `error` at warn level. No
/// event carries a whole id, data, or the name or value of a root. A listing is one call, so its time
/// includes its consumer's.
///
/// ```
/// # use std::sync::Arc;
/// # use selfenc_core::store::{Backend, ChunkId, ChunkStore, Result};
/// use selfenc_core::wrap::{Observe, Op};
///
/// # async fn example(store: Arc<dyn Backend>, id: ChunkId) -> Result<()> {
/// let store = Observe::new(store);
/// store.get(id).await?;
/// let counts = store.counts();
/// assert_eq!(counts.of(Op::Get).calls, 1);
/// assert_eq!(counts.hits + counts.misses, 1);
/// # Ok(()) }
/// ```
pub struct Observe<S> {
    inner: S,
    watch: Arc<Watch>,
}

impl<S: ChunkStore> Observe<S> {
    /// Watches `inner`. Events name it by its `info`.
    #[must_use]
    pub fn new(inner: S) -> Self {
        let store = inner.info().to_string();
        Self { inner, watch: Arc::new(Watch { store, counters: Counters::default() }) }
    }
}

impl<S> Observe<S> {
    /// The store below, whose own calls are not counted.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The counts so far. Each is exact; taken while calls run, they need not be of one moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.watch.counters.now()
    }

    /// Runs one call and says how it ended: its outcome in a word, and the bytes of a chunk if any.
    async fn watch<T>(
        &self,
        op: Op,
        chunk: Option<ChunkId>,
        work: impl Future<Output = Result<T>>,
        told: impl FnOnce(&T) -> (&'static str, Option<u64>),
    ) -> Result<T> {
        let call = Call::start(&self.watch, op, chunk);
        let result = work.await;
        match &result {
            Ok(value) => {
                let (outcome, bytes) = told(value);
                call.ok(outcome, bytes, None);
            }
            Err(e) => call.failed(e, 1),
        }
        result
    }
}

impl<S: fmt::Debug> fmt::Debug for Observe<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observe").field("inner", &self.inner).finish_non_exhaustive()
    }
}

fn found<T>(value: Option<&T>) -> &'static str {
    if value.is_some() { "found" } else { "absent" }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ChunkStore> ChunkStore for Observe<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        let bytes = data.len() as u64;
        self.watch(Op::Put, Some(id), self.inner.put(id, data), |outcome| {
            self.watch.counters.stored(*outcome, bytes);
            let outcome = match outcome {
                PutOutcome::Inserted => "inserted",
                PutOutcome::Present => "present",
                PutOutcome::Unchecked => "unchecked",
            };
            (outcome, Some(bytes))
        })
        .await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let counters = &self.watch.counters;
        self.watch(Op::Get, Some(id), self.inner.get(id), |data| {
            let bytes = data.as_ref().map(|data| data.len() as u64);
            add(if bytes.is_some() { &counters.hits } else { &counters.misses }, 1);
            add(&counters.bytes_out, bytes.unwrap_or(0));
            (found(data.as_ref()), bytes)
        })
        .await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.watch(Op::Delete, Some(id), self.inner.delete(id), |()| ("done", None)).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        Listing::new(&self.watch, Op::List, self.inner.list(after)).boxed()
    }

    fn info(&self) -> StoreInfo {
        self.inner.info().wrapped("observe", "")
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.watch(Op::Stat, Some(id), self.inner.stat(id), |meta| (found(meta.as_ref()), None)).await
    }

    async fn flush(&self) -> Result<()> {
        self.watch(Op::Flush, None, self.inner.flush(), |()| ("done", None)).await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        let lengths: Vec<_> = chunks.iter().map(|(_, data)| data.len() as u64).collect();
        let call = Call::start(&self.watch, Op::PutMany, None);
        let results = self.inner.put_many(chunks).await;
        for (result, len) in results.iter().zip(lengths) {
            if let Ok(outcome) = result {
                self.watch.counters.stored(*outcome, len);
            }
        }
        call.batch(&results);
        results
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        let call = Call::start(&self.watch, Op::DeleteMany, None);
        let results = self.inner.delete_many(ids).await;
        call.batch(&results);
        results
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: RootStore> RootStore for Observe<S> {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.watch(Op::Load, None, self.inner.load(name), |root| (found(root.as_ref()), None)).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.watch(Op::Swap, None, self.inner.swap(name, expect, new), |swap| match swap {
            Swap::Done(_) => ("done", None),
            Swap::Conflict(_) => ("conflict", None),
        })
        .await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        Listing::new(&self.watch, Op::Names, self.inner.names()).boxed()
    }
}
