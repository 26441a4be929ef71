//! Lengths from nothing to the limit, and contents that trip the careless.

use bytes::Bytes;
use selfenc_core::store::{ErrorKind, PutOutcome};

use crate::data::{Sample, fit, metas, noise, sample};
use crate::{Outcome, Trial, Verdict::*};

/// Chunks longer than this are left to larger scales of the suite.
const LARGEST_TRIED: u64 = 80 << 20;

/// Puts and gets each that the store takes.
async fn round_trip(h: &Trial<'_>, all: impl IntoIterator<Item = Sample>) -> Outcome {
    let store = must!(G8, h.open().await);
    let max = store.capabilities().max_chunk_len;
    for x in all.into_iter().filter(|x| x.data.len() as u64 <= max) {
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
    check_listed!(G7, store, [x.meta()], "the listing of an empty chunk");
    check!(
        G3,
        must!(G3, store.put(x.id, x.data.clone()).await) != PutOutcome::Inserted,
        "an empty chunk was inserted twice"
    );
    if store.capabilities().deletes {
        must!(G3, store.delete(x.id).await);
        check_eq!(G5, must!(G5, store.get(x.id).await), None, "an empty chunk after its delete");
    }
    Ok(Passed)
}

pub async fn one_byte(h: &Trial<'_>) -> Outcome {
    round_trip(h, [sample(1, 1)]).await
}

pub async fn boundary_sizes(h: &Trial<'_>) -> Outcome {
    let near = |n: usize| [n - 1, n, n + 1];
    let powers = [10, 12, 14, 16, 20].into_iter().chain(h.pick(0..0, 4..24, 4..26));
    let edges = powers.flat_map(|power| near(1 << power)).chain([0, 1]);
    round_trip(h, edges.map(|len| sample(len as u64, len))).await
}

pub async fn largest_allowed_accepted(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let max = store.capabilities().max_chunk_len.min(LARGEST_TRIED);
    for len in h.pick(max..=max, max - 1..=max, max - 1..=max) {
        let x = Sample::of(vec![7; usize::try_from(len).unwrap_or(usize::MAX)]);
        must!(Bound, store.put(x.id, x.data.clone()).await);
        match must!(Bound, store.get(x.id).await) {
            Some(got) => check_bytes!(Bytes, got, x.data, "the longest chunk"),
            None => fail!(G2, "the longest chunk is absent after its put"),
        }
    }
    Ok(if store.capabilities().max_chunk_len > LARGEST_TRIED {
        Weaker("its limit is too high to reach here")
    } else {
        Passed
    })
}

pub async fn above_largest_rejected_and_not_stored(h: &Trial<'_>) -> Outcome {
    let store = must!(G8, h.open().await);
    let max = store.capabilities().max_chunk_len;
    if max >= LARGEST_TRIED {
        return Ok(Weaker("chunks above its limit are too long to try here"));
    }
    let x = Sample::of(vec![7; usize::try_from(max + 1).unwrap_or(usize::MAX)]);
    match store.put(x.id, x.data.clone()).await {
        Ok(_) => fail!(Bound, "a chunk of {} bytes was taken; the limit is {max}", max + 1),
        Err(e) => check_eq!(Bound, e.kind(), ErrorKind::ChunkTooLarge, "the kind of the error"),
    }
    check_eq!(Bound, must!(G5, store.stat(x.id).await), None, "stat of a refused chunk");
    check_eq!(Bound, must!(G5, store.get(x.id).await), None, "a refused chunk");
    check_listed!(Bound, store, [], "the listing after a refused chunk");
    Ok(Passed)
}

pub async fn sixty_four_mib(h: &Trial<'_>) -> Outcome {
    // The engine's longest chunk, and noise: neither of them compresses.
    only_at!(h, Full);
    let store = must!(G8, h.open().await);
    let x = sample(64, 64 << 20);
    if store.capabilities().max_chunk_len < x.data.len() as u64 {
        let refused = store.put(x.id, x.data).await.err().map(|e| e.kind());
        check_eq!(Bound, refused, Some(ErrorKind::ChunkTooLarge), "a chunk of 64 MiB");
        return Ok(Weaker("its limit is below 64 MiB: that is too large, and it says so"));
    }
    for round in 0..h.pick(1, 2, 20) {
        must!(Bound, store.put(x.id, x.data.clone()).await);
        match must!(G2, store.get(x.id).await) {
            Some(got) => check_bytes!(Bytes, got, x.data, format!("64 MiB, round {round}")),
            None => fail!(G2, "64 MiB are absent after their put, round {round}"),
        }
        if store.capabilities().deletes {
            must!(G3, store.delete(x.id).await);
        }
    }
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
    let long = fit(&*store, 100_000);
    let all = [Bytes::from(vec![0; long]), noise(1, long), noise(2, 13)].map(Sample::of);
    for (n, x) in all.iter().enumerate() {
        must!(G1, store.put(x.id, x.data.clone()).await);
        check_eq!(Honesty, must!(G2, store.stat(x.id).await), Some(x.meta()), "stat");
        check_listed!(Honesty, store, metas(&all[..=n]), "the listing");
    }
    Ok(Passed)
}
