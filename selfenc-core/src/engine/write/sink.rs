use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OnceCell, Semaphore};

use crate::engine::error::{Error, Result};
use crate::store::{ChunkId, ChunkStore, PutOutcome};

/// Puts chunks into the store: so many at once, and one name only once at a time.
#[derive(Clone)]
pub(crate) struct Sink(Arc<Inner>);

struct Inner {
    store: Arc<dyn ChunkStore>,
    requests: Semaphore,
    verify_present: bool,
    in_flight: Mutex<HashMap<ChunkId, Arc<OnceCell<()>>>>,
}

impl Sink {
    pub(crate) fn new(store: Arc<dyn ChunkStore>, concurrency: usize, verify_present: bool) -> Self {
        let requests = Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS));
        Self(Arc::new(Inner { store, requests, verify_present, in_flight: Mutex::default() }))
    }

    /// Stores a chunk. A second put of a name that is on its way waits for the first.
    pub(crate) async fn put(&self, name: ChunkId, stored: Bytes) -> Result<PutOutcome> {
        let cell = Arc::clone(self.lock().entry(name).or_default());
        let mut outcome = PutOutcome::Present;
        let put = cell.get_or_try_init(|| async {
            outcome = self.request(name, stored).await?;
            Ok(())
        });
        let result = put.await.map(|()| outcome);
        let mut in_flight = self.lock();
        if in_flight.get(&name).is_some_and(|current| Arc::ptr_eq(current, &cell)) {
            in_flight.remove(&name);
        }
        result
    }

    pub(crate) async fn flush(&self) -> Result<()> {
        Ok(self.0.store.flush().await?)
    }

    async fn request(&self, name: ChunkId, stored: Bytes) -> Result<PutOutcome> {
        let _permit = self.0.requests.acquire().await.expect("the semaphore is never closed");
        let outcome = self.0.store.put(name, stored.clone()).await?;
        tracing::trace!(chunk = %name.short(), len = stored.len(), ?outcome, "put");
        let doubtful = self.0.verify_present && outcome != PutOutcome::Inserted;
        if doubtful {
            let found = self.0.store.get(name).await?.ok_or(Error::ChunkMissing { chunk: name })?;
            if found != stored {
                return Err(Error::Corrupt { chunk: name });
            }
        }
        Ok(outcome)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ChunkId, Arc<OnceCell<()>>>> {
        self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
