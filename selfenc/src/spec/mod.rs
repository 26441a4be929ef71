//! Stores with wrappers around them, described before they are opened: by a builder or in TOML.

mod layer;
#[cfg(feature = "toml")]
mod toml;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use selfenc_core::engine::name_matches;
use selfenc_core::store::{Backend, OpenMode, Registry, Result};
use selfenc_core::wrap::{FaultPlan, Mirror, RetryPolicy, Tiered};

use layer::Layer;
#[cfg(feature = "toml")]
pub use toml::TomlFactory;

/// What store to open, and what to put around it.
///
/// Each method puts one more wrapper around what is there. The order that serves most programs is a limit
/// inside, then a time-out, then retries, then a cache, and observation outside.
///
/// ```
/// # use std::time::Duration;
/// use selfenc::store::OpenMode;
/// use selfenc::{StoreSpec, wrap::RetryPolicy};
/// # #[tokio::main]
/// # async fn main() -> selfenc::store::Result<()> {
/// let store = StoreSpec::url("memory:")
///     .limit(8)
///     .timeout(Duration::from_secs(30))
///     .retry(RetryPolicy::new())
///     .open(&selfenc::registry(), OpenMode::Create)
///     .await?;
/// assert_eq!(store.info().to_string(), "retry(timeout(30s, limit(8, memory:)))");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StoreSpec {
    source: Source,
    /// From the inside out.
    layers: Vec<Layer>,
}

/// What is at the bottom.
#[derive(Clone)]
enum Source {
    Url(String),
    Mirror(Vec<StoreSpec>),
    Tiered { fast: Box<StoreSpec>, slow: Box<StoreSpec> },
}

impl StoreSpec {
    /// The store at a URL that the registry knows.
    #[must_use]
    pub fn url(url: impl Into<String>) -> Self {
        Self::of(Source::Url(url.into()))
    }

    /// Several stores that hold the same; see [`Mirror`]. Chunks are checked, and damaged ones healed. All of
    /// them must open; while one cannot, open another by itself.
    #[must_use]
    pub fn mirror(replicas: impl IntoIterator<Item = Self>) -> Self {
        Self::of(Source::Mirror(replicas.into_iter().collect()))
    }

    /// A fast store in front of a slow one; see [`Tiered`]. What the fast one gives is checked.
    #[must_use]
    pub fn tiered(fast: Self, slow: Self) -> Self {
        Self::of(Source::Tiered { fast: Box::new(fast), slow: Box::new(slow) })
    }

    fn of(source: Source) -> Self {
        Self { source, layers: Vec::new() }
    }

    fn with(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// With at most so many requests at once; see [`Limit`](selfenc_core::wrap::Limit).
    #[must_use]
    pub fn limit(self, in_flight: usize) -> Self {
        self.with(Layer::Limit { in_flight })
    }

    /// With a deadline for each request; see [`Timeout`](selfenc_core::wrap::Timeout).
    #[must_use]
    pub fn timeout(self, each: Duration) -> Self {
        self.with(Layer::Timeout { each })
    }

    /// With retries of what may work the next time; see [`Retry`](selfenc_core::wrap::Retry).
    #[must_use]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.with(Layer::Retry { policy })
    }

    /// With so many bytes of chunks kept in memory; see [`Cache`](selfenc_core::wrap::Cache). Hits are checked
    /// against their names.
    #[must_use]
    pub fn cache(self, bytes: u64) -> Self {
        self.with(Layer::Cache { bytes })
    }

    /// With every chunk that is read checked against its name; see [`Verify`](selfenc_core::wrap::Verify).
    #[must_use]
    pub fn verify(self) -> Self {
        self.with(Layer::Verify)
    }

    /// With a name space of its own for roots; see [`Prefix`](selfenc_core::wrap::Prefix).
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.with(Layer::Prefix { prefix: prefix.into() })
    }

    /// Without any way for callers to change it; see [`ReadOnly`](selfenc_core::wrap::ReadOnly). A mirror or
    /// a tiered store inside still heals its copies when it is read.
    #[must_use]
    pub fn read_only(self) -> Self {
        self.with(Layer::ReadOnly)
    }

    /// With a `tracing` event for each request; see [`Observe`](selfenc_core::wrap::Observe).
    #[must_use]
    pub fn observe(self) -> Self {
        self.with(Layer::Observe)
    }

    /// With faults, for tests; see [`Faulty`](selfenc_core::wrap::Faulty).
    #[must_use]
    pub fn faulty(self, plan: FaultPlan) -> Self {
        self.with(Layer::Faulty { plan })
    }

    /// Opens everything that is described.
    ///
    /// # Errors
    /// As for [`Registry::open`], and [`ErrorKind::InvalidInput`](crate::store::ErrorKind::InvalidInput) for
    /// settings that a wrapper refuses.
    pub async fn open(&self, registry: &Registry, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        let mut store = self.source.open(registry, mode).await?;
        for layer in &self.layers {
            store = layer.around(store)?;
        }
        Ok(store)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Not parsed yet, so it may hold what a URL should not.
            Self::Url(url) => write!(f, "{}:…", url.split(':').next().unwrap_or_default()),
            Self::Mirror(replicas) => f.debug_tuple("Mirror").field(replicas).finish(),
            Self::Tiered { fast, slow } => f.debug_tuple("Tiered").field(fast).field(slow).finish(),
        }
    }
}

impl Source {
    async fn open(&self, registry: &Registry, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        Ok(match self {
            Self::Url(url) => registry.open(url, mode).await?,
            Self::Mirror(replicas) => {
                let mut stores = Vec::new();
                for replica in replicas {
                    stores.push(Box::pin(replica.open(registry, mode)).await?);
                }
                Arc::new(Mirror::new(stores)?.with_check(name_matches))
            }
            Self::Tiered { fast, slow } => {
                let slow = Box::pin(slow.open(registry, mode)).await?;
                // The fast one is no more than a copy: it may always be made.
                let fast = Box::pin(fast.open(registry, OpenMode::Create)).await?;
                Arc::new(Tiered::new(fast, slow).with_check(name_matches))
            }
        })
    }
}
