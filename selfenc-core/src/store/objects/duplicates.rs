use std::sync::{Mutex, PoisonError};

/// A refused create still uploads the chunk and costs about twelve looks, so from this many duplicates in
/// the last 128 puts on (8 %), looking first is cheaper.
const WORTH_A_LOOK: u32 = 10;

/// Whether chunks are likely to be there already: the outcomes of the last 128 puts.
///
/// At first they are not. Shared by the puts of one handle.
#[derive(Debug, Default)]
pub struct DuplicateRate(Mutex<u128>);

impl DuplicateRate {
    /// Whether a put had better look first whether the chunk is there.
    #[must_use]
    pub fn is_likely(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count_ones() >= WORTH_A_LOOK
    }

    /// Counts the outcome of a put.
    pub fn note(&self, was_present: bool) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = *last << 1 | u128::from(was_present);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_while_there_are_duplicates() {
        let rate = DuplicateRate::default();
        for _ in 0..9 {
            rate.note(true);
        }
        assert!(!rate.is_likely());
        rate.note(true);
        assert!(rate.is_likely());
        for _ in 0..118 {
            rate.note(false);
            assert!(rate.is_likely());
        }
        rate.note(false);
        assert!(!rate.is_likely(), "the oldest is forgotten");
    }
}
