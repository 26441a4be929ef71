//! What becomes of the fast store. Its errors are counted, and nobody else's.

use std::sync::Arc;

use bytes::Bytes;

use super::{Tiered, count, passes};
use crate::store::{ChunkId, ChunkStore, ErrorKind, PutOutcome, Result, attended};
use crate::wrap::fence::{Change, Filling, Ticket};

/// What the fast store has to say about a chunk.
pub(super) enum Look {
    Hit(Bytes),
    Miss,
    Damaged,
    Failed,
}

impl<F: ChunkStore, S> Tiered<F, S> {
    /// Asks the fast store.
    pub(super) async fn look(&self, id: ChunkId) -> Look {
        match self.fast.get(id).await {
            Ok(Some(data)) if passes(self.check, id, &data).await => {
                count(&self.counters.hits, 1);
                Look::Hit(data)
            }
            Ok(None) => {
                count(&self.counters.misses, 1);
                Look::Miss
            }
            Err(e) if e.kind() != ErrorKind::Corrupt => {
                count(&self.counters.fast_errors, 1);
                tracing::debug!(chunk = %id.short(), error = %e, "the fast store does not answer");
                Look::Failed
            }
            Ok(Some(_)) | Err(_) => {
                count(&self.counters.damaged, 1);
                tracing::warn!(chunk = %id.short(), "damaged in the fast store");
                Look::Damaged
            }
        }
    }

    /// Brings the fast store in line with what the slow one gave; `None` only removes.
    pub(super) async fn refill(&self, ticket: Ticket, damaged: bool, id: ChunkId, data: Option<Bytes>) {
        let Some(filling) = ticket.fill() else { return };
        let data = data.filter(|data| self.fits(data));
        let (fast, counters) = (Arc::clone(&self.fast), Arc::clone(&self.counters));
        // All that can fail here is a runtime that shuts down, and the caller's part is done.
        let _ = attended("get", async move {
            let _filling = filling;
            // A put would take damaged bytes of the right length for the chunk.
            let mut done = if damaged { fast.delete(id).await } else { Ok(()) };
            if let (Ok(()), Some(data)) = (&done, data) {
                done = fast.put(id, data).await.map(drop);
            }
            if let Err(e) = done {
                count(&counters.fast_errors, 1);
                tracing::debug!(chunk = %id.short(), error = %e, "the fast store was not refilled");
            }
            Ok(())
        })
        .await;
    }

    /// Brings the fast store in line with what the slow one has taken, in the order of the change.
    ///
    /// Where puts or deletes of one chunk overlap, nobody knows which of them the slow store saw last; then
    /// the fast store forgets the chunk, and a read brings it back.
    pub(super) async fn follow(&self, change: Change, taken: Vec<(ChunkId, Option<Bytes>)>) {
        let (mut fillings, mut chunks, mut stale): (Vec<Filling>, _, _) = (vec![], vec![], vec![]);
        for (member, (id, data)) in taken.into_iter().enumerate() {
            let Some(data) = data else { continue };
            match change.fill(member).filter(|_| self.fits(&data)) {
                Some(filling) => {
                    fillings.push(filling);
                    chunks.push((id, data));
                }
                None => stale.push(id),
            }
        }
        let (fast, counters) = (Arc::clone(&self.fast), Arc::clone(&self.counters));
        let _ = attended("put", async move {
            let puts = put_all(&*fast, chunks).await;
            drop(fillings);
            let mut errors: Vec<_> = puts.into_iter().filter_map(Result::err).collect();
            if !stale.is_empty() {
                change.settled().await;
                errors.extend(fast.delete_many(stale).await.into_iter().filter_map(Result::err));
            }
            count(&counters.fast_errors, errors.len() as u64);
            for e in errors {
                tracing::debug!(error = %e, "the fast store did not follow");
            }
            Ok(())
        })
        .await;
    }

    fn fits(&self, data: &Bytes) -> bool {
        data.len() as u64 <= self.fast.capabilities().max_chunk_len
    }

    /// Begins a delete: from here to its end, no read puts these chunks into the fast store.
    pub(super) async fn begin_delete(&self, ids: impl IntoIterator<Item = ChunkId>) -> Change {
        let change = self.fence.change(ids);
        change.settled().await;
        change
    }
}

/// What the fast store must copy: what the slow one had already it keeps as it is.
pub(super) fn news(outcome: &Result<PutOutcome>, data: Bytes) -> Option<Bytes> {
    matches!(outcome, Ok(PutOutcome::Inserted | PutOutcome::Unchecked)).then_some(data)
}

async fn put_all<F: ChunkStore>(store: &F, mut chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
    match (chunks.pop(), chunks.is_empty()) {
        (None, _) => Vec::new(),
        (Some((id, data)), true) => vec![store.put(id, data).await],
        (Some(last), false) => {
            chunks.push(last);
            store.put_many(chunks).await
        }
    }
}
