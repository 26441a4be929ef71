//! One run of a store of ours.

use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use selfenc::store::{Backend, OpenMode};
use selfenc_bench::Result;

use crate::IN_FLIGHT;
use crate::chunks::Chunks;
use crate::report::Run;

/// Opens the store at `url`, anew, and measures it. In a bucket, which is there for longer, it has a corner.
pub(crate) async fn run(url: &str, chunks: &Chunks) -> Result<Run> {
    if !url.starts_with("s3:") {
        return measure(selfenc::open_store(url, OpenMode::Create).await?, chunks).await;
    }
    let corner = selfenc::registry().corner(url).await?;
    let run = measure(corner.open(OpenMode::Create).await?, chunks).await;
    corner.destroy().await?;
    run
}

/// Puts everything and flushes, gets and compares everything, lists everything.
pub(crate) async fn measure(store: Arc<dyn Backend>, chunks: &Chunks) -> Result<Run> {
    let start = Instant::now();
    stream::iter(chunks.items.clone())
        .map(|(id, data)| store.put(id, data))
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(async |_| Ok(()))
        .await?;
    store.flush().await?;
    let put = start.elapsed();

    let start = Instant::now();
    stream::iter(&chunks.items)
        .map(|(id, data)| {
            let get = store.get(*id);
            async move { (get.await, data) }
        })
        .buffer_unordered(IN_FLIGHT)
        .for_each(async |(got, data)| assert_eq!(got.ok().flatten().as_ref(), Some(data), "it reads back"))
        .await;
    let get = start.elapsed();

    let start = Instant::now();
    let listed: Vec<_> = store.list(None).try_collect().await?;
    let list = start.elapsed();
    assert_eq!(listed.len(), chunks.items.len());
    Ok(Run { put, get, list })
}
