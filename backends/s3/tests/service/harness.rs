//! The harness of the conformance suite over any service of S3.

use std::sync::{Arc, Mutex};

use selfenc_backend_tests::{Crash, Damage, Fault, Harness, Step, async_trait};
use selfenc_core::store::{
    Backend, Capabilities, ChunkId, ChunkStore, Error, ErrorKind, OpenMode, Result, RootStore,
};
use selfenc_s3::Conditions;
use tokio::sync::RwLock;

use super::super::support::action::Action;
use super::super::support::request::ANY;
use super::super::support::script::{Rule, Times};
use super::damage;
use super::endpoint::Endpoint;
use super::fault_table::table;
use super::place::Place;

/// Short, so that a longer object is soon written.
const MAX_CHUNK_LEN: u64 = (1 << 20) + 1;

#[derive(Debug)]
pub struct ServiceHarness {
    endpoint: Endpoint,
    place: RwLock<Option<Place>>,
    capabilities: Mutex<Option<Capabilities>>,
}

impl ServiceHarness {
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, place: RwLock::default(), capabilities: Mutex::default() }
    }

    /// What the store of the last location says of itself.
    pub fn capabilities(&self) -> Option<Capabilities> {
        *self.capabilities.lock().unwrap()
    }

    async fn at_place(&self, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        let place = self.place.read().await;
        let config = place.as_ref().unwrap().config().with_max_chunk_len(MAX_CHUNK_LEN);
        let store = config.open(mode).await?;
        *self.capabilities.lock().unwrap() = Some(store.capabilities());
        Ok(Arc::new(store))
    }

    fn rows(&self) -> Vec<super::fault_table::S3Fault> {
        let keeps = self.capabilities().map(|can| can.exact_outcome);
        table(keeps.or(self.endpoint.kind.keeps_conditions()).unwrap_or(true))
    }
}

fn broken_hook(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Other, "harness", e.to_string())
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Harness for ServiceHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        let new = Place::new(&self.endpoint).await.map_err(broken_hook)?;
        let old = self.place.write().await.replace(new);
        // Its cleaning up blocks.
        tokio::task::spawn_blocking(|| drop(old)).await.map_err(broken_hook)?;
        self.at_place(OpenMode::Create).await
    }

    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.at_place(OpenMode::Existing).await)
    }

    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.at_place(OpenMode::Existing).await)
    }

    async fn roots(&self) -> Option<Result<Arc<dyn RootStore>>> {
        match self.at_place(OpenMode::Existing).await {
            Ok(store) if !store.capabilities().roots => None,
            opened => Some(opened.map(|store| store as _)),
        }
    }

    /// The store's own process, or machine: what is left of it is in the service.
    async fn crash(&self, _how: Crash, _seed: u64) -> Option<Result<()>> {
        self.place.write().await.as_mut().unwrap().cut_off().await;
        Some(Ok(()))
    }

    async fn corrupt(&self, id: ChunkId, damage: Damage) -> Option<Result<()>> {
        let place = self.place.read().await;
        let done = damage::damage(place.as_ref().unwrap(), id, damage, MAX_CHUNK_LEN).await;
        done.map(|done| done.map_err(broken_hook))
    }

    async fn litter(&self) -> Option<Result<()>> {
        let place = self.place.read().await;
        Some(damage::litter(place.as_ref().unwrap()).await.map_err(broken_hook))
    }

    fn faults(&self) -> Vec<Fault> {
        self.rows().into_iter().map(|row| row.fault).collect()
    }

    async fn fault(&self, fault: Option<&Fault>) -> Option<Result<()>> {
        let place = self.place.read().await;
        let proxy = &place.as_ref().unwrap().proxy;
        proxy.clear_rules();
        let Some(fault) = fault else { return Some(Ok(())) };
        let row = self.rows().into_iter().find(|row| row.fault == *fault);
        Some(row.map(|row| proxy.add(row.rule)).ok_or_else(|| broken_hook("no such fault")))
    }

    async fn remove_container(&self) -> Option<Result<()>> {
        let place = self.place.read().await;
        let place = place.as_ref().unwrap();
        if place.can_lose_its_bucket() {
            return Some(place.raw.remove_bucket(false).await.map_err(broken_hook));
        }
        place.proxy.add(Rule::new(ANY, Times::Always, Action::error(404, "NoSuchBucket")));
        Some(Ok(()))
    }

    async fn readonly(&self) -> Option<Result<Arc<dyn Backend>>> {
        let place = self.place.read().await;
        let place = place.as_ref().unwrap();
        place.proxy.deny_writes();
        let mut config = place.config().with_max_chunk_len(MAX_CHUNK_LEN);
        if self.capabilities().is_some_and(|can| !can.roots) {
            // Who may not write cannot find that out, and has to be told.
            config = config.with_conditions(Conditions { create: false, update: false });
        }
        Some(config.open(OpenMode::Existing).await.map(|store| Arc::new(store) as _))
    }

    async fn pause(&self, on: bool) -> Option<Result<()>> {
        self.place.read().await.as_ref().unwrap().proxy.pause_puts(on);
        Some(Ok(()))
    }

    /// A service does not tell.
    async fn trace(&self) -> Option<Vec<Step>> {
        None
    }

    /// What a service has of an upload that did not end is not to be seen.
    async fn temporaries(&self) -> Option<Result<u64>> {
        None
    }

    fn known_failures(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}
