use std::ops::Range;
use std::sync::Arc;

use futures::stream::{self, Stream};

use super::fetch::Fetcher;
use super::leaf::Leaf;
use crate::engine::error::Result;
use crate::engine::map::{Body, DataMap, Node};

/// A walk over the data chunks of a range, in order, holding one page of each level.
pub(super) struct Walk {
    range: Range<u64>,
    /// From the root down: a node, and the entry in it that is next.
    path: Vec<(Arc<Node>, usize)>,
}

impl Walk {
    pub(super) fn new(map: &DataMap, range: Range<u64>) -> Self {
        let path = match map.body() {
            Body::Tree(root) if !range.is_empty() => vec![(Arc::clone(root), root.index_of(range.start))],
            _ => Vec::new(),
        };
        Self { range, path }
    }

    /// The chunks, one by one; ends after an error.
    pub(super) fn leaves(self, fetcher: Arc<Fetcher>) -> impl Stream<Item = Result<Leaf>> + Send {
        stream::unfold((self, fetcher), |(mut walk, fetcher)| async move {
            let next = walk.next(&fetcher).await;
            if next.is_err() {
                walk.path.clear();
            }
            next.transpose().map(|leaf| (leaf, (walk, fetcher)))
        })
    }

    async fn next(&mut self, fetcher: &Fetcher) -> Result<Option<Leaf>> {
        while let Some((node, index)) = self.path.last_mut() {
            let (page, at) = (Arc::clone(node), *index);
            if at >= page.entries.len() || page.start_of(at) >= self.range.end {
                self.path.pop();
                continue;
            }
            *index += 1;
            if page.level == 0 {
                return Ok(Some(Leaf::new(page, at)));
            }
            let child = fetcher.page(&page, at).await?;
            let first = child.index_of(self.range.start);
            self.path.push((child, first));
        }
        Ok(None)
    }
}
