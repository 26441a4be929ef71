use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use selfenc_core::store::{Backend, ChunkId, Result, RootStore};

use crate::{Crash, Damage, Fault, Harness, Step};

/// A harness whose stores are those of another, wrapped: for running the suite over a wrapper.
pub struct Over<H, W> {
    inner: H,
    wrap: W,
}

impl<H, W> Over<H, W>
where
    H: Harness,
    W: Fn(Arc<dyn Backend>) -> Arc<dyn Backend> + Send + Sync + 'static,
{
    /// The stores of `inner`, each passed through `wrap`.
    pub fn new(inner: H, wrap: W) -> Self {
        Self { inner, wrap }
    }

    fn wrapped(&self, opened: Option<Result<Arc<dyn Backend>>>) -> Option<Result<Arc<dyn Backend>>> {
        opened.map(|store| store.map(&self.wrap))
    }
}

impl<H: Harness, W> fmt::Debug for Over<H, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Over").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<H, W> Harness for Over<H, W>
where
    H: Harness,
    W: Fn(Arc<dyn Backend>) -> Arc<dyn Backend> + Send + Sync + 'static,
{
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        self.inner.open().await.map(&self.wrap)
    }

    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        self.wrapped(self.inner.reopen().await)
    }

    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        self.wrapped(self.inner.second().await)
    }

    async fn roots(&self) -> Option<Result<Arc<dyn RootStore>>> {
        self.inner.roots().await
    }

    async fn crash(&self, how: Crash, seed: u64) -> Option<Result<()>> {
        self.inner.crash(how, seed).await
    }

    async fn corrupt(&self, id: ChunkId, damage: Damage) -> Option<Result<()>> {
        self.inner.corrupt(id, damage).await
    }

    async fn litter(&self) -> Option<Result<()>> {
        self.inner.litter().await
    }

    fn faults(&self) -> Vec<Fault> {
        self.inner.faults()
    }

    async fn fault(&self, fault: Option<&Fault>) -> Option<Result<()>> {
        self.inner.fault(fault).await
    }

    async fn remove_container(&self) -> Option<Result<()>> {
        self.inner.remove_container().await
    }

    async fn readonly(&self) -> Option<Result<Arc<dyn Backend>>> {
        self.wrapped(self.inner.readonly().await)
    }

    async fn pause(&self, on: bool) -> Option<Result<()>> {
        self.inner.pause(on).await
    }

    async fn trace(&self) -> Option<Vec<Step>> {
        self.inner.trace().await
    }

    async fn temporaries(&self) -> Option<Result<u64>> {
        self.inner.temporaries().await
    }

    fn known_failures(&self) -> Vec<(&'static str, &'static str)> {
        self.inner.known_failures()
    }
}
