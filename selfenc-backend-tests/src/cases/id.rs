//! Names that a medium might confuse.

use selfenc_core::store::ChunkId;

use crate::data::{Sample, listed, metas, noise, root, sample, samples};
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
    check_eq!(G7, must!(G7, listed(&*store, None).await), metas(&all), "the listing");
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
    kept_apart(h, (0..=255).step_by(5).map(|last| std::array::from_fn(|i| if i == 31 { last } else { 0x5a })))
        .await
}

pub async fn one_bit_apart(h: &Trial<'_>) -> Outcome {
    let bit = |n: usize| std::array::from_fn(|i| 0xa5 ^ if i == n / 8 { 1 << (n % 8) } else { 0 });
    kept_apart(h, (0..256).step_by(9).map(bit)).await
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
    let version =
        must!(Roots, store.swap(&root("a"), selfenc_core::store::Expect::Absent, Some(noise(1, 9))).await);
    hook!("litter", h.litter().await);
    check_eq!(G7, must!(G7, listed(&*store, None).await), metas(&all), "the listing among litter");
    for x in &all {
        check_eq!(Bytes, must!(G2, store.get(x.id).await).as_ref(), Some(&x.data), "a chunk among litter");
    }
    let names: Vec<_> = must!(Roots, futures::TryStreamExt::try_collect(store.names()).await);
    check_eq!(Roots, names, [root("a")], "the roots among litter");
    check!(Roots, must!(Roots, store.load(&root("a")).await).is_some(), "a root is lost: {version:?}");
    let y = sample(2, 100);
    must!(G1, store.put(y.id, y.data.clone()).await);
    check_eq!(Bytes, must!(G2, store.get(y.id).await), Some(y.data), "a chunk put among litter");
    Ok(Passed)
}
