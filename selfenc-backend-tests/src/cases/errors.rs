//! What errors say. Injected faults are each backend's own tests.

use selfenc_core::store::{Error, ErrorKind};

use crate::data::Sample;
use crate::{Failure, Outcome, Trial, Verdict::*};

/// The one error that every store can be made to give: a chunk above its limit.
async fn too_large(h: &Trial<'_>) -> Result<Option<(Sample, Error)>, Failure> {
    let store = must!(G8, h.open().await);
    let max = store.capabilities().max_chunk_len;
    if max > 80 << 20 {
        return Ok(None);
    }
    let x = Sample::of(vec![3; usize::try_from(max + 1).unwrap_or(usize::MAX)]);
    match store.put(x.id, x.data.clone()).await {
        Ok(_) => fail!(Bound, "a chunk above the limit was taken"),
        Err(e) => Ok(Some((x, e))),
    }
}

pub async fn names_op_and_id(h: &Trial<'_>) -> Outcome {
    let Some((x, e)) = too_large(h).await? else { return Ok(Weaker("its limit is too high to exceed here")) };
    check_eq!(G8, e.op(), "put", "the operation in the error");
    check_eq!(G8, e.chunk(), Some(x.id), "the chunk in the error");
    Ok(Passed)
}

pub async fn display_is_one_line_without_secrets(h: &Trial<'_>) -> Outcome {
    let Some((x, e)) = too_large(h).await? else { return Ok(Weaker("its limit is too high to exceed here")) };
    let line = e.to_string();
    check!(G8, line.lines().count() == 1 && !line.ends_with('\n'), "not one line: {line:?}");
    check!(G8, line.contains(&x.id.short()), "it does not name the chunk: {line}");
    check!(G8, !line.contains(&x.id.to_string()), "it holds a whole chunk id: {line}");
    Ok(Passed)
}

pub async fn retry_class_is_consistent(h: &Trial<'_>) -> Outcome {
    let Some((_, e)) = too_large(h).await? else { return Ok(Weaker("its limit is too high to exceed here")) };
    check_eq!(G8, e.kind(), ErrorKind::ChunkTooLarge, "the kind of the error");
    check!(G8, !e.is_transient(), "it invites to retry what can never work");
    Ok(Passed)
}
