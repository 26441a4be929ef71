//! Stores around stores: each adds one thing and forwards everything else.

mod cache;
mod faulty;
mod fence;
mod limit;
mod mirror;
mod observe;
mod op;
mod prefix;
mod read_only;
mod retry;
mod rng;
mod tiered;
mod timeout;
mod verify;

pub use cache::{Cache, CacheStats};
pub use faulty::{Failure, Fault, FaultKind, FaultPlan, Faulty};
pub use limit::Limit;
pub use mirror::{Mirror, MirrorStats};
pub use observe::{Counts, Observe, OpCounts};
pub use op::Op;
pub use prefix::Prefix;
pub use read_only::ReadOnly;
pub use retry::{Retry, RetryPolicy};
pub use tiered::{Tiered, TieredStats};
pub use timeout::Timeout;
pub use verify::{Check, Verify};
