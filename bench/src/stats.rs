//! Medians, and what lies around them.

use serde::{Deserialize, Serialize};

/// The middle of several values, the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The middle, or the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Summary {
    /// Of these values; `None` of none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<_> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let is_odd = sorted.len() % 2 == 1;
        let median = if is_odd { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 };
        Some(Self { median, min, max })
    }

    /// Of `theirs / ours`, round by round: what slows a machine for a while slows both halves of a round.
    #[must_use]
    pub fn of_ratios(
        theirs: impl IntoIterator<Item = f64>,
        ours: impl IntoIterator<Item = f64>,
    ) -> Option<Self> {
        Self::of(theirs.into_iter().zip(ours).map(|(theirs, ours)| theirs / ours))
    }

    /// Of `f` of each value, for an `f` that rises or falls throughout.
    #[must_use]
    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let (one, other) = (f(self.min), f(self.max));
        Self { median: f(self.median), min: one.min(other), max: one.max(other) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_of_any_order_and_of_something() {
        assert_eq!(Summary::of([1.0]), Some(Summary { median: 1.0, min: 1.0, max: 1.0 }));
        assert_eq!(Summary::of([9.0, 1.0, 2.0]), Some(Summary { median: 2.0, min: 1.0, max: 9.0 }));
        assert_eq!(Summary::of([4.0, 9.0, 2.0, 1.0]), Some(Summary { median: 3.0, min: 1.0, max: 9.0 }));
        assert_eq!(Summary::of([]), None);
    }

    #[test]
    fn ratios_are_of_rounds_and_not_of_medians() {
        let ratios = Summary::of_ratios([10.0, 40.0, 90.0], [10.0, 10.0, 30.0]).unwrap();
        assert_eq!(ratios, Summary { median: 3.0, min: 1.0, max: 4.0 });
    }

    #[test]
    fn a_speed_is_least_where_the_time_is_greatest() {
        let speed = Summary { median: 2.0, min: 1.0, max: 4.0 }.map(|seconds| 8.0 / seconds);
        assert_eq!(speed, Summary { median: 4.0, min: 2.0, max: 8.0 });
    }
}
