//! What `object_store`'s own functions do not ask of multipart uploads.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::FutureExt;
use futures::stream::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutPayload};
use selfenc_core::engine::Engine;
use selfenc_core::store::ErrorKind;
use selfenc_core::wrap::{Failure, FaultPlan, Faulty, Op};
use selfenc_object_store_adapter::ObjectStoreAdapter;
use tokio::time::timeout;

use support::{Gate, OPEN, config, get, key, list, memory, over, random, roots, scope};

const PART: usize = 256 << 10;

/// 64 MiB through an engine of 4 MiB, into a store that at first takes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_upload_waits_for_the_store() {
    const BUDGET: usize = 4 << 20;
    let gate = Gate::new(0, OPEN);
    let config = config().with_chunk_size(PART as u32).with_memory_budget(BUDGET as u64);
    let engine = Engine::new(config).unwrap();
    let objects = ObjectStoreAdapter::new(gate.clone(), engine, scope(), key()).unwrap();
    let path = Path::from("large");
    let mut upload = objects.put_multipart(&path).await.unwrap();
    let parts = (64 << 20) / PART;
    let mut taken_while_closed = None;
    for n in 0..parts {
        let mut part = upload.put_part(random(PART, n as u64).into());
        if taken_while_closed.is_none() && timeout(Duration::from_secs(10), &mut part).await.is_err() {
            taken_while_closed = Some(n * PART);
            gate.puts.add_permits(OPEN);
        } else if taken_while_closed.is_none() {
            continue;
        }
        part.await.unwrap();
    }
    let taken = taken_while_closed.expect("the upload never waited for the store");
    // Chunks count twice while they are encrypted; nothing beside the budget is taken in.
    assert!((1..=BUDGET).contains(&taken), "{taken} bytes were taken with nowhere to put them");
    upload.complete().await.unwrap();

    let result = objects.get(&path).await.unwrap();
    assert_eq!(result.meta.size, 64 << 20);
    let mut body = result.into_stream();
    let (mut n, mut rest) = (0, Bytes::new());
    while let Some(mut piece) = body.try_next().await.unwrap() {
        while !piece.is_empty() {
            if rest.is_empty() {
                rest = random(PART, n);
                n += 1;
            }
            let len = piece.len().min(rest.len());
            assert!(piece.split_to(len) == rest.split_to(len), "part {}", n - 1);
        }
    }
    assert_eq!((n as usize, rest.len()), (parts, 0));
}

#[tokio::test]
async fn parts_stand_in_the_order_of_the_calls() {
    let (_, objects) = memory();
    let path = Path::from("a");
    let mut upload = objects.put_multipart(&path).await.unwrap();
    let parts: Vec<_> = (0..50).map(|n| random(1 + n * 137, n as u64)).collect();
    let mut futures: Vec<_> = parts.iter().map(|part| upload.put_part(part.clone().into())).collect();
    futures.push(upload.put_part(PutPayload::new()));
    for future in futures.into_iter().rev() {
        future.await.unwrap();
    }
    assert!(list(&objects).await.is_empty());
    upload.complete().await.unwrap();
    assert_eq!(get(&objects, &path).await, parts.concat());
}

#[tokio::test]
async fn no_part_is_an_empty_object() {
    let (_, objects) = memory();
    let mut upload = objects.put_multipart(&Path::from("a")).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(list(&objects).await[0].size, 0);
}

#[tokio::test]
async fn a_part_that_is_not_finished_fails_the_completion() {
    let (store, objects) = memory();
    let path = Path::from("a");
    let mut upload = objects.put_multipart(&path).await.unwrap();
    upload.put_part("1".into()).await.unwrap();
    let second = upload.put_part("2".into());
    let e = upload.complete().await.unwrap_err();
    assert!(e.to_string().contains("1 parts are not finished"), "{e}");
    // It may still be finished.
    second.await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(get(&objects, &path).await, "12");

    let mut upload = objects.put_multipart(&path).await.unwrap();
    drop(upload.put_part("lost".into()));
    assert!(upload.complete().await.is_err());
    upload.abort().await.unwrap();
    assert_eq!(get(&objects, &path).await, "12");
    assert_eq!(roots(&store).await.len(), 1);
}

#[tokio::test]
async fn an_upload_that_is_over_stays_over() {
    let (_, objects) = memory();
    let path = Path::from("a");
    let mut upload = objects.put_multipart(&path).await.unwrap();
    upload.put_part("1".into()).await.unwrap();
    upload.complete().await.unwrap();
    assert!(upload.put_part("2".into()).await.is_err());
    assert!(upload.complete().await.is_err());
    upload.abort().await.unwrap();
    assert_eq!(get(&objects, &path).await, "1");

    let mut upload = objects.put_multipart(&path).await.unwrap();
    upload.abort().await.unwrap();
    upload.abort().await.unwrap();
    assert!(upload.put_part("2".into()).await.is_err());
    assert!(upload.complete().await.is_err());
    assert_eq!(get(&objects, &path).await, "1");
}

/// The writer waits at a store that takes nothing, and must not wait for ever.
#[tokio::test]
async fn abort_and_drop_end_the_writer() {
    for abort in [true, false] {
        let gate = Gate::new(0, OPEN);
        let objects = over(gate.clone());
        let mut upload = objects.put_multipart(&Path::from("a")).await.unwrap();
        let part = upload.put_part(random(8 << 20, 1).into());
        tokio::time::sleep(Duration::from_millis(50)).await;
        if abort {
            timeout(Duration::from_secs(10), upload.abort()).await.unwrap().unwrap();
        }
        drop(upload);
        assert!(part.await.is_err());
        drop(objects);
        let released = async {
            while Arc::strong_count(&gate) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), released).await.expect("the writer still holds the store");
        assert!(roots(&gate.inner).await.is_empty());
    }
}

#[tokio::test]
async fn a_part_says_why_the_upload_failed() {
    let store = Arc::new(Faulty::new(memory().0, FaultPlan::new(1)));
    store.arm(Op::Put, Failure::Before(ErrorKind::PermissionDenied));
    let objects = over(store.clone());
    let path = Path::from("a");
    let mut upload = objects.put_multipart(&path).await.unwrap();
    let mut failure = None;
    for n in 0..200 {
        if let Err(e) = upload.put_part(random(PART, n).into()).await {
            failure = Some(e);
            break;
        }
    }
    assert!(matches!(failure, Some(Error::PermissionDenied { .. })), "{failure:?}");
    assert!(upload.complete().await.is_err());
    upload.abort().await.unwrap();
    assert!(matches!(objects.head(&path).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn the_completion_says_why_the_upload_failed() {
    let store = Arc::new(Faulty::new(memory().0, FaultPlan::new(1)));
    let objects = over(store.clone());
    for op in [Op::Flush, Op::Swap] {
        store.arm(op, Failure::Before(ErrorKind::PermissionDenied));
        let mut upload = objects.put_multipart(&Path::from("a")).await.unwrap();
        upload.put_part(random(20_000, 1).into()).await.unwrap();
        let e = upload.complete().await.unwrap_err();
        assert!(matches!(e, Error::PermissionDenied { .. }), "{op:?}: {e}");
        store.disarm();
    }
    assert!(list(&objects).await.is_empty());
}

#[test]
fn without_a_runtime_an_upload_is_an_error() {
    let (_, objects) = memory();
    let path = Path::from("a");
    let upload = objects.put_multipart(&path).now_or_never().unwrap();
    assert!(upload.unwrap_err().to_string().contains("tokio runtime"));
}
