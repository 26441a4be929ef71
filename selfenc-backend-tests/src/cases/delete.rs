//! Deleting what is there, what is not, and what others use.

use std::sync::Arc;

use selfenc_core::store::ChunkId;
use tokio::task::JoinSet;

use crate::data::{Sample, fit, metas, noise, sample, samples};
use crate::{Failure, Outcome, Trial, Verdict::Passed};

pub async fn present(h: &Trial<'_>) -> Outcome {
    let (store, x) = (open_with!(h, deletes), sample(1, 1000));
    must!(G1, store.put(x.id, x.data.clone()).await);
    must!(G3, store.delete(x.id).await);
    check_eq!(G2, must!(G5, store.get(x.id).await), None, "a deleted chunk");
    Ok(Passed)
}

pub async fn absent_is_ok(h: &Trial<'_>) -> Outcome {
    let store = open_with!(h, deletes);
    must!(G3, store.delete(sample(1, 10).id).await);
    must!(G3, store.delete(ChunkId::from_bytes([0; 32])).await);
    Ok(Passed)
}

pub async fn twice_is_ok(h: &Trial<'_>) -> Outcome {
    let (store, x) = (open_with!(h, deletes), sample(1, 1000));
    must!(G1, store.put(x.id, x.data.clone()).await);
    must!(G3, store.delete(x.id).await);
    must!(G3, store.delete(x.id).await);
    Ok(Passed)
}

pub async fn gone_from_get_stat_list(h: &Trial<'_>) -> Outcome {
    let (store, all) = (open_with!(h, deletes), samples(1, h.pick(10, 100, 500), 100));
    for x in &all {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    for (n, x) in all.iter().enumerate() {
        must!(G3, store.delete(x.id).await);
        check_eq!(G2, must!(G5, store.get(x.id).await), None, "get of a deleted chunk");
        check_eq!(G2, must!(G5, store.stat(x.id).await), None, "stat of a deleted chunk");
        check_listed!(G7, store, metas(&all[n + 1..]), "the listing");
    }
    Ok(Passed)
}

pub async fn leaves_siblings(h: &Trial<'_>) -> Outcome {
    // Neighbours in the same shard folder, page or bucket.
    let store = open_with!(h, deletes);
    let near = |n: u8| Sample {
        id: ChunkId::from_bytes(std::array::from_fn(|i| if i == 31 { n } else { 7 })),
        data: noise(n.into(), 100),
    };
    for n in 0..20 {
        must!(G1, store.put(near(n).id, near(n).data).await);
    }
    for n in (0..20).step_by(2) {
        must!(G3, store.delete(near(n).id).await);
    }
    for n in (1..20).step_by(2) {
        check_eq!(Bytes, must!(G2, store.get(near(n).id).await), Some(near(n).data), "a sibling");
    }
    Ok(Passed)
}

pub async fn last_one_then_put_again(h: &Trial<'_>) -> Outcome {
    // A store that prunes what became empty must make it again.
    let (store, x) = (open_with!(h, deletes), sample(1, 1000));
    for _ in 0..5 {
        must!(G1, store.put(x.id, x.data.clone()).await);
        must!(G3, store.delete(x.id).await);
        check_listed!(G7, store, [], "the listing of an emptied store");
    }
    must!(G1, store.put(x.id, x.data.clone()).await);
    check_eq!(G2, must!(G2, store.get(x.id).await), Some(x.data), "the chunk");
    Ok(Passed)
}

pub async fn concurrent_same_id_all_ok(h: &Trial<'_>) -> Outcome {
    let (store, x) = (open_with!(h, deletes), sample(1, 1000));
    for _ in 0..h.pick(1, 20, 200) {
        must!(G1, store.put(x.id, x.data.clone()).await);
        let mut deletes = JoinSet::new();
        for _ in 0..30 {
            let store = Arc::clone(&store);
            deletes.spawn(async move { store.delete(x.id).await });
        }
        while let Some(done) = deletes.join_next().await {
            must!(G3, must!(G3, done));
        }
        check_eq!(G2, must!(G5, store.get(x.id).await), None, "a deleted chunk");
    }
    Ok(Passed)
}

pub async fn put_and_delete_in_same_shard_directory(h: &Trial<'_>) -> Outcome {
    // One task keeps emptying the folder that the other keeps filling: the race of mkdir and rmdir.
    let (store, rounds) = (open_with!(h, deletes), h.pick(60, 500, 5000));
    let id = |n: u8| ChunkId::from_bytes(std::array::from_fn(|i| if i == 31 { n } else { 0x42 }));
    let deleter = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..rounds {
                must!(G3, store.put(id(0), noise(0, 10)).await);
                must!(G3, store.delete(id(0)).await);
            }
            Ok::<_, Failure>(())
        })
    };
    for round in 0..rounds {
        must!(G1, store.put(id(1), noise(1, 100)).await);
        check_eq!(G2, must!(G2, store.get(id(1)).await), Some(noise(1, 100)), format!("round {round}"));
        must!(G3, store.delete(id(1)).await);
    }
    must!(G3, deleter.await)?;
    check_listed!(G3, store, [], "the listing of the emptied store");
    Ok(Passed)
}

pub async fn delete_during_get_is_whole_or_none(h: &Trial<'_>) -> Outcome {
    let store = open_with!(h, deletes);
    let x = sample(1, fit(&*store, 1 << 20));
    for _ in 0..h.pick(15, 100, 1000) {
        must!(G1, store.put(x.id, x.data.clone()).await);
        let mut reads = JoinSet::new();
        for _ in 0..4 {
            let store = Arc::clone(&store);
            reads.spawn(async move { store.get(x.id).await });
        }
        must!(G3, store.delete(x.id).await);
        while let Some(done) = reads.join_next().await {
            if let Some(got) = must!(G1, must!(G1, done)) {
                check_bytes!(G1, got, x.data, "a chunk read during its delete");
            }
        }
    }
    Ok(Passed)
}
