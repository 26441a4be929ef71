//! Which request meets what, and what was asked.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::action::Action;
use super::request::{Kind, Seen};

/// How often a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    Once,
    /// The first n that match.
    First(usize),
    Always,
    /// Only the n-th that matches; 1 is the first.
    Nth(usize),
}

/// Requests of these kinds whose key holds a text meet an action.
#[derive(Clone, Debug)]
pub struct Rule {
    kinds: &'static [Kind],
    key: String,
    header: Option<(&'static str, String)>,
    times: Times,
    action: Action,
    matched: usize,
}

impl Rule {
    pub fn new(kinds: &'static [Kind], times: Times, action: Action) -> Self {
        Self { kinds, key: String::new(), header: None, times, action, matched: 0 }
    }

    /// Only requests whose [key](Seen::key) holds this.
    pub fn at(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self
    }

    /// Only requests with this value of this header.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.header = Some((name, value.into()));
        self
    }

    fn meet(&mut self, seen: &Seen) -> Option<Action> {
        if !self.kinds.contains(&seen.kind) || !seen.key.contains(&self.key) {
            return None;
        }
        if self.header.as_ref().is_some_and(|(name, value)| seen.header(name) != value) {
            return None;
        }
        self.matched += 1;
        let holds = match self.times {
            Times::Once => self.matched == 1,
            Times::First(n) => self.matched <= n,
            Times::Always => true,
            Times::Nth(n) => self.matched == n,
        };
        holds.then(|| self.action.clone())
    }
}

/// The rules, the log and the counters of a proxy.
#[derive(Debug, Default)]
pub struct Script(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    log: Vec<Seen>,
    in_flight: BTreeMap<Kind, usize>,
    most: usize,
    most_of_kind: BTreeMap<Kind, usize>,
}

impl Script {
    /// The first rule that holds for a request decides. Rules after it do not count the request.
    pub fn add(&self, rule: Rule) {
        self.0.lock().unwrap().rules.push(rule);
    }

    pub fn clear_rules(&self) {
        self.0.lock().unwrap().rules.clear();
    }

    /// Forgets what was asked, not the rules.
    pub fn forget(&self) {
        let mut state = self.0.lock().unwrap();
        state.log.clear();
        state.most = 0;
        state.most_of_kind.clear();
    }

    pub fn log(&self) -> Vec<Seen> {
        self.0.lock().unwrap().log.clone()
    }

    /// How many requests of these kinds came since the log was emptied.
    pub fn count(&self, kinds: &[Kind]) -> usize {
        self.0.lock().unwrap().log.iter().filter(|seen| kinds.contains(&seen.kind)).count()
    }

    /// The most requests that were being served at one time.
    pub fn most_in_flight(&self) -> usize {
        self.0.lock().unwrap().most
    }

    pub fn most_of(&self, kind: Kind) -> usize {
        self.0.lock().unwrap().most_of_kind.get(&kind).copied().unwrap_or(0)
    }

    /// How many are being served now.
    pub fn in_flight(&self) -> usize {
        self.0.lock().unwrap().in_flight.values().sum()
    }

    pub(super) fn begin(&self, seen: Seen) -> Option<Action> {
        let mut state = self.0.lock().unwrap();
        let action = state.rules.iter_mut().find_map(|rule| rule.meet(&seen));
        let of_kind = state.in_flight.entry(seen.kind).or_default();
        *of_kind += 1;
        let of_kind = *of_kind;
        let most = state.most_of_kind.entry(seen.kind).or_default();
        *most = of_kind.max(*most);
        state.most = state.in_flight.values().sum::<usize>().max(state.most);
        state.log.push(seen);
        action
    }

    pub(super) fn end(&self, kind: Kind) {
        *self.0.lock().unwrap().in_flight.get_mut(&kind).unwrap() -= 1;
    }
}
