//! A backend in ten minutes: the store, its harness, and the suite that says whether it is one.
//! `docs/write-a-backend.md` walks through it.
//!
//! `cargo run -p selfenc-examples --example custom_backend` runs the suite as a program does;
//! `cargo test -p selfenc-examples --example custom_backend` runs each case as a test.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{self, BoxStream, StreamExt};
use selfenc::store::{
    Backend, Capabilities, ChunkId, ChunkMeta, ChunkStore, ChunksOnly, Durability, PutOutcome, Result,
};
use selfenc::{Bytes, async_trait};
use selfenc_backend_tests::{Harness, Options};

/// Chunks in a map. Clones share it, as two connections share a service.
#[derive(Clone, Debug, Default)]
struct Shelf(Arc<Mutex<BTreeMap<ChunkId, Bytes>>>);

impl Shelf {
    fn chunks(&self) -> MutexGuard<'_, BTreeMap<ChunkId, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ChunkStore for Shelf {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Volatile)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.capabilities().check_len(id, &data)?;
        let len = data.len();
        // A chunk of another length was damaged, and is whole now.
        let whole = self.chunks().insert(id, data).is_some_and(|old| old.len() == len);
        Ok(if whole { PutOutcome::Present } else { PutOutcome::Inserted })
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        Ok(self.chunks().get(&id).cloned())
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.chunks().remove(&id);
        Ok(())
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        let meta = |(id, data): (&ChunkId, &Bytes)| Ok(ChunkMeta { id: *id, len: data.len() as u64 });
        let from = after.map_or(Unbounded, Excluded);
        let found: Vec<_> = self.chunks().range((from, Unbounded)).map(meta).collect();
        stream::iter(found).boxed()
    }
}

/// How the suite gets at a shelf.
#[derive(Debug, Default)]
struct ShelfHarness(Mutex<Shelf>);

#[async_trait]
impl Harness for ShelfHarness {
    /// A new, empty store.
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        let shelf = Shelf::default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = shelf.clone();
        Ok(Arc::new(ChunksOnly::new(shelf)))
    }

    /// The store that was made last, by another handle.
    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        let shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(Ok(Arc::new(ChunksOnly::new(shelf))))
    }
}

#[cfg(test)]
selfenc_backend_tests::conformance!(mod shelf = ShelfHarness::default());

#[tokio::main]
async fn main() -> Result<(), String> {
    let report = selfenc_backend_tests::run(&ShelfHarness::default(), &Options::new()).await;
    println!("{report}");
    if report.is_ok() { Ok(()) } else { Err("the shelf does not keep the contract".to_owned()) }
}
