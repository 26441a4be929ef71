use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{self, BoxStream, StreamExt};

use super::Mirror;
use super::answers::{all, joined, label, none};
use super::known::Known;
use crate::store::{
    Backend, Error, ErrorKind, Expect, Result, Root, RootName, RootStore, RootVersion, Swap, attended,
};

/// Locks for names; two names in flight seldom share one.
const STRIPES: usize = 64;

/// How often a copy starts again because somebody else changed the replica.
const COPY_ATTEMPTS: usize = 16;

/// Milliseconds before each new look at a root that only a later replica has: somebody else's removal,
/// which takes moments, looks the same.
const LOOKS: [u64; 4] = [0, 50, 150, 300];

/// What a mirror remembers of its roots.
#[derive(Debug)]
pub(super) struct Roots {
    hasher: RandomState,
    /// Held while a root is copied: copies of one name would only get in each other's way.
    copying: Box<[Arc<tokio::sync::Mutex<()>>]>,
    pub(super) known: Known,
}

impl Roots {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            copying: (0..STRIPES).map(|_| Arc::default()).collect(),
            known: Known::default(),
        }
    }

    fn lock_for(&self, name: &RootName) -> Arc<tokio::sync::Mutex<()>> {
        #[allow(clippy::cast_possible_truncation)] // any bits of the hash will do
        let stripe = self.hasher.hash_one(name) as usize % STRIPES;
        Arc::clone(&self.copying[stripe])
    }
}

impl Mirror {
    /// Brings the other replicas' root in line with the first one's.
    async fn copy_root(&self, name: &RootName, swapped: bool) -> Result<()> {
        let removes = swapped || self.roots.known.is_removing(name);
        let flight = self.roots.known.copy(name);
        if self.replicas.len() > 1 {
            let (replicas, name, lock) =
                (Arc::clone(&self.replicas), name.clone(), self.roots.lock_for(name));
            attended("swap", async move {
                let _lock = lock.lock().await;
                let (first, others) = (&replicas[0], &replicas[1..]);
                let copies = others.iter().map(|other| follow(&**first, &**other, &name, removes));
                let results = std::iter::once(Ok(())).chain(join_all(copies).await).collect();
                all(&replicas, "swap", None, results).map(drop)
            })
            .await?;
        }
        flight.in_step();
        Ok(())
    }

    /// Repeats a copy that failed before, here or, for all that this process knows, in another one.
    async fn catch_up(&self, name: &RootName) {
        if let Err(e) = self.copy_root(name, false).await {
            tracing::warn!(error = %e, "a root may be behind on a replica");
        }
    }

    /// The first replica's root, which said that it has none.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if another replica has one, and that is not a removal from here.
    async fn without_root(&self, op: &'static str, name: &RootName) -> Result<Option<Root>> {
        let mut looks = LOOKS.into_iter();
        loop {
            if self.roots.known.is_removing(name) {
                return Ok(None);
            }
            let others = join_all(self.replicas.iter().skip(1).map(|other| other.load(name))).await;
            let (mut holder, mut failed) = (None, Vec::new());
            for (i, other) in (1..).zip(others) {
                match other {
                    Ok(Some(_)) => holder = holder.or(Some(i)),
                    Ok(None) => {}
                    Err(e) => failed.push((i, e)),
                }
            }
            let Some(holder) = holder else {
                if failed.is_empty() {
                    return Ok(None);
                }
                let what = "the first replica lacks it, and whether another has it is not known";
                return Err(joined(&self.replicas, op, None, what, failed));
            };
            let Some(wait) = looks.next() else {
                let [first, other] = [0, holder].map(|i| label(&self.replicas, i));
                let message = format!(
                    "{first} lacks a root that {other} has; it was replaced, or a removal is unfinished: \
                     copy the root back or remove it there"
                );
                return Err(Error::new(ErrorKind::Corrupt, op, message));
            };
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let first = self.replicas[0].load(name).await;
            if let Some(root) = first.map_err(|e| self.first_failed(op, e))? {
                return Ok(Some(root));
            }
        }
    }

    fn first_failed(&self, op: &'static str, e: Error) -> Error {
        joined(&self.replicas, op, None, "the first replica decides", vec![(0, e)])
    }

    fn has_roots(&self, op: &'static str) -> Result<()> {
        if self.capabilities.roots {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, op, "one of the replicas keeps no roots"))
    }
}

/// Makes `other`'s root what `first`'s is. Only if it `removes` does it take none for a value.
async fn follow(first: &dyn Backend, other: &dyn Backend, name: &RootName, removes: bool) -> Result<()> {
    for _ in 0..COPY_ATTEMPTS {
        // In this order. Whoever changes the first one after it was read here copies after us: he either
        // finds our value there, or makes our swap conflict.
        let theirs = other.load(name).await?;
        let value = first.load(name).await?.map(|root| root.value);
        if theirs.as_ref().map(|root| &root.value) == value.as_ref() {
            return Ok(());
        }
        if value.is_none() && !removes {
            return Err(Error::new(ErrorKind::Corrupt, "swap", "the first replica lacks this root"));
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
        if self.roots.known.wants_copy(name) {
            self.catch_up(name).await;
        }
        let mut failed = match self.replicas[0].load(name).await {
            Ok(Some(root)) => return Ok(Some(outer_root(0, root))),
            Ok(None) => return Ok(self.without_root("load", name).await?.map(|root| outer_root(0, root))),
            // What another one has may be older than what somebody saw here before.
            Err(e) if !self.roots.known.is_in_step(name) => return Err(self.first_failed("load", e)),
            Err(e) => vec![(0, e)],
        };
        for (i, replica) in self.replicas.iter().enumerate().skip(1) {
            match replica.load(name).await {
                Ok(Some(root)) => return Ok(Some(outer_root(i, root))),
                // What another one lacks says nothing about the first one, which did not answer.
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
        if expect == Expect::Absent && self.replicas.len() > 1 {
            if self.roots.known.is_behind(name) {
                self.catch_up(name).await;
            }
            // A replica that was replaced would take the new value, and the others lose what it lacks.
            let first = self.replicas[0].load(name).await;
            if first.map_err(|e| self.first_failed("swap", e))?.is_none() {
                self.without_root("swap", name).await?;
            }
        }
        let flight = self.roots.known.swap(name, new.is_none());
        let version = match self.replicas[0].swap(name, expect, new).await {
            Ok(Swap::Done(version)) => version,
            Ok(Swap::Conflict(current)) => {
                flight.did_nothing();
                return Ok(Swap::Conflict(current.map(|root| outer_root(0, root))));
            }
            Err(e) => {
                // A transient error leaves open whether it happened.
                if !e.is_transient() {
                    flight.did_nothing();
                }
                return Err(self.first_failed("swap", e));
            }
        };
        match self.copy_root(name, true).await {
            Ok(()) => {
                flight.in_step();
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
