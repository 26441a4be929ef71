//! The check of what is read: damage is an error that names the chunk, and nothing else changes.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

#[path = "support/probe.rs"]
mod probe;

use bytes::Bytes;
use probe::{Probe, is_named, named};
use selfenc_core::store::{ChunkStore, ErrorKind, PutOutcome};
use selfenc_core::wrap::Verify;

#[tokio::test]
async fn damage_of_every_sort_is_corrupt() {
    // Short chunks are hashed in place, long ones elsewhere.
    for len in [1000, 300_000] {
        let store = Verify::new(Probe::new(), is_named);
        let (id, data) = named(&vec![7; len]);
        assert_eq!(store.put(id, data.clone()).await.unwrap(), PutOutcome::Inserted);
        assert_eq!(store.get(id).await.unwrap().unwrap(), data);

        let mut flipped = data.to_vec();
        flipped[len / 2] ^= 1;
        let longer = [&data[..], b"x"].concat();
        for damaged in [flipped, data[..len - 1].to_vec(), vec![0; len], longer, Vec::new()] {
            store.inner().plant(id, damaged);
            let e = store.get(id).await.unwrap_err();
            assert_eq!((e.kind(), e.chunk(), e.is_transient()), (ErrorKind::Corrupt, Some(id), false));
        }
    }
}

#[tokio::test]
async fn what_is_absent_or_fails_stays_so() {
    let store = Verify::new(Probe::new(), is_named);
    let (id, _) = named(b"never put");
    assert_eq!(store.get(id).await.unwrap(), None);
    store.inner().fail("get", ErrorKind::Unavailable, 1);
    assert_eq!(store.get(id).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_put_is_the_callers_promise() {
    let store = Verify::new(Probe::new(), is_named);
    let (id, _) = named(b"one thing");
    assert!(store.put(id, Bytes::from_static(b"another")).await.is_ok());
    assert!(store.get(id).await.is_err());
    assert_eq!(store.stat(id).await.unwrap().unwrap().len, 7, "stat says what is stored, damaged or not");
}
