use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use quick_cache::unsync::Cache as Kept;
use quick_cache::{OptionsBuilder, Weighter};
use tokio::time::Instant;

use super::flight::{Flight, Landing};
use super::limits::{ENTRY, Limits};
use crate::store::{ChunkId, PutOutcome};

/// What is known, what is being found out, and how that went.
pub(super) struct State {
    table: Mutex<Table>,
    limits: Limits,
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) expired: AtomicU64,
    /// A put failed or was dropped: it may still land, so absence is not remembered any more.
    in_doubt: AtomicBool,
}

struct Table {
    kept: Kept<ChunkId, Slot, Weigh>,
    under_way: HashMap<ChunkId, UnderWay>,
}

/// What the cache knows of a chunk.
#[derive(Clone)]
pub(super) enum Entry {
    Here(Bytes),
    Absent,
}

/// An entry, and when it is no longer one.
struct Slot {
    entry: Entry,
    until: Option<Instant>,
}

/// What goes on about one chunk while anybody holds a ticket for it.
#[derive(Default)]
struct UnderWay {
    tickets: usize,
    /// Deletes that began or ended: bytes that were asked for before one are not kept after it.
    deletes: u64,
    /// Puts that ended: what was seen before one is not kept after it.
    puts: u64,
    flight: Option<Landing>,
}

/// What an entry counts for: its bytes, or the least that one counts for.
#[derive(Clone)]
struct Weigh {
    least: u64,
}

impl Slot {
    fn bytes(&self) -> u64 {
        match &self.entry {
            Entry::Here(data) => data.len() as u64 + ENTRY,
            Entry::Absent => ENTRY,
        }
    }
}

impl Weighter<ChunkId, Slot> for Weigh {
    fn weight(&self, _: &ChunkId, slot: &Slot) -> u64 {
        slot.bytes().max(self.least)
    }
}

