use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use futures::stream::BoxStream;
use tokio::time::Instant;

use super::counts::{Counters, add};
use crate::store::{ChunkId, Error, Result};
use crate::wrap::Op;

const TARGET: &str = "selfenc::store";

/// What the calls of one store share.
#[derive(Debug)]
pub(super) struct Watch {
    /// The inner store's `info`, so that events of several stores can be told apart.
    pub(super) store: String,
    pub(super) counters: Counters,
}

/// One running call. Dropped before it ended, it counts as cancelled.
pub(super) struct Call {
    watch: Arc<Watch>,
    op: Op,
    chunk: Option<ChunkId>,
    start: Instant,
    ended: bool,
}

impl Call {
    pub(super) fn start(watch: &Arc<Watch>, op: Op, chunk: Option<ChunkId>) -> Self {
        add(&watch.counters.op(op).calls, 1);
        Self { watch: Arc::clone(watch), op, chunk, start: Instant::now(), ended: false }
    }

    /// The call ended well: `bytes` of a chunk if one went through, members or items if there are any.
    pub(super) fn ok(mut self, outcome: &'static str, bytes: Option<u64>, items: Option<u64>) {
        self.ended = true;
        tracing::debug!(
            target: TARGET,
            op = self.op.as_str(),
            store = self.watch.store,
            chunk = self.chunk.map(|id| tracing::field::display(id.short())),
            bytes,
            items,
            elapsed_us = self.elapsed_us(),
            outcome,
        );
    }

    /// The call failed; of a batch, this many members did, and `e` is the first's error.
    pub(super) fn failed(mut self, e: &Error, members: u64) {
        self.ended = true;
        add(&self.watch.counters.op(self.op).errors, members);
        tracing::warn!(
            target: TARGET,
            op = self.op.as_str(),
            store = self.watch.store,
            chunk = self.chunk.or_else(|| e.chunk()).map(|id| tracing::field::display(id.short())),
            failed = members,
            elapsed_us = self.elapsed_us(),
            kind = ?e.kind(),
            error = %e,
        );
    }

    /// The end of a batch.
    pub(super) fn batch<T>(self, results: &[Result<T>]) {
        add(&self.watch.counters.op(self.op).items, results.len() as u64);
        let mut errors = results.iter().filter_map(|result| result.as_ref().err());
        match errors.next() {
            None => self.ok("done", None, Some(results.len() as u64)),
            Some(first) => self.failed(first, 1 + errors.count() as u64),
        }
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended {
            add(&self.watch.counters.op(self.op).cancelled, 1);
            tracing::debug!(
                target: TARGET,
                op = self.op.as_str(),
                store = self.watch.store,
                chunk = self.chunk.map(|id| tracing::field::display(id.short())),
                elapsed_us = self.elapsed_us(),
                outcome = "dropped",
            );
        }
    }
}

/// A listing that is one call, from the first poll to its end.
pub(super) struct Listing<T> {
    inner: BoxStream<'static, Result<T>>,
    watch: Arc<Watch>,
    op: Op,
    state: State,
    items: u64,
}

enum State {
    New,
    Running(Call),
    Ended,
}

impl<T> Listing<T> {
    pub(super) fn new(watch: &Arc<Watch>, op: Op, inner: BoxStream<'static, Result<T>>) -> Self {
        Self { inner, watch: Arc::clone(watch), op, state: State::New, items: 0 }
    }

    fn end(&mut self) -> Option<Call> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Running(call) => Some(call),
            State::New | State::Ended => None,
        }
    }
}

impl<T> Stream for Listing<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        if matches!(self.state, State::New) {
            self.state = State::Running(Call::start(&self.watch, self.op, None));
        }
        let next = std::task::ready!(self.inner.as_mut().poll_next(context));
        match &next {
            Some(Ok(_)) => {
                self.items += 1;
                add(&self.watch.counters.op(self.op).items, 1);
            }
            Some(Err(e)) => {
                if let Some(call) = self.end() {
                    call.failed(e, 1);
                }
            }
            None => {
                let items = self.items;
                if let Some(call) = self.end() {
                    call.ok("done", None, Some(items));
                }
            }
        }
        Poll::Ready(next)
    }
}
