use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::plan::{Draw, Failure, Fault, FaultKind, FaultPlan, Subject};
use crate::store::{ChunkId, Error, ErrorKind, Result};
use crate::wrap::Op;

/// The plan and what was made of it so far; listings keep it beyond the store.
pub(super) struct Shared {
    pub(super) plan: FaultPlan,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Calls so far of each operation on each subject.
    calls: HashMap<(Op, Subject), u64>,
    armed: BTreeMap<Op, Failure>,
    log: Vec<Fault>,
}

impl Shared {
    pub(super) fn new(plan: FaultPlan) -> Self {
        Self { plan, state: Mutex::default() }
    }

    pub(super) fn arm(&self, op: Op, failure: Failure) {
        self.state().armed.insert(op, failure);
    }

    pub(super) fn disarm(&self) {
        self.state().armed.clear();
    }

    pub(super) fn log(&self) -> Vec<Fault> {
        self.state().log.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next call of `op` on `subject` meets, if any of `armed` is not in the way.
    pub(super) fn draw(&self, op: Op, subject: &Subject, armed: &[Op]) -> Draw {
        let mut state = self.state();
        let calls = state.calls.entry((op, subject.clone())).or_default();
        let call = *calls;
        *calls += 1;
        let failure = armed.iter().find_map(|op| state.armed.get(op)).copied();
        drop(state);
        let mut draw = self.plan.draw(op, subject, call);
        match failure {
            None => {}
            Some(Failure::Before(kind)) => draw.before = Some(kind),
            Some(Failure::After(kind)) => (draw.before, draw.after) = (None, Some(kind)),
        }
        draw
    }

    pub(super) fn before(&self, op: Op, subject: &Subject, draw: &Draw) -> Result<()> {
        match draw.before {
            Some(kind) => Err(self.failure(op, subject, draw.call, FaultKind::Before(kind), kind)),
            None => Ok(()),
        }
    }

    pub(super) fn after(&self, op: Op, subject: &Subject, draw: &Draw) -> Result<()> {
        match draw.after {
            Some(kind) => Err(self.failure(op, subject, draw.call, FaultKind::After(kind), kind)),
            None => Ok(()),
        }
    }

    /// An armed listing fails here before its first item; the plan's rates are for items.
    pub(super) async fn start_listing(&self, op: Op) -> Result<()> {
        let draw = self.draw(op, &Subject::Store, &[op]);
        wait(draw.delay).await;
        let armed = matches!(self.state().armed.get(&op), Some(Failure::Before(_)));
        if armed { self.before(op, &Subject::Store, &draw) } else { Ok(()) }
    }

    pub(super) fn next_item(&self, op: Op, subject: &Subject) -> Result<()> {
        let armed = match self.state().armed.get(&op) {
            Some(Failure::After(kind)) if *subject == Subject::End => Some(*kind),
            _ => None,
        };
        let draw = self.draw(op, subject, &[]);
        match armed.or(draw.list) {
            Some(kind) => Err(self.failure(op, subject, draw.call, FaultKind::Before(kind), kind)),
            None => Ok(()),
        }
    }

    fn failure(&self, op: Op, subject: &Subject, call: u64, what: FaultKind, kind: ErrorKind) -> Error {
        let when = if matches!(what, FaultKind::After(_)) { "after it happened" } else { "before it began" };
        self.note(op, subject, call, what);
        let message = format!("injected {when} (seed {}, call {call})", self.plan.seed);
        let error = Error::new(kind, op.as_str(), message);
        match subject {
            Subject::Chunk(id) => error.with_chunk(*id),
            _ => error,
        }
    }

    fn note(&self, op: Op, subject: &Subject, call: u64, what: FaultKind) {
        let (chunk, root) = match subject {
            Subject::Chunk(id) => (Some(*id), None),
            Subject::Root(name) => (None, Some(name.clone())),
            Subject::Store | Subject::End => (None, None),
        };
        self.state().log.push(Fault { op, chunk, root, call, what });
    }

    /// The data as this call is to see it.
    pub(super) fn spoilt(&self, id: ChunkId, data: Bytes, draw: &Draw) -> Bytes {
        let mut data = data;
        let len = data_len(&data);
        if let (Some(at), 1..) = (draw.cut, len) {
            let cut = at % len;
            self.note(Op::Get, &Subject::Chunk(id), draw.call, FaultKind::Cut(cut));
            data.truncate(usize::try_from(cut).unwrap_or(usize::MAX));
        }
        let bits = data_len(&data) * 8;
        if let (Some(at), 1..) = (draw.flip, bits) {
            let bit = at % bits;
            self.note(Op::Get, &Subject::Chunk(id), draw.call, FaultKind::Flipped(bit));
            let mut bytes = data.to_vec();
            if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| bytes.get_mut(at)) {
                *byte ^= 1 << (bit % 8);
            }
            data = bytes.into();
        }
        data
    }
}

fn data_len(data: &Bytes) -> u64 {
    data.len() as u64
}

pub(super) async fn wait(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}
