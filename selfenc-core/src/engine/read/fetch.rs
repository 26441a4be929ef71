use std::sync::Arc;

use bytes::Bytes;
use quick_cache::sync::Cache;

use super::leaf::Leaf;
use crate::engine::budget::Permit;
use crate::engine::buffers::Buffers;
use crate::engine::error::{Error, Result};
use crate::engine::map::{ChunkInfo, Entry, Node};
use crate::engine::pool::CpuPool;
use crate::engine::progress::Meter;
use crate::engine::room::{Data, Place};
use crate::engine::sealing;
use crate::engine::suite::Suite;
use crate::store::{ChunkId, ChunkStore};

/// Map pages that a reader keeps: about 60 KiB each.
const PAGES: usize = 64;

/// Fetches chunks and pages from the store and opens them on the CPU pool.
pub(super) struct Fetcher {
    store: Arc<dyn ChunkStore>,
    suite: Suite,
    pool: CpuPool,
    meter: Meter,
    pages: Cache<ChunkId, Arc<Node>>,
}

/// A data chunk to be read, and the memory it holds.
pub(super) struct Wanted {
    pub(super) leaf: Leaf,
    pub(super) permit: Permit,
    /// Where its data is to be; in memory of its own otherwise.
    pub(super) place: Option<Place>,
}

/// With what came from the store.
pub(super) type Fetched = Result<(Wanted, Result<Bytes>)>;

impl Fetcher {
    pub(super) fn new(store: Arc<dyn ChunkStore>, suite: Suite, pool: CpuPool, meter: Meter) -> Self {
        Self { store, suite, pool, meter, pages: Cache::new(PAGES) }
    }

    pub(super) fn pool(&self) -> &CpuPool {
        &self.pool
    }

    /// What the store has under the leaf's name, unchecked.
    pub(super) async fn fetch(&self, leaf: &Leaf) -> Result<Bytes> {
        self.get(leaf.entry()).await
    }

    /// Checks and decodes fetched chunks; each answer is a chunk's own.
    pub(super) async fn open_batch(
        self: Arc<Self>,
        batch: Vec<Fetched>,
    ) -> Vec<Result<(ChunkInfo, Data, Permit)>> {
        let (suite, buffers) = (self.suite, self.pool.buffers().clone());
        let mut checked = Vec::with_capacity(batch.len());
        for opened in self.pool.run(move || open(suite, batch, &buffers)).await {
            let opened = match opened {
                Err(NotOpened::Damaged(leaf, permit)) => self.open_again(leaf, permit).await,
                Err(NotOpened::NotFetched(e)) => Err(e),
                Ok(opened) => Ok(opened),
            };
            checked.push(opened.and_then(|opened| self.meter.read(opened.0.len).map(|()| opened)));
        }
        checked
    }

    /// Reads once more what was not what its name says: it may have been damaged on its way only. Its place is lost.
    async fn open_again(&self, leaf: Leaf, permit: Permit) -> Result<(ChunkInfo, Data, Permit)> {
        let (suite, corrupt) = (self.suite, Error::Corrupt { chunk: leaf.entry().name });
        let (stored, buffers) = (self.fetch(&leaf).await, self.pool.buffers().clone());
        let again = move || open(suite, vec![Ok((Wanted { leaf, permit, place: None }, stored))], &buffers);
        let opened = self.pool.run(again).await.pop();
        match opened {
            Some(Ok(opened)) => Ok(opened),
            Some(Err(NotOpened::NotFetched(e))) => Err(e),
            Some(Err(NotOpened::Damaged(..))) | None => Err(corrupt),
        }
    }

    /// The page that entry `index` of `parent` stands for, from the cache if it is there.
    ///
    /// Two that want one page at once both fetch it: to wait for each other would be a deadlock when one
    /// task holds two streams and polls only the second.
    pub(super) async fn page(&self, parent: &Arc<Node>, index: usize) -> Result<Arc<Node>> {
        let entry = &parent.entries[index];
        let chunk = entry.name;
        if let Some(page) = self.pages.get(&chunk) {
            // One page cannot stand at two places of a map, for its ends are absolute.
            let here = page.level + 1 == parent.level && page.start == parent.start_of(index);
            return if here { Ok(page) } else { Err(Error::Corrupt { chunk }) };
        }
        let page = match self.open_page(parent, index).await? {
            Some(page) => page,
            // As in `open_again`.
            None => self.open_page(parent, index).await?.ok_or(Error::Corrupt { chunk })?,
        };
        let page = Arc::new(page);
        self.pages.insert(chunk, Arc::clone(&page));
        Ok(page)
    }

    /// The page, or `None` for one that is not what its name says.
    async fn open_page(&self, parent: &Arc<Node>, index: usize) -> Result<Option<Node>> {
        let (suite, parent) = (self.suite, Arc::clone(parent));
        let stored = self.get(&parent.entries[index]).await?;
        let open = move || {
            let page = sealing::open_page(suite, &parent.entries[index], stored)?;
            parent.read_page(index, &page)
        };
        Ok(self.pool.run(open).await)
    }

    async fn get(&self, entry: &Entry) -> Result<Bytes> {
        let chunk = entry.name;
        for _ in 0..2 {
            let stored = self.store.get(chunk).await?.ok_or(Error::ChunkMissing { chunk })?;
            tracing::trace!(chunk = %chunk.short(), len = stored.len(), "got");
            if stored.len() as u64 == u64::from(entry.stored) {
                return Ok(stored);
            }
        }
        Err(Error::Corrupt { chunk })
    }
}

/// Why there is no data.
enum NotOpened {
    NotFetched(Error),
    /// What was fetched is not what the name says.
    Damaged(Leaf, Permit),
}

fn open(
    suite: Suite,
    batch: Vec<Fetched>,
    buffers: &Buffers,
) -> Vec<Result<(ChunkInfo, Data, Permit), NotOpened>> {
    let (mut leaves, mut stored) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    for fetched in batch {
        leaves.push(fetched.and_then(|(Wanted { leaf, permit, place }, bytes)| {
            stored.push((bytes?, place));
            Ok((leaf, permit))
        }));
    }
    // A chunk is never longer than this, or its entry would have been refused.
    let len = |leaf: &Leaf| u32::try_from(leaf.info().len).unwrap_or_default();
    let wanted = leaves.iter().flatten().zip(stored).map(|((leaf, _), (stored, place))| {
        let (entry, len) = (leaf.entry(), len(leaf));
        sealing::Wanted { entry, stored, len, place }
    });
    let mut opened = sealing::open_data(suite, wanted.collect(), buffers).into_iter();
    let answer = |leaf: Result<(Leaf, Permit)>| {
        let (leaf, permit) = leaf.map_err(NotOpened::NotFetched)?;
        match opened.next().flatten() {
            Some(data) => Ok((leaf.info(), data, permit)),
            None => Err(NotOpened::Damaged(leaf, permit)),
        }
    };
    leaves.into_iter().map(answer).collect()
}
