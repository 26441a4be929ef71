//! The broken stores' harness: every hook that a disk in memory can have.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use selfenc_backend_tests::{Crash, Damage, Expected, Fault as Injected, Harness, Op, Step, async_trait};
use selfenc_core::store::{Backend, Capabilities, ChunkId, Durability, ErrorKind, Result};

use crate::faults::Fault;
use crate::store::{Broken, Location};

/// Above the suite's longest ordinary chunk, and short enough to be exceeded cheaply.
const MAX_CHUNK_LEN: u64 = (1 << 20) + 1;

/// Opens stores with one fault, or the same stores without it.
#[derive(Debug)]
pub(crate) struct BrokenHarness {
    fault: Fault,
    capabilities: Capabilities,
    at: Mutex<Arc<Location>>,
}

impl BrokenHarness {
    /// A store with everything switched on, durable with each `put`.
    pub(crate) fn on_put() -> Self {
        Self::new(Fault::None, Capabilities::new(Durability::OnPut))
    }

    /// The same, durable with each `flush`.
    pub(crate) fn on_flush() -> Self {
        Self::new(Fault::None, Capabilities::new(Durability::OnFlush))
    }

    /// A store with everything switched off that may be.
    pub(crate) fn bare() -> Self {
        let weaker = Capabilities::new(Durability::OnFlush).with_exact_outcome(false).with_shared(false);
        let weaker = weaker.with_drop_ordered(false).with_lists(false).with_deletes(false).with_roots(false);
        Self::new(Fault::None, weaker)
    }

    pub(crate) fn broken(fault: Fault) -> Self {
        Self::new(fault, declared(fault))
    }

    /// What `broken` gives, but for the fault.
    pub(crate) fn mended(fault: Fault) -> Self {
        Self::new(Fault::None, declared(fault))
    }

    fn new(fault: Fault, capabilities: Capabilities) -> Self {
        let capabilities = capabilities.with_max_chunk_len(MAX_CHUNK_LEN);
        Self { fault, capabilities, at: Mutex::new(Location::new()) }
    }

    pub(crate) fn fault(&self) -> Fault {
        self.fault
    }

    fn at(&self) -> Arc<Location> {
        self.at.lock().expect("no holder panics").clone()
    }

    fn handle(&self, read_only: bool) -> Arc<dyn Backend> {
        let at = self.at();
        let opened = at.crashes.load(Ordering::SeqCst);
        Arc::new(Broken { at, fault: self.fault, capabilities: self.capabilities, read_only, opened })
    }
}

/// What the store with this fault says that it can do.
fn declared(fault: Fault) -> Capabilities {
    match fault {
        Fault::FlushDoesNothing
        | Fault::FlushKeepsDeletes
        | Fault::FlushesOwnTask
        | Fault::FailedFlushForgets
        | Fault::FlushSwallowsErrors => Capabilities::new(Durability::OnFlush),
        Fault::RootsFaked => Capabilities::new(Durability::OnPut).with_roots(false),
        Fault::OpensTwice => Capabilities::new(Durability::OnPut).with_shared(false),
        _ => Capabilities::new(Durability::OnPut),
    }
}

#[async_trait]
impl Harness for BrokenHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        *self.at.lock().expect("no holder panics") = Location::new();
        Ok(self.handle(false))
    }

    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        if self.fault != Fault::LeavesTemporaries {
            self.at().disk().sweep();
        }
        Some(Ok(self.handle(false)))
    }

    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        if !self.capabilities.shared && self.fault != Fault::OpensTwice {
            let says = "another handle holds it";
            return Some(Err(selfenc_core::store::Error::new(ErrorKind::Locked, "open", says)));
        }
        let shared = self.at();
        if self.fault == Fault::SecondIsEmpty {
            *self.at.lock().expect("no holder panics") = Location::new();
        }
        let second = self.handle(false);
        *self.at.lock().expect("no holder panics") = shared;
        Some(Ok(second))
    }

    async fn crash(&self, how: Crash, seed: u64) -> Option<Result<()>> {
        let at = self.at();
        let mut disk = at.disk();
        at.crashes.fetch_add(1, Ordering::SeqCst);
        disk.crash(how, seed);
        Some(Ok(()))
    }

    async fn corrupt(&self, id: ChunkId, damage: Damage) -> Option<Result<()>> {
        self.at().disk().damage(id, damage, MAX_CHUNK_LEN).map(Ok)
    }

    async fn litter(&self) -> Option<Result<()>> {
        self.at().disk().litter();
        Some(Ok(()))
    }

    fn faults(&self) -> Vec<Injected> {
        let fails = |cause, op, kind: ErrorKind| Injected {
            cause,
            op,
            expected: Expected::Fails(kind, kind.is_transient()),
        };
        let mut faults = vec![
            fails("no space on write", Op::Put, ErrorKind::Full),
            fails("too many requests", Op::Put, ErrorKind::Throttled),
            fails("denied read", Op::Get, ErrorKind::PermissionDenied),
            fails("connection reset in a get", Op::Get, ErrorKind::Unavailable),
            fails("connection reset in a stat", Op::Stat, ErrorKind::Unavailable),
            fails("failed sync", Op::Flush, ErrorKind::Other),
        ];
        if self.capabilities.deletes {
            faults.push(fails("denied delete", Op::Delete, ErrorKind::PermissionDenied));
        }
        if self.capabilities.lists {
            faults.push(fails("connection reset in a list", Op::List, ErrorKind::Unavailable));
        }
        if self.capabilities.roots {
            faults.push(fails("denied root", Op::Load, ErrorKind::PermissionDenied));
            faults.push(fails("no space for a root", Op::Swap, ErrorKind::Full));
            faults.push(fails("no answer for the names", Op::Names, ErrorKind::Timeout));
        }
        faults
    }

    async fn fault(&self, fault: Option<&Injected>) -> Option<Result<()>> {
        self.at().disk().injected = fault.cloned();
        Some(Ok(()))
    }

    async fn remove_container(&self) -> Option<Result<()>> {
        self.at().disk().gone = true;
        Some(Ok(()))
    }

    async fn readonly(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(Ok(self.handle(true)))
    }

    async fn pause(&self, on: bool) -> Option<Result<()>> {
        self.at().paused.send_replace(on);
        Some(Ok(()))
    }

    async fn trace(&self) -> Option<Vec<Step>> {
        Some(std::mem::take(&mut self.at().disk().steps))
    }

    async fn temporaries(&self) -> Option<Result<u64>> {
        Some(Ok(self.at().disk().temporaries().count() as u64))
    }
}
