//! Listings, ascending whatever order the service has.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::{Error as Below, ObjectMeta};
use selfenc_core::store::{ChunkId, ChunkMeta, Error, ErrorKind, Result};

use crate::error::failed;
use crate::store::Inner;

/// How many shards are read ahead of the consumer. A shard in memory is 1/256 of the store, at 40 bytes
/// for each chunk.
const SHARDS_AHEAD: usize = 2;

pub(crate) fn list(inner: Arc<Inner>, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
    let items = if inner.lists_in_order { in_order(&inner, after) } else { by_shard(&inner, after) };
    ending_well("list", inner, items)
}

/// Ends after an error, and not in silence if the store has gone: to a listing of a missing folder there
/// is nothing in it.
pub(crate) fn ending_well<T: Send + 'static>(
    op: &'static str,
    inner: Arc<Inner>,
    items: BoxStream<'static, Result<T>>,
) -> BoxStream<'static, Result<T>> {
    let next = move |state: Option<(BoxStream<'static, Result<T>>, Arc<Inner>)>| async move {
        let (mut items, inner) = state?;
        match items.next().await {
            Some(Ok(item)) => Some((Ok(item), Some((items, inner)))),
            Some(Err(e)) => Some((Err(e), None)),
            None => inner.check_container(op).await.err().map(|e| (Err(e), None)),
        }
    };
    stream::unfold(Some((items, inner)), next).fuse().boxed()
}

/// Where the service lists by name: one stream, and a check of its order.
fn in_order(inner: &Arc<Inner>, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
    let found = match after {
        Some(after) => inner.store.list_with_offset(Some(&inner.layout.chunks), &inner.layout.chunk(after)),
        None => inner.store.list(Some(&inner.layout.chunks)),
    };
    let layout = inner.layout.clone();
    let mut last = after;
    let items = found.map_err(|e| cannot(&e)).try_filter_map(move |found| {
        std::future::ready(Ok(layout
            .parse_chunk(&found.location)
            .map(|id| ChunkMeta { id, len: found.size })))
    });
    let checked = items.and_then(move |meta| {
        let is_next = last.is_none_or(|last| meta.id > last);
        last = Some(meta.id);
        std::future::ready(if is_next { Ok(meta) } else { Err(out_of_order()) })
    });
    checked.boxed()
}

fn out_of_order() -> Error {
    let message = "the service does not list by name, as it was said to; open it without with_lists_in_order";
    Error::new(ErrorKind::Other, "list", message)
}

/// Where no order is promised: the shards that there are, and each sorted in memory.
fn by_shard(inner: &Arc<Inner>, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
    let begin = {
        let inner = Arc::clone(inner);
        async move { shards(&inner, after).await }
    };
    let inner = Arc::clone(inner);
    let pages = move |shards: Vec<u8>| {
        let inner = Arc::clone(&inner);
        let page = move |shard| {
            let inner = Arc::clone(&inner);
            async move { page(&inner, shard, after).await }
        };
        stream::iter(shards).map(page).buffered(SHARDS_AHEAD)
    };
    stream::once(begin)
        .map_ok(pages)
        .try_flatten()
        .map_ok(|page| stream::iter(page).map(Ok))
        .try_flatten()
        .boxed()
}

/// The shards that may hold something after `after`, ascending.
async fn shards(inner: &Inner, after: Option<ChunkId>) -> Result<Vec<u8>> {
    let found = inner.store.list_with_delimiter(Some(&inner.layout.chunks)).await;
    let mut shards: Vec<_> = match (found, &inner.folder) {
        // A foreign file, of a name that is no path.
        (Err(Below::InvalidPath { .. }), Some(folder)) => folder.shards().await?,
        (found, _) => {
            let folders = found.map_err(|e| cannot(&e))?.common_prefixes;
            folders.iter().filter_map(|folder| inner.layout.parse_shard(folder)).collect()
        }
    };
    shards.retain(|shard| after.is_none_or(|after| *shard >= after.as_bytes()[0]));
    shards.sort_unstable();
    shards.dedup();
    Ok(shards)
}

/// The chunks of one shard after `after`, ascending.
async fn page(inner: &Inner, shard: u8, after: Option<ChunkId>) -> Result<Vec<ChunkMeta>> {
    let folder = inner.layout.shard(shard);
    // Services that can begin in the middle do; the others filter.
    let found = match after.filter(|after| after.as_bytes()[0] == shard) {
        Some(after) => inner.store.list_with_offset(Some(&folder), &inner.layout.chunk(after)),
        None => inner.store.list(Some(&folder)),
    };
    let meta = |found: ObjectMeta| {
        let id = inner.layout.parse_chunk(&found.location);
        std::future::ready(Ok(id.map(|id| ChunkMeta { id, len: found.size })))
    };
    let mut page: Vec<_> = match (found.try_filter_map(meta).try_collect().await, &inner.folder) {
        (Err(Below::InvalidPath { .. }), Some(folder)) => folder.page(shard).await?,
        (found, _) => found.map_err(|e| cannot(&e))?,
    };
    page.retain(|meta: &ChunkMeta| after.is_none_or(|after| meta.id > after));
    page.sort_unstable();
    // What is replaced meanwhile may be seen twice.
    page.dedup_by_key(|meta| meta.id);
    Ok(page)
}

fn cannot(e: &Below) -> Error {
    failed("list", "list the objects of chunks", e)
}
