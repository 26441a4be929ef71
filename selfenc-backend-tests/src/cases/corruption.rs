//! Chunks damaged behind the store's back. A store need not notice; it must not hide, panic or spread it.

use selfenc_core::store::ErrorKind;

use crate::data::{Sample, listed, sample, samples};
use crate::{Damage, Outcome, Trial, Verdict::*};

/// Damages one of several chunks. A `get` gives something else than the chunk or `Corrupt`, a `put` of the
/// true bytes heals it, and the others are as they were.
async fn damaged(h: &Trial<'_>, damage: Damage) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 10_000));
    let others = samples(2, 10, 1000);
    for Sample { id, data } in others.iter().chain([&x]) {
        must!(G1, store.put(*id, data.clone()).await);
    }
    hook!("corrupt", h.corrupt(x.id, damage).await);
    match store.get(x.id).await {
        Ok(got) => check!(Bytes, got != Some(x.data.clone()), "the damage did not reach what get reads"),
        Err(e) => check_eq!(G8, e.kind(), ErrorKind::Corrupt, "the kind of the error"),
    }
    must!(Bytes, store.put(x.id, x.data.clone()).await);
    check_eq!(Bytes, must!(G2, store.get(x.id).await), Some(x.data), "the chunk put again");
    for y in &others {
        check_eq!(Bytes, must!(G2, store.get(y.id).await).as_ref(), Some(&y.data), "another chunk");
    }
    check_eq!(G7, must!(G7, listed(&*store, None).await).len(), 11, "chunks listed");
    Ok(Passed)
}

pub async fn truncated(h: &Trial<'_>) -> Outcome {
    damaged(h, Damage::Truncate).await
}

pub async fn trailing_garbage(h: &Trial<'_>) -> Outcome {
    damaged(h, Damage::Extend).await
}

pub async fn same_length_damage_is_returned_or_reported(h: &Trial<'_>) -> Outcome {
    // Stores know no hashes: the length is right, so nothing need be noticed here. Readers check.
    let (store, x) = (must!(G8, h.open().await), sample(1, 10_000));
    for damage in [Damage::FlipBit, Damage::Zero] {
        must!(G1, store.put(x.id, x.data.clone()).await);
        hook!("corrupt", h.corrupt(x.id, damage).await);
        match store.get(x.id).await {
            Ok(Some(got)) => check!(Bytes, got != x.data, "the damage did not reach what get reads"),
            Ok(None) => fail!(G5, "damage is not absence"),
            Err(e) => check_eq!(G8, e.kind(), ErrorKind::Corrupt, "the kind of the error"),
        }
        must!(G3, store.delete(x.id).await);
    }
    Ok(Passed)
}

pub async fn delete_then_put_heals(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 10_000));
    for damage in [Damage::FlipBit, Damage::Truncate, Damage::Extend, Damage::Zero, Damage::TooLong] {
        must!(G1, store.put(x.id, x.data.clone()).await);
        hook!("corrupt", h.corrupt(x.id, damage).await);
        must!(G3, store.delete(x.id).await);
        check_eq!(G5, must!(G5, store.get(x.id).await), None, "a deleted chunk");
        must!(G1, store.put(x.id, x.data.clone()).await);
        check_eq!(Bytes, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "the healed chunk");
    }
    Ok(Passed)
}
