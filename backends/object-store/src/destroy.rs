//! Removing a store: the objects that the layout names, and nothing else.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::{Error as Below, ObjectStore, ObjectStoreExt};
use selfenc_core::store::{Error, ErrorKind, Result};

use crate::error::{failed, is_not_found};
use crate::layout::Layout;
use crate::open::read_marker;

/// How many of the objects that were left are named.
const NAMED: usize = 3;

/// How many objects are removed, and listed, at a time.
const BATCH: usize = 1000;

/// Removes the store below the prefix. May be called again.
pub(crate) async fn destroy(store: &Arc<dyn ObjectStore>, layout: &Layout, place: &str) -> Result<()> {
    let has_marker = read_marker("destroy", store, layout, place).await?;
    if !has_marker && !holds_only_ours(store, layout).await? {
        let message = format!("{place} is not a store (no object selfenc-store in it); check the address");
        return Err(Error::new(ErrorKind::InvalidInput, "destroy", message));
    }
    // First, so that whoever still has the store open finds that it is gone.
    remove(store, vec![layout.marker.clone()]).await?;
    let mut foreign = Vec::new();
    let mut objects = list(store, layout).try_chunks(BATCH);
    while let Some(batch) = objects.next().await {
        let batch = batch.map_err(|e| cannot_list(&e.1))?;
        let (ours, others): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|found| found.location).partition(|location| layout.is_ours(location));
        remove(store, ours).await?;
        foreign.extend(others.into_iter().filter(|location| !layout.is_in_corner(location)));
        foreign.truncate(NAMED + 1);
    }
    if foreign.is_empty() {
        return Ok(());
    }
    let mut named: Vec<_> = foreign.iter().take(NAMED).map(|location| format!("{location:.200}")).collect();
    if foreign.len() > NAMED {
        named.push("and more".to_owned());
    }
    let message =
        format!("left alone, for no store made it: {}; move it away and try again", named.join(", "));
    Err(Error::new(ErrorKind::InvalidInput, "destroy", message))
}

/// What an interrupted making, or destroying, leaves.
async fn holds_only_ours(store: &Arc<dyn ObjectStore>, layout: &Layout) -> Result<bool> {
    let mut objects = list(store, layout);
    while let Some(found) = objects.try_next().await.map_err(|e| cannot_list(&e))? {
        if !layout.is_ours(&found.location) && !layout.is_in_corner(&found.location) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn list(
    store: &Arc<dyn ObjectStore>,
    layout: &Layout,
) -> stream::BoxStream<'static, object_store::Result<object_store::ObjectMeta>> {
    store.list(Some(&layout.prefix).filter(|prefix| !prefix.is_root()))
}

async fn remove(store: &Arc<dyn ObjectStore>, paths: Vec<object_store::path::Path>) -> Result<()> {
    let removed = store.delete_stream(stream::iter(paths.clone()).map(Ok).boxed());
    let failures = removed.filter(|removed| std::future::ready(removed.is_err())).count().await;
    if failures == 0 {
        return Ok(());
    }
    // A batch may fail for one of it, which may be gone already.
    for path in paths {
        match store.delete(&path).await {
            Err(e) if !is_not_found(&e) => return Err(failed("destroy", "remove an object", &e)),
            _ => {}
        }
    }
    Ok(())
}

fn cannot_list(e: &Below) -> Error {
    failed("destroy", "list the objects", e)
}
