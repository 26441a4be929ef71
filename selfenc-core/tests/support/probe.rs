//! A memory store for the tests of wrappers: it counts, fails by a script, waits at gates and is slow, all
//! by the name of a method ("put", "put_many", "list", "swap", …). Three names are not methods: "next" is
//! each wait for an item of a listing, "name" each wait for a root's name, and "item" each member of a
//! batch.
#![allow(dead_code, missing_docs, unreachable_pub)] // every test binary uses its own part

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use selfenc_core::async_trait;
use selfenc_core::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Durability, Error, ErrorKind, Expect, PutOutcome, Result,
    Root, RootName, RootStore, RootVersion, StoreInfo, Swap,
};
use tokio::sync::watch;

/// The id that is this byte 32 times.
pub fn id(byte: u8) -> ChunkId {
    ChunkId::from_bytes([byte; 32])
}

pub fn name(text: &str) -> RootName {
    RootName::new(text).expect("a valid name")
}

/// The chunk that a test keeps under its true BLAKE3 name.
pub fn named(data: &[u8]) -> (ChunkId, Bytes) {
    (ChunkId::from_bytes(*blake3::hash(data).as_bytes()), Bytes::copy_from_slice(data))
}

/// Whether `data` is what its name says: the check that wrappers are given in these tests.
pub fn is_named(id: ChunkId, data: &[u8]) -> bool {
    blake3::hash(data).as_bytes() == id.as_bytes()
}

/// What the next call of a method does.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// What it should.
    Pass,
    /// It fails before anything happened.
    Before(ErrorKind),
    /// It happens, but the caller gets an error.
    After(ErrorKind),
}

/// Where a gate is: before the method does its work or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    Start,
    End,
}

type Op = &'static str;

/// The store. A clone is the same store.
#[derive(Clone, Debug)]
pub struct Probe(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    capabilities: Capabilities,
    state: Mutex<State>,
    gates: watch::Sender<BTreeSet<(Op, At)>>,
}

#[derive(Debug, Default)]
struct State {
    chunks: BTreeMap<ChunkId, Bytes>,
    roots: BTreeMap<RootName, (u64, Bytes)>,
    versions: u64,
    calls: BTreeMap<Op, usize>,
    scripts: BTreeMap<Op, VecDeque<Step>>,
    always: BTreeMap<Op, ErrorKind>,
    bad_ids: BTreeMap<ChunkId, ErrorKind>,
    delays: BTreeMap<Op, Duration>,
    waiting: BTreeMap<Op, usize>,
    running: usize,
    most_running: usize,
    /// Every put and batch member, with where its bytes are: a replayed payload is the same memory.
    payloads: Vec<(ChunkId, usize, usize)>,
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

impl Probe {
    pub fn new() -> Self {
        Self::with_capabilities(Capabilities::new(Durability::OnPut))
    }

    pub fn with_capabilities(capabilities: Capabilities) -> Self {
        Self::build("x", capabilities)
    }

    /// A store whose `info` reads `probe:name`.
    pub fn called(name: &str) -> Self {
        Self::build(name, Capabilities::new(Durability::OnPut))
    }

