//! The engine on the caller's own thread, which also answers what the engine asks.
//!
//! Closures that are neither `Send` nor `'static` can be called on the caller's thread only. So the engine's
//! future is polled there, and between two polls the closures are called for what its store was asked. Nothing
//! is spawned: a closure that fails or panics drops the future, and with it everything that is under way. What
//! computes is the engine's pool, which goes on while a closure runs.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures::channel::oneshot;

use super::XorName;
use crate::{Bytes, Result};

/// What the engine wants from the caller's thread. One that is dropped unanswered has failed.
pub(super) enum Request {
    /// Keep a chunk.
    Put { name: XorName, stored: Bytes, done: oneshot::Sender<()> },
    /// Bring a chunk.
    Get { name: XorName, done: oneshot::Sender<Bytes> },
    /// More of the input; `None` at its end.
    Input { done: oneshot::Sender<Option<Bytes>> },
}

/// How far the engine came.
pub(super) enum Step<T> {
    Asked(Request),
    Done(Result<T>),
}

/// Runs one future of the engine. Not to be used after [`Step::Done`].
pub(super) struct Driver<'a, T> {
    future: Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>,
    caller: Caller,
}

/// The caller's thread, for those who ask it. There are never more requests than the engine has in flight.
#[derive(Clone)]
pub(super) struct Caller(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    woken: bool,
    requests: VecDeque<Request>,
}

impl<'a, T> Driver<'a, T> {
    /// The future that `make` gives, which asks through the caller it gets.
    pub(super) fn new<F>(make: impl FnOnce(Caller) -> F) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'a,
    {
        let caller = Caller(Arc::default());
        caller.lock().woken = true;
        // Inside a task of tokio, its semaphores would soon ask this thread to yield to a scheduler that cannot
        // run before we return.
        let future = Box::pin(tokio::task::unconstrained(make(caller.clone())));
        Self { future, caller }
    }

    /// Goes on until the engine asks something or is done.
    pub(super) fn next(&mut self) -> Step<T> {
        let waker = Waker::from(Arc::clone(&self.caller.0));
        loop {
            let woken = std::mem::take(&mut self.caller.lock().woken);
            if woken && let Poll::Ready(result) = self.future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return Step::Done(result);
            }
            let mut state = self.caller.lock();
            if let Some(request) = state.requests.pop_front() {
                return Step::Asked(request);
            }
            while !state.woken {
                state = self.caller.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Goes on to the end, with `answer` for every request; its first failure ends everything.
    pub(super) fn finish(mut self, mut answer: impl FnMut(Request) -> Result<()>) -> Result<T> {
        loop {
            match self.next() {
                Step::Asked(request) => answer(request)?,
                Step::Done(result) => return result,
            }
        }
    }
}

impl Caller {
    pub(super) fn ask(&self, request: Request) {
        self.lock().requests.push_back(request);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).woken = true;
        self.changed.notify_one();
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

/// Waits for a future that asks nothing.
pub(in crate::classic) fn wait<T>(future: impl Future<Output = Result<T>> + Send) -> Result<T> {
    Driver::new(|_| future).finish(|_| Ok(()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::Error;

    fn ask(caller: &Caller) -> oneshot::Receiver<Option<Bytes>> {
        let (done, answer) = oneshot::channel();
        caller.ask(Request::Input { done });
        answer
    }

    #[test]
    fn it_waits_for_other_threads() {
        let (done, answer) = oneshot::channel();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            done.send(7).unwrap();
        });
        assert_eq!(wait(async { answer.await.map_err(|_| Error::Cancelled) }).unwrap(), 7);
        thread.join().unwrap();
    }

    #[test]
    fn answers_reach_who_asked_and_silence_is_told() {
        let asked = Cell::new(0);
        let driver = Driver::new(|caller| async move {
            let (first, second) = (ask(&caller), ask(&caller));
            assert_eq!(first.await.unwrap().unwrap(), "one");
            assert!(second.await.is_err());
            Ok(())
        });
        let answer = |request| {
            asked.set(asked.get() + 1);
            if let (1, Request::Input { done }) = (asked.get(), request) {
                done.send(Some("one".into())).unwrap();
            }
            Ok(())
        };
        driver.finish(answer).unwrap();
        assert_eq!(asked.get(), 2);
    }

    #[test]
    fn a_failed_answer_ends_it() {
        let driver = Driver::new(|caller| async move { ask(&caller).await.map_err(|_| Error::WrongKey) });
        assert!(matches!(driver.finish(|_| Err(Error::Cancelled)), Err(Error::Cancelled)));
    }
}
