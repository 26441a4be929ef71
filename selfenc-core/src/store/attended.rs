use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio_util::task::AbortOnDropHandle;

use super::{Error, ErrorKind, Result};

/// Polls `work` in a task of its own, so that it goes on, and gives back what it holds, while nobody
/// polls the caller.
///
/// A permit or lock that is granted to a future in the caller's hands may be granted to somebody who is
/// not polled any more, such as a reader that fetched ahead for a writer which now waits for a permit
/// itself; then all wait for ever.
///
/// Dropping the returned future drops `work` before the drop returns, as if it had been awaited in place:
/// it is never polled again, which the order of a dropped delete and a later put depends on (guarantee
/// G6). Aborting a task is not enough for that, since another thread may be in the middle of polling it.
///
/// # Errors
/// What `work` returns, or [`ErrorKind::Closed`] if the runtime shuts down. A panic of `work` goes on in
/// the caller.
pub async fn attended<T: Send + 'static>(
    op: &'static str,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let closed = || Error::new(ErrorKind::Closed, op, "the runtime is shutting down");
    let slot = Arc::new(Slot(Mutex::new(Some(Box::pin(work)))));
    let task = AbortOnDropHandle::new(tokio::spawn({
        let slot = Arc::clone(&slot);
        poll_fn(move |context| {
            let mut work = slot.lock();
            let Some(running) = work.as_mut() else { return Poll::Ready(None) };
            let result = std::task::ready!(running.as_mut().poll(context));
            *work = None;
            Poll::Ready(Some(result))
        })
    }));
    let _owner = Owner(slot);
    match task.await {
        Ok(result) => result.ok_or_else(closed)?,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(closed()),
    }
}

struct Slot<F>(Mutex<Option<Pin<Box<F>>>>);

impl<F> Slot<F> {
    fn lock(&self) -> MutexGuard<'_, Option<Pin<Box<F>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller's end: the work goes with it.
struct Owner<F>(Arc<Slot<F>>);

impl<F> Drop for Owner<F> {
    fn drop(&mut self) {
        let work = self.0.lock().take();
        // Not under the lock: what the work holds may be anything.
        drop(work);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn it_goes_on_while_nobody_polls() {
        let permits = Arc::new(Semaphore::new(1));
        let work = |permits: Arc<Semaphore>| {
            attended("get", async move {
                let _permit = permits.acquire().await;
                tokio::task::yield_now().await;
                Ok(7)
            })
        };
        let mut ahead = Box::pin(work(Arc::clone(&permits)));
        assert!(futures::poll!(&mut ahead).is_pending());
        // `ahead` has begun and is not polled; the next one still gets its permit.
        let next = tokio::time::timeout(Duration::from_secs(5), work(permits)).await;
        assert_eq!(next.unwrap().unwrap(), 7);
        assert_eq!(ahead.await.unwrap(), 7);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_is_dropped_is_gone_before_the_drop_returns() {
        for _ in 0..2000 {
            let dropped = Arc::new(AtomicBool::new(false));
            let late = Arc::new(AtomicBool::new(false));
            let mut work = Box::pin(attended("put", {
                let (dropped, late) = (Arc::clone(&dropped), Arc::clone(&late));
                async move {
                    loop {
                        late.fetch_or(dropped.load(Ordering::SeqCst), Ordering::SeqCst);
                        tokio::task::yield_now().await;
                    }
                    #[allow(unreachable_code)] // it gives the loop a type
                    Ok(())
                }
            }));
            assert!(futures::poll!(&mut work).is_pending());
            tokio::task::yield_now().await;
            drop(work);
            dropped.store(true, Ordering::SeqCst);
            tokio::task::yield_now().await;
            assert!(!late.load(Ordering::SeqCst), "it was polled after its drop");
        }
    }

    #[tokio::test]
    #[should_panic(expected = "on purpose")]
    async fn a_panic_reaches_the_caller() {
        let _ = attended("get", async { if true { panic!("on purpose") } else { Ok(()) } }).await;
    }
}
