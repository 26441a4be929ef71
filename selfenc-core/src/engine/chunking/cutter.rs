use fastcdc::v2020::{Normalization, cut_gear, get_gear_with_seed, select_masks};

use super::Chunking;
use crate::engine::secret::Secret;
use crate::engine::suite::Suite;

const LABEL: &[u8] = b"selfenc v1 chunker\0";

/// Finds where the next chunk ends.
pub(crate) enum Cutter {
    Fixed { size: usize },
    FastCdc(Box<FastCdc>),
}

/// FastCDC's sizes, masks and gear, made once for an input.
pub(crate) struct FastCdc {
    min: usize,
    avg: usize,
    max: usize,
    masks: (u64, u64),
    gear: Vec<u64>,
    gear_shifted: Vec<u64>,
}

impl Cutter {
    /// Outside the public scope, boundaries of content-defined chunks depend on the secret.
    pub(crate) fn new(chunking: Chunking, suite: Suite, secret: &Secret, public: bool) -> Self {
        match chunking {
            Chunking::Fixed { size, .. } => Self::Fixed { size: size as usize },
            Chunking::ContentDefined { min, avg, max } => {
                let seed = if public { 0 } else { seed(suite, secret) };
                let (gear, gear_shifted) = get_gear_with_seed(seed);
                let (min, avg, max) = (min as usize, avg as usize, max as usize);
                Self::FastCdc(Box::new(FastCdc {
                    min,
                    avg,
                    max,
                    masks: select_masks(avg, Normalization::Level1),
                    gear: gear.into_owned(),
                    gear_shifted: gear_shifted.into_owned(),
                }))
            }
        }
    }

    /// The length of the first chunk of `data`, which holds a longest chunk or all that is left.
    pub(super) fn cut(&self, data: &[u8]) -> usize {
        match self {
            Self::Fixed { size } => data.len().min(*size),
            Self::FastCdc(cdc) => cdc.cut(data),
        }
    }
}

impl FastCdc {
    fn cut(&self, data: &[u8]) -> usize {
        let (mask_s, mask_l) = self.masks;
        let (_, len) = cut_gear(
            data,
            self.min,
            self.avg,
            self.max,
            mask_s,
            mask_l,
            mask_s << 1,
            mask_l << 1,
            &self.gear,
            &self.gear_shifted,
        );
        len
    }
}

fn seed(suite: Suite, secret: &Secret) -> u64 {
    let digest = suite.hash(LABEL, secret.expose());
    let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_le_bytes(*first)
}
