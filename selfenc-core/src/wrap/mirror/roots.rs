use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashSet};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{self, BoxStream, StreamExt};

use super::Mirror;
use super::answers::{all, joined, none};
use crate::store::{
    Backend, Error, ErrorKind, Expect, Result, Root, RootName, RootStore, RootVersion, Swap, attended,
};

/// Locks for names; two names in flight seldom share one.
const STRIPES: usize = 64;

/// How often a copy starts again because somebody else changed the replica.
const COPY_ATTEMPTS: usize = 16;

/// What a mirror remembers of its roots.
#[derive(Debug)]
pub(super) struct Roots {
    hasher: RandomState,
    /// Held while a root is copied: copies of one name would only get in each other's way.
    copying: Box<[Arc<tokio::sync::Mutex<()>>]>,
    /// Roots whose last swap may not have reached every replica.
    behind: Mutex<BTreeSet<RootName>>,
}

impl Roots {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            copying: (0..STRIPES).map(|_| Arc::default()).collect(),
            behind: Mutex::default(),
        }
    }

    pub(super) fn behind(&self) -> MutexGuard<'_, BTreeSet<RootName>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_for(&self, name: &RootName) -> Arc<tokio::sync::Mutex<()>> {
        #[allow(clippy::cast_possible_truncation)] // any bits of the hash will do
        let stripe = self.hasher.hash_one(name) as usize % STRIPES;
        Arc::clone(&self.copying[stripe])
    }
}

/// Dropped before its end, a swap leaves its root marked as behind.
struct Unfinished<'a> {
    roots: &'a Roots,
    name: Option<RootName>,
}

impl Unfinished<'_> {
    fn finished(mut self) {
        self.name = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.roots.behind().insert(name);
        }
    }
}

impl Mirror {
    /// Brings the other replicas' root in line with the first one's.
    async fn copy_root(&self, name: &RootName) -> Result<()> {
        if self.replicas.len() == 1 {
            return Ok(());
        }
        let (replicas, name, lock) = (Arc::clone(&self.replicas), name.clone(), self.roots.lock_for(name));
        attended("swap", async move {
            let _lock = lock.lock().await;
            let (first, others) = (&replicas[0], &replicas[1..]);
            let copies = join_all(others.iter().map(|other| follow(&**first, &**other, &name))).await;
            let results = std::iter::once(Ok(())).chain(copies).collect();
            all(&replicas, "swap", None, results).map(drop)
        })
        .await
    }

    /// Repeats a copy that failed before.
    async fn catch_up(&self, name: &RootName) {
        // Taken out first: a swap that fails meanwhile puts it back in.
        if self.roots.behind().remove(name) {
            let unfinished = Unfinished { roots: &self.roots, name: Some(name.clone()) };
            match self.copy_root(name).await {
                Ok(()) => unfinished.finished(),
                Err(e) => tracing::warn!(error = %e, "a root is still behind"),
            }
        }
    }

    fn has_roots(&self, op: &'static str) -> Result<()> {
        if self.capabilities.roots {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, op, "one of the replicas keeps no roots"))
    }
}

/// Makes `other`'s root what `first`'s is.
async fn follow(first: &dyn Backend, other: &dyn Backend, name: &RootName) -> Result<()> {
    for _ in 0..COPY_ATTEMPTS {
        // In this order. Whoever changes the first one after it was read here copies after us: he either
        // finds our value there, or makes our swap conflict.
        let theirs = other.load(name).await?;
        let value = first.load(name).await?.map(|root| root.value);
        if theirs.as_ref().map(|root| &root.value) == value.as_ref() {
            return Ok(());
        }
        if let Swap::Done(_) = other.swap(name, Expect::from(theirs.as_ref()), value).await? {
            return Ok(());
        }
    }
    Err(Error::new(ErrorKind::Conflict, "swap", "others keep changing this root"))
}

