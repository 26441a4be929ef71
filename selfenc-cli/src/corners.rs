//! Corners of a store that a run works in, and removes before it ends, however it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use selfenc::store::{self, Corner};

use crate::exit::{Failure, Result};

/// The corners that were made and are not removed yet. Clones share them.
///
/// Dropping a future cannot wait for a store, so the program itself calls [`close`](Self::close) when a
/// command has ended or was cut off by a signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Corners(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    there: Vec<Arc<Corner>>,
    closed: bool,
}

impl Corners {
    /// Makes a corner of the store at `url`.
    pub(crate) async fn make(&self, url: &str) -> store::Result<Arc<Corner>> {
        let corner = Arc::new(selfenc::registry().corner(url).await?);
        let mut state = self.lock();
        if state.closed {
            return Err(store::Error::new(store::ErrorKind::Closed, "corner", "the run is ending"));
        }
        state.there.push(Arc::clone(&corner));
        Ok(corner)
    }

    /// Removes the corners. One that cannot be removed now is tried again by the next call.
    pub(crate) async fn remove(&self) -> store::Result<()> {
        let there = self.lock().there.clone();
        let mut result = Ok(());
        for corner in there {
            match corner.destroy().await {
                Ok(()) => self.lock().there.retain(|other| !Arc::ptr_eq(other, &corner)),
                Err(e) => result = result.and(Err(e)),
            }
        }
        result
    }

    /// Removes the corners; from now on there can be no others.
    pub(crate) async fn close(&self) -> Result<()> {
        self.lock().closed = true;
        self.remove().await.map_err(|e| {
            let left = self.abandoned();
            left.and(Failure::from(e)).hint("what the test stored is still there; remove it by hand")
        })
    }

    /// The failure to remove those that are there.
    pub(crate) fn abandoned(&self) -> Failure {
        let urls: Vec<_> = self.lock().there.iter().map(|corner| corner.url().to_string()).collect();
        Failure::new(format!("{} was not removed", urls.join(", "))).hint("remove it by hand")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
