//! Random sequences of calls, and how one that fails is made smaller.

use selfenc_core::store::Capabilities;

use crate::data::Rng;

/// Chunks that sequences are about. The upper half are those whose calls may be dropped.
pub(super) const CHUNKS: u8 = 24;
/// Roots that sequences are about.
pub(super) const ROOTS: u8 = 4;

/// A chunk with one of its two values, which differ in length: putting the other one replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    A,
    B,
}

/// One call. Chunks and roots are numbers, so that a sequence prints shortly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Put(u8, Value),
    Get(u8),
    Stat(u8),
    Delete(u8),
    /// After this chunk, or from the start.
    List(Option<u8>),
    Flush,
    PutMany(Vec<(u8, Value)>),
    DeleteMany(Vec<u8>),
    Load(u8),
    /// To this value, or to none, expecting what is there.
    Swap(u8, Option<u64>),
    /// Expecting an older version, or a wrong one.
    StaleSwap(u8, Option<u64>),
    Names,
    /// A put that is dropped after so many polls.
    DroppedPut(u8, Value, u32),
    DroppedDelete(u8, u32),
    DroppedSwap(u8, u64, u32),
    /// From here on the harness injects the fault of this number.
    Fault(usize),
    EndOfFaults,
}

/// What a sequence may be made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Menu {
    pub(super) capabilities: Capabilities,
    pub(super) roots: bool,
    pub(super) drops: bool,
    pub(super) faults: usize,
}

impl Menu {
    /// A sequence of `len` steps.
    pub(super) fn sequence(&self, rng: &mut Rng, len: usize) -> Vec<Step> {
        let kinds = self.kinds();
        let mut steps = Vec::with_capacity(len);
        while steps.len() < len {
            steps.push(self.step(rng, &kinds));
            if matches!(steps.last(), Some(Step::Fault(_))) {
                // Faults are short, or nothing else would be tested.
                steps.extend((0..1 + rng.below(4)).map(|_| self.step(rng, &kinds)));
                steps.push(Step::EndOfFaults);
            }
        }
        steps
    }

    /// The kinds of steps, as often as they are to come up.
    fn kinds(&self) -> Vec<u8> {
        let weights = [
            (0, 5, true),
            (1, 4, true),
            (2, 2, true),
            (3, 3, self.capabilities.deletes),
            (4, 2, self.capabilities.lists),
            (5, 1, true),
            (6, 1, true),
            (7, 1, self.capabilities.deletes),
            (8, 1, self.roots),
            (9, 2, self.roots),
            (10, 1, self.roots),
            (11, 1, self.roots),
            (12, 2, self.drops),
            (13, 2, self.drops && self.capabilities.deletes),
            (14, 1, self.drops && self.roots),
            (15, 1, self.faults > 0),
        ];
        let offered = weights.into_iter().filter(|(.., on)| *on);
        offered.flat_map(|(kind, times, _)| std::iter::repeat_n(kind, times)).collect()
    }

    fn step(&self, rng: &mut Rng, kinds: &[u8]) -> Step {
        let kind = *rng.of(kinds);
        let chunk = small(rng, CHUNKS);
        // Calls on these may land late; the others stay certain.
        let loose = CHUNKS / 2 + chunk / 2;
        let name = small(rng, ROOTS);
        let polls = u32::from(small(rng, 6));
        let new = (rng.below(4) > 0).then(|| rng.below(1000));
        match kind {
            0 => Step::Put(chunk, value(rng)),
            1 => Step::Get(chunk),
            2 => Step::Stat(chunk),
            3 => Step::Delete(chunk),
            4 => Step::List((rng.below(2) == 0).then_some(chunk)),
            5 => Step::Flush,
            6 => Step::PutMany(some(rng).into_iter().map(|chunk| (chunk, value(rng))).collect()),
            7 => Step::DeleteMany(some(rng)),
            8 => Step::Load(name),
            9 => Step::Swap(name, new),
            10 => Step::StaleSwap(name, new),
            11 => Step::Names,
            12 => Step::DroppedPut(loose, value(rng), polls),
            13 => Step::DroppedDelete(loose, polls),
            14 => Step::DroppedSwap(name, rng.below(1000), polls),
            _ => Step::Fault(usize::try_from(rng.below(self.faults as u64)).unwrap_or_default()),
        }
    }
}

