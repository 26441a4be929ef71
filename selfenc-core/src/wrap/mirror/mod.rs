//! Several stores that each keep everything.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::BoxStream;

use self::answers::{Replicas, all, joined, none, outcome, weakest};
use self::heal::{Counters, Lack};
use self::roots::Roots;
use super::fence::Fence;
use super::tiered::{passes, unanswered};
use super::verify::Check;
use crate::store::{
    Backend, Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, PutOutcome, Result, StoreInfo,
};

mod answers;
mod heal;
mod known;
mod merge;
mod roots;

pub use heal::MirrorStats;

/// The most replicas: a root's version names one in a byte.
const MAX_REPLICAS: usize = 255;

/// Keeps everything in several stores, and reads from the first that has a good copy.
///
/// # Chunks
///
/// `put`, `delete` and `flush` go to all replicas at once and are `Ok` only if all are; the error says
/// which did it and which failed. `get` asks one after the other, in the order given, so the nearest comes
/// first. Those before the one that has it and that lack it, or have it damaged, get it back before `get`
/// returns, as far as they take it. A chunk is absent only if every replica says so: where one fails and
/// the others lack it, the failure is the answer. A replica that may hang wants a
/// [`Timeout`](super::Timeout) around it. `list` merges all replicas, and an error of one is an error of
/// the listing, for a collector must not take a replica that failed for an empty one.
///
/// `stat` asks whether the chunk is everywhere: it says so only if every replica that answers has it with
/// the same length, and an error only if none answers. Whoever asks it before a put, as a copy does, thus
/// fills a replica that was replaced, though `get` finds the chunk.
///
/// # Roots
///
/// The first replica decides a swap; then the value is copied to the others, and a swap that is done is
/// on all of them. If only the copy fails, the swap answers a transient error, and the next `load` copies
/// again. So does the first `load` of a name in a process, which cannot know what another one left undone.
///
/// Once a root was the same on all replicas in this process and no swap from here is unfinished, `load`
/// gives what the next replica has while the first does not answer; that may be older than what another
/// process swapped. Before that it answers the first one's error. Nothing can be swapped meanwhile.
///
/// A root is absent only if every replica says so. If the first one lacks a root that another one has, it
/// was replaced, or a removal from another process is unfinished: unless that passes within half a second,
/// `load`, and `swap` of an absent root, fail with [`ErrorKind::Corrupt`] and change nothing, until
/// somebody copies the root back to the first replica or removes it from the others.
///
/// `names` gives all names of all replicas, so that nobody who looks for what is in use misses a root.
///
/// # Capabilities
///
/// The weakest of all replicas, and `exact_outcome` is off: a chunk may be new to one replica and not to
/// the next. `put` answers `Present` only if it was everywhere. `get` may give a longer chunk than can be
/// put here, if a replica has one: it is bounded by the largest replica's limit. No replica whose own limit
/// is smaller is given it.
///
/// ```
/// # use std::sync::Arc;
/// # use selfenc_core::store::{Backend, Result};
/// use selfenc_core::engine::name_matches;
/// use selfenc_core::wrap::Mirror;
///
/// # fn open(near: Arc<dyn Backend>, far: Arc<dyn Backend>) -> Result<()> {
/// let store = Mirror::new(vec![near, far])?.with_check(name_matches); // also heals damaged copies
/// # Ok(()) }
/// ```
pub struct Mirror {
    replicas: Arc<Replicas>,
    capabilities: Capabilities,
    check: Option<Check>,
    fence: Arc<Fence>,
    counters: Arc<Counters>,
    roots: Roots,
}

impl Mirror {
    /// Makes copies of one another of these stores; the first one decides about roots.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for no store, or more than 255.
    pub fn new(replicas: Vec<Arc<dyn Backend>>) -> Result<Self> {
        let invalid = |message| Error::new(ErrorKind::InvalidInput, "open", message);
        if replicas.len() > MAX_REPLICAS {
            return Err(invalid("a mirror has at most 255 replicas"));
        }
        let capabilities =
            weakest(&replicas).ok_or_else(|| invalid("a mirror needs at least one replica"))?;
        Ok(Self {
            replicas: replicas.into(),
            capabilities,
            check: None,
            fence: Arc::default(),
            counters: Arc::default(),
            roots: Roots::new(),
        })
    }

    /// Takes only copies that pass for good ones, and replaces others. Without it, only copies that are
    /// absent or that their store calls corrupt are replaced.
    #[must_use]
    pub fn with_check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// The stores below, in their order.
    #[must_use]
    pub fn replicas(&self) -> &[Arc<dyn Backend>] {
        &self.replicas
    }

    /// What was repaired so far.
    #[must_use]
    pub fn stats(&self) -> MirrorStats {
        MirrorStats {
            healed: self.counters.healed.load(Ordering::Relaxed),
            heal_failed: self.counters.heal_failed.load(Ordering::Relaxed),
            roots_behind: self.roots.known.count_behind() as u64,
        }
    }

    fn can_delete(&self, id: ChunkId) -> Result<()> {
        if self.capabilities.deletes {
            return Ok(());
        }
        let message = "one of the replicas deletes nothing";
        Err(Error::new(ErrorKind::Unsupported, "delete", message).with_chunk(id))
    }

