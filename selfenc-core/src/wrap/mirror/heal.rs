use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::Mirror;
use crate::store::{Backend, ChunkId, ErrorKind, PutOutcome, Result, attended};
use crate::wrap::fence::Ticket;
use crate::wrap::tiered::passes;
use crate::wrap::verify::Check;

/// How often a [`Mirror`] had to repair a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MirrorStats {
    /// Copies that a read found absent or damaged, and put back.
    pub healed: u64,
    /// Copies that could not be put back; the read was answered all the same.
    pub heal_failed: u64,
    /// Roots whose last swap is not known to have reached every replica.
    pub roots_behind: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) healed: AtomicU64,
    pub(super) heal_failed: AtomicU64,
}

/// A replica that a read found without a good copy.
#[derive(Clone, Copy)]
pub(super) struct Lack {
    pub(super) replica: usize,
    /// It has something else in its place.
    pub(super) damaged: bool,
}

impl Mirror {
    /// Gives those that lack it a good copy, as far as they take it.
    pub(super) async fn heal(&self, ticket: Ticket, id: ChunkId, data: Bytes, lacks: Vec<Lack>) {
        let len = data.len() as u64;
        let fits = |lack: &Lack| len <= self.replicas[lack.replica].capabilities().max_chunk_len;
        let lacks: Vec<_> = lacks.into_iter().filter(fits).collect();
        if lacks.is_empty() {
            return;
        }
        let Some(filling) = ticket.fill() else { return };
        let (replicas, counters, check) =
            (Arc::clone(&self.replicas), Arc::clone(&self.counters), self.check);
        // All that can fail here is a runtime that shuts down, and the caller has its chunk.
        let _ = attended("get", async move {
            let _filling = filling;
            for lack in lacks {
                let replica = &replicas[lack.replica];
                match restore(&**replica, id, data.clone(), lack.damaged, check).await {
                    Ok(false) => {}
                    Ok(true) => {
                        counters.healed.fetch_add(1, Ordering::Relaxed);
                        tracing::warn!(replica = %replica.info(), chunk = %id.short(), "healed");
                    }
                    Err(e) => {
                        counters.heal_failed.fetch_add(1, Ordering::Relaxed);
                        tracing::warn!(replica = %replica.info(), chunk = %id.short(), error = %e, "not healed");
                    }
                }
            }
            Ok(())
        })
        .await;
    }
}

/// Whether the replica lacked a good copy and now has one.
async fn restore(
    replica: &dyn Backend,
    id: ChunkId,
    data: Bytes,
    damaged: bool,
    check: Option<Check>,
) -> Result<bool> {
    if damaged {
        match replica.get(id).await {
            // Somebody else was here in the meantime.
            Ok(Some(data)) if passes(check, id, &data).await => return Ok(false),
            Err(e) if e.kind() != ErrorKind::Corrupt => return Err(e),
            // A put would take bytes of the right length for the chunk.
            Ok(_) | Err(_) => replica.delete(id).await?,
        }
    }
    Ok(replica.put(id, data).await? != PutOutcome::Present)
}
