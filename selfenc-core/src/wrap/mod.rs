//! Stores around stores: each adds one thing and forwards everything else.
//!
//! | wrapper | adds |
//! |---|---|
//! | [`Limit`] | at most so many requests at once |
//! | [`Timeout`] | a deadline for each request |
//! | [`Retry`] | another try of what failed for a passing reason |
//! | [`Cache`] | chunks kept in memory, and one request for what many want |
//! | [`Verify`] | a check of every chunk against its name |
//! | [`Mirror`] | several stores that hold the same, and heal each other |
//! | [`Tiered`] | a fast store in front of a slow one |
//! | [`Prefix`] | a name space of its own for roots |
//! | [`ReadOnly`] | a refusal to change anything |
//! | [`Observe`] | counters and `tracing` events |
//! | [`Faulty`] | faults from a seed, for tests |
//!
//! The order that serves most programs, from the outside in: `Observe(Cache(Retry(Timeout(Limit(store)))))`.
//! A limit inside keeps retries from crowding the service; a time-out inside a retry is for one attempt.
//!
//! A wrapper's capabilities are the weakest of what it wraps, and its `info` reads like
//! `retry(limit(8, file:/x))`.

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
pub use retry::Retry;
pub use tiered::{Tiered, TieredStats};
pub use timeout::Timeout;
pub use verify::{Check, Verify};

/// Beside the wrapper that keeps to it.
pub use crate::store::RetryPolicy;
