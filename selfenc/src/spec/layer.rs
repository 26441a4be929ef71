use std::sync::Arc;
use std::time::Duration;

use selfenc_core::engine::name_matches;
use selfenc_core::store::{Backend, Error, ErrorKind, Result};
use selfenc_core::wrap::{
    Cache, FaultPlan, Faulty, Limit, Observe, Prefix, ReadOnly, Retry, RetryPolicy, Timeout, Verify,
};

/// One wrapper and its settings.
#[derive(Clone, Debug)]
pub(super) enum Layer {
    Limit { in_flight: usize },
    Timeout { each: Duration },
    Retry { policy: RetryPolicy },
    Cache { bytes: u64 },
    Verify,
    Prefix { prefix: String },
    ReadOnly,
    Observe,
    Faulty { plan: FaultPlan },
}

impl Layer {
    /// Puts this wrapper around `store`.
    pub(super) fn around(&self, store: Arc<dyn Backend>) -> Result<Arc<dyn Backend>> {
        Ok(match self {
            Self::Limit { in_flight: 0 } => {
                return Err(refused("limit", "in_flight is 0; nothing would run"));
            }
            Self::Limit { in_flight } => Arc::new(Limit::new(store, *in_flight)),
            Self::Timeout { each } if each.is_zero() => {
                return Err(refused("timeout", "it is 0; nothing would ever end in time"));
            }
            Self::Timeout { each } => Arc::new(Timeout::new(store, *each)),
            Self::Retry { policy } => Arc::new(Retry::new(store, policy.clone())),
            Self::Cache { bytes } => Arc::new(Cache::new(store, *bytes).with_check(name_matches)),
            Self::Verify => Arc::new(Verify::new(store, name_matches)),
            Self::Prefix { prefix } => Arc::new(Prefix::new(store, prefix.as_str())?),
            Self::ReadOnly => Arc::new(ReadOnly::new(store)),
            Self::Observe => Arc::new(Observe::new(store)),
            Self::Faulty { plan } => Arc::new(Faulty::new(store, plan.clone())),
        })
    }
}

fn refused(wrapper: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, "open", format!("{wrapper}: {why}"))
}
