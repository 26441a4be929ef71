use std::ops::Deref;

use crate::data::Rng;
use crate::{Harness, Options, Scale};

/// One run of one case: the store's harness, how much to do, and where chance comes from.
#[derive(Debug)]
pub struct Trial<'a> {
    harness: &'a dyn Harness,
    /// How much to do.
    pub scale: Scale,
    /// Where everything random in the case comes from.
    pub seed: u64,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(harness: &'a dyn Harness, options: &Options) -> Self {
        Self { harness, scale: options.scale, seed: options.seed }
    }

    /// A generator; the same in every run with this seed, and another for each `purpose`.
    pub(crate) fn rng(&self, purpose: u64) -> Rng {
        Rng::new(self.seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The number for this scale.
    pub(crate) fn pick<T>(&self, quick: T, full: T, soak: T) -> T {
        match self.scale {
            Scale::Quick => quick,
            Scale::Full => full,
            Scale::Soak => soak,
        }
    }
}

impl Deref for Trial<'_> {
    type Target = dyn Harness;

    fn deref(&self) -> &Self::Target {
        self.harness
    }
}
