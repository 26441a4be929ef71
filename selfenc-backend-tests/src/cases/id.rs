//! Names that a medium might confuse.

use futures::TryStreamExt;
use selfenc_core::store::{ChunkId, Expect};

use crate::data::{Sample, listed, metas, noise, put_all, root, sample, samples};
use crate::{Outcome, Trial, Verdict::Passed};

/// Puts different bytes under each id and wants each back, and all of them listed.
async fn kept_apart(h: &Trial<'_>, ids: impl IntoIterator<Item = [u8; 32]>) -> Outcome {
    let store = must!(G8, h.open().await);
    let all: Vec<_> = ids
        .into_iter()
        .enumerate()
        .map(|(i, id)| Sample { id: ChunkId::from_bytes(id), data: noise(i as u64, 50 + i) })
        .collect();
    for x in &all {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    for x in &all {
        check_eq!(Bytes, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "the chunk of this id");
    }
    check_listed!(G7, store, metas(&all), "the listing");
    Ok(Passed)
}

pub async fn extreme_ids(h: &Trial<'_>) -> Outcome {
    let mut low = [0; 32];
    low[31] = 1;
    let mut high = [0xff; 32];
    high[31] = 0xfe;
    kept_apart(h, [[0; 32], low, [0xff; 32], high]).await
}

pub async fn shared_31_byte_prefix(h: &Trial<'_>) -> Outcome {
    let last = (0..=255).step_by(h.pick(5, 1, 1));
    kept_apart(h, last.map(|last| std::array::from_fn(|i| if i == 31 { last } else { 0x5a }))).await
}

pub async fn one_bit_apart(h: &Trial<'_>) -> Outcome {
    let bit = |n: usize| std::array::from_fn(|i| 0xa5 ^ if i == n / 8 { 1 << (n % 8) } else { 0 });
    kept_apart(h, (0..256).step_by(h.pick(9, 1, 1)).map(bit)).await
}

pub async fn no_case_folding_collision(h: &Trial<'_>) -> Outcome {
    // As raw text, as base64 and as hex, these differ only by case or look alike.
    kept_apart(h, [*b"abcdefghijklmnopabcdefghijklmnop", *b"ABCDEFGHIJKLMNOPABCDEFGHIJKLMNOP"]).await
}

pub async fn foreign_entries_ignored(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 20, 100));
    for x in &all {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    let has_roots = store.capabilities().roots;
    if has_roots {
        must!(Roots, store.swap(&root("a"), Expect::Absent, Some(noise(1, 9))).await);
    }
    hook!("litter", h.litter().await);
    check_listed!(G7, store, metas(&all), "the listing among litter");
    for x in &all {
        check_eq!(Bytes, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "a chunk among litter");
    }
    if has_roots {
        let names: Vec<_> = must!(Roots, store.names().try_collect().await);
        check_eq!(Roots, names, [root("a")], "the roots among litter");
        let found = must!(Roots, store.load(&root("a")).await).map(|root| root.value);
        check_eq!(Roots, found, Some(noise(1, 9)), "the root among litter");
    }
    let y = sample(2, 100);
    must!(G1, store.put(y.id, y.data.clone()).await);
    check_eq!(Bytes, must!(G2, store.get(y.id).await).as_ref(), Some(&y.data), "a chunk put among litter");
    check_listed!(G7, store, metas(all.iter().chain([&y])), "the listing afterwards");
    Ok(Passed)
}

pub async fn hundred_thousand_ids(h: &Trial<'_>) -> Outcome {
    only_at!(h, Soak);
    let (store, all) = (must!(G8, h.open().await), samples(1, 100_000, 16));
    put_all(&*store, &all).await?;
    let mut rng = h.rng(26);
    for _ in 0..10_000 {
        let x = rng.of(&all);
        check_eq!(Bytes, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "one of 100 000");
    }
    let everything = metas(&all);
    check!(G7, everything.len() == all.len(), "the suite's own samples are not all different");
    if store.capabilities().lists {
        // Not by `check_listed!`, whose message would hold them all.
        let seen = must!(G7, listed(&*store, None).await);
        check!(G7, seen == everything, "the listing of 100 000 is wrong; it has {} items", seen.len());
        let middle = everything[50_000];
        let rest = must!(G7, listed(&*store, Some(middle.id)).await);
        check!(G7, rest == everything[50_001..], "the second half of it is wrong: {} items", rest.len());
    }
    Ok(Passed)
}
