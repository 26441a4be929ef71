//! The crate object_store on a local folder, as its own documentation uses it.

use std::path::Path;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use selfenc::store::ChunkId;
use selfenc_bench::Result;

use crate::IN_FLIGHT;
use crate::chunks::Chunks;
use crate::report::Run;

pub(crate) async fn run(dir: &Path, chunks: &Chunks) -> Result<Run> {
    let store = LocalFileSystem::new_with_prefix(dir)?.with_fsync(true);
    let start = Instant::now();
    stream::iter(&chunks.items)
        .map(|(id, data)| {
            let (store, key) = (&store, key(*id));
            async move { store.put(&key, data.clone().into()).await }
        })
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(async |_| Ok(()))
        .await?;
    let put = start.elapsed();

    let start = Instant::now();
    stream::iter(&chunks.items)
        .map(|(id, data)| {
            let (store, key) = (&store, key(*id));
            async move { Ok::<_, object_store::Error>((store.get(&key).await?.bytes().await?, data)) }
        })
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(async |(got, data)| {
            assert_eq!(&got, data, "it reads back");
            Ok(())
        })
        .await?;
    let get = start.elapsed();

    let start = Instant::now();
    let mut all: Vec<_> = store.list(None).try_collect().await?;
    all.sort_unstable_by(|a, b| a.location.cmp(&b.location));
    let list = start.elapsed();
    assert_eq!(all.len(), chunks.items.len());
    Ok(Run { put, get, list })
}

fn key(id: ChunkId) -> Key {
    Key::from(id.to_string())
}
