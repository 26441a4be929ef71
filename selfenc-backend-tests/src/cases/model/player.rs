//! Plays a sequence on a store, and holds every answer against the oracle.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use selfenc_core::store::{
    Backend, Error, Expect, Result as StoreResult, Root, RootStore, RootVersion, Swap,
};

use super::oracle::Oracle;
use super::sequence::{CHUNKS, Menu, Step, Value};
use crate::cases::cancellation::poll_then_drop;
use crate::cases::roots::roots_of;
use crate::data::{listed, noise, root};
use crate::{Failure, Fault, Trial};

/// After this a sequence is taken to hang.
const DEADLINE: Duration = Duration::from_secs(120);

/// A store in the middle of a sequence.
#[derive(Debug)]
pub(super) struct Player<'a> {
    h: &'a Trial<'a>,
    store: Arc<dyn Backend>,
    roots: Option<Arc<dyn RootStore>>,
    faults: &'a [Fault],
    is_faulty: bool,
    oracle: Oracle,
}

/// Opens a fresh store and plays the sequence; on failure, how many steps it took.
pub(super) async fn play(h: &Trial<'_>, faults: &[Fault], steps: &[Step]) -> Result<(), (usize, Failure)> {
    let mut player = Player::new(h, faults).await.map_err(|e| (0, e))?;
    let mut played = 0;
    let all = async {
        for step in steps {
            played += 1;
            player.step(step).await?;
        }
        player.end().await
    };
    let ended = match tokio::time::timeout(DEADLINE, all).await {
        Ok(ended) => ended,
        Err(_) => hangs(),
    };
    if player.is_faulty {
        // The next sequence starts without; if the hook fails, it will say so.
        h.fault(None).await;
    }
    ended.map_err(|e| (played, e))
}

fn hangs() -> Result<(), Failure> {
    fail!(G9, "no end within {} s", DEADLINE.as_secs())
}

impl<'a> Player<'a> {
    async fn new(h: &'a Trial<'a>, faults: &'a [Fault]) -> Result<Self, Failure> {
        let store = must!(G8, h.open().await);
        let roots = roots_of(h, Arc::clone(&store)).await?.map(|opened| opened.roots);
        let oracle = Oracle::new(store.capabilities());
        Ok(Self { h, store, roots, faults, is_faulty: false, oracle })
    }

    /// What a sequence for this store may be made of.
    pub(super) async fn menu(h: &'a Trial<'a>, drops: bool, faults: &'a [Fault]) -> Result<Menu, Failure> {
        let player = Self::new(h, faults).await?;
        let capabilities = player.store.capabilities();
        Ok(Menu { capabilities, roots: player.roots.is_some(), drops, faults: faults.len() })
    }

    /// The answer; `None` if it is an error and a fault explains it.
    fn answer<T>(&self, answer: StoreResult<T>) -> Result<Result<T, Error>, Failure> {
        match answer {
            Err(e) if !self.is_faulty => fail!(G8, "it fails, and no fault was injected: {e}"),
            answer => Ok(answer),
        }
    }

