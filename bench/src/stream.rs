//! A generated stream of any length into a store that keeps nothing: what the engine alone takes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use clap::Args;
use futures::stream::{self, BoxStream, StreamExt};
use selfenc::store::{Capabilities, ChunkId, ChunkMeta, ChunkStore, Durability, PutOutcome, StoreInfo};
use selfenc::{Chunking, EncryptionConfig, Engine, Scope, async_trait};
use selfenc_bench::{Result, data};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Runtime;

/// What of the stream differs from block to block, so that no chunk comes twice.
const BLOCK: usize = 4 << 10;

/// Encrypts a generated stream into a store that keeps nothing; prints the chunks and the seconds.
#[derive(Args, Debug)]
pub(crate) struct Stream {
    /// The length of the stream, in MiB
    #[arg(long)]
    mib: u64,
    /// The length of a chunk, in KiB
    #[arg(long, default_value_t = 1024)]
    chunk_kib: u32,
    /// The engine's memory budget, in MiB
    #[arg(long, default_value_t = 256)]
    budget_mib: u64,
}

/// Encrypts.
pub(crate) fn run(args: &Stream) -> Result<()> {
    let config = EncryptionConfig::new()
        .with_chunking(Chunking::fixed(args.chunk_kib << 10))
        .with_memory_budget(args.budget_mib << 20);
    let engine = Engine::new(config)?;
    let source = Generated { random: data::random(1 << 20), at: 0, end: args.mib << 20 };
    let start = Instant::now();
    let written = Runtime::new()?.block_on(engine.write(Arc::new(Nowhere), &Scope::Public, source))?;
    println!("{} chunks and pages in {:.3} s", written.stats.chunks_new, start.elapsed().as_secs_f64());
    Ok(())
}

/// Random bytes again and again, with its own offset at the start of each block.
struct Generated {
    random: Bytes,
    at: u64,
    end: u64,
}

impl AsyncRead for Generated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while into.remaining() > 0 && self.at < self.end {
            let in_block = usize::try_from(self.at % BLOCK as u64).unwrap_or(0);
            let from = usize::try_from(self.at % self.random.len() as u64).unwrap_or(0);
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            let offset = (self.at - in_block as u64).to_le_bytes();
            let next = match offset.get(in_block..) {
                Some(rest) if !rest.is_empty() => rest,
                _ => &self.random[from..from + BLOCK - in_block],
            };
            let len = next.len().min(left).min(into.remaining());
            into.put_slice(&next[..len]);
            self.at += len as u64;
        }
        Poll::Ready(Ok(()))
    }
}

/// A store in which everything vanishes.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl ChunkStore for Nowhere {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Volatile)
    }

    fn info(&self) -> StoreInfo {
        StoreInfo::backend("nowhere", "")
    }

    async fn put(&self, _: ChunkId, _: Bytes) -> selfenc::store::Result<PutOutcome> {
        Ok(PutOutcome::Inserted)
    }

    async fn get(&self, _: ChunkId) -> selfenc::store::Result<Option<Bytes>> {
        Ok(None)
    }

    async fn delete(&self, _: ChunkId) -> selfenc::store::Result<()> {
        Ok(())
    }

    fn list(&self, _: Option<ChunkId>) -> BoxStream<'static, selfenc::store::Result<ChunkMeta>> {
        stream::empty().boxed()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn no_block_comes_twice_however_it_is_read() {
        let read = |step: usize| {
            let mut source = Generated { random: data::random(1 << 20), at: 0, end: (3 << 20) + 5 };
            let mut all = Vec::new();
            Runtime::new().unwrap().block_on(async {
                let mut piece = vec![0; step];
                loop {
                    match source.read(&mut piece).await.unwrap() {
                        0 => break,
                        len => all.extend_from_slice(&piece[..len]),
                    }
                }
            });
            all
        };
        let all = read(1 << 16);
        assert_eq!(all.len(), (3 << 20) + 5);
        assert!(all == read(4099), "and in other pieces the same");
        let blocks: std::collections::HashSet<_> = all.chunks(BLOCK).collect();
        assert_eq!(blocks.len(), all.len().div_ceil(BLOCK));
    }
}
