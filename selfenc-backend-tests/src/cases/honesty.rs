//! What a store says of itself.

use futures::{StreamExt, TryStreamExt};
use selfenc_core::store::{ErrorKind, Expect};

use crate::data::{noise, root, sample};
use crate::{Outcome, Trial, Verdict::Passed};

pub async fn capabilities_are_constant(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 100));
    let before = store.capabilities();
    must!(G1, store.put(x.id, x.data).await);
    must!(G4, store.flush().await);
    must!(G3, store.delete(x.id).await);
    check_eq!(Honesty, store.capabilities(), before, "capabilities after use");
    check!(Honesty, before.max_chunk_len > 0, "a store that takes no chunks");
    Ok(Passed)
}

pub async fn info_is_stable(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 100));
    let before = store.info();
    must!(G1, store.put(x.id, x.data).await);
    check_eq!(Honesty, store.info(), before, "info after use");
    let line = before.to_string();
    check!(Honesty, !line.is_empty() && line.lines().count() == 1, "not one line: {line:?}");
    Ok(Passed)
}

pub async fn unsupported_is_said_not_faked(h: &Trial<'_>) -> Outcome {
    let (store, name) = (must!(G8, h.open().await), root("a"));
    let capabilities = store.capabilities();
    let is_unsupported = |kind: Option<ErrorKind>| kind == Some(ErrorKind::Unsupported);
    let load = store.load(&name).await.err().map(|e| e.kind());
    let swap = store.swap(&name, Expect::Absent, Some(noise(1, 10))).await.err().map(|e| e.kind());
    let names = store.names().try_collect::<Vec<_>>().await.err().map(|e| e.kind());
    for (op, kind) in [("load", load), ("swap", swap), ("names", names)] {
        check_eq!(Honesty, is_unsupported(kind), !capabilities.roots, format!("{op} says Unsupported"));
    }
    let list = store.list(None).next().await.and_then(Result::err).map(|e| e.kind());
    check_eq!(Honesty, is_unsupported(list), !capabilities.lists, "list says Unsupported");
    let delete = store.delete(sample(1, 10).id).await.err().map(|e| e.kind());
    check_eq!(Honesty, is_unsupported(delete), !capabilities.deletes, "delete says Unsupported");
    Ok(Passed)
}
