//! Puts that wait at the same time, made by one thread, for an engine that has a single writer anyway: to wake a
//! thread for each takes longer than a small put.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::blocking::{BlockingEngine, TOGETHER};
use super::{ChunkId, Error, ErrorKind, PutOutcome, Result};

/// Chunks in line. The one that finds nobody leading has a thread led, until nobody is in line.
#[derive(Debug, Default)]
pub(super) struct Grouped(Mutex<Line>);

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    led: bool,
}

/// A chunk, with its id's lock.
#[derive(Debug)]
struct Waiting {
    chunk: (ChunkId, Bytes),
    lock: OwnedMutexGuard<()>,
    answer: oneshot::Sender<Result<PutOutcome>>,
}

impl Grouped {
    /// Puts a chunk with what else waits. Dropped before it has begun it is not put; once begun it ends.
    pub(super) async fn put<E: BlockingEngine>(
        self: Arc<Self>,
        engine: Arc<E>,
        chunk: (ChunkId, Bytes),
        lock: OwnedMutexGuard<()>,
    ) -> Result<PutOutcome> {
        let (answer, answered) = oneshot::channel();
        let leads = self.line().join(Waiting { chunk, lock, answer });
        if leads {
            let leads = Leads { grouped: self, ended: false };
            tokio::task::spawn_blocking(move || leads.lead(engine));
        }
        let lost = "the thread that puts for all has panicked, or the runtime is shutting down";
        answered.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Closed, "put", lost)))
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Whether who comes has to have a thread led.
    fn join(&mut self, waiting: Waiting) -> bool {
        self.waiting.push_back(waiting);
        !std::mem::replace(&mut self.led, true)
    }

    /// The first in line, and what fits beside it.
    fn take(&mut self, bytes: usize) -> Vec<Waiting> {
        let mut taken: Vec<Waiting> = Vec::new();
        let mut room = bytes;
        while let Some(next) = self.waiting.front() {
            let len = next.chunk.1.len();
            if !taken.is_empty() && (len > room || taken.len() == TOGETHER) {
                break;
            }
            room = room.saturating_sub(len);
            taken.extend(self.waiting.pop_front());
        }
        taken
    }

    /// Whether nobody is in line; then nobody leads any more.
    fn has_ended(&mut self) -> bool {
        self.led = !self.waiting.is_empty();
        !self.led
    }
}

/// Leading, until it has ended. Dropped before, by a panic or a runtime that shuts down, nobody in line gets an
/// answer.
struct Leads {
    grouped: Arc<Grouped>,
    ended: bool,
}

impl Leads {
    fn lead<E: BlockingEngine>(mut self, engine: Arc<E>) {
        let bytes = engine.group_bytes();
        loop {
            let batch = self.grouped.line().take(bytes);
            let answers = put(&*engine, batch);
            self.ended = self.grouped.line().has_ended();
            if self.ended {
                // Whoever gets the last answer may drop the store, which then releases the engine's own locks.
                drop(engine);
                return tell(answers);
            }
            tell(answers);
        }
    }
}

impl Drop for Leads {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let lost = {
            let mut line = self.grouped.line();
            line.led = false;
            std::mem::take(&mut line.waiting)
        };
        drop(lost);
    }
}

type Answer = (oneshot::Sender<Result<PutOutcome>>, Result<PutOutcome>);

fn put<E: BlockingEngine>(engine: &E, mut batch: Vec<Waiting>) -> Vec<Answer> {
    batch.retain(|waiting| !waiting.answer.is_closed());
    if batch.is_empty() {
        return Vec::new();
    }
    let apart = |Waiting { chunk, lock, answer }| (chunk, (lock, answer));
    let (chunks, waiting): (Vec<_>, Vec<_>) = batch.into_iter().map(apart).unzip();
    let mut outcomes = engine.put_many(&chunks).into_iter().flatten();
    let nothing = || Err(Error::new(ErrorKind::Other, "put", "the engine gave no answer"));
    let answer = |(lock, answer)| {
        drop::<OwnedMutexGuard<()>>(lock);
        (answer, outcomes.next().unwrap_or_else(nothing))
    };
    waiting.into_iter().map(answer).collect()
}

fn tell(answers: Vec<Answer>) {
    for (answer, outcome) in answers {
        // Nobody may be waiting any more.
        let _ = answer.send(outcome);
    }
}
