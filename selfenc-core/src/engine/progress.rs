use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{Error, Result};
use crate::store::PutOutcome;

/// How far a write or a read has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of input whose chunks are stored.
    pub bytes_in: u64,
    /// Bytes that the store took, map pages included.
    pub bytes_stored: u64,
    /// Chunks that the store did not have, map pages included.
    pub chunks_new: u64,
    /// Chunks that the store had already, map pages included.
    pub chunks_present: u64,
    /// Bytes of data that were read and checked.
    pub bytes_out: u64,
    /// Chunks that were read and checked.
    pub chunks_read: u64,
}

/// Told of every chunk that was written or read. Must not block.
pub trait Observer: Send + Sync + 'static {
    /// `Break` stops the operation with [`Error::Cancelled`].
    fn progress(&self, progress: &Progress) -> ControlFlow<()>;
}

/// Counts, and tells the observer if there is one.
#[derive(Clone, Default)]
pub(crate) struct Meter {
    progress: Arc<Mutex<Progress>>,
    observer: Option<Arc<dyn Observer>>,
}

impl Meter {
    pub(crate) fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self { progress: Arc::default(), observer }
    }

    pub(crate) fn total(&self) -> Progress {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wrote(&self, bytes_in: u64, stored: u64, outcome: PutOutcome) -> Result<()> {
        self.count(|progress| {
            progress.bytes_in += bytes_in;
            if outcome == PutOutcome::Present {
                progress.chunks_present += 1;
            } else {
                progress.chunks_new += 1;
                progress.bytes_stored += stored;
            }
        })
    }

    pub(crate) fn took_inline(&self, bytes_in: u64) -> Result<()> {
        self.count(|progress| progress.bytes_in += bytes_in)
    }

    pub(crate) fn read(&self, bytes_out: u64) -> Result<()> {
        self.count(|progress| {
            progress.bytes_out += bytes_out;
            progress.chunks_read += 1;
        })
    }

    fn count(&self, change: impl FnOnce(&mut Progress)) -> Result<()> {
        let now = {
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut progress);
            *progress
        };
        match self.observer.as_ref().map(|observer| observer.progress(&now)) {
            Some(ControlFlow::Break(())) => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }
}
