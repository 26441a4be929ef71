//! One call of each operation on a store with a little of everything in it: for the cases about faults.

use std::error::Error as _;
use std::sync::Arc;

use futures::TryStreamExt;
use selfenc_core::store::{Backend, ChunkId, Error, Expect, Result, RootName, Swap};

use crate::data::{Sample, listed, noise, root, sample};
use crate::{Failure, Fault, Op};

/// A store that holds a chunk and, where it has roots, a root.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) store: Arc<dyn Backend>,
    pub(crate) old: Sample,
    root: RootName,
}

/// Whether it is about one chunk, which its errors then name.
pub(crate) fn has_chunk(op: Op) -> bool {
    matches!(op, Op::Put | Op::Get | Op::Stat | Op::Delete)
}

impl Scene {
    pub(crate) async fn new(store: Arc<dyn Backend>) -> Result<Self, Failure> {
        let scene = Self { store, old: sample(1000, 5000), root: root("scene") };
        must!(G1, scene.store.put(scene.old.id, scene.old.data.clone()).await);
        if scene.store.capabilities().roots {
            must!(Roots, scene.store.swap(&scene.root, Expect::Absent, Some(noise(0, 100))).await);
        }
        must!(G4, scene.store.flush().await);
        Ok(scene)
    }

    /// The chunk of the `n`th act.
    pub(crate) fn fresh(n: u64) -> Sample {
        sample(2000 + n, 7000)
    }

    /// The chunk that the `n`th act is about.
    pub(crate) fn subject(&self, op: Op, n: u64) -> ChunkId {
        if matches!(op, Op::Get | Op::Stat) { self.old.id } else { Self::fresh(n).id }
    }

    /// Makes sure that the `n`th act has something to do.
    pub(crate) async fn prepare(&self, op: Op, n: u64) -> Result<(), Failure> {
        let x = Self::fresh(n);
        if op == Op::Flush {
            // So that a flush that fails covers nothing but this.
            must!(G4, self.store.flush().await);
        }
        if matches!(op, Op::Delete | Op::Flush) {
            must!(G1, self.store.put(x.id, x.data.clone()).await);
        }
        if op == Op::Flush {
            // Where a put is durable at once, a flush covers what was only seen.
            check_eq!(G2, must!(G2, self.store.stat(x.id).await), Some(x.meta()), "stat of a fresh chunk");
        }
        Ok(())
    }

    /// Does it. An `Ok` with a wrong answer fails the case.
    pub(crate) async fn act(&self, op: Op, n: u64) -> Result<Result<()>, Failure> {
        let (store, x) = (&*self.store, Self::fresh(n));
        let done = match op {
            Op::Put => store.put(x.id, x.data.clone()).await.map(drop),
            Op::Delete => store.delete(x.id).await,
            Op::Flush => store.flush().await,
            Op::Get => match store.get(self.old.id).await {
                Ok(got) => {
                    check!(
                        G5,
                        got.as_ref() == Some(&self.old.data),
                        "get hides a fault: {:?}",
                        got.is_some()
                    );
                    Ok(())
                }
                Err(e) => Err(e),
            },
            Op::Stat => match store.stat(self.old.id).await {
                Ok(found) => {
                    check_eq!(G5, found, Some(self.old.meta()), "stat under a fault");
                    Ok(())
                }
                Err(e) => Err(e),
            },
            Op::List => match listed(store, None).await {
                Ok(all) => {
                    check!(G7, all.contains(&self.old.meta()), "a listing hides a fault: it lacks a chunk");
                    Ok(())
                }
                Err(e) => Err(e),
            },
            Op::Load => match store.load(&self.root).await {
                Ok(found) => {
                    check!(Roots, found.is_some(), "load hides a fault: the root is said to be absent");
                    Ok(())
                }
                Err(e) => Err(e),
            },
            Op::Swap => self.swap(n).await?,
            Op::Names => match store.names().try_collect::<Vec<_>>().await {
                Ok(names) => {
                    check!(Roots, names.contains(&self.root), "names hides a fault: it lacks a root");
                    Ok(())
                }
                Err(e) => Err(e),
            },
            other => {
                fail!(Honesty, "the harness has a fault for {other}, which the suite does not try alone")
            }
        };
        Ok(done)
    }

    async fn swap(&self, n: u64) -> Result<Result<()>, Failure> {
        let work = async {
            let current = self.store.load(&self.root).await?;
            self.store.swap(&self.root, Expect::from(current.as_ref()), Some(noise(n, 100))).await
        };
        match work.await {
            Ok(Swap::Done(_)) => Ok(Ok(())),
            Ok(Swap::Conflict(_)) => fail!(Roots, "a conflict, and nobody else swaps"),
            Err(e) => Ok(Err(e)),
        }
    }

    /// After the fault: the act works now, and what it did shows.
    pub(crate) async fn check_works(&self, fault: &Fault, n: u64) -> Result<(), Failure> {
        let (x, Fault { op, cause, .. }) = (Self::fresh(n), fault);
        if matches!(op, Op::Flush | Op::Put) {
            // What a failed flush was to cover is to be put again.
            if let Err(e) = self.store.put(x.id, x.data.clone()).await {
                fail!(G8, "after {cause} has ended, put still fails: {e}");
            }
        }
        if let Err(e) = self.act(*op, n).await? {
            fail!(G8, "after {cause} has ended, {} still fails: {e}", op.as_str());
        }
        let found = must!(G2, self.store.get(x.id).await);
        match op {
            Op::Put | Op::Flush => check!(G2, found == Some(x.data), "after {cause}: the chunk is lost"),
            Op::Delete => check!(G3, found.is_none(), "after {cause}: the chunk is still there"),
            _ => {}
        }
        Ok(())
    }

    /// At the end of everything: what was there before is there, and everything works.
    pub(crate) async fn check_whole(&self) -> Result<(), Failure> {
        let got = must!(G2, self.store.get(self.old.id).await);
        check!(G2, got.as_ref() == Some(&self.old.data), "a chunk from before the faults is lost or damaged");
        let x = sample(3000, 100);
        must!(G8, self.store.put(x.id, x.data.clone()).await);
        must!(G8, self.store.flush().await);
        check!(G2, must!(G2, self.store.get(x.id).await) == Some(x.data), "a chunk put after the faults");
        Ok(())
    }
}

/// How long an error's chain of causes is; no more than 20 are counted.
pub(crate) fn causes(e: &Error) -> usize {
    let mut cause = e.source();
    let mut count = 0;
    while let (Some(e), true) = (cause, count < 20) {
        (cause, count) = (e.source(), count + 1);
    }
    count
}
