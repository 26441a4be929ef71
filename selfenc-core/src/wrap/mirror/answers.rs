//! Many replicas' answers made into one.

use std::sync::Arc;

use crate::store::{Backend, Capabilities, ChunkId, Error, PutOutcome, Result};

pub(super) type Replicas = [Arc<dyn Backend>];

/// A replica's number and what it failed with.
pub(super) type Failure = (usize, Error);

/// What all of them promise. A put is counted by several stores, so its outcome is never exact.
pub(super) fn weakest(replicas: &Replicas) -> Option<Capabilities> {
    let all = replicas.iter().map(|replica| replica.capabilities());
    let weakest = all.reduce(|a, b| {
        Capabilities::new(a.durability.min(b.durability))
            .with_shared(a.shared && b.shared)
            .with_drop_ordered(a.drop_ordered && b.drop_ordered)
            .with_lists(a.lists && b.lists)
            .with_deletes(a.deletes && b.deletes)
            .with_roots(a.roots && b.roots)
            .with_max_chunk_len(a.max_chunk_len.min(b.max_chunk_len))
    });
    weakest.map(|capabilities| capabilities.with_exact_outcome(false))
}

/// What a put to all found: `Present` only if it was everywhere.
pub(super) fn outcome(outcomes: &[PutOutcome]) -> PutOutcome {
    if outcomes.iter().all(|outcome| *outcome == PutOutcome::Present) {
        PutOutcome::Present
    } else if outcomes.contains(&PutOutcome::Inserted) {
        PutOutcome::Inserted
    } else {
        PutOutcome::Unchecked
    }
}

/// The values if all have one; otherwise which replicas did it and which failed.
pub(super) fn all<T>(
    replicas: &Replicas,
    op: &'static str,
    id: Option<ChunkId>,
    results: Vec<Result<T>>,
) -> Result<Vec<T>> {
    let (mut values, mut done, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (i, result) in results.into_iter().enumerate() {
        match result {
            Ok(value) => {
                values.push(value);
                done.push(label(replicas, i));
            }
            Err(e) => failed.push((i, e)),
        }
    }
    if failed.is_empty() {
        return Ok(values);
    }
    let done = if done.is_empty() { "none".to_owned() } else { done.join(", ") };
    let what = format!("{} of {} replicas failed; done by {done}", failed.len(), replicas.len());
    // It helps to try again only if everything that failed may then succeed.
    let transient = failed.iter().all(|(_, e)| e.is_transient());
    Err(joined(replicas, op, id, &what, failed).with_transient(transient))
}

/// The error of a read that no replica could answer, of which one would have been enough.
pub(super) fn none(
    replicas: &Replicas,
    op: &'static str,
    id: Option<ChunkId>,
    failed: Vec<Failure>,
) -> Error {
    let mut failed = failed;
    // One that may come back decides, since it may have what the others lack.
    failed.sort_by_key(|(i, e)| (!e.is_transient(), *i));
    joined(replicas, op, id, "no replica can answer", failed)
}

/// One error out of several: kind and cause are the first one's.
pub(super) fn joined(
    replicas: &Replicas,
    op: &'static str,
    id: Option<ChunkId>,
    what: &str,
    failed: Vec<Failure>,
) -> Error {
    let each: Vec<_> = failed.iter().map(|(i, e)| format!("{}: {e}", label(replicas, *i))).collect();
    let attempts = failed.iter().filter_map(|(_, e)| e.attempts()).max().unwrap_or(0);
    let Some((_, first)) = failed.into_iter().next() else {
        return Error::new(crate::store::ErrorKind::Other, op, what.to_owned());
    };
    let message = format!("{what}: {}", each.join("; "));
    let error = Error::new(first.kind(), op, message).with_transient(first.is_transient());
    let error = error.with_attempts(attempts).with_source(first);
    match id {
        Some(id) => error.with_chunk(id),
        None => error,
    }
}

pub(super) fn label(replicas: &Replicas, i: usize) -> String {
    replicas
        .get(i)
        .map_or_else(|| format!("replica {i}"), |replica| format!("replica {i} ({})", replica.info()))
}