/// A number from 0 to `n` - 1.
fn small(rng: &mut Rng, n: u8) -> u8 {
    u8::try_from(rng.below(n.into())).unwrap_or_default()
}

fn value(rng: &mut Rng) -> Value {
    // Mostly the same one, so that many puts meet what is there.
    if rng.below(4) == 0 { Value::B } else { Value::A }
}

/// A few different chunks: what a batch does with duplicates depends on their order.
fn some(rng: &mut Rng) -> Vec<u8> {
    let start = small(rng, CHUNKS);
    let step = 5;
    (0..small(rng, 6)).map(|n| (start + n * step) % CHUNKS).collect()
}

/// Makes a failing sequence smaller, by leaving out parts as long as the rest fails still.
#[derive(Debug)]
pub(super) struct Shrink {
    /// The smallest so far that fails.
    pub(super) steps: Vec<Step>,
    /// The length of the parts that are tried, and where the next one starts.
    part: usize,
    from: usize,
    /// Whether a part of this length was left out since the start was passed.
    has_shrunk: bool,
}

impl Shrink {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self { part: steps.len().div_ceil(2), from: 0, has_shrunk: false, steps }
    }

    /// A sequence to try, smaller by one part; `None` if every part is needed.
    pub(super) fn smaller(&mut self) -> Option<Vec<Step>> {
        if self.from >= self.steps.len() {
            // Single steps are tried again until none can go.
            if self.part > 1 || !self.has_shrunk {
                self.part /= 2;
            }
            (self.from, self.has_shrunk) = (0, false);
        }
        if self.part == 0 || self.steps.is_empty() {
            return None;
        }
        let mut fewer = self.steps.clone();
        fewer.drain(self.from..(self.from + self.part).min(self.steps.len()));
        Some(fewer)
    }

    /// The sequence that was tried fails as well.
    pub(super) fn keep(&mut self, smaller: Vec<Step>) {
        self.steps = smaller;
        self.has_shrunk = true;
    }

    /// The sequence that was tried does not fail.
    pub(super) fn reject(&mut self) {
        self.from += self.part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_sequence_shrinks_to_what_makes_it_fail() {
        let capabilities = Capabilities::new(selfenc_core::store::Durability::Volatile);
        let menu = Menu { capabilities, roots: true, drops: true, faults: 3 };
        let mut steps = menu.sequence(&mut Rng::new(5), 200);
        steps.insert(30, Step::Put(99, Value::A));
        steps.insert(150, Step::Delete(99));
        let (mut shrink, mut runs) = (Shrink::new(steps), 0);
        while let Some(fewer) = shrink.smaller() {
            runs += 1;
            let put = fewer.iter().position(|step| *step == Step::Put(99, Value::A));
            let delete = fewer.iter().position(|step| *step == Step::Delete(99));
            if put.is_some() && put < delete { shrink.keep(fewer) } else { shrink.reject() }
        }
        assert_eq!(shrink.steps, [Step::Put(99, Value::A), Step::Delete(99)]);
        assert!(runs < 200, "{runs} runs");
    }

    #[test]
    fn what_the_store_lacks_is_not_in_the_sequence() {
        let capabilities = Capabilities::new(selfenc_core::store::Durability::Volatile)
            .with_lists(false)
            .with_deletes(false);
        let menu = Menu { capabilities, roots: false, drops: false, faults: 0 };
        for step in menu.sequence(&mut Rng::new(1), 2000) {
            let is_there =
                matches!(step, Step::Put(..) | Step::Get(_) | Step::Stat(_) | Step::Flush | Step::PutMany(_));
            assert!(is_there, "{step:?}");
        }
    }
}
