use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::buffers::Buffers;
use super::error::{Error, Result};

/// Threads for hashing, compressing and encrypting. Cheap to clone; many engines may share one.
#[derive(Clone)]
pub struct CpuPool(Arc<Inner>);

/// Of each thread, in bytes; only what is used takes memory.
const STACK: usize = 16 << 20;

struct Inner {
    threads: rayon::ThreadPool,
    buffers: Buffers,
}

impl CpuPool {
    /// The most threads of a pool.
    pub const MAX_THREADS: usize = 1024;

    /// A pool of `threads`, or of as many as there are cores for 0.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] for more than [`MAX_THREADS`](Self::MAX_THREADS); [`Error::System`] if the threads
    /// cannot be made.
    pub fn new(threads: usize) -> Result<Self> {
        Self::check(threads)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            // Jobs wait for others on their own thread, which may take up a further one meanwhile.
            .stack_size(STACK)
            .thread_name(|index| format!("selfenc-cpu-{index}"))
            .build()
            .map_err(|e| Error::system("threads", e))?;
        Ok(Self(Arc::new(Inner { threads: pool, buffers: Buffers::default() })))
    }

    pub(super) fn check(threads: usize) -> Result<()> {
        if threads > Self::MAX_THREADS {
            return Err(Error::InvalidConfig(format!("threads: 0 to {}", Self::MAX_THREADS)));
        }
        Ok(())
    }

    /// How many threads it has.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.threads.current_num_threads()
    }

    /// Memory that its jobs have used before.
    pub(crate) fn buffers(&self) -> &Buffers {
        &self.0.buffers
    }

    /// Runs `job` on a thread of the pool; on the spot if this already is one.
    ///
    /// A job that was started runs to its end even if nobody waits for it any more. A panic in it is a
    /// defect, and goes on in the caller.
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        if self.0.threads.current_thread_index().is_some() {
            return job();
        }
        let (done, result) = oneshot::channel();
        self.0.threads.spawn(move || {
            // Nobody may be waiting any more.
            let _ = done.send(catch_unwind(AssertUnwindSafe(job)));
        });
        match result.await {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => unreachable!("a job always sends its result"),
        }
    }
}

impl fmt::Debug for CpuPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuPool({} threads)", self.threads())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_pool_calls_itself_without_waiting() {
        let pool = CpuPool::new(1).unwrap();
        let inner = pool.clone();
        let answer = pool.run(move || inner.run(|| 42).now_or_never()).await;
        assert_eq!(answer, Some(42));
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller_and_leaves_the_pool_alive() {
        let pool = CpuPool::new(1).unwrap();
        let other = pool.clone();
        let panicked = tokio::spawn(async move { other.run(|| panic!("on purpose")).await }).await;
        assert!(panicked.unwrap_err().is_panic());
        assert_eq!(pool.run(|| 1).await, 1);
    }
}
