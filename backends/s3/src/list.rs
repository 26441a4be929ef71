//! Listings: page by page, ascending as S3 lists, with one page read ahead.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use selfenc_core::store::{ChunkId, ChunkMeta, Error, ErrorKind, Result};
use tokio::task::JoinSet;

use crate::error::{Failure, answered, failed};
use crate::request::Lane;
use crate::store::Inner;
use crate::whole::Whole;

/// So many pages without a key, and the service is going round in circles.
const EMPTY_PAGES: u32 = 1000;

/// An object as a listing shows it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) len: u64,
}

/// The chunks after `after`. What is no chunk is left out.
pub(crate) fn chunks(inner: Arc<Inner>, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
    let start = after.map(|id| inner.names.chunk(id));
    let listed = objects(&inner, "list", "list the objects of chunks", inner.names.chunks(), start);
    let mut last = after;
    let metas = listed.map(move |listed| {
        let listed = listed?;
        let Some(id) = inner.names.parse_chunk(&listed.key) else {
            tracing::debug!(target: "selfenc::store", "an object among the chunks is none");
            return Ok(None);
        };
        if last.is_some_and(|last| id <= last) {
            let message = "the service does not list by name; directory buckets cannot hold a store";
            return Err(Error::new(ErrorKind::Unsupported, "list", message));
        }
        last = Some(id);
        Ok(Some(ChunkMeta { id, len: listed.len }))
    });
    ending(metas.try_filter_map(|meta| std::future::ready(Ok(meta))).boxed())
}

/// Ends after the first error.
pub(crate) fn ending<T: Send + 'static>(
    items: BoxStream<'static, Result<T>>,
) -> BoxStream<'static, Result<T>> {
    let next = |items: Option<BoxStream<'static, Result<T>>>| async move {
        let mut items = items?;
        let item = items.next().await?;
        let rest = item.is_ok().then_some(items);
        Some((item, rest))
    };
    stream::unfold(Some(items), next).fuse().boxed()
}

/// The objects whose keys start with `prefix` and come after `start`, in the order of the service.
pub(crate) fn objects(
    inner: &Arc<Inner>,
    op: &'static str,
    doing: &'static str,
    prefix: String,
    start: Option<String>,
) -> BoxStream<'static, Result<Listed>> {
    let inner = Arc::clone(inner);
    let pages = Pages {
        query: Query { op, doing, prefix },
        position: Some(Position { token: None, last: start }),
        inner,
        ahead: JoinSet::new(),
        circle: Circle::default(),
        empty: 0,
    };
    let pages = stream::try_unfold(pages, async |mut pages| {
        let page = pages.next().await?;
        Ok::<_, Error>(page.map(|page| (page, pages)))
    });
    pages.map_ok(|page| stream::iter(page).map(Ok)).try_flatten().boxed()
}

#[derive(Clone, Debug)]
struct Query {
    op: &'static str,
    doing: &'static str,
    prefix: String,
}

/// Where the next page begins.
#[derive(Clone, Debug)]
struct Position {
    token: Option<String>,
    /// The last key that was seen, or the one that the listing begins after.
    last: Option<String>,
}

struct Page {
    objects: VecDeque<Listed>,
    next: Option<String>,
}

struct Pages {
    inner: Arc<Inner>,
    query: Query,
    /// `None` after the last page.
    position: Option<Position>,
    /// The next page, which is read while this one is used; given up when the listing is dropped.
    ahead: JoinSet<Result<Page>>,
    circle: Circle,
    empty: u32,
}

/// Finds out when tokens repeat, in a circle of any length, and keeps one of them only: after Brent.
#[derive(Debug, Default)]
struct Circle {
    kept: Option<String>,
    since: u64,
    keep_for: u64,
}

impl Circle {
    fn is_closed_by(&mut self, token: &str) -> bool {
        if self.kept.as_deref() == Some(token) {
            return true;
        }
        self.since += 1;
        if self.since > self.keep_for {
            *self = Self { kept: Some(token.to_owned()), since: 0, keep_for: self.since * 2 };
        }
        false
    }
}

impl Pages {
    /// The next page, unless there is none. Begins to read the one after it.
    async fn next(&mut self) -> Result<Option<VecDeque<Listed>>> {
        if self.ahead.is_empty() {
            let Some(position) = self.position.clone() else { return Ok(None) };
            self.read(position);
        }
        let page = match self.ahead.join_next().await {
            Some(Ok(page)) => page?,
            Some(Err(e)) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            _ => return Err(Error::new(ErrorKind::Closed, self.query.op, "the runtime is shutting down")),
        };
        self.empty = if page.objects.is_empty() { self.empty + 1 } else { 0 };
        let before = self.position.take();
        if let Some(token) = page.next {
            if self.circle.is_closed_by(&token) || self.empty >= EMPTY_PAGES {
                let message = "the service gives the same page of a listing again and again";
                return Err(Error::new(ErrorKind::Other, self.query.op, message));
            }
            let last = page.objects.back().map(|listed| listed.key.clone());
            let position = Position { token: Some(token), last: last.or(before.and_then(|b| b.last)) };
            self.position = Some(position.clone());
            self.read(position);
        }
        Ok(Some(page.objects))
    }

    fn read(&mut self, position: Position) {
        let (inner, query) = (Arc::clone(&self.inner), self.query.clone());
        self.ahead.spawn(async move { inner.page(&query, &position).await });
    }
}

impl Inner {
    async fn page(&self, query: &Query, position: &Position) -> Result<Page> {
        match self.ask(query, position).await {
            // Tokens may expire; the last key does not.
            Err(failure) if position.token.is_some() && failure.status() == Some(400) => {
                let position = Position { token: None, last: position.last.clone() };
                Ok(self.ask(query, &position).await?)
            }
            answer => Ok(answer?),
        }
    }

    async fn ask(&self, query: &Query, position: &Position) -> Result<Page, Failure> {
        let (op, place) = (query.op, self.requests.place());
        let operation = self.begin(op, Lane::Maintenance, 0);
        let send = || async {
            let request = self.client.list_objects_v2().bucket(&place.bucket).prefix(&query.prefix);
            let request = request.max_keys(self.page);
            let request = match position {
                Position { token: Some(token), .. } => request.continuation_token(token),
                Position { last, .. } => request.set_start_after(last.clone()),
            };
            let request = request.customize().interceptor(Whole("ListBucketResult"));
            let answer = async { request.send().await.map_err(|e| failed(op, query.doing, place, &e)) };
            let mut answer = operation.head(answer).await?;
            // Not by the number of keys: some give fewer, or none, and go on all the same.
            let token = answer.next_continuation_token.take().filter(|token| !token.is_empty());
            let next = match (answer.is_truncated(), token) {
                (Some(false), _) | (None, None) => None,
                (_, Some(token)) => Some(token),
                // There is more, and no way to ask for it.
                (Some(true), None) => return Err(answered(op, query.doing, place, 200, None, None)),
            };
            let listed = answer.contents.take().unwrap_or_default().into_iter().map(|object| {
                let len = object.size().and_then(|len| u64::try_from(len).ok())?;
                Some(Listed { key: object.key?, len })
            });
            // One that is not listed in full must not be left out, as if it were not there.
            let objects = listed.collect::<Option<_>>();
            let objects = objects.ok_or_else(|| answered(op, query.doing, place, 200, None, None))?;
            Ok(Page { objects, next })
        };
        operation.send(send).await
    }
}
