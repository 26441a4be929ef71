//! What a store must answer, given all that was done to it: the store's contract as a map.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use selfenc_core::store::{Capabilities, ChunkMeta, PutOutcome, Root, RootVersion};

use super::sequence::{CHUNKS, ROOTS, Value};
use crate::data::{Sample, sample};

/// What a chunk may be; one thing unless calls failed or were dropped.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    possible: BTreeSet<Option<Value>>,
    /// What a dropped or unanswered call may still make of it at any time.
    late: BTreeSet<Option<Value>>,
}

impl Fate {
    fn absent() -> Self {
        Self { possible: BTreeSet::from([None]), late: BTreeSet::new() }
    }

    fn settle(&mut self, now: Option<Value>) {
        self.possible = BTreeSet::from([now]);
        self.possible.extend(&self.late);
    }
}

/// What a root is, and what else it may be after a swap whose end is not known.
#[derive(Clone, Debug, Default)]
pub(super) struct RootFate {
    pub(super) current: Option<Root>,
    pub(super) doubt: BTreeSet<Option<Bytes>>,
    /// Every version that it had: none may come again.
    pub(super) versions: Vec<RootVersion>,
}

impl RootFate {
    pub(super) fn is_certain(&self) -> bool {
        self.doubt.is_empty()
    }

    /// Whether this may be what is found.
    pub(super) fn allows(&self, found: Option<&Root>) -> bool {
        found == self.current.as_ref() || self.doubt.contains(&found.map(|root| root.value.clone()))
    }
}

/// The store as it should be.
#[derive(Debug)]
pub(super) struct Oracle {
    capabilities: Capabilities,
    samples: BTreeMap<u8, [Sample; 2]>,
    chunks: BTreeMap<u8, Fate>,
    /// What a failed flush may have lost.
    unflushed: BTreeSet<u8>,
    pub(super) roots: BTreeMap<u8, RootFate>,
    /// A fault was injected in this sequence, so some answers may be more careful than they need be.
    pub(super) was_faulty: bool,
}

impl Oracle {
    pub(super) fn new(capabilities: Capabilities) -> Self {
        Self {
            capabilities,
            samples: (0..CHUNKS).map(|chunk| (chunk, values(chunk))).collect(),
            chunks: (0..CHUNKS).map(|chunk| (chunk, Fate::absent())).collect(),
            unflushed: BTreeSet::new(),
            roots: (0..ROOTS).map(|name| (name, RootFate::default())).collect(),
            was_faulty: false,
        }
    }

    pub(super) fn sample(&self, chunk: u8, value: Value) -> &Sample {
        &self.samples[&chunk][value as usize]
    }

    fn fate(&mut self, chunk: u8) -> &mut Fate {
        self.unflushed.insert(chunk);
        self.chunks.entry(chunk).or_insert_with(Fate::absent)
    }

    /// A put was `Ok`; whether its outcome is one that it may give.
    pub(super) fn did_put(&mut self, chunk: u8, value: Value, outcome: PutOutcome) -> bool {
        let (exact, was_faulty) = (self.capabilities.exact_outcome, self.was_faulty);
        let drop_ordered = self.capabilities.drop_ordered;
        let fate = self.fate(chunk);
        let is_certain = fate.possible.len() == 1 && fate.late.is_empty() && !was_faulty;
        let honest =
            if fate.possible.contains(&Some(value)) { PutOutcome::Present } else { PutOutcome::Inserted };
        let is_honest = outcome == honest || (outcome == PutOutcome::Unchecked && !exact);
        if drop_ordered {
            fate.late.remove(&None);
        }
        fate.settle(Some(value));
        !is_certain || is_honest
    }

    /// A put failed, or was dropped.
    pub(super) fn may_have_put(&mut self, chunk: u8, value: Value, is_late: bool) {
        let fate = self.fate(chunk);
        fate.possible.extend([None, Some(value)]);
        if is_late {
            fate.late.insert(Some(value));
        }
    }

    pub(super) fn did_delete(&mut self, chunk: u8) {
        self.fate(chunk).settle(None);
    }

    /// A delete failed, or was dropped.
    pub(super) fn may_have_deleted(&mut self, chunk: u8, is_late: bool) {
        let fate = self.fate(chunk);
        fate.possible.insert(None);
        if is_late {
            fate.late.insert(None);
        }
    }

    pub(super) fn did_flush(&mut self) {
        self.unflushed.clear();
    }

    /// A flush failed: nothing since the last one may be relied on.
    pub(super) fn may_have_lost(&mut self) {
        for chunk in std::mem::take(&mut self.unflushed) {
            self.chunks.entry(chunk).or_insert_with(Fate::absent).possible.insert(None);
        }
    }

    /// What is wrong with these bytes of the chunk, if anything.
    pub(super) fn check_get(&self, chunk: u8, got: Option<&Bytes>) -> Result<(), String> {
        let fits = |held: &Option<Value>| got == held.map(|value| &self.sample(chunk, value).data);
        if self.chunks[&chunk].possible.iter().any(fits) {
            return Ok(());
        }
        Err(format!("{} instead of {}", length(got.map(|data| data.len() as u64)), self.expected(chunk)))
    }

    /// What is wrong with this `stat` of the chunk, if anything.
    pub(super) fn check_stat(&self, chunk: u8, found: Option<ChunkMeta>) -> Result<(), String> {
        let fits = |held: &Option<Value>| found == held.map(|value| self.sample(chunk, value).meta());
        if self.chunks[&chunk].possible.iter().any(fits) {
            return Ok(());
        }
        Err(format!("{} instead of {}", length(found.map(|meta| meta.len)), self.expected(chunk)))
    }

    /// What is wrong with this listing of what comes after `after`, if anything.
    pub(super) fn check_list(&self, after: Option<u8>, items: &[ChunkMeta]) -> Result<(), String> {
        if !items.is_sorted_by(|a, b| a.id < b.id) {
            return Err("the listing is not strictly ascending".to_owned());
        }
        let after = after.map(|chunk| self.sample(chunk, Value::A).id);
        let mut known = 0;
        for (chunk, [x, _]) in &self.samples {
            let item = items.iter().find(|meta| meta.id == x.id).copied();
            known += usize::from(item.is_some());
            match item {
                Some(_) if after.is_some_and(|after| x.id <= after) => {
                    return Err(format!("chunk {chunk} is listed, and does not come after"));
                }
                None if after.is_some_and(|after| x.id <= after) => {}
                item => {
                    self.check_stat(*chunk, item).map_err(|e| format!("chunk {chunk} is listed as {e}"))?;
                }
            }
        }
        if known < items.len() { Err("the listing shows what nobody put".to_owned()) } else { Ok(()) }
    }

    fn expected(&self, chunk: u8) -> String {
        let held = self.chunks[&chunk].possible.iter();
        let lens = held.map(|held| length(held.map(|value| self.sample(chunk, value).data.len() as u64)));
        lens.collect::<Vec<_>>().join(" or ")
    }
}

fn length(len: Option<u64>) -> String {
    len.map_or_else(|| "nothing".to_owned(), |len| format!("{len} bytes"))
}

/// The two values of a chunk: the one that it is named by, and one of another length.
fn values(chunk: u8) -> [Sample; 2] {
    let lens = [0, 1, 100, 4096, 20_000];
    let a = sample(500 + u64::from(chunk), lens[usize::from(chunk) % lens.len()] + usize::from(chunk));
    let b = sample(900 + u64::from(chunk), a.data.len() / 2 + 7);
    [a.clone(), Sample { id: a.id, data: b.data }]
}