    async fn step(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Put(chunk, value) => self.put(*chunk, *value).await,
            Step::Get(chunk) => self.get(*chunk).await,
            Step::Stat(chunk) => self.stat(*chunk).await,
            Step::Delete(chunk) => {
                let answer = self.store.delete(self.oracle.sample(*chunk, Value::A).id).await;
                self.deleted(*chunk, answer)
            }
            Step::List(after) => self.list(*after).await,
            Step::Flush => self.flush().await,
            Step::PutMany(chunks) => self.put_many(chunks).await,
            Step::DeleteMany(chunks) => self.delete_many(chunks).await,
            Step::Load(name) => self.load(*name).await,
            Step::Swap(name, new) => self.swap(*name, new.map(root_value)).await,
            Step::StaleSwap(name, new) => self.stale_swap(*name, new.map(root_value)).await,
            Step::Names => self.names().await,
            Step::DroppedPut(chunk, value, polls) => {
                let x = self.oracle.sample(*chunk, *value).clone();
                poll_then_drop(self.store.put(x.id, x.data), *polls).await;
                self.oracle.may_have_put(*chunk, *value, true);
                Ok(())
            }
            Step::DroppedDelete(chunk, polls) => {
                let id = self.oracle.sample(*chunk, Value::A).id;
                poll_then_drop(self.store.delete(id), *polls).await;
                self.oracle.may_have_deleted(*chunk, true);
                Ok(())
            }
            Step::DroppedSwap(name, new, polls) => self.dropped_swap(*name, root_value(*new), *polls).await,
            Step::Fault(n) => self.fault(self.faults.get(*n)).await,
            Step::EndOfFaults => self.fault(None).await,
        }
    }

    async fn put(&mut self, chunk: u8, value: Value) -> Result<(), Failure> {
        let x = self.oracle.sample(chunk, value).clone();
        let answer = self.store.put(x.id, x.data).await;
        self.was_put(chunk, value, answer)
    }

    fn was_put(
        &mut self,
        chunk: u8,
        value: Value,
        answer: StoreResult<selfenc_core::store::PutOutcome>,
    ) -> Result<(), Failure> {
        match self.answer(answer)? {
            Ok(outcome) => {
                let is_honest = self.oracle.did_put(chunk, value, outcome);
                check!(Honesty, is_honest, "a put of chunk {chunk} says {outcome:?}");
            }
            Err(e) => self.oracle.may_have_put(chunk, value, e.is_transient()),
        }
        Ok(())
    }

    async fn get(&self, chunk: u8) -> Result<(), Failure> {
        let got = self.store.get(self.oracle.sample(chunk, Value::A).id).await;
        if let Ok(got) = self.answer(got)?
            && let Err(wrong) = self.oracle.check_get(chunk, got.as_ref())
        {
            fail!(G2, "get of chunk {chunk} gives {wrong}");
        }
        Ok(())
    }

    async fn stat(&self, chunk: u8) -> Result<(), Failure> {
        let found = self.store.stat(self.oracle.sample(chunk, Value::A).id).await;
        if let Ok(found) = self.answer(found)?
            && let Err(wrong) = self.oracle.check_stat(chunk, found)
        {
            fail!(G2, "stat of chunk {chunk} gives {wrong}");
        }
        Ok(())
    }

    fn deleted(&mut self, chunk: u8, answer: StoreResult<()>) -> Result<(), Failure> {
        match self.answer(answer)? {
            Ok(()) => self.oracle.did_delete(chunk),
            Err(e) => self.oracle.may_have_deleted(chunk, e.is_transient()),
        }
        Ok(())
    }

    async fn list(&self, after: Option<u8>) -> Result<(), Failure> {
        let after_id = after.map(|chunk| self.oracle.sample(chunk, Value::A).id);
        let items = listed(&*self.store, after_id).await;
        if let Ok(items) = self.answer(items)?
            && let Err(wrong) = self.oracle.check_list(after, &items)
        {
            fail!(G7, "{wrong}");
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        match self.store.flush().await {
            Ok(()) => self.oracle.did_flush(),
            // It may go on to say what an earlier fault has lost.
            Err(_) if self.oracle.was_faulty => self.oracle.may_have_lost(),
            Err(e) => fail!(G4, "it fails, and no fault was injected: {e}"),
        }
        Ok(())
    }

    async fn put_many(&mut self, chunks: &[(u8, Value)]) -> Result<(), Failure> {
        let samples = chunks.iter().map(|(chunk, value)| self.oracle.sample(*chunk, *value).clone());
        let answers = self.store.put_many(samples.map(|x| (x.id, x.data)).collect()).await;
        check_eq!(G3, answers.len(), chunks.len(), "answers");
        for ((chunk, value), answer) in chunks.iter().zip(answers) {
            self.was_put(*chunk, *value, answer)?;
        }
        Ok(())
    }

    async fn delete_many(&mut self, chunks: &[u8]) -> Result<(), Failure> {
        let ids = chunks.iter().map(|chunk| self.oracle.sample(*chunk, Value::A).id);
        let answers = self.store.delete_many(ids.collect()).await;
        check_eq!(G3, answers.len(), chunks.len(), "answers");
        for (chunk, answer) in chunks.iter().zip(answers) {
            self.deleted(*chunk, answer)?;
        }
        Ok(())
    }

    async fn load(&self, name: u8) -> Result<(), Failure> {
        let Some(roots) = &self.roots else { return Ok(()) };
        let fate = &self.oracle.roots[&name];
        match roots.load(&root_name(name)).await {
            Ok(found) if fate.allows(found.as_ref()) => Ok(()),
            Ok(found) => fail!(Roots, "root {name} is {found:?}, should be {:?}", fate.current),
            Err(_) if self.is_faulty => Ok(()),
            Err(e) => fail!(G8, "it fails, and no fault was injected: {e}"),
        }
    }

    async fn swap(&mut self, name: u8, new: Option<Bytes>) -> Result<(), Failure> {
        let Some(roots) = self.roots.clone() else { return Ok(()) };
        let Some(expect) = self.expectation(name, &*roots).await? else { return Ok(()) };
        let answer = roots.swap(&root_name(name), expect, new.clone()).await;
        let is_faulty = self.is_faulty;
        let fate = self.oracle.roots.entry(name).or_default();
        match answer {
            Ok(Swap::Done(version)) => {
                check_eq!(Roots, version.is_some(), new.is_some(), "a new version was given");
                let is_new = version.as_ref().is_none_or(|version| !fate.versions.contains(version));
                check!(Roots, is_new, "root {name} gets a version that it had before");
                fate.versions.extend(version.clone());
                fate.current = new.zip(version).map(|(value, version)| Root { value, version });
                fate.doubt.clear();
            }
            // What was in doubt has landed in the meantime.
            Ok(Swap::Conflict(_)) if !fate.is_certain() => {}
            Ok(swap) => fail!(Roots, "the swap of what is there gives {swap:?}"),
            Err(_) if is_faulty || !fate.is_certain() => drop(fate.doubt.insert(new)),
            Err(e) => fail!(G8, "it fails, and no fault was injected: {e}"),
        }
        Ok(())
    }

    /// What a swap is to expect; if that is in doubt, the store is asked. `None` if it does not say.
    async fn expectation(&self, name: u8, roots: &dyn RootStore) -> Result<Option<Expect>, Failure> {
        let fate = &self.oracle.roots[&name];
        if fate.is_certain() {
            return Ok(Some(Expect::from(fate.current.as_ref())));
        }
        let Ok(found) = self.answer(roots.load(&root_name(name)).await)? else { return Ok(None) };
        check!(Roots, fate.allows(found.as_ref()), "root {name} is {found:?}, which nobody set");
        Ok(Some(Expect::from(found.as_ref())))
    }

    async fn stale_swap(&mut self, name: u8, new: Option<Bytes>) -> Result<(), Failure> {
        let Some(roots) = &self.roots else { return Ok(()) };
        let fate = &self.oracle.roots[&name];
        if !fate.is_certain() {
            return Ok(());
        }
        let current = fate.current.as_ref().map(|root| &root.version);
        let old = fate.versions.iter().rfind(|version| Some(*version) != current).cloned();
        let expect = match (old, current) {
            (Some(old), _) => Expect::Version(old),
            (None, Some(_)) => Expect::Absent,
            (None, None) => Expect::Version(RootVersion::new(&b"no version of yours"[..])),
        };
        if let Ok(swap) = self.answer(roots.swap(&root_name(name), expect, new).await)? {
            check_eq!(Roots, swap, Swap::Conflict(fate.current.clone()), "a stale swap");
        }
        Ok(())
    }

    async fn names(&self) -> Result<(), Failure> {
        let Some(roots) = &self.roots else { return Ok(()) };
        let names = roots.names().take(1000).try_collect::<Vec<_>>().await;
        let Ok(names) = self.answer(names)? else { return Ok(()) };
        let different: BTreeSet<_> = names.iter().cloned().collect();
        check_eq!(Roots, names.len(), different.len(), "names, and different ones among them");
        let mut known = 0;
        for (name, fate) in &self.oracle.roots {
            let is_there = different.contains(&root_name(*name));
            known += usize::from(is_there);
            let is_right = !fate.is_certain() || is_there == fate.current.is_some();
            check!(Roots, is_right, "names say of root {name}: {is_there}");
        }
        check_eq!(Roots, names.len(), known, "names, and those among them that were ever set");
        Ok(())
    }

    async fn dropped_swap(&mut self, name: u8, new: Bytes, polls: u32) -> Result<(), Failure> {
        let Some(roots) = self.roots.clone() else { return Ok(()) };
        let Some(expect) = self.expectation(name, &*roots).await? else { return Ok(()) };
        poll_then_drop(roots.swap(&root_name(name), expect, Some(new.clone())), polls).await;
        self.oracle.roots.entry(name).or_default().doubt.insert(Some(new));
        Ok(())
    }

    async fn fault(&mut self, fault: Option<&Fault>) -> Result<(), Failure> {
        match self.h.fault(fault).await {
            Some(Ok(())) | None => {}
            Some(Err(e)) => fail!(Honesty, "the harness's own hook `fault` failed: {e}"),
        }
        self.is_faulty = fault.is_some();
        self.oracle.was_faulty |= self.is_faulty;
        Ok(())
    }

    /// Everything once more.
    async fn end(&mut self) -> Result<(), Failure> {
        if self.is_faulty {
            self.fault(None).await?;
        }
        for chunk in 0..CHUNKS {
            self.get(chunk).await?;
            self.stat(chunk).await?;
        }
        if self.store.capabilities().lists {
            self.list(None).await?;
        }
        self.names().await
    }
}

fn root_name(name: u8) -> selfenc_core::store::RootName {
    root(&format!("root {name}"))
}

fn root_value(n: u64) -> Bytes {
    noise(n, usize::try_from(n % 500).unwrap_or_default())
}