impl State {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let (capacity, least) = limits.capacity();
        let mut options = OptionsBuilder::new();
        options.estimated_items_capacity(limits.likely_entries()).weight_capacity(capacity);
        if least > capacity / 2 {
            // The only entry there can be is more than the part that is meant for those often used.
            options.hot_allocation(1.0);
        }
        let options = options.build().expect("both required settings are given");
        let kept = Kept::with_options(options, Weigh { least }, Default::default(), Default::default());
        Arc::new(Self {
            table: Mutex::new(Table { kept, under_way: HashMap::new() }),
            limits,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            in_doubt: AtomicBool::new(false),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    /// How many entries there are, and their bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        let table = self.lock();
        let bytes = match self.limits.entries {
            None => table.kept.weight(),
            Some(_) => table.kept.iter().map(|(_, slot)| slot.bytes()).sum(),
        };
        (table.kept.len() as u64, bytes)
    }

    /// What is known of a chunk. An entry whose time is up is taken out.
    pub(super) fn look_up(&self, id: ChunkId) -> Option<Entry> {
        let mut table = self.lock();
        let slot = table.kept.get(&id)?;
        if slot.until.is_none_or(|until| Instant::now() < until) {
            return Some(slot.entry.clone());
        }
        let old = table.kept.remove(&id);
        drop(table);
        drop(old);
        self.expired.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Takes out the entry with these very bytes; one that came in its place meanwhile stays.
    pub(super) fn evict_damaged(&self, id: ChunkId, data: &Bytes) {
        let same = |slot: &Slot| matches!(&slot.entry, Entry::Here(kept) if kept.as_ptr() == data.as_ptr());
        if self.lock().kept.remove_if(&id, same).is_some() {
            self.damaged.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn slot(&self, entry: Entry) -> Slot {
        // A time beyond all clocks is never.
        let until = self.limits.ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        Slot { entry, until }
    }

    pub(super) fn ticket(self: &Arc<Self>, id: ChunkId) -> Ticket {
        self.ticket_in(&mut self.lock(), id)
    }

    fn ticket_in(self: &Arc<Self>, table: &mut Table, id: ChunkId) -> Ticket {
        let current = table.under_way.entry(id).or_default();
        current.tickets += 1;
        Ticket { state: Arc::clone(self), id, deletes: current.deletes, puts: current.puts }
    }

    /// The flight for this chunk that others wait for already, or a new one from `take_off`.
    pub(super) fn join(self: &Arc<Self>, id: ChunkId, take_off: impl FnOnce(Ticket) -> Flight) -> Flight {
        let mut table = self.lock();
        let current = table.under_way.get(&id).and_then(|current| current.flight.as_ref());
        if let Some(flight) = current.and_then(Landing::upgrade) {
            return flight;
        }
        let ticket = self.ticket_in(&mut table, id);
        let flight = take_off(ticket);
        table.under_way.entry(id).or_default().flight = flight.downgrade();
        flight
    }

    /// A delete begins or ends: whatever is known or being found out is void.
    fn deleted(&self, id: ChunkId) {
        let mut table = self.lock();
        let old = table.kept.remove(&id);
        if let Some(current) = table.under_way.get_mut(&id) {
            current.deletes += 1;
            current.flight = None;
        }
        drop(table);
        drop(old);
    }

    /// A put ends, well or not: the chunk may be there now. Whether what was put may be kept.
    fn put(&self, ticket: &mut Ticket, outcome: Option<PutOutcome>) -> bool {
        if outcome.is_none() {
            self.in_doubt.store(true, Ordering::SeqCst);
        }
        let mut table = self.lock();
        let mut new = outcome == Some(PutOutcome::Inserted);
        if let Some(current) = table.under_way.get_mut(&ticket.id) {
            // Of two puts at once, nobody knows which one the store kept.
            new &= current.puts == ticket.puts;
            current.puts += 1;
            current.flight = None;
            ticket.puts = current.puts;
        }
        // What was there before may be damaged, and whoever reads it after the put may want to know.
        let old = table.kept.remove(&ticket.id);
        drop(table);
        drop(old);
        new
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entries, bytes) = self.size();
        f.debug_struct("State")
            .field("limits", &self.limits)
            .field("entries", &entries)
            .field("bytes", &bytes)
            .finish()
    }
}

/// Somebody's right to tell the cache what he found out about a chunk, unless a delete or a put came in
/// between.
pub(super) struct Ticket {
    state: Arc<State>,
    id: ChunkId,
    deletes: u64,
    puts: u64,
}

impl Ticket {
    pub(super) fn keep(&self, data: Bytes) {
        let mut table = self.state.lock();
        let mine = (self.deletes, self.puts);
        if table.under_way.get(&self.id).is_some_and(|current| (current.deletes, current.puts) == mine) {
            table.kept.insert(self.id, self.state.slot(Entry::Here(data)));
        }
    }

    pub(super) fn keep_absent(&self) {
        let mut table = self.state.lock();
        let doubt = self.state.in_doubt.load(Ordering::SeqCst);
        if !doubt && table.under_way.get(&self.id).is_some_and(|current| current.puts == self.puts) {
            table.kept.insert(self.id, self.state.slot(Entry::Absent));
        }
    }

    /// The flight is over: whoever comes now starts another, and is not given an old answer.
    pub(super) fn land(&self) {
        let mut table = self.state.lock();
        if let Some(current) = table.under_way.get_mut(&self.id)
            && (current.deletes, current.puts) == (self.deletes, self.puts)
        {
            current.flight = None;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut table = self.state.lock();
        if let Some(current) = table.under_way.get_mut(&self.id) {
            current.tickets -= 1;
            if current.tickets == 0 {
                table.under_way.remove(&self.id);
            }
        }
    }
}

/// A delete: what is known is void from its beginning, and again at its end or when it is dropped.
pub(super) struct Deleting(Ticket);

impl Deleting {
    pub(super) fn start(state: &Arc<State>, id: ChunkId) -> Self {
        let ticket = state.ticket(id);
        state.deleted(id);
        Self(ticket)
    }
}

impl Drop for Deleting {
    fn drop(&mut self) {
        self.0.state.deleted(self.0.id);
    }
}

/// A put: what is known is void at its end or when it is dropped.
pub(super) struct Putting {
    ticket: Ticket,
    over: bool,
}

impl Putting {
    pub(super) fn start(state: &Arc<State>, id: ChunkId) -> Self {
        Self { ticket: state.ticket(id), over: false }
    }

    /// The store said `Ok`. The ticket may keep the bytes if they are new there.
    pub(super) fn done(&mut self, outcome: PutOutcome) -> Option<&Ticket> {
        self.over = true;
        let state = Arc::clone(&self.ticket.state);
        state.put(&mut self.ticket, Some(outcome)).then_some(&self.ticket)
    }
}

impl Drop for Putting {
    fn drop(&mut self) {
        if !self.over {
            let state = Arc::clone(&self.ticket.state);
            state.put(&mut self.ticket, None);
        }
    }
}
