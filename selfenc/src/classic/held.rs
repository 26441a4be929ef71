//! Chunks that are kept in memory while they are made, beside the store that they go to, if there is one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt;

use super::bare::{Bare, PutGet};
use super::chunk::Chunk;
use crate::store::{ChunkId, ChunkStore, Error, ErrorKind, Result, StoreInfo};
use crate::{Bytes, DataMap, Engine, async_trait, name_matches};

/// Chunks in memory, up to so many bytes, or their names alone. Clones are the same.
#[derive(Clone)]
pub(super) struct Held {
    chunks: Arc<Mutex<Chunks>>,
    /// `None` for names alone.
    limit: Option<u64>,
}

#[derive(Default)]
struct Chunks {
    by_name: HashMap<ChunkId, Bytes>,
    /// In the order in which they came.
    names: Vec<ChunkId>,
    bytes: u64,
    over: bool,
}

impl Held {
    /// None yet, and no more than `limit` bytes ever.
    pub(super) fn up_to(limit: u64) -> Self {
        Self { chunks: Arc::default(), limit: Some(limit) }
    }

    /// The names of what will come.
    pub(super) fn names_only() -> Self {
        Self { chunks: Arc::default(), limit: None }
    }

    /// What there is already.
    pub(super) fn of(chunks: impl IntoIterator<Item = Chunk>) -> Self {
        let held = Self::up_to(u64::MAX);
        for Chunk { name, content } in chunks {
            let mut chunks = held.lock();
            // Of two with one name, the one that is what its name says.
            let better =
                chunks.by_name.get(&name).is_none_or(|first| *first != content && !name_matches(name, first));
            if better {
                chunks.keep(name, content);
            }
        }
        held
    }

    /// The store that gives `next` what it is given, and then holds it.
    pub(super) fn before(&self, next: Option<Arc<dyn ChunkStore>>) -> Arc<dyn ChunkStore> {
        Arc::new(Bare(Before { held: self.clone(), next }))
    }

    /// Whether there was more than it may hold.
    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// The name of each chunk, in the order in which they were stored.
    pub(super) fn as_they_came(&self) -> Vec<ChunkId> {
        self.lock().names.clone()
    }

    /// The name of each chunk once: those of the data in its order, then those of the map, which `store` has.
    pub(super) async fn names(
        &self,
        engine: &Engine,
        store: Arc<dyn ChunkStore>,
        map: &DataMap,
    ) -> crate::Result<Vec<ChunkId>> {
        let infos = engine.open(store, map.clone()).chunks();
        let mut names: Vec<_> = infos.map_ok(|info| info.name).try_collect().await?;
        names.extend(&self.lock().names);
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(*name));
        Ok(names)
    }

    /// The chunks themselves, in the same order. Nothing is held after it.
    pub(super) async fn take(&self, engine: &Engine, map: &DataMap) -> crate::Result<Vec<Chunk>> {
        let names = self.names(engine, self.before(None), map).await?;
        let mut chunks = std::mem::take(&mut *self.lock());
        let take = |name| chunks.by_name.remove(&name).map(|content| Chunk { name, content });
        Ok(names.into_iter().filter_map(take).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Chunks> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chunks {
    fn keep(&mut self, name: ChunkId, content: Bytes) {
        let len = content.len() as u64;
        if self.by_name.insert(name, content).is_none() {
            self.names.push(name);
            self.bytes += len;
        }
    }
}

struct Before {
    held: Held,
    next: Option<Arc<dyn ChunkStore>>,
}

#[async_trait]
impl PutGet for Before {
    fn info(&self) -> StoreInfo {
        self.next.as_ref().map_or_else(|| StoreInfo::backend("held", "in memory"), ChunkStore::info)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<()> {
        if let Some(next) = &self.next {
            next.put(id, data.clone()).await?;
        }
        let mut chunks = self.held.lock();
        let Some(limit) = self.held.limit else {
            chunks.keep(id, Bytes::new());
            return Ok(());
        };
        let is_new = !chunks.by_name.contains_key(&id);
        if is_new && chunks.bytes.saturating_add(data.len() as u64) > limit {
            chunks.over = true;
            return Err(Error::new(ErrorKind::Full, "put", "more than may be held in memory").with_chunk(id));
        }
        chunks.keep(id, data);
        Ok(())
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        match &self.next {
            // Who reads back wants to know what the store has.
            Some(next) => next.get(id).await,
            None => Ok(self.held.lock().by_name.get(&id).cloned()),
        }
    }

    async fn flush(&self) -> Result<()> {
        match &self.next {
            Some(next) => next.flush().await,
            None => Ok(()),
        }
    }
}
