//! What the engine's tests share: inputs, sources that dribble, and a store that can be made to misbehave.
#![allow(dead_code, missing_docs, unreachable_pub)] // every test binary uses its own part

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use selfenc_core::async_trait;
use selfenc_core::engine::{DataMap, EncryptionConfig, Engine, Result, Scope, Written};
use selfenc_core::store::{self, Capabilities, ChunkId, ChunkMeta, ChunkStore, Durability, PutOutcome};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::Semaphore;

/// Bytes that look random and are the same every time.
pub fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Decimal numbers, one a line: compresses well.
pub fn text(len: usize) -> Vec<u8> {
    (0u64..).flat_map(|i| format!("{i}\n").into_bytes()).take(len).collect()
}

/// Chunks of 1 KiB on two threads: many chunks from little data.
pub fn small() -> EncryptionConfig {
    EncryptionConfig::new().with_chunk_size(1024).with_threads(2)
}

pub fn engine(config: EncryptionConfig) -> Engine {
    Engine::new(config).expect("a valid configuration")
}

pub async fn write(config: EncryptionConfig, store: &TestStore, scope: &Scope, data: &[u8]) -> Written {
    engine(config).write_bytes(store.shared(), scope, data).await.expect("a store that works")
}

pub async fn read(store: &TestStore, map: &DataMap) -> Result<Bytes> {
    let reader = engine(small()).open(store.shared(), map.clone());
    let len = usize::try_from(reader.len()).unwrap_or(usize::MAX);
    reader.read_at(0, len).await
}

/// A source that gives its bytes in pieces of odd lengths, and sometimes makes its reader wait.
pub struct Dribble<'a> {
    data: &'a [u8],
    step: usize,
}

impl<'a> Dribble<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, step: 0 }
    }
}

impl AsyncRead for Dribble<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.step += 1;
        if self.step.is_multiple_of(3) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let len = (self.step * 37 % 1500 + 1).min(self.data.len()).min(buf.remaining());
        let (piece, rest) = self.data.split_at(len);
        buf.put_slice(piece);
        self.data = rest;
        Poll::Ready(Ok(()))
    }
}

/// A store in memory that counts, delays, fails and lies on request.
#[derive(Clone, Debug, Default)]
pub struct TestStore {
    pub chunks: Arc<Mutex<BTreeMap<ChunkId, Bytes>>>,
    pub gets: Arc<AtomicUsize>,
    pub puts: Arc<AtomicUsize>,
    pub flushes: Arc<AtomicUsize>,
    pub in_flight: Arc<AtomicUsize>,
    pub most_in_flight: Arc<AtomicUsize>,
    /// Delays each put by a few ticks that depend on its name, so that they complete out of order.
    pub jitter: bool,
    /// Each put takes one of these, for good.
    pub permits: Option<Arc<Semaphore>>,
    /// A put of what is there keeps what is there, as real stores do.
    pub keeps_first: bool,
    /// Puts from this one on fail.
    pub full_after: Option<usize>,
    /// What is here is given damaged, once, as if on its way: this many bytes too short, or with a bit
    /// flipped for 0.
    pub damaged_once: Arc<Mutex<BTreeMap<ChunkId, usize>>>,
}

impl TestStore {
    pub fn shared(&self) -> Arc<dyn ChunkStore> {
        Arc::new(self.clone())
    }

    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<ChunkId, Bytes>> {
        self.chunks.lock().expect("no test panics while it holds this")
    }

    pub fn names(&self) -> Vec<ChunkId> {
        self.lock().keys().copied().collect()
    }

    pub fn replace(&self, id: ChunkId, change: impl FnOnce(&mut Vec<u8>)) {
        let mut chunks = self.lock();
        let mut bytes = chunks[&id].to_vec();
        change(&mut bytes);
        chunks.insert(id, bytes.into());
    }
}

#[async_trait]
impl ChunkStore for TestStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Volatile)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> store::Result<PutOutcome> {
        let number = self.puts.fetch_add(1, Ordering::SeqCst);
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        if self.jitter {
            tokio::time::sleep(Duration::from_micros(u64::from(id.as_bytes()[0]) * 20)).await;
        }
        if let Some(permits) = &self.permits {
            permits.acquire().await.expect("nobody closes it").forget();
        }
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if self.full_after.is_some_and(|limit| number >= limit) {
            return Err(store::Error::new(store::ErrorKind::Full, "put", "on request").with_chunk(id));
        }
        if self.keeps_first && self.lock().contains_key(&id) {
            return Ok(PutOutcome::Present);
        }
        Ok(match self.lock().insert(id, data) {
            None => PutOutcome::Inserted,
            Some(_) => PutOutcome::Present,
        })
    }

    async fn get(&self, id: ChunkId) -> store::Result<Option<Bytes>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        let Some(data) = self.lock().get(&id).cloned() else { return Ok(None) };
        let damage = self.damaged_once.lock().expect("as above").remove(&id);
        Ok(Some(match damage {
            None => data,
            Some(0) => [&[data[0] ^ 1][..], &data[1..]].concat().into(),
            Some(cut) => data.slice(..data.len() - cut),
        }))
    }

    async fn delete(&self, id: ChunkId) -> store::Result<()> {
        self.lock().remove(&id);
        Ok(())
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, store::Result<ChunkMeta>> {
        let chunks = self.lock();
        let all = chunks.iter().filter(|(id, _)| Some(**id) > after);
        let metas: Vec<_> = all.map(|(id, data)| Ok(ChunkMeta { id: *id, len: data.len() as u64 })).collect();
        stream::iter(metas).boxed()
    }

    async fn flush(&self) -> store::Result<()> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}