    /// One answer for each member of a batch, out of each replica's answers to it.
    fn members<T>(
        &self,
        op: &'static str,
        ids: &[ChunkId],
        answers: Vec<Vec<Result<T>>>,
    ) -> Vec<Result<Vec<T>>> {
        let mut answers: Vec<_> = answers.into_iter().map(Vec::into_iter).collect();
        let member = |id: &ChunkId| {
            let each =
                answers.iter_mut().map(|replica| replica.next().unwrap_or_else(|| Err(unanswered(op))));
            all(&self.replicas, op, Some(*id), each.collect())
        };
        ids.iter().map(member).collect()
    }
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("check", &self.check.is_some())
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for Mirror {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.capabilities.check_len(id, &data)?;
        // A repair that began before it would come after it, with what the chunk was.
        let change = self.fence.change([id]);
        change.settled().await;
        let results = join_all(self.replicas.iter().map(|replica| replica.put(id, data.clone()))).await;
        Ok(outcome(&all(&self.replicas, "put", Some(id), results)?))
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let (mut lacks, mut failed, mut ticket) = (Vec::new(), Vec::new(), None);
        for (i, replica) in self.replicas.iter().enumerate() {
            match replica.get(id).await {
                Ok(Some(data)) if passes(self.check, id, &data).await => {
                    if let Some(ticket) = ticket.filter(|_| !lacks.is_empty()) {
                        self.heal(ticket, id, data.clone(), lacks).await;
                    }
                    return Ok(Some(data));
                }
                Ok(Some(_)) => {
                    let message = "the bytes are not what the chunk's name says";
                    failed.push((i, Error::new(ErrorKind::Corrupt, "get", message)));
                    lacks.push(Lack { replica: i, damaged: true });
                }
                Ok(None) => lacks.push(Lack { replica: i, damaged: false }),
                Err(e) => {
                    if e.kind() == ErrorKind::Corrupt {
                        lacks.push(Lack { replica: i, damaged: true });
                    }
                    failed.push((i, e));
                }
            }
            // Before the next one is read, which may be the source of a repair.
            ticket.get_or_insert_with(|| self.fence.ticket(id));
        }
        if failed.is_empty() { Ok(None) } else { Err(none(&self.replicas, "get", Some(id), failed)) }
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        self.can_delete(id)?;
        let change = self.fence.change([id]);
        change.settled().await;
        let results = join_all(self.replicas.iter().map(|replica| replica.delete(id))).await;
        all(&self.replicas, "delete", Some(id), results).map(drop)
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        let lists = self.replicas.iter().map(|replica| replica.list(after)).collect();
        let replicas = Arc::clone(&self.replicas);
        merge::merge(lists, move |i, e| joined(&replicas, "list", None, "a replica failed", vec![(i, e)]))
    }

    fn info(&self) -> StoreInfo {
        StoreInfo::around("mirror", self.replicas.iter().map(ChunkStore::info))
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        let (mut lacking, mut found, mut failed) = (false, None::<ChunkMeta>, Vec::new());
        let answers = join_all(self.replicas.iter().map(|replica| replica.stat(id))).await;
        for (i, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(Some(meta)) => lacking |= found.get_or_insert(meta).len != meta.len,
                Ok(None) => lacking = true,
                Err(e) => failed.push((i, e)),
            }
        }
        match found {
            _ if lacking => Ok(None),
            Some(meta) => Ok(Some(meta)),
            None => Err(none(&self.replicas, "stat", Some(id), failed)),
        }
    }

    async fn flush(&self) -> Result<()> {
        let results = join_all(self.replicas.iter().map(ChunkStore::flush)).await;
        all(&self.replicas, "flush", None, results).map(drop)
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        // What one replica cannot take is sent to none.
        let checks: Vec<_> = chunks.iter().map(|(id, data)| self.capabilities.check_len(*id, data)).collect();
        let fitting = chunks.into_iter().zip(&checks).filter(|(_, check)| check.is_ok());
        let chunks: Vec<_> = fitting.map(|(chunk, _)| chunk).collect();
        let ids: Vec<_> = chunks.iter().map(|(id, _)| *id).collect();
        let change = self.fence.change(ids.iter().copied());
        change.settled().await;
        let answers = join_all(self.replicas.iter().map(|replica| replica.put_many(chunks.clone()))).await;
        let mut members = self.members("put", &ids, answers).into_iter();
        let mut put = |()| {
            let member = members.next().unwrap_or_else(|| Err(unanswered("put")));
            member.map(|outcomes| outcome(&outcomes))
        };
        checks.into_iter().map(|check| check.and_then(&mut put)).collect()
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        if !self.capabilities.deletes {
            return ids.into_iter().map(|id| self.can_delete(id)).collect();
        }
        let change = self.fence.change(ids.iter().copied());
        change.settled().await;
        let answers = join_all(self.replicas.iter().map(|replica| replica.delete_many(ids.clone()))).await;
        self.members("delete", &ids, answers).into_iter().map(|each| each.map(drop)).collect()
    }
}