    pub fn build(name: &str, capabilities: Capabilities) -> Self {
        let (gates, _) = watch::channel(BTreeSet::new());
        Self(Arc::new(Inner { name: name.to_owned(), capabilities, state: Mutex::default(), gates }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What a test asks for.

    /// The next calls of `op` do these, one each; later ones pass.
    pub fn script(&self, op: Op, steps: impl IntoIterator<Item = Step>) {
        self.state().scripts.entry(op).or_default().extend(steps);
    }

    /// The next `times` calls of `op` fail before anything happened.
    pub fn fail(&self, op: Op, kind: ErrorKind, times: usize) {
        self.script(op, std::iter::repeat_n(Step::Before(kind), times));
    }

    /// Every call of `op` fails until [`Self::heal`].
    pub fn break_down(&self, op: Op, kind: ErrorKind) {
        self.state().always.insert(op, kind);
    }

    /// Whatever is asked of this chunk fails until [`Self::heal`].
    pub fn break_chunk(&self, id: ChunkId, kind: ErrorKind) {
        self.state().bad_ids.insert(id, kind);
    }

    /// No failure that was asked for is left.
    pub fn heal(&self) {
        let mut state = self.state();
        state.scripts.clear();
        state.always.clear();
        state.bad_ids.clear();
    }

    /// Every call of `op` takes this long.
    pub fn delay(&self, op: Op, time: Duration) {
        self.state().delays.insert(op, time);
    }

    /// Calls of `op` wait there until [`Self::release`].
    pub fn hold(&self, op: Op, at: At) {
        self.0.gates.send_modify(|gates| gates.extend([(op, at)]));
    }

    /// Opens every gate of `op`.
    pub fn release(&self, op: Op) {
        self.0.gates.send_modify(|gates| gates.retain(|(held, _)| *held != op));
    }

    /// Comes back once `n` calls of `op` wait at a gate.
    pub async fn until_waiting(&self, op: Op, n: usize) {
        for _ in 0..5000 {
            if self.waiting(op) == n {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{} calls of {op} wait at a gate, not {n}", self.waiting(op));
    }

    // What a test looks at.

    pub fn calls(&self, op: Op) -> usize {
        self.state().calls.get(op).copied().unwrap_or(0)
    }

    /// Every method called so far, with its count, in the order of the names.
    pub fn all_calls(&self) -> Vec<(Op, usize)> {
        self.state().calls.iter().map(|(op, n)| (*op, *n)).collect()
    }

    pub fn forget_calls(&self) {
        self.state().calls.clear();
    }

    pub fn waiting(&self, op: Op) -> usize {
        self.state().waiting.get(op).copied().unwrap_or(0)
    }

    /// Requests that run now; an item of a listing is a request.
    pub fn running(&self) -> usize {
        self.state().running
    }

    pub fn most_running(&self) -> usize {
        self.state().most_running
    }

    pub fn payloads(&self) -> Vec<(ChunkId, usize, usize)> {
        self.state().payloads.clone()
    }

    pub fn ids(&self) -> Vec<ChunkId> {
        self.state().chunks.keys().copied().collect()
    }

    pub fn peek(&self, id: ChunkId) -> Option<Bytes> {
        self.state().chunks.get(&id).cloned()
    }

    /// Puts or replaces a chunk behind everybody's back.
    pub fn plant(&self, id: ChunkId, data: impl Into<Bytes>) {
        self.state().chunks.insert(id, data.into());
    }

    pub fn uproot(&self, id: ChunkId) {
        self.state().chunks.remove(&id);
    }

    pub fn peek_root(&self, name: &RootName) -> Option<Bytes> {
        self.state().roots.get(name).map(|(_, value)| value.clone())
    }

    // How a call goes.

    /// Counts the call, waits at the gate and for the delay, and draws the call's step.
    async fn begin(&self, op: Op, id: Option<ChunkId>) -> Result<Call> {
        let call = Call::start(self, op, id);
        self.gate(op, At::Start).await;
        let delay = self.state().delays.get(op).copied();
        if let Some(delay) = delay {
            // In two steps, as an answer comes in pieces: who is not polled misses the second.
            tokio::time::sleep(delay / 2).await;
            tokio::time::sleep(delay - delay / 2).await;
        }
        match call.step {
            Step::Before(kind) => Err(call.error(kind)),
            Step::Pass | Step::After(_) => Ok(call),
        }
    }

    fn count(&self, op: Op) {
        *self.state().calls.entry(op).or_default() += 1;
    }

    async fn gate(&self, op: Op, at: At) {
        let mut gates = self.0.gates.subscribe();
        if gates.borrow_and_update().contains(&(op, at)) {
            let _waiting = Waiting::start(self, op);
            let _ = gates.wait_for(|gates| !gates.contains(&(op, at))).await;
        }
    }

    fn insert(&self, id: ChunkId, data: Bytes) -> PutOutcome {
        let mut state = self.state();
        state.payloads.push((id, data.as_ptr() as usize, data.len()));
        match state.chunks.get(&id) {
            Some(old) if old.len() == data.len() => PutOutcome::Present,
            _ => {
                state.chunks.insert(id, data);
                PutOutcome::Inserted
            }
        }
    }

    fn root(&self, name: &RootName) -> Option<Root> {
        self.state().roots.get(name).map(|(version, value)| Root {
            value: value.clone(),
            version: RootVersion::new(version.to_le_bytes().to_vec()),
        })
    }

    fn swap_now(&self, name: &RootName, expect: &Expect, new: Option<Bytes>) -> Swap {
        let current = self.root(name);
        if !expect.matches(current.as_ref()) {
            return Swap::Conflict(current);
        }
        let mut state = self.state();
        state.versions += 1;
        let version = state.versions;
        match new {
            Some(value) => drop(state.roots.insert(name.clone(), (version, value))),
            None => drop(state.roots.remove(name)),
        }
        drop(state);
        Swap::Done(self.root(name).map(|root| root.version))
    }
}

/// One running call.
struct Call {
    probe: Probe,
    op: Op,
    id: Option<ChunkId>,
    step: Step,
}

impl Call {
    fn start(probe: &Probe, op: Op, id: Option<ChunkId>) -> Self {
        let mut state = probe.state();
        *state.calls.entry(op).or_default() += 1;
        // A member of a batch runs within its batch.
        state.running += usize::from(op != "item");
        state.most_running = state.most_running.max(state.running);
        let broken = state.always.get(op).or_else(|| state.bad_ids.get(&id?)).copied();
        let step = match broken {
            Some(kind) => Step::Before(kind),
            None => state.scripts.get_mut(op).and_then(VecDeque::pop_front).unwrap_or(Step::Pass),
        };
        Self { probe: probe.clone(), op, id, step }
    }

    fn error(&self, kind: ErrorKind) -> Error {
        let op = if self.op == "item" { "put_many" } else { self.op };
        let error = Error::new(kind, op, "on request");
        match self.id {
            Some(id) => error.with_chunk(id),
            None => error,
        }
    }

    async fn end<T>(self, value: T) -> Result<T> {
        self.probe.gate(self.op, At::End).await;
        match self.step {
            Step::After(kind) => Err(self.error(kind)),
            _ => Ok(value),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.probe.state().running -= usize::from(self.op != "item");
    }
}

struct Waiting(Probe, Op);

impl Waiting {
    fn start(probe: &Probe, op: Op) -> Self {
        *probe.state().waiting.entry(op).or_default() += 1;
        Self(probe.clone(), op)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        *self.0.state().waiting.entry(self.1).or_default() -= 1;
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for Probe {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        let call = self.begin("put", Some(id)).await?;
        self.capabilities().check_len(id, &data)?;
        let outcome = self.insert(id, data);
        call.end(outcome).await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let call = self.begin("get", Some(id)).await?;
        let data = self.peek(id);
        call.end(data).await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        let call = self.begin("delete", Some(id)).await?;
        self.uproot(id);
        call.end(()).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.count("list");
        let probe = self.clone();
        stream::unfold(Some(after), move |position| {
            let probe = probe.clone();
            async move {
                let after = position?;
                let call = match probe.begin("next", None).await {
                    Ok(call) => call,
                    Err(e) => return Some((Err(e), None)),
                };
                let next = {
                    let state = probe.state();
                    let mut later = state.chunks.iter().skip_while(|(id, _)| Some(**id) <= after);
                    later.next().map(|(id, data)| ChunkMeta { id: *id, len: data.len() as u64 })
                };
                match call.end(next?).await {
                    Ok(meta) => Some((Ok(meta), Some(Some(meta.id)))),
                    Err(e) => Some((Err(e), None)),
                }
            }
        })
        .fuse()
        .boxed()
    }

    fn info(&self) -> StoreInfo {
        StoreInfo::backend("probe", &self.0.name)
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        let call = self.begin("stat", Some(id)).await?;
        let meta = self.peek(id).map(|data| ChunkMeta { id, len: data.len() as u64 });
        call.end(meta).await
    }

    async fn flush(&self) -> Result<()> {
        self.begin("flush", None).await?.end(()).await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        let call = match self.begin("put_many", None).await {
            Ok(call) => call,
            Err(e) => return chunks.iter().map(|(id, _)| Err(copy(&e).with_chunk(*id))).collect(),
        };
        let mut results = Vec::new();
        for (id, data) in chunks {
            results.push(match self.begin("item", Some(id)).await {
                Err(e) => Err(e),
                Ok(item) => match self.capabilities().check_len(id, &data) {
                    Err(e) => Err(e),
                    Ok(()) => item.end(self.insert(id, data)).await,
                },
            });
        }
        match call.end(()).await {
            Ok(()) => results,
            Err(e) => results.iter().map(|_| Err(copy(&e))).collect(),
        }
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        let call = match self.begin("delete_many", None).await {
            Ok(call) => call,
            Err(e) => return ids.iter().map(|id| Err(copy(&e).with_chunk(*id))).collect(),
        };
        let mut results = Vec::new();
        for id in ids {
            results.push(match self.begin("item", Some(id)).await {
                Err(e) => Err(e),
                Ok(item) => {
                    self.uproot(id);
                    item.end(()).await
                }
            });
        }
        match call.end(()).await {
            Ok(()) => results,
            Err(e) => results.iter().map(|_| Err(copy(&e))).collect(),
        }
    }
}

fn copy(e: &Error) -> Error {
    Error::new(e.kind(), e.op(), "on request")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RootStore for Probe {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        let call = self.begin("load", None).await?;
        let root = self.root(name);
        call.end(root).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        let call = self.begin("swap", None).await?;
        let swap = self.swap_now(name, &expect, new);
        call.end(swap).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.count("names");
        let probe = self.clone();
        let names: Vec<_> = probe.state().roots.keys().cloned().collect();
        stream::unfold(Some(names.into_iter()), move |names| {
            let probe = probe.clone();
            async move {
                let mut names = names?;
                let call = match probe.begin("name", None).await {
                    Ok(call) => call,
                    Err(e) => return Some((Err(e), None)),
                };
                match call.end(names.next()?).await {
                    Ok(name) => Some((Ok(name), Some(names))),
                    Err(e) => Some((Err(e), None)),
                }
            }
        })
        .fuse()
        .boxed()
    }
}
