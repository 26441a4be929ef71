use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{Error, Result};

/// What a chunk needs beside twice its length: encoding overhead and its share of a map page.
const OVERHEAD: u64 = 64 << 10;
/// The grain of the budget, in bytes: semaphores count in 32 bits.
const GRAIN: u64 = 4 << 10;
/// Chunks that must fit at once: a writer holds two back and needs one to read and one to write.
const MIN_SLOTS: u64 = 4;
/// The most chunks that travel together.
const MAX_BATCH: u64 = 8;

/// The bytes that one write or one read may have in flight.
///
/// A chunk takes one permit when it is admitted, may shrink it, and never takes another: a second
/// acquisition anywhere would be a deadlock. Reads admit in order, for the same reason.
#[derive(Clone)]
pub(crate) struct Budget {
    grains: Arc<Semaphore>,
    total: u64,
    /// The longest chunk that is admitted, in bytes of plaintext.
    max_len: u64,
}

/// A chunk's share of the budget; given back when dropped.
pub(crate) struct Permit(OwnedSemaphorePermit);

impl Budget {
    /// A budget for chunks of up to `max_len` bytes.
    ///
    /// # Errors
    /// [`Error::BudgetTooSmall`] if fewer than four fit.
    pub(crate) fn for_chunks(total: u64, max_len: u32) -> Result<Self> {
        let budget = Self::new(total, u64::from(max_len));
        if budget.slots() < MIN_SLOTS {
            let needed = MIN_SLOTS * cost(2 * u64::from(max_len));
            return Err(Error::BudgetTooSmall { needed, budget: total });
        }
        Ok(budget)
    }

    /// A budget whose users say each time what they need.
    pub(crate) fn new(total: u64, max_len: u64) -> Self {
        let grains = usize::try_from(total / GRAIN).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { grains: Arc::new(Semaphore::new(grains)), total, max_len }
    }

    fn slots(&self) -> u64 {
        self.total / cost(2 * self.max_len)
    }

    /// How many chunks travel together when `threads` work on them.
    ///
    /// Small enough that a batch that is being filled and the two chunks that a writer holds back never
    /// are the whole budget.
    pub(crate) fn batch(&self, threads: usize) -> usize {
        let batch = (self.slots().saturating_sub(2) / (2 * threads as u64)).clamp(1, MAX_BATCH);
        usize::try_from(batch).unwrap_or(1)
    }

    /// Waits until a longest chunk fits.
    pub(crate) async fn admit(&self) -> Permit {
        self.acquire(2 * self.max_len).await
    }

    /// Waits until three longest chunks fit, all at once.
    pub(crate) async fn admit_three(&self) -> Vec<Permit> {
        let each = grains(2 * self.max_len);
        let mut whole = self.acquire_grains(3 * each).await.0;
        let mut permits: Vec<_> = (0..2).filter_map(|_| whole.split(each as usize)).map(Permit).collect();
        permits.push(Permit(whole));
        permits
    }

    /// Waits until `bytes` and the overhead of a chunk fit.
    ///
    /// # Errors
    /// [`Error::BudgetTooSmall`] if they never will.
    pub(crate) async fn admit_bytes(&self, bytes: u64) -> Result<Permit> {
        if cost(bytes) > self.total {
            return Err(Error::BudgetTooSmall { needed: cost(bytes), budget: self.total });
        }
        Ok(self.acquire(bytes).await)
    }

    async fn acquire(&self, bytes: u64) -> Permit {
        self.acquire_grains(grains(bytes)).await
    }

    async fn acquire_grains(&self, grains: u32) -> Permit {
        let permit = Arc::clone(&self.grains).acquire_many_owned(grains).await;
        Permit(permit.expect("the semaphore is never closed"))
    }
}

impl Permit {
    /// Gives back what a chunk of `len` bytes does not need.
    pub(crate) fn shrink_to(&mut self, len: usize) {
        let spare = self.0.num_permits().saturating_sub(grains(2 * len as u64) as usize);
        drop(self.0.split(spare));
    }
}

fn cost(bytes: u64) -> u64 {
    u64::from(grains(bytes)) * GRAIN
}

fn grains(bytes: u64) -> u32 {
    u32::try_from((bytes + OVERHEAD).div_ceil(GRAIN)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_chunks_must_fit() {
        let Err(Error::BudgetTooSmall { needed, budget }) = Budget::for_chunks(8 << 20, 1 << 20).map(|_| ())
        else {
            panic!("8 MiB is too small for four chunks of 1 MiB, twice each")
        };
        assert_eq!(budget, 8 << 20);
        assert!(Budget::for_chunks(needed, 1 << 20).is_ok());
        assert!(Budget::for_chunks(needed - 1, 1 << 20).is_err());
    }

    #[test]
    fn a_batch_never_takes_the_whole_budget() {
        for budget in [9 << 20, 64 << 20, 256 << 20, 1 << 30] {
            for threads in [1, 2, 8, 64] {
                let Ok(budget) = Budget::for_chunks(budget, 1 << 20) else { continue };
                assert!(budget.batch(threads) as u64 + 2 <= budget.slots());
            }
        }
    }

    #[tokio::test]
    async fn a_shrunk_permit_makes_room() {
        let budget = Budget::for_chunks(9 << 20, 1 << 20).unwrap();
        let before = budget.grains.available_permits();
        let mut permit = budget.admit().await;
        permit.shrink_to(0);
        assert_eq!(before - budget.grains.available_permits(), 16);
        drop(permit);
        assert_eq!(budget.grains.available_permits(), before);
    }
}
