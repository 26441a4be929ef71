use std::sync::Arc;

use bytes::Bytes;
use quick_cache::sync::Cache;

use super::leaf::Leaf;
use crate::engine::budget::Permit;
use crate::engine::error::{Error, Result};
use crate::engine::map::{ChunkInfo, Entry, Node};
use crate::engine::pool::CpuPool;
use crate::engine::progress::Meter;
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

/// A data chunk as it came from the store, and the memory it holds.
pub(super) type Fetched = Result<(Leaf, Result<Bytes>, Permit)>;

impl Fetcher {
    pub(super) fn new(store: Arc<dyn ChunkStore>, suite: Suite, pool: CpuPool, meter: Meter) -> Self {
        Self { store, suite, pool, meter, pages: Cache::new(PAGES) }
    }

    pub(super) fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// What the store has under the leaf's name, unchecked.
    pub(super) async fn fetch(&self, leaf: &Leaf) -> Result<Bytes> {
        self.get(leaf.entry()).await
    }

    /// Checks and decodes fetched chunks; each answer is a chunk's own.
    pub(super) async fn open_batch(
        self: Arc<Self>,
        batch: Vec<Fetched>,
    ) -> Vec<Result<(ChunkInfo, Bytes, Permit)>> {
        let suite = self.suite;
        let opened = self.pool.run(move || batch.into_iter().map(|fetched| open(suite, fetched)).collect());
        let opened: Vec<_> = opened.await;
        opened
            .into_iter()
            .map(|opened: Result<(ChunkInfo, Bytes, Permit)>| {
                let opened = opened?;
                self.meter.read(opened.0.len)?;
                Ok(opened)
            })
            .collect()
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
        let (suite, stored, parent) = (self.suite, self.get(entry).await?, Arc::clone(parent));
        let open = move || {
            let page = sealing::open_page(suite, &parent.entries[index], stored)?;
            parent.read_page(index, &page)
        };
        let page = Arc::new(self.pool.run(open).await.ok_or(Error::Corrupt { chunk })?);
        self.pages.insert(chunk, Arc::clone(&page));
        Ok(page)
    }

    async fn get(&self, entry: &Entry) -> Result<Bytes> {
        let chunk = entry.name;
        let stored = self.store.get(chunk).await?.ok_or(Error::ChunkMissing { chunk })?;
        tracing::trace!(chunk = %chunk.short(), len = stored.len(), "got");
        if stored.len() as u64 != u64::from(entry.stored) {
            return Err(Error::Corrupt { chunk });
        }
        Ok(stored)
    }
}

fn open(suite: Suite, fetched: Fetched) -> Result<(ChunkInfo, Bytes, Permit)> {
    let (leaf, stored, permit) = fetched?;
    let (info, corrupt) = (leaf.info(), Error::Corrupt { chunk: leaf.entry().name });
    let Ok(len) = u32::try_from(info.len) else { return Err(corrupt) };
    let data = sealing::open_data(suite, leaf.entry(), stored?, len).ok_or(corrupt)?;
    Ok((info, data, permit))
}
