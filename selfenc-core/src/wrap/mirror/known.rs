use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::RootName;

/// Above this many names, those that only say "in step" are forgotten; they are checked again when loaded.
const MAX_NAMES: usize = 10_000;

/// What this process knows of its roots.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<RootName, State>>);

#[derive(Debug, Default, PartialEq, Eq)]
struct State {
    /// All replicas had the same at some time since this process began.
    in_step: bool,
    /// The last swap may not have reached every replica.
    behind: bool,
    /// One of the swaps that left it behind was a removal.
    removal: bool,
    flights: usize,
    /// Flights that are a removal.
    removals: usize,
}

impl Known {
    pub(super) fn count_behind(&self) -> usize {
        self.lock().values().filter(|state| state.behind).count()
    }

    pub(super) fn is_behind(&self, name: &RootName) -> bool {
        self.lock().get(name).is_some_and(|state| state.behind)
    }

    /// Whether a load should copy first. It need not wait for a swap that runs, which copies itself.
    pub(super) fn wants_copy(&self, name: &RootName) -> bool {
        self.lock().get(name).is_none_or(|state| state.behind || !state.in_step)
    }

    /// Whether all replicas have the same, as far as this process can know.
    pub(super) fn is_in_step(&self, name: &RootName) -> bool {
        self.lock().get(name).is_some_and(|state| state.in_step && !state.behind && state.flights == 0)
    }

    /// Whether a removal from here may not have reached every replica yet.
    pub(super) fn is_removing(&self, name: &RootName) -> bool {
        self.lock().get(name).is_some_and(|state| state.removal || state.removals > 0)
    }

    /// Begins a swap. Dropped before its end, it leaves the root behind.
    pub(super) fn swap(&self, name: &RootName, removal: bool) -> Flight<'_> {
        self.begin(name, |_| (true, removal))
    }

    /// Begins to make good for the swaps that left the root behind. Dropped before its end, it still is.
    pub(super) fn copy(&self, name: &RootName) -> Flight<'_> {
        self.begin(name, |state| (std::mem::take(&mut state.behind), std::mem::take(&mut state.removal)))
    }

    fn begin(&self, name: &RootName, what: impl FnOnce(&mut State) -> (bool, bool)) -> Flight<'_> {
        let mut names = self.lock();
        if names.len() >= MAX_NAMES {
            names.retain(|_, state| state.behind || state.flights > 0);
        }
        let state = names.entry(name.clone()).or_default();
        let (behind, removal) = what(state);
        state.flights += 1;
        state.removals += usize::from(removal);
        Flight { known: self, name: name.clone(), behind, removal, in_step: false }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RootName, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A swap or a copy that runs.
pub(super) struct Flight<'a> {
    known: &'a Known,
    name: RootName,
    /// It leaves the root behind.
    behind: bool,
    removal: bool,
    in_step: bool,
}

impl Flight<'_> {
    /// It reached every replica.
    pub(super) fn in_step(mut self) {
        (self.behind, self.in_step) = (false, true);
    }

    /// It changed nothing.
    pub(super) fn did_nothing(mut self) {
        self.behind = false;
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut names = self.known.lock();
        let Some(state) = names.get_mut(&self.name) else { return };
        state.flights -= 1;
        state.removals -= usize::from(self.removal);
        state.behind |= self.behind;
        state.removal |= self.behind && self.removal;
        state.in_step |= self.in_step;
        if *state == State::default() {
            names.remove(&self.name);
        }
    }
}
