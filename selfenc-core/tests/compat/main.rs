//! The formats of self_encryption: against what its releases wrote, against the published crate, and against a
//! model of both generations that shares no code with ours.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // in a test, a panic is the report

#[path = "../support/mod.rs"]
mod support;

mod damage;
mod defects;
mod leaks;
mod maps;
mod model;
mod original;
mod vectors;

use std::sync::Arc;

use bytes::Bytes;
use selfenc_core::compat::{DataMap, Engine, Generation, Reader, Written};
use selfenc_core::engine::{self, EncryptionConfig, Result};
use support::TestStore;

fn engine(generation: Generation) -> Engine {
    let native = engine::Engine::new(EncryptionConfig::new().with_threads(2)).unwrap();
    Engine::new(&native, generation)
}

fn cutting(generation: Generation, max_chunk_size: u32) -> Engine {
    engine(generation).with_max_chunk_size(max_chunk_size).unwrap()
}

async fn write(engine: &Engine, store: &TestStore, data: &[u8]) -> Written {
    engine.write(store.shared(), support::Dribble::new(data)).await.unwrap()
}

async fn open(store: &TestStore, map: &DataMap) -> Result<Reader> {
    engine(Generation::One).open(store.shared(), map.clone()).await
}

async fn read(store: &TestStore, map: &DataMap) -> Result<Bytes> {
    let reader = open(store, map).await?;
    reader.read_at(0, reader.len() as usize).await
}

/// A store with these chunks.
fn filled(generation: Generation, chunks: impl IntoIterator<Item = Vec<u8>>) -> TestStore {
    let store = TestStore::default();
    for chunk in chunks {
        let name = selfenc_core::store::ChunkId::from_bytes(generation.hash(&chunk));
        store.lock().insert(name, chunk.into());
    }
    store
}

fn shared(store: &TestStore) -> Arc<dyn selfenc_core::store::ChunkStore> {
    store.shared()
}