/// The version by which callers know a replica's root. Only the first one's is good for a swap.
fn outer(replica: usize, version: &RootVersion) -> RootVersion {
    let number = u8::try_from(replica).unwrap_or(u8::MAX); // there are no more than 255
    RootVersion::new([&[number], version.as_bytes()].concat())
}

fn outer_root(replica: usize, root: Root) -> Root {
    Root { version: outer(replica, &root.version), value: root.value }
}

/// What the first of so many replicas is to expect; `None` for a version that no mirror gave.
fn inner_expect(replicas: usize, expect: Expect) -> Result<Option<Expect>> {
    let Expect::Version(version) = expect else { return Ok(Some(Expect::Absent)) };
    match version.as_bytes() {
        [0, inner @ ..] => Ok(Some(Expect::Version(RootVersion::new(inner.to_vec())))),
        [number, ..] if usize::from(*number) < replicas => {
            let message = "the root was read from another replica because the first one, which decides, \
                           did not answer; load it again once it does";
            // The same swap can never succeed, only one with a newer version.
            Err(Error::new(ErrorKind::Unavailable, "swap", message).with_transient(false))
        }
        _ => Ok(None),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RootStore for Mirror {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.has_roots("load")?;
        self.catch_up(name).await;
        let mut failed = Vec::new();
        for (i, replica) in self.replicas.iter().enumerate() {
            match replica.load(name).await {
                Ok(Some(root)) => return Ok(Some(outer_root(i, root))),
                // What another one lacks says nothing about the first one, which did not answer.
                Ok(None) if i == 0 => return Ok(None),
                Ok(None) => {}
                Err(e) => failed.push((i, e)),
            }
        }
        Err(none(&self.replicas, "load", None, failed))
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.has_roots("swap")?;
        let Some(expect) = inner_expect(self.replicas.len(), expect)? else {
            let current = self.replicas[0].load(name).await?;
            return Ok(Swap::Conflict(current.map(|root| outer_root(0, root))));
        };
        let unfinished = Unfinished { roots: &self.roots, name: Some(name.clone()) };
        let version = match self.replicas[0].swap(name, expect, new).await {
            Ok(Swap::Done(version)) => version,
            Ok(Swap::Conflict(current)) => {
                unfinished.finished();
                return Ok(Swap::Conflict(current.map(|root| outer_root(0, root))));
            }
            Err(e) => {
                // A transient error leaves open whether it happened.
                if !e.is_transient() {
                    unfinished.finished();
                }
                return Err(joined(&self.replicas, "swap", None, "the first replica decides", vec![(0, e)]));
            }
        };
        match self.copy_root(name).await {
            Ok(()) => {
                unfinished.finished();
                Ok(Swap::Done(version.map(|version| outer(0, &version))))
            }
            Err(e) => {
                // Never `Throttled`, which would say that nothing happened.
                let message = format!("it happened, but did not reach every replica yet: {e}");
                let attempts = e.attempts().unwrap_or(0);
                let error = Error::new(ErrorKind::Unavailable, "swap", message).with_source(e);
                Err(error.with_attempts(attempts))
            }
        }
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        if let Err(e) = self.has_roots("names") {
            return stream::once(std::future::ready(Err(e))).boxed();
        }
        let replicas = Arc::clone(&self.replicas);
        let lists: Vec<_> = self.replicas.iter().map(RootStore::names).enumerate().collect();
        let names = stream::iter(lists).flat_map(|(i, names)| names.map(move |name| (i, name)));
        let mut seen = HashSet::new();
        let mut failed = false;
        names
            .map(move |(i, name)| {
                name.map_err(|e| joined(&replicas, "names", None, "a replica failed", vec![(i, e)]))
            })
            .filter(move |name| {
                let new = match name {
                    Ok(name) => !failed && seen.insert(name.clone()),
                    Err(_) => !std::mem::replace(&mut failed, true),
                };
                std::future::ready(new)
            })
            .boxed()
    }
}
