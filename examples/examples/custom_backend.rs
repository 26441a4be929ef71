//! A store of one's own: five methods. The rest (batches, `stat`, counting, copying) comes from the traits.
//!
//! This one keeps chunks in a map. A real one would keep them in a service and say `OnPut` once its
//! acknowledgement survives a crash; the guarantees to keep are listed on `ChunkStore`.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{self, BoxStream, StreamExt};
use selfenc::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, ChunkStoreExt, Durability, PutOutcome, Result,
};
use selfenc::{Bytes, EncryptionConfig, Engine, Scope, async_trait};

#[derive(Debug, Default)]
struct Shelf(Mutex<BTreeMap<ChunkId, Bytes>>);

impl Shelf {
    fn chunks(&self) -> MutexGuard<'_, BTreeMap<ChunkId, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ChunkStore for Shelf {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Volatile).with_shared(false).with_roots(false)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.capabilities().check_len(id, &data)?;
        let len = data.len();
        let before = self.chunks().insert(id, data);
        // A chunk of another length was damaged, and is whole now.
        Ok(if before.is_some_and(|old| old.len() == len) {
            PutOutcome::Present
        } else {
            PutOutcome::Inserted
        })
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

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shelf = Arc::new(Shelf::default());
    let data: Vec<u8> = (0..5_000_000u32).map(|i| (i % 251) as u8).collect();

    let engine = Engine::new(EncryptionConfig::new())?;
    let written = engine.write_bytes(shelf.clone(), &Scope::Private, &data).await?;
    println!("{} bytes became {} chunks", data.len(), shelf.count().await?);

    let verified = engine.open(shelf, written.map).verify().await?;
    assert_eq!(verified.bytes, data.len() as u64);
    println!("read back and checked: {} bytes", verified.bytes);
    Ok(())
}
