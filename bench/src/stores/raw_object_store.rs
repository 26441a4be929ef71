//! The crate object_store, as its own documentation uses it; on a local folder unless told otherwise.

use std::path::Path;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use selfenc::store::ChunkId;
use selfenc_bench::Result;

use crate::IN_FLIGHT;
use crate::chunks::Chunks;
use crate::report::Run;

pub(crate) async fn run(dir: &Path, chunks: &Chunks) -> Result<Run> {
    measure(&LocalFileSystem::new_with_prefix(dir)?.with_fsync(true), PutMode::Overwrite, flat, chunks).await
}

/// The same work as that of `ours`.
pub(crate) async fn measure(
    store: &dyn ObjectStore,
    mode: PutMode,
    key: fn(ChunkId) -> Key,
    chunks: &Chunks,
) -> Result<Run> {
    let start = Instant::now();
    stream::iter(&chunks.items)
        .map(|(id, data)| {
            let (key, mode) = (key(*id), mode.clone());
            async move { store.put_opts(&key, data.clone().into(), mode.into()).await }
        })
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(async |_| Ok(()))
        .await?;
    let put = start.elapsed();

    let start = Instant::now();
    stream::iter(&chunks.items)
        .map(|(id, data)| {
            let key = key(*id);
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
    let mut all: Vec<_> = store.list(Some(&folder())).try_collect().await?;
    all.sort_unstable_by(|a, b| a.location.cmp(&b.location));
    let list = start.elapsed();
    assert_eq!(all.len(), chunks.items.len());
    Ok(Run { put, get, list })
}

/// Removes what was measured.
pub(crate) async fn clear(store: &dyn ObjectStore, key: fn(ChunkId) -> Key, chunks: &Chunks) -> Result<()> {
    let keys: Vec<_> = chunks.items.iter().map(|(id, _)| Ok(key(*id))).collect();
    Ok(store.delete_stream(stream::iter(keys).boxed()).try_for_each(async |_| Ok(())).await?)
}

fn folder() -> Key {
    Key::from("raw")
}

fn flat(id: ChunkId) -> Key {
    folder().join(id.to_string())
}

/// As ours are: a service may make a folder of each part.
pub(crate) fn in_shards(id: ChunkId) -> Key {
    let digits = id.to_string();
    folder().join("chunks").join(&digits[..2]).join(&digits[2..])
}
