//! Finding out what is below a prefix, and making it a store.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::{Error as Below, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use selfenc_core::store::objects::{LAYOUT, MAX_MARKER_LEN, marker_text, parse_marker};
use selfenc_core::store::{Error, ErrorKind, OpenMode, Result};

use crate::error::{failed, is_not_found, is_unsupported};
use crate::layout::Layout;
use crate::redact::cause_of;
use crate::store::read_body;

/// How often the marker is written again because others were writing it.
const MAKE_ATTEMPTS: usize = 5;

/// Whether the store was there already, or was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Store,
    Nothing,
}

/// Looks for a store.
///
/// # Errors
/// [`ErrorKind::ContainerMissing`] if there is none and none is to be made, or where there is nothing to
/// make it in; [`ErrorKind::InvalidInput`] if something else is below the prefix.
pub(crate) async fn find(
    store: &Arc<dyn ObjectStore>,
    layout: &Layout,
    place: &str,
    mode: OpenMode,
) -> Result<Found> {
    if read_marker("open", store, layout, place).await? {
        return Ok(Found::Store);
    }
    if mode == OpenMode::Existing {
        let message = format!("{place}: there is no store; check the address, or create the store");
        return Err(Error::new(ErrorKind::ContainerMissing, "open", message));
    }
    if let Some(foreign) = first_foreign("open", store, layout).await? {
        let message = format!(
            "{place}: it is neither empty nor a store (it holds {foreign}); give another prefix or folder"
        );
        return Err(Error::new(ErrorKind::InvalidInput, "open", message));
    }
    Ok(Found::Nothing)
}

/// Writes the marker. Last of all, so that an interrupted making is no store.
pub(crate) async fn make(store: &Arc<dyn ObjectStore>, layout: &Layout, place: &str) -> Result<()> {
    let payload = || PutPayload::from(marker_text().into_bytes());
    let put = async |mode: PutMode| store.put_opts(&layout.marker, payload(), PutOptions::from(mode)).await;
    let cannot = |e: &Below| failed("open", &format!("make a store at {place}"), e);
    let mut last = None;
    for _ in 0..MAKE_ATTEMPTS {
        match put(PutMode::Create).await {
            Ok(_) => return Ok(()),
            Err(e) if is_unsupported(&e) => {
                return put(PutMode::Overwrite).await.map(drop).map_err(|e| cannot(&e));
            }
            // By somebody else at the same time; or a race is undecided, and a look tells.
            Err(e @ (Below::AlreadyExists { .. } | Below::Precondition { .. })) => {
                if read_marker("open", store, layout, place).await? {
                    return Ok(());
                }
                last = Some(e);
            }
            Err(e) => return Err(cannot(&e)),
        }
    }
    Err(last.map_or_else(
        || Error::new(ErrorKind::Conflict, "open", "others are making this store"),
        |e| cannot(&e),
    ))
}

/// Whether there is a marker; one of something else is an error.
pub(crate) async fn read_marker(
    op: &'static str,
    store: &Arc<dyn ObjectStore>,
    layout: &Layout,
    place: &str,
) -> Result<bool> {
    let cannot = |e: &Below| failed(op, &format!("read the marker of {place}"), e);
    let found = match store.get(&layout.marker).await {
        Ok(found) => found,
        // A bucket that is missing says so to whoever wants to write, or to list.
        Err(e) if is_not_found(&e) => return Ok(false),
        Err(e) => return Err(cannot(&e)),
    };
    let is_short = found.meta.size <= MAX_MARKER_LEN;
    let text = if is_short { read_body(op, found, MAX_MARKER_LEN).await? } else { "".into() };
    let problem = |kind, what: String| Err(Error::new(kind, op, format!("{place}: {what}")));
    match parse_marker(&text) {
        Some(LAYOUT) => Ok(true),
        Some(newer) => problem(
            ErrorKind::Unsupported,
            format!(
                "this store has layout {newer}, this version knows {LAYOUT}; use a newer version of selfenc"
            ),
        ),
        None => {
            let what = "selfenc-store is not the marker of a store of this kind; open a folder that selfenc \
                        made as file:, or restore the marker";
            problem(ErrorKind::InvalidInput, what.to_owned())
        }
    }
}

/// Something below the prefix that no store makes, if there is anything.
async fn first_foreign(
    op: &'static str,
    store: &Arc<dyn ObjectStore>,
    layout: &Layout,
) -> Result<Option<String>> {
    let foreign = store
        .list(Some(&layout.prefix).filter(|prefix| !prefix.is_root()))
        .try_filter(|found| {
            let is_known = layout.is_ours(&found.location) || layout.is_in_corner(&found.location);
            std::future::ready(!is_known)
        })
        .next()
        .await;
    match foreign {
        None => Ok(None),
        Some(Ok(found)) => Ok(Some(format!("{:.200}", found.location))),
        Some(Err(e)) => Err(failed(op, "list what is there", &e)),
    }
}

/// The error for a store whose marker has gone.
pub(crate) fn gone(op: &'static str, place: &str, e: &Below) -> Error {
    let message = format!("the store {place} is gone; was it moved or removed, or a disk unmounted?");
    Error::new(ErrorKind::ContainerMissing, op, message).with_source(cause_of(e))
}
