//! What the word "store" means.

use bytes::{Bytes, BytesMut};
use selfenc_core::store::{ChunkStoreExt, PutOutcome};

use crate::data::{fit, metas, noise, sample, samples};
use crate::{Outcome, Trial, Verdict::Passed};

pub async fn fresh_store_is_empty(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    check_listed!(G7, store, [], "chunks in a fresh store");
    for x in samples(1, 10, 100) {
        check_eq!(G5, must!(G5, store.get(x.id).await), None, "a chunk in a fresh store");
    }
    Ok(Passed)
}

pub async fn put_then_get(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 1000));
    must!(G1, store.put(x.id, x.data.clone()).await);
    match must!(G2, store.get(x.id).await) {
        Some(got) => check_bytes!(Bytes, got, x.data, "what was put"),
        None => fail!(G2, "a chunk that was put is absent"),
    }
    Ok(Passed)
}

pub async fn get_absent_is_none(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 10));
    check!(G5, must!(G5, store.get(x.id).await).is_none(), "bytes for a chunk never put");
    must!(G1, store.put(sample(2, 10).id, sample(2, 10).data).await);
    check!(G5, must!(G5, store.get(x.id).await).is_none(), "bytes for a chunk never put");
    Ok(Passed)
}

pub async fn stat_absent_is_none(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    check_eq!(G5, must!(G5, store.stat(sample(1, 10).id).await), None, "stat of a chunk never put");
    Ok(Passed)
}

pub async fn stat_reports_exact_length(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    for len in [0, 1, 1000, 70_000] {
        let x = sample(1, fit(&*store, len));
        must!(G1, store.put(x.id, x.data.clone()).await);
        check_eq!(G2, must!(G2, store.stat(x.id).await), Some(x.meta()), "stat");
    }
    Ok(Passed)
}

pub async fn contains_agrees_with_get(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    for (i, x) in samples(1, 20, 100).iter().enumerate() {
        if i % 2 == 0 {
            must!(G1, store.put(x.id, x.data.clone()).await);
        }
        let (contains, got) = (must!(G5, store.contains(x.id).await), must!(G5, store.get(x.id).await));
        check_eq!(G5, contains, i % 2 == 0, "contains");
        check_eq!(G5, got.is_some(), contains, "get after contains");
    }
    Ok(Passed)
}

pub async fn put_visible_at_once_to_get_stat_list(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let all = samples(1, h.pick(10, 100, 300), 100);
    for (n, x) in all.iter().enumerate() {
        must!(G1, store.put(x.id, x.data.clone()).await);
        check_eq!(G2, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "get after put");
        check_eq!(G2, must!(G2, store.stat(x.id).await), Some(x.meta()), "stat after put");
        check_listed!(G2, store, metas(&all[..=n]), "the listing after put");
    }
    Ok(Passed)
}

pub async fn thousand_small_chunks(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 1000, 40));
    let batch = all.iter().map(|x| (x.id, x.data.clone())).collect();
    for outcome in store.put_many(batch).await {
        check!(G2, must!(G1, outcome) != PutOutcome::Present, "Present for a chunk never put");
    }
    for x in &all {
        check_eq!(G2, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "one of a thousand");
    }
    check_listed!(G7, store, metas(&all), "the listing of a thousand");
    Ok(Passed)
}

pub async fn ids_do_not_alias(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, h.pick(50, 500, 2000), 100));
    for x in &all {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    for x in &all {
        check_eq!(Bytes, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "the chunk of this id");
    }
    Ok(Passed)
}

pub async fn returned_bytes_survive_delete(h: &Trial<'_>) -> Outcome {
    let store = open_with!(h, deletes);
    let len = fit(&*store, 100_000);
    let x = sample(1, len);
    must!(G1, store.put(x.id, x.data.clone()).await);
    let got = must!(G2, store.get(x.id).await).unwrap_or_default();
    must!(G3, store.delete(x.id).await);
    // Whatever the chunk's place is used for now, the bytes are the caller's.
    for seed in 0..20 {
        let other = sample(2 << 32 | seed, len);
        must!(G1, store.put(other.id, other.data).await);
    }
    check_bytes!(Bytes, got, x.data, "bytes read before the delete");
    Ok(Passed)
}

pub async fn returned_bytes_survive_store_drop(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let x = sample(1, fit(&*store, 100_000));
    must!(G1, store.put(x.id, x.data.clone()).await);
    let got = must!(G2, store.get(x.id).await).unwrap_or_default();
    drop(store);
    check_bytes!(Bytes, got, x.data, "bytes read before the store was dropped");
    Ok(Passed)
}

pub async fn caller_may_reuse_its_buffer_after_put(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 4096));
    let mut buffer = BytesMut::from(&x.data[..]);
    must!(G1, store.put(x.id, Bytes::copy_from_slice(&buffer)).await);
    buffer.copy_from_slice(&noise(2, 4096));
    // A slice of a larger buffer must be stored as the slice.
    let large = noise(3, 10_000);
    let y = crate::data::Sample::of(large.slice(1000..2000));
    must!(G1, store.put(y.id, y.data.clone()).await);
    drop((buffer, large));
    check_eq!(Bytes, must!(G2, store.get(x.id).await), Some(x.data), "the chunk put from a buffer");
    check_eq!(Bytes, must!(G2, store.get(y.id).await), Some(y.data), "the chunk put from a slice");
    Ok(Passed)
}
