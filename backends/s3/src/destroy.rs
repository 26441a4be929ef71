//! Removing a store: the objects that its names make up, and nothing else.

use std::sync::Arc;

use futures::StreamExt;
use selfenc_core::store::{Error, ErrorKind, Result};

use crate::delete::remove;
use crate::list::objects;
use crate::request::Lane;
use crate::store::Inner;

/// How many of the objects that were left are named.
const NAMED: usize = 3;

/// How many objects are removed at a time.
const BATCH: usize = 1000;

const LISTING: &str = "list the objects of the store";

/// Removes the store below the prefix. May be called again.
pub(crate) async fn destroy(inner: &Arc<Inner>) -> Result<()> {
    let has_marker = inner.read_marker("destroy").await?;
    if !has_marker && !holds_only_ours(inner).await? {
        let message =
            format!("{} is not a store (no object selfenc-store in it); check the address", inner.info);
        return Err(Error::new(ErrorKind::InvalidInput, "destroy", message));
    }
    // First, so that whoever opens the store meanwhile finds that it is gone.
    let operation = inner.begin("destroy", Lane::Maintenance, 0);
    inner.delete_object(&operation, &inner.names.marker(), "remove the marker").await?;
    let mut foreign = Vec::new();
    let mut batch = Vec::with_capacity(BATCH);
    let mut listed = objects(inner, "destroy", LISTING, inner.names.prefix().to_owned(), None);
    while let Some(object) = listed.next().await {
        let key = object?.key;
        if inner.names.is_ours(&key) {
            batch.push(key);
        } else if !inner.names.is_in_corner(&key) && foreign.len() <= NAMED {
            foreign.push(key);
        }
        if batch.len() == BATCH {
            remove_all(inner, std::mem::take(&mut batch)).await?;
        }
    }
    remove_all(inner, batch).await?;
    if foreign.is_empty() {
        return Ok(());
    }
    let mut named: Vec<_> = foreign.iter().take(NAMED).map(|key| format!("{key:.200}")).collect();
    if foreign.len() > NAMED {
        named.push("and more".to_owned());
    }
    let message =
        format!("left alone, for no store made it: {}; move it away and try again", named.join(", "));
    Err(Error::new(ErrorKind::InvalidInput, "destroy", message))
}

async fn remove_all(inner: &Arc<Inner>, keys: Vec<String>) -> Result<()> {
    remove(inner, "destroy", keys).await.into_values().next().map_or(Ok(()), Err)
}

/// What an interrupted making, or destroying, leaves.
async fn holds_only_ours(inner: &Arc<Inner>) -> Result<bool> {
    let mut listed = objects(inner, "destroy", LISTING, inner.names.prefix().to_owned(), None);
    while let Some(object) = listed.next().await {
        let key = object?.key;
        if !inner.names.is_ours(&key) && !inner.names.is_in_corner(&key) {
            return Ok(false);
        }
    }
    Ok(true)
}
