//! What is there when the location is opened again. Power cuts are each backend's own tests.

use std::sync::Arc;

use futures::future::try_join_all;
use selfenc_core::store::{Durability, ErrorKind};

use crate::data::{listed, metas, sample, samples};
use crate::{Outcome, Trial, Verdict::*};

pub async fn reopen_after_flush(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 50, 1000));
    for x in &all {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    must!(G4, store.flush().await);
    drop(store);
    let store = hook!("reopen", h.reopen().await);
    if store.capabilities().durability == Durability::Volatile {
        check_eq!(Honesty, must!(G7, listed(&*store, None).await), [], "chunks in a reopened volatile store");
        return Ok(Weaker("it is Volatile: gone with its last handle"));
    }
    check_eq!(G4, must!(G7, listed(&*store, None).await), metas(&all), "the listing after reopening");
    for x in &all {
        check_eq!(G4, must!(G4, store.get(x.id).await).as_ref(), Some(&x.data), "a flushed chunk");
    }
    Ok(Passed)
}

pub async fn reopen_without_flush(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 50, 1000));
    for x in &all {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    drop(store);
    let store = hook!("reopen", h.reopen().await);
    let on_put = store.capabilities().durability == Durability::OnPut;
    for x in &all {
        match must!(G4, store.get(x.id).await) {
            Some(got) => check_bytes!(G1, got, x.data, "a chunk after reopening"),
            None if on_put => fail!(G4, "a chunk is gone, and the store says OnPut"),
            None => {}
        }
    }
    Ok(if on_put { Passed } else { Weaker("it needs a flush: what is there is whole") })
}

pub async fn flush_idempotent_and_concurrent(h: &Trial<'_>) -> Outcome {
    let (store, all) = (must!(G8, h.open().await), samples(1, 40, 1000));
    must!(G4, store.flush().await);
    let work = all.iter().map(|x| {
        let store = Arc::clone(&store);
        async move {
            store.put(x.id, x.data.clone()).await?;
            store.flush().await?;
            store.flush().await
        }
    });
    must!(G4, try_join_all(work).await);
    check_eq!(G2, must!(G7, listed(&*store, None).await), metas(&all), "the listing");
    Ok(Passed)
}

pub async fn second_open(h: &Trial<'_>) -> Outcome {
    let (store, x) = (must!(G8, h.open().await), sample(1, 100));
    must!(G1, store.put(x.id, x.data.clone()).await);
    match (store.capabilities().shared, h.second().await) {
        (_, None) => Ok(NotExercised("second")),
        (true, Some(second)) => {
            let second = must!(Honesty, second);
            check_eq!(Honesty, must!(G2, second.get(x.id).await), Some(x.data), "a chunk seen by the other");
            Ok(Passed)
        }
        (false, Some(Err(e))) => {
            check_eq!(G8, e.kind(), ErrorKind::Locked, "the kind of the error");
            Ok(Weaker("it is not shared: a second opening says Locked"))
        }
        (false, Some(Ok(_))) => fail!(Honesty, "a second opening works, but the store says it is not shared"),
    }
}
