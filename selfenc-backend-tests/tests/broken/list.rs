//! The broken stores' listings: page by page, with nothing held in between.

use std::ops::Bound;
use std::vec;

use futures::stream::{self, BoxStream, StreamExt};
use selfenc_backend_tests::Op;
use selfenc_core::store::{ChunkId, ChunkMeta, ErrorKind, Result};
use tokio::sync::{OwnedRwLockReadGuard, OwnedSemaphorePermit};

use crate::faults::Fault;
use crate::store::Broken;

/// Small, so that the suite's listings have edges of pages.
const PAGE: usize = 32;

struct Cursor {
    store: Broken,
    start: Option<ChunkId>,
    after: Option<ChunkId>,
    page: vec::IntoIter<ChunkMeta>,
    pages: usize,
    failed: bool,
    ended: bool,
    gate: Option<OwnedRwLockReadGuard<()>>,
    permits: Option<OwnedSemaphorePermit>,
}

pub(crate) fn list(store: Broken, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
    if !store.capabilities.lists {
        let e = store.error(ErrorKind::Unsupported, "list", None, "this store cannot list");
        return stream::iter([Err(e)]).boxed();
    }
    *store.at.cursor.lock().expect("no holder panics") = after;
    let fault = store.fault;
    let cursor = Cursor {
        store,
        start: after,
        after,
        page: Vec::new().into_iter(),
        pages: 0,
        failed: false,
        ended: false,
        gate: None,
        permits: None,
    };
    let items = stream::unfold(cursor, Cursor::step).fuse();
    if fault == Fault::ListNotFused { again(items.boxed()) } else { items.boxed() }
}

impl Cursor {
    async fn step(mut self) -> Option<(Result<ChunkMeta>, Self)> {
        let at = &self.store.at;
        if self.store.has(Fault::ListBlocksWriters) && self.gate.is_none() {
            self.gate = Some(at.gate.clone().read_owned().await);
        }
        if self.store.has(Fault::ListHoldsPermit) && self.permits.is_none() {
            self.permits = at.permits.clone().acquire_many_owned(16).await.ok();
        }
        loop {
            if let Some(meta) = self.page.next() {
                return Some((Ok(meta), self));
            }
            if self.ended {
                return None;
            }
            match self.turn().await {
                Ok(page) => {
                    self.ended = page.is_empty();
                    self.page = page.into_iter();
                }
                Err(_) if self.store.has(Fault::ListSwallowsErrors) => return None,
                Err(e) => {
                    self.failed = true;
                    self.ended = !self.store.has(Fault::ListGoesOnAfterError);
                    return Some((Err(e), self));
                }
            }
        }
    }

    /// The next page; an injected fault comes after the first.
    async fn turn(&mut self) -> Result<Vec<ChunkMeta>> {
        tokio::task::yield_now().await;
        if self.store.has(Fault::MissingContainerIsAbsence) && self.store.at.disk().gone {
            return Ok(Vec::new());
        }
        let met = if self.failed { Ok(()) } else { self.store.check(Op::List, None) };
        if self.pages > 0 || met.as_ref().is_err_and(|e| e.kind() == ErrorKind::ContainerMissing) {
            met?;
        } else if let Err(e) = met {
            let page = self.page();
            return if page.is_empty() { Err(e) } else { Ok(page) };
        }
        Ok(self.page())
    }

    fn page(&mut self) -> Vec<ChunkMeta> {
        let fault = self.store.fault;
        let meta = |(id, data): (ChunkId, &bytes::Bytes)| ChunkMeta { id, len: data.len() as u64 };
        let mut shared = self.store.at.cursor.lock().expect("no holder panics");
        let after = if fault == Fault::ListsShareCursor { &mut *shared } else { &mut self.after };
        let inclusive = match fault {
            Fault::InclusiveAfter => self.pages == 0,
            Fault::RepeatsPageEdge => self.pages > 0,
            _ => false,
        };
        let bound = after.map_or(Bound::Unbounded, if inclusive { Bound::Included } else { Bound::Excluded });
        let disk = self.store.at.disk();
        let mut page: Vec<_> = match fault {
            Fault::PagesByOffset => {
                let all = disk.chunks(self.start.map_or(Bound::Unbounded, Bound::Excluded));
                all.skip(self.pages * PAGE).take(PAGE).map(meta).collect()
            }
            Fault::ListsTemporaries => {
                let temporaries = disk.temporaries().filter(|(id, _)| after.is_none_or(|after| *id > after));
                let mut all: Vec<_> = disk.chunks(bound).chain(temporaries).map(meta).collect();
                all.sort_unstable();
                all.truncate(PAGE);
                all
            }
            _ => disk.chunks(bound).take(PAGE).map(meta).collect(),
        };
        if fault == Fault::RepeatsPageEdge && page.len() == 1 && page.last().map(|meta| meta.id) == *after {
            page.clear();
        }
        if let Some(last) = page.last() {
            *after = Some(last.id);
        }
        if fault == Fault::Unordered {
            page.sort_by_key(|meta| meta.id.as_bytes()[31]);
        }
        self.pages += 1;
        page
    }
}

/// The same, with the first item once more after the end.
fn again(mut items: BoxStream<'static, Result<ChunkMeta>>) -> BoxStream<'static, Result<ChunkMeta>> {
    let (mut first, mut ended) = (None, false);
    stream::poll_fn(move |cx| {
        if ended {
            return std::task::Poll::Ready(first.take().map(Ok));
        }
        let poll = items.poll_next_unpin(cx);
        match &poll {
            std::task::Poll::Ready(Some(Ok(meta))) => first = first.or(Some(*meta)),
            std::task::Poll::Ready(None) => ended = true,
            _ => {}
        }
        poll
    })
    .boxed()
}
