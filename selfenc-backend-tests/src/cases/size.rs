//! Lengths from nothing to the limit, and contents that trip the careless.

use bytes::Bytes;
use selfenc_core::store::{ErrorKind, PutOutcome};

use crate::data::{Sample, listed, noise, sample};
use crate::{Outcome, Trial, Verdict::Passed};

/// Chunks longer than this are left to larger scales of the suite.
const LARGEST_TRIED: u64 = 80 << 20;

async fn round_trip(h: &Trial<'_>, all: impl IntoIterator<Item = Sample>) -> Outcome {
    let store = must!(G8, h.open().await);
    for x in all {
        let what = format!("a chunk of {} bytes", x.data.len());
        must!(G1, store.put(x.id, x.data.clone()).await);
        match must!(G2, store.get(x.id).await) {
            Some(got) => check_bytes!(Bytes, got, x.data, what),
            None => fail!(G2, "{what} is absent after its put"),
        }
        check_eq!(G2, must!(G2, store.stat(x.id).await), Some(x.meta()), what);
    }
    Ok(Passed)
}

pub async fn empty_chunk(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), Sample::of(Bytes::new()));
    must!(G1, store.put(x.id, x.data.clone()).await);
    check_eq!(G5, must!(G2, store.get(x.id).await), Some(Bytes::new()), "an empty chunk");
    check_eq!(G2, must!(G2, store.stat(x.id).await), Some(x.meta()), "stat of an empty chunk");
    check_eq!(G7, must!(G7, listed(&*store, None).await), [x.meta()], "the listing of an empty chunk");
    check!(
        G3,
        must!(G3, store.put(x.id, x.data.clone()).await) != PutOutcome::Inserted,
        "an empty chunk was inserted twice"
    );
    must!(G3, store.delete(x.id).await);
    check_eq!(G5, must!(G5, store.get(x.id).await), None, "an empty chunk after its delete");
    Ok(Passed)
}

pub async fn one_byte(h: &Trial<'_>) -> Outcome {
    round_trip(h, [sample(1, 1)]).await
}

pub async fn boundary_sizes(h: &Trial<'_>) -> Outcome {
    let near = |n: usize| [n - 1, n, n + 1];
    let edges = [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 20].into_iter().flat_map(near);
    round_trip(h, edges.map(|len| sample(len as u64, len))).await
}

pub async fn largest_allowed_accepted(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let max = store.capabilities().max_chunk_len.min(LARGEST_TRIED);
    let x = Sample::of(vec![7; usize::try_from(max).unwrap_or(usize::MAX)]);
    must!(Bound, store.put(x.id, x.data.clone()).await);
    match must!(Bound, store.get(x.id).await) {
        Some(got) => check_bytes!(Bytes, got, x.data, "the longest chunk"),
        None => fail!(G2, "the longest chunk is absent after its put"),
    }
    Ok(Passed)
}

pub async fn above_largest_rejected_and_not_stored(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let max = store.capabilities().max_chunk_len;
    if max >= LARGEST_TRIED {
        return Ok(crate::Verdict::Weaker("chunks above its limit are too long to try here"));
    }
    let x = Sample::of(vec![7; usize::try_from(max + 1).unwrap_or(usize::MAX)]);
    match store.put(x.id, x.data.clone()).await {
        Ok(_) => fail!(Bound, "a chunk of {} bytes was taken; the limit is {max}", max + 1),
        Err(e) => check_eq!(Bound, e.kind(), ErrorKind::ChunkTooLarge, "the kind of the error"),
    }
    check_eq!(Bound, must!(G5, store.stat(x.id).await), None, "stat of a refused chunk");
    check_eq!(Bound, must!(G7, listed(&*store, None).await), [], "the listing after a refused chunk");
    Ok(Passed)
}

pub async fn hostile_contents(h: &Trial<'_>) -> Outcome {
    let contents: [&'static [u8]; 10] = [
        &[0; 5000],
        &[0xff; 5000],
        b"\0",
        b"a\0b\0",
        b"line\r\nbreak\n\x1a\x04",
        b"\xc3\x28\xa0\xa1 not utf-8",
        b"\x1f\x8b\x08\0\0\0\0\0",
        b"'; DROP TABLE chunks; --\"",
        b"\xef\xbb\xbf<xml/>",
        b"selfenc filesystem store, layout 1\n",
    ];
    let all: Vec<_> = contents.into_iter().map(Sample::of).collect();
    round_trip(h, all).await
}

pub async fn length_is_logical_length(h: &Trial<'_>) -> Outcome {
    // A store that compresses, pads or encrypts below must not let it show.
    let store = must!(G8, h.open().await);
    for data in [Bytes::from(vec![0; 100_000]), noise(1, 100_000), noise(2, 13)] {
        let x = Sample::of(data);
        must!(G1, store.put(x.id, x.data.clone()).await);
        check_eq!(Honesty, must!(G2, store.stat(x.id).await), Some(x.meta()), "stat");
        check!(
            Honesty,
            must!(G7, listed(&*store, None).await).contains(&x.meta()),
            "another length is listed"
        );
    }
    Ok(Passed)
}
