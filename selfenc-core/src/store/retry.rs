use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Error;
use super::rng::Rng;

/// How often, how soon and how long something is tried again: by the wrapper
/// [`Retry`](crate::wrap::Retry), or by a backend itself.
///
/// By default 5 attempts; delays of up to 50 ms after the first, doubling to at most 5 s; no attempt that
/// would begin more than 30 s after the first. Each delay is uniform between zero and its bound ("full
/// jitter"), so that clients which failed together do not return together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    base: Duration,
    longest: Duration,
    budget: Duration,
    seed: Option<u64>,
}

impl RetryPolicy {
    /// The default policy.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            attempts: 5,
            base: Duration::from_millis(50),
            longest: Duration::from_secs(5),
            budget: Duration::from_secs(30),
            seed: None,
        }
    }

    /// Makes at most `attempts` attempts, the first one included; 0 is taken as 1.
    #[must_use]
    pub const fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// Waits up to `delay` before the second attempt.
    #[must_use]
    pub const fn with_base_delay(mut self, delay: Duration) -> Self {
        self.base = delay;
        self
    }

    /// Never waits longer than `delay`.
    #[must_use]
    pub const fn with_longest_delay(mut self, delay: Duration) -> Self {
        self.longest = delay;
        self
    }

    /// Begins no attempt later than `budget` after the first. An attempt that hangs is not ended by this;
    /// put a [`Timeout`](crate::wrap::Timeout) inside.
    #[must_use]
    pub const fn with_budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Draws the delays from `seed`, so that a test is the same every time.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// A policy and the generator of its delays, for whoever retries: one for each store.
#[derive(Debug)]
pub struct Pacer {
    policy: RetryPolicy,
    rng: Mutex<Rng>,
}

impl Pacer {
    /// A pacer that keeps to `policy`.
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Self {
        let rng = policy.seed.map_or_else(Rng::random, Rng::new);
        Self { policy, rng: Mutex::new(rng) }
    }

    /// What it keeps to.
    #[must_use]
    pub const fn policy(&self) -> &RetryPolicy {
        &self.policy
    }

    /// Counts the attempts at one operation, the first of which begins now.
    #[must_use]
    pub fn start(&self, op: &'static str) -> Attempts<'_> {
        Attempts { pacer: self, op, started: Instant::now(), made: 0 }
    }

    /// A delay between zero and the bound after `made` failed attempts.
    fn delay(&self, made: u32) -> Duration {
        let doubled = 1_u32.checked_shl(made - 1).unwrap_or(u32::MAX);
        let bound = self.policy.base.saturating_mul(doubled).min(self.policy.longest);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_nanos(rng.below(nanos.saturating_add(1)))
    }
}

/// The attempts at one operation; from [`Pacer::start`].
#[derive(Debug)]
pub struct Attempts<'a> {
    pacer: &'a Pacer,
    op: &'static str,
    started: Instant,
    made: u32,
}

impl Attempts<'_> {
    /// Waits for the next attempt after one that failed, or says that there is none.
    pub async fn again(&mut self) -> bool {
        self.again_after(Duration::ZERO).await
    }

    /// The same, after waiting for `least`, as a service may ask of many at once.
    pub async fn again_after(&mut self, least: Duration) -> bool {
        self.made += 1;
        let policy = &self.pacer.policy;
        if self.made >= policy.attempts {
            return false;
        }
        let delay = self.pacer.delay(self.made).saturating_add(least);
        if self.started.elapsed().saturating_add(delay) > policy.budget {
            return false;
        }
        tracing::debug!(target: "selfenc::store", op = self.op, failed = self.made, ?delay, "retry");
        tokio::time::sleep(delay).await;
        true
    }

    /// The error that is left when there is no further attempt.
    #[must_use]
    pub fn give_up(&self, error: Error) -> Error {
        error.with_attempts(self.made)
    }
}

/// Whether another attempt can help, and no inner retry has made them all already.
pub(crate) fn worth_it(error: &Error) -> bool {
    error.is_transient() && error.attempts().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_are_spread_out() {
        let policy = RetryPolicy::new().with_longest_delay(Duration::from_millis(300)).with_seed(1);
        let pacer = Pacer::new(policy);
        for (made, bound) in [(1, 50), (2, 100), (3, 200), (4, 300), (40, 300), (u32::MAX, 300)] {
            let delays: Vec<_> = (0..500).map(|_| pacer.delay(made)).collect();
            let bound = Duration::from_millis(bound);
            assert!(delays.iter().all(|delay| *delay <= bound), "{made}");
            assert!(delays.iter().any(|delay| *delay < bound / 10), "{made}");
            assert!(delays.iter().any(|delay| *delay > bound / 10 * 9), "{made}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_were_asked_to_wait_do_not_return_together() {
        let least = Duration::from_secs(1);
        let pacer = Pacer::new(RetryPolicy::new().with_seed(1));
        let mut waits = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            assert!(pacer.start("get").again_after(least).await);
            waits.push(begun.elapsed());
        }
        assert!(waits.iter().all(|wait| *wait >= least));
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 10, "{waits:?}");
    }

    #[test]
    fn extreme_settings_do_not_overflow() {
        let policy = RetryPolicy::new().with_base_delay(Duration::MAX).with_longest_delay(Duration::MAX);
        let _ = Pacer::new(policy).delay(7);
        let none = RetryPolicy::new().with_base_delay(Duration::ZERO);
        assert_eq!(Pacer::new(none).delay(3), Duration::ZERO);
    }
}
