use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::{
    ChunkId, ChunkStore, Error, ErrorKind, Expect, PutOutcome, Result, Root, RootName, RootStore, Swap,
};

/// How many chunks a copy, or a batch of reads, keeps in flight.
const IN_FLIGHT: usize = 8;

/// How often `update` starts again because others were in between.
const UPDATE_ATTEMPTS: usize = 1000;

/// How often `update` starts again after an error that may pass. Retrying for long is a wrapper's work.
const UPDATE_FAILURES: usize = 5;

/// What everybody wants of a [`ChunkStore`] and nobody needs to implement.
#[async_trait]
pub trait ChunkStoreExt: ChunkStore {
    /// Whether the chunk is there.
    ///
    /// # Errors
    /// As for `stat`.
    async fn contains(&self, id: ChunkId) -> Result<bool> {
        Ok(self.stat(id).await?.is_some())
    }

    /// The chunk's bytes; absence is an error here.
    ///
    /// # Errors
    /// [`ErrorKind::ChunkMissing`] naming the chunk, or as for `get`.
    async fn get_required(&self, id: ChunkId) -> Result<Bytes> {
        self.get(id).await?.ok_or_else(|| {
            let message = format!("it is not in {}", self.info());
            Error::new(ErrorKind::ChunkMissing, "get", message).with_chunk(id)
        })
    }

    /// Many chunks, in the order asked for.
    async fn get_many(&self, ids: Vec<ChunkId>) -> Vec<Result<Option<Bytes>>> {
        stream::iter(ids).map(|id| self.get(id)).buffered(IN_FLIGHT).collect().await
    }

    /// The number of chunks, by listing them all.
    ///
    /// # Errors
    /// As for `list`.
    async fn count(&self) -> Result<u64> {
        self.list(None).try_fold(0, async |n, _| Ok(n + 1)).await
    }

    /// Copies every chunk after `after` to `target`, then flushes it. What is there already is not sent.
    ///
    /// # Errors
    /// The first error of either store; what was copied stays, so a later call goes on from there.
    async fn copy_to(&self, target: &dyn ChunkStore, after: Option<ChunkId>) -> Result<CopyReport> {
        let mut copies = self
            .list(after)
            .map(|meta| async move {
                let meta = meta?;
                if target.stat(meta.id).await? == Some(meta) {
                    return Ok(Some((PutOutcome::Present, meta.len)));
                }
                // Deleted since it was listed: nothing to copy.
                let Some(data) = self.get(meta.id).await? else { return Ok(None) };
                let len = data.len() as u64;
                Ok::<_, Error>(Some((target.put(meta.id, data).await?, len)))
            })
            .buffered(IN_FLIGHT);
        let mut report = CopyReport::default();
        while let Some(copy) = copies.try_next().await? {
            match copy {
                Some((PutOutcome::Present, _)) => report.present += 1,
                Some((_, len)) => {
                    report.copied += 1;
                    report.bytes += len;
                }
                None => {}
            }
        }
        drop(copies);
        target.flush().await?;
        Ok(report)
    }
}

impl<S: ChunkStore + ?Sized> ChunkStoreExt for S {}

/// What a copy did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Chunks that were sent.
    pub copied: u64,
    /// Chunks that the target had already.
    pub present: u64,
    /// Bytes that were sent.
    pub bytes: u64,
}

/// What everybody wants of a [`RootStore`] and nobody needs to implement.
#[async_trait]
pub trait RootStoreExt: RootStore {
    /// Loads, changes and swaps, again and again until nobody was in between; the value that stands.
    ///
    /// `change` gets the current value and gives the new one (`None` removes the root). It may be called
    /// more than once. After a transient error, which leaves open whether the swap happened, the root is
    /// read again: if it holds the new value the update is done, else it starts over, up to five times.
    ///
    /// So `change` must give a value that no other writer gives, such as one that holds a fresh random
    /// number, or one that may be set twice, such as the name of a map. A bare counter is neither: after a
    /// lost reply, nobody can tell one's own 6 from another writer's 6.
    ///
    /// # Errors
    /// What `change` returns, what the store returns, or [`ErrorKind::Conflict`] after 1000 attempts that
    /// others were in between of.
    async fn update<F>(&self, name: &RootName, mut change: F) -> Result<Option<Root>>
    where
        F: FnMut(Option<&Bytes>) -> Result<Option<Bytes>> + Send,
    {
        let mut current = self.load(name).await?;
        let mut failures = 0;
        for _ in 0..UPDATE_ATTEMPTS {
            let new = change(current.as_ref().map(|root| &root.value))?;
            if new.is_none() && current.is_none() {
                return Ok(None);
            }
            match self.swap(name, Expect::from(current.as_ref()), new.clone()).await {
                Ok(Swap::Done(version)) => {
                    return Ok(new.zip(version).map(|(value, version)| Root { value, version }));
                }
                Ok(Swap::Conflict(found)) => current = found,
                Err(e) if e.is_transient() => {
                    let found = self.load(name).await?;
                    if found != current && found.as_ref().map(|root| &root.value) == new.as_ref() {
                        return Ok(found);
                    }
                    failures += 1;
                    // Whoever retried it below has done what can be done.
                    if e.attempts().is_some() || failures >= UPDATE_FAILURES {
                        return Err(e);
                    }
                    current = found;
                }
                Err(e) => return Err(e),
            }
        }
        Err(Error::new(ErrorKind::Conflict, "update", "others keep changing this root; try again later"))
    }
}

impl<S: RootStore + ?Sized> RootStoreExt for S {}

/// What takes both halves of a backend.
#[async_trait]
pub trait BackendExt: ChunkStore + RootStore {
    /// Flushes the chunks, then swaps the root: a root never points past what is durable.
    ///
    /// # Errors
    /// As for `flush` and `swap`.
    async fn publish(&self, name: &RootName, expect: Expect, value: Bytes) -> Result<Swap> {
        self.flush().await?;
        self.swap(name, expect, Some(value)).await
    }
}

impl<S: ChunkStore + RootStore + ?Sized> BackendExt for S {}
