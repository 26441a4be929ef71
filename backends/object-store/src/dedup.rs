use std::sync::{Mutex, PoisonError};

/// A refused create still uploads the chunk and costs about twelve looks, so from this many duplicates in
/// the last 128 puts on (8 %), looking first is cheaper.
const WORTH_A_LOOK: u32 = 10;

/// Whether chunks are likely to be there already: the outcomes of the last 128 puts.
#[derive(Debug, Default)]
pub(crate) struct Dedup(Mutex<u128>);

impl Dedup {
    pub(crate) fn is_likely(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count_ones() >= WORTH_A_LOOK
    }

    pub(crate) fn note(&self, was_present: bool) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = *last << 1 | u128::from(was_present);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_while_there_are_duplicates() {
        let dedup = Dedup::default();
        for _ in 0..9 {
            dedup.note(true);
        }
        assert!(!dedup.is_likely());
        dedup.note(true);
        assert!(dedup.is_likely());
        for _ in 0..118 {
            dedup.note(false);
            assert!(dedup.is_likely());
        }
        dedup.note(false);
        assert!(!dedup.is_likely(), "the oldest is forgotten");
    }
}
