//! The writer: batches of chunks through the CPU pool into the store, in order.

mod builder;
mod lag;
pub(crate) mod sink;

use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt};
use tokio::io::AsyncRead;

use self::builder::{Builder, Step};
use self::lag::{Bound, Lag};
use self::sink::Sink;
use super::budget::Budget;
use super::chunking::{Chunk, ChunkSource, Cutter};
use super::config::EncryptionConfig;
use super::error::Result;
use super::keys::Binding;
use super::map::{Body, DataMap, Header, Node};
use super::pool::CpuPool;
use super::progress::{Meter, Progress};
use super::sealing::{Prepared, Recipe, Sealed};
use super::secret::Scope;
use crate::store::{ChunkStore, PutOutcome};

/// What a write gives: the map that reads the data back, and what it took.
#[derive(Clone, Debug)]
pub struct Written {
    /// All that is needed to read the data, and therefore a secret.
    pub map: DataMap,
    /// What was stored, and what the store had already.
    pub stats: Progress,
}

/// What one write works with.
pub(super) struct Writer<'a> {
    pub(super) config: &'a EncryptionConfig,
    pub(super) pool: &'a CpuPool,
    pub(super) budget: Budget,
    pub(super) meter: &'a Meter,
}

/// What the store has taken, or the end of it.
enum Stored {
    Chunk { len: u64, stored: u64, outcome: PutOutcome },
    Root(Node),
}

impl Writer<'_> {
    pub(super) async fn write<R>(
        self,
        store: Arc<dyn ChunkStore>,
        scope: &Scope,
        source: R,
    ) -> Result<Written>
    where
        R: AsyncRead + Send,
    {
        let EncryptionConfig { suite, chunking, compression, concurrency, .. } = *self.config;
        let binding = self.config.binding_for(scope);
        let secret = scope.secret()?;
        let cutter = Cutter::new(chunking, suite, &secret, scope.is_public());
        let recipe = Recipe { suite, compression, binding, secret };
        let sink = Sink::new(store, concurrency, self.config.verify_present);
        let threads = self.pool.threads();
        let batch = self.budget.batch(threads);
        let source = ChunkSource::new(source, chunking, cutter, self.budget, self.pool.buffers().clone());

        // One batch more than there are threads, so that none waits while the next is read.
        let lanes = threads + 1;
        let prepared =
            batches(source, batch).map(|chunks| prepare(self.pool, &recipe, chunks)).buffered(lanes);
        let sealed = bind(prepared, binding).map(|chunks| seal(self.pool, &recipe, chunks)).buffered(lanes);
        // Pages join the stream where their last entry is known, so that every put waits in one place.
        let steps = grow(sealed, Builder::new(self.pool, &recipe));
        let stored = steps.flat_map(one_by_one).map(|step| put(&sink, step)).buffered(4 * concurrency);

        let mut stored = std::pin::pin!(stored);
        while let Some(result) = stored.next().await {
            match result? {
                Stored::Chunk { len, stored, outcome } => self.meter.wrote(len, stored, outcome)?,
                Stored::Root(node) => {
                    sink.flush().await?;
                    let header = Header { suite, binding, chunking: Some(chunking), total: node.end() };
                    tracing::debug!(total = header.total, level = node.level, "written");
                    let map = DataMap::new(header, Body::Tree(Arc::new(node)));
                    return Ok(Written { map, stats: self.meter.total() });
                }
            }
        }
        unreachable!("the last step is the root or an error")
    }
}

/// The chunks of the input, `count` at a time; ends after a failure.
pub(crate) fn batches<R>(
    source: ChunkSource<R>,
    count: usize,
) -> impl Stream<Item = Result<Vec<Chunk>>> + Send
where
    R: AsyncRead + Send,
{
    stream::unfold(Some(source), move |source| async move {
        let mut source = source?;
        match source.batch(count).await {
            Ok(chunks) if chunks.is_empty() => None,
            Ok(chunks) => Some((Ok(chunks), Some(source))),
            Err(failure) => Some((Err(failure), None)),
        }
    })
}

async fn prepare(pool: &CpuPool, recipe: &Recipe, chunks: Result<Vec<Chunk>>) -> Result<Vec<Prepared>> {
    let (recipe, chunks) = (recipe.clone(), chunks?);
    Ok(pool.run(move || recipe.prepare(chunks)).await)
}

/// Gives chunks their neighbours; a failure passes through in its place.
fn bind(
    prepared: impl Stream<Item = Result<Vec<Prepared>>> + Send,
    binding: Binding,
) -> impl Stream<Item = Result<Vec<Bound>>> + Send {
    let state = Some((Box::pin(prepared), Lag::new(binding)));
    stream::unfold(state, |state| async move {
        let (mut prepared, mut lag) = state?;
        loop {
            match prepared.next().await {
                Some(Ok(chunks)) => {
                    let bound = lag.push(chunks);
                    if !bound.is_empty() {
                        return Some((Ok(bound), Some((prepared, lag))));
                    }
                }
                Some(Err(failure)) => return Some((Err(failure), None)),
                None => return Some((Ok(lag.finish()), None)),
            }
        }
    })
}

async fn seal(pool: &CpuPool, recipe: &Recipe, chunks: Result<Vec<Bound>>) -> Result<Vec<Sealed>> {
    let (recipe, chunks) = (recipe.clone(), chunks?);
    Ok(pool.run(move || recipe.seal(chunks)).await)
}

/// Adds the pages, and the root at the end.
fn grow<'a>(
    sealed: impl Stream<Item = Result<Vec<Sealed>>> + Send + 'a,
    builder: Builder<'a>,
) -> impl Stream<Item = Result<Vec<Step>>> + Send + 'a {
    stream::unfold(Some((Box::pin(sealed), builder)), |state| async move {
        let (mut sealed, mut builder) = state?;
        match sealed.next().await {
            Some(Ok(chunks)) => match builder.add(chunks).await {
                Ok(steps) => Some((Ok(steps), Some((sealed, builder)))),
                Err(failure) => Some((Err(failure), None)),
            },
            Some(Err(failure)) => Some((Err(failure), None)),
            None => Some((builder.finish().await, None)),
        }
    })
}

/// What travelled together, each by itself.
pub(crate) fn one_by_one<T: Send>(steps: Result<Vec<T>>) -> impl Stream<Item = Result<T>> + Send {
    let (steps, failure) = match steps {
        Ok(steps) => (steps, None),
        Err(failure) => (Vec::new(), Some(Err(failure))),
    };
    stream::iter(steps.into_iter().map(Ok).chain(failure))
}

async fn put(sink: &Sink, step: Result<Step>) -> Result<Stored> {
    let (name, bytes, len, permit) = match step? {
        Step::Chunk(Sealed { stored, entry, len, permit }) => (entry.name, stored, len, Some(permit)),
        Step::Page { name, stored } => (name, stored, 0, None),
        Step::Root(node) => return Ok(Stored::Root(node)),
    };
    let stored = bytes.len() as u64;
    let outcome = sink.put(name, bytes).await?;
    drop(permit);
    Ok(Stored::Chunk { len, stored, outcome })
}
