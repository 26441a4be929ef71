//! `Prefix` and `ReadOnly`: who may see and change what.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

#[path = "support/probe.rs"]
mod probe;

use std::collections::BTreeSet;
use std::error::Error as _;

use bytes::Bytes;
use futures::TryStreamExt;
use probe::{Probe, id, name};
use selfenc_core::store::{ChunkStore, ChunkStoreExt, ErrorKind, Expect, RootName, RootStore, Swap};
use selfenc_core::wrap::{Prefix, ReadOnly};

async fn create(store: &dyn RootStore, root: &str, value: &'static str) -> Swap {
    store.swap(&name(root), Expect::Absent, Some(Bytes::from_static(value.as_bytes()))).await.unwrap()
}

async fn names(store: &dyn RootStore) -> BTreeSet<String> {
    store.names().map_ok(|name| name.to_string()).try_collect().await.unwrap()
}

#[tokio::test]
async fn prefix_isolates() {
    let pool = Probe::new();
    let a = Prefix::new(pool.clone(), "a/").unwrap();
    let b = Prefix::new(pool.clone(), "b/").unwrap();
    assert!(matches!(create(&a, "map", "of a").await, Swap::Done(Some(_))));
    assert!(matches!(create(&b, "map", "of b").await, Swap::Done(Some(_))), "the name is free here");
    create(&b, "other", "x").await;
    create(&pool, "map", "the owner's").await;
    create(&pool, "a/", "nobody's").await;
    assert_eq!(a.load(&name("map")).await.unwrap().unwrap().value, "of a");
    assert_eq!(names(&a).await, ["map".to_owned()].into());
    assert_eq!(names(&b).await, ["map".to_owned(), "other".to_owned()].into());
    assert_eq!(pool.peek_root(&name("b/map")).unwrap(), "of b");
    // b's version is no good for a's root of the same name, and removing b's leaves a's.
    let of_b = b.load(&name("map")).await.unwrap().unwrap();
    let stolen = a.swap(&name("map"), Expect::Version(of_b.version.clone()), None).await.unwrap();
    assert!(matches!(stolen, Swap::Conflict(Some(root)) if root.value == "of a"));
    let removed = b.swap(&name("map"), Expect::Version(of_b.version), None).await.unwrap();
    assert_eq!(removed, Swap::Done(None));
    assert_eq!(a.load(&name("map")).await.unwrap().unwrap().value, "of a");
    assert!(b.load(&name("map")).await.unwrap().is_none());
}

#[tokio::test]
async fn tenants_share_chunks_and_delete_none() {
    let pool = Probe::new();
    let a = Prefix::new(pool.clone(), "a/").unwrap();
    let b = Prefix::new(pool.clone(), "b/").unwrap();
    a.put(id(1), Bytes::from_static(b"shared")).await.unwrap();
    assert_eq!(b.get(id(1)).await.unwrap().unwrap(), "shared");
    assert_eq!(b.count().await.unwrap(), 1);
    assert!(!b.capabilities().deletes && pool.capabilities().deletes);
    let mut errors = vec![b.delete(id(1)).await.unwrap_err()];
    errors.extend(b.delete_many(vec![id(1)]).await.into_iter().map(Result::unwrap_err));
    for e in errors {
        assert_eq!((e.kind(), e.op(), e.chunk()), (ErrorKind::Unsupported, "delete", Some(id(1))));
    }
    assert_eq!(pool.ids(), [id(1)]);
    assert_eq!((pool.calls("delete"), pool.calls("delete_many")), (0, 0));
    assert_eq!(b.info().to_string(), "prefix(b/, probe:x)");
}

#[test]
fn no_prefix_sees_into_another() {
    for bad in ["", "a", "/", "/a/", "a/b/", "a/b", "a//", "a\n/", "\u{7f}/"] {
        let e = Prefix::new((), bad).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{bad:?}");
        assert!(!e.to_string().contains('\n'), "{e}");
    }
    assert!(Prefix::new((), "a").unwrap_err().to_string().contains("'tenant-a/'"), "it says how");
    for good in ["a/", "ab/", "é/", " /"] {
        assert_eq!(Prefix::new((), good).unwrap().prefix(), good);
    }
    assert!(Prefix::new((), format!("{}/", "x".repeat(253))).is_ok());
    assert!(Prefix::new((), format!("{}/", "x".repeat(254))).is_err(), "no room for a name");
}

#[tokio::test]
async fn a_name_too_long_for_its_prefix_says_so() {
    let pool = Probe::new();
    let a = Prefix::new(pool.clone(), "tenant/").unwrap();
    let fits = RootName::new("x".repeat(RootName::MAX_LEN - 7)).unwrap();
    let too_long = RootName::new("x".repeat(RootName::MAX_LEN - 6)).unwrap();
    a.swap(&fits, Expect::Absent, Some(Bytes::new())).await.unwrap();
    assert_eq!(names(&a).await, [fits.to_string()].into());
    for e in [
        a.load(&too_long).await.unwrap_err(),
        a.swap(&too_long, Expect::Absent, Some(Bytes::new())).await.unwrap_err(),
    ] {
        assert_eq!(e.kind(), ErrorKind::InvalidInput);
        let text = e.to_string();
        assert!(text.contains("255") && text.contains("prefix of 7"), "{text}");
        assert!(e.source().is_some());
    }
    assert_eq!((pool.calls("load"), pool.calls("swap")), (0, 1));
}

#[tokio::test]
async fn read_only_refuses_writes() {
    let inner = Probe::new();
    inner.put(id(1), Bytes::from_static(b"kept")).await.unwrap();
    create(&inner, "map", "kept").await;
    let version = inner.load(&name("map")).await.unwrap().unwrap().version;
    inner.forget_calls();
    let store = ReadOnly::new(inner.clone());
    let data = Bytes::from_static(b"new");
    let mut errors = vec![
        ("put", store.put(id(2), data.clone()).await.unwrap_err()),
        ("delete", store.delete(id(2)).await.unwrap_err()),
    ];
    let batch = vec![(id(2), data.clone()), (id(2), data.clone())];
    errors.extend(store.put_many(batch).await.into_iter().map(|result| ("put", result.unwrap_err())));
    errors.extend(
        store.delete_many(vec![id(2); 3]).await.into_iter().map(|result| ("delete", result.unwrap_err())),
    );
    assert_eq!(errors.len(), 7);
    for (op, e) in errors {
        assert_eq!((e.kind(), e.op(), e.chunk()), (ErrorKind::ReadOnly, op, Some(id(2))));
        assert!(!e.is_transient());
    }
    for (expect, new) in [(Expect::Absent, Some(data)), (Expect::Version(version), None)] {
        let e = store.swap(&name("map"), expect, new).await.unwrap_err();
        assert_eq!((e.kind(), e.op()), (ErrorKind::ReadOnly, "swap"));
    }
    store.flush().await.unwrap();
    assert_eq!(inner.all_calls(), [], "nothing was asked of the inner store");
    // Reading works.
    assert_eq!(store.get(id(1)).await.unwrap().unwrap(), "kept");
    assert_eq!(store.stat(id(1)).await.unwrap().unwrap().len, 4);
    assert_eq!(store.count().await.unwrap(), 1);
    assert_eq!(store.load(&name("map")).await.unwrap().unwrap().value, "kept");
    assert_eq!(names(&store).await, ["map".to_owned()].into());
    assert_eq!(store.info().to_string(), "read-only(probe:x)");
    assert_eq!(inner.ids(), [id(1)]);
}
