use std::sync::Arc;

use crate::engine::map::{ChunkInfo, Entry, Node};

/// One data chunk, in the page that holds its entry.
#[derive(Clone)]
pub(super) struct Leaf {
    page: Arc<Node>,
    index: usize,
}

impl Leaf {
    pub(super) fn new(page: Arc<Node>, index: usize) -> Self {
        Self { page, index }
    }

    pub(super) fn entry(&self) -> &Entry {
        &self.page.entries[self.index]
    }

    pub(super) fn info(&self) -> ChunkInfo {
        self.page.info(self.index)
    }

    /// The bytes that this chunk takes while it is in flight.
    pub(super) fn memory(&self) -> u64 {
        u64::from(self.entry().stored) + self.info().len
    }
}
