//! What the store sees, and what it can do to whoever trusts it.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::TryStreamExt;
use object_store::path::Path;
use object_store::{Attribute, Attributes, Error, ObjectStore, ObjectStoreExt};
use selfenc_core::engine::{Engine, Scope, SealKey};
use selfenc_core::store::{ChunkStore, Expect, Root, RootName, RootStore};
use selfenc_memory::MemoryStore;
use selfenc_object_store_adapter::ObjectStoreAdapter;

use support::{chunks, config, get, key, list, memory, random, roots, scope};

async fn set(store: &MemoryStore, name: &RootName, value: Bytes) {
    let current = store.load(name).await.unwrap();
    store.swap(name, Expect::from(current.as_ref()), Some(value)).await.unwrap();
}

fn contains(bytes: &[u8], canary: &str) -> bool {
    bytes.windows(canary.len()).any(|window| window == canary.as_bytes())
}

#[tokio::test]
async fn nothing_of_an_object_can_be_seen() {
    const CANARIES: [&str; 4] = ["canary-data", "canary-path", "canary-attribute", "canary-key"];
    let (store, objects) = memory();
    let attributes = || {
        let key = Attribute::Metadata("canary-key".into());
        Attributes::from_iter([(key, "canary-attribute"), (Attribute::ContentType, "canary-attribute")])
    };
    for (n, len) in [1, 50, 10_000].into_iter().enumerate() {
        let path = Path::from(format!("canary-path/{n}"));
        objects.put_opts(&path, "canary-data".repeat(len).into(), attributes().into()).await.unwrap();
        objects.copy(&path, &Path::from(format!("canary-path/copy/{n}"))).await.unwrap();
    }
    let mut upload =
        objects.put_multipart_opts(&Path::from("canary-path"), attributes().into()).await.unwrap();
    upload.put_part("canary-data".into()).await.unwrap();
    upload.complete().await.unwrap();

    let (roots, chunks) = (roots(&store).await, chunks(&store).await);
    assert_eq!(roots.len(), 7);
    assert!(!chunks.is_empty());
    for canary in CANARIES {
        assert!(!chunks.iter().any(|chunk| contains(chunk, canary)), "{canary} is in a chunk");
        assert!(!roots.iter().any(|(_, root)| contains(&root.value, canary)), "{canary} is in a root");
        assert!(!roots.iter().any(|(name, _)| name.as_str().contains(canary)), "{canary} is a name");
    }
}

#[tokio::test]
async fn debug_and_errors_show_no_key() {
    let (store, objects) = memory();
    let path = Path::from("a");
    objects.put(&path, "canary-data".into()).await.unwrap();
    let (name, root) = roots(&store).await.remove(0);
    set(&store, &name, root.value.slice(..root.value.len() - 1)).await;
    let upload = objects.put_multipart(&path).await.unwrap();
    let error = objects.get(&path).await.unwrap_err();
    let shown = format!("{objects:?} {objects} {upload:?} {error:?} {error}");
    // The seal key is all 7, the group's secret all 3.
    for secret in ["7, 7", "3, 3", "0707", "0303", "canary"] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
    assert_eq!(objects.to_string(), "selfenc(memory:)");
}

#[tokio::test]
async fn a_changed_root_is_an_error() {
    let (store, objects) = memory();
    let path = Path::from("a");
    objects.put(&path, "data".into()).await.unwrap();
    let (name, root) = roots(&store).await.remove(0);
    for at in 0..root.value.len() {
        let mut changed = root.value.to_vec();
        changed[at] ^= 1 << (at % 8);
        set(&store, &name, changed.into()).await;
        assert!(matches!(objects.get(&path).await, Err(Error::Generic { .. })), "byte {at}");
        assert!(objects.list(None).try_collect::<Vec<_>>().await.is_err(), "byte {at}");
    }
    set(&store, &name, root.value.clone()).await;
    assert_eq!(get(&objects, &path).await, "data");
    // What cannot be read can be replaced and removed.
    set(&store, &name, Bytes::from_static(b"junk")).await;
    objects.put(&path, "new".into()).await.unwrap();
    set(&store, &name, Bytes::new()).await;
    objects.delete(&path).await.unwrap();
    assert!(list(&objects).await.is_empty());
}

#[tokio::test]
async fn one_root_for_another_is_an_error() {
    let (store, objects) = memory();
    let (a, b) = (Path::from("a"), Path::from("b"));
    objects.put(&a, "of a".into()).await.unwrap();
    objects.put(&b, "of b".into()).await.unwrap();
    let found = roots(&store).await;
    let [(first, Root { value: one, .. }), (second, Root { value: two, .. })] = &found[..] else { panic!() };
    set(&store, first, two.clone()).await;
    set(&store, second, one.clone()).await;
    for path in [&a, &b] {
        let e = objects.get(path).await.unwrap_err();
        assert!(e.to_string().contains("another object's record"), "{e}");
        assert!(objects.copy(path, &Path::from("c")).await.is_err());
    }
    let e = objects.list(None).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(e.to_string().contains("another object's record"), "{e}");
}

#[tokio::test]
async fn another_key_sees_nothing_and_shares_chunks() {
    let (store, objects) = memory();
    let engine = Engine::new(config()).unwrap();
    let other = SealKey::from_bytes([8; 32]);
    let other = ObjectStoreAdapter::new(Arc::new(store.clone()), engine, scope(), other).unwrap();
    let (path, data) = (Path::from("a"), random(20_000, 1));
    objects.put(&path, data.clone().into()).await.unwrap();
    let before = chunks(&store).await.len();

    assert!(list(&other).await.is_empty());
    assert!(other.list_with_delimiter(None).await.unwrap().objects.is_empty());
    assert!(matches!(other.get(&path).await, Err(Error::NotFound { .. })));
    assert!(matches!(other.delete(&path).await, Err(Error::NotFound { .. })));

    other.put(&path, data.clone().into()).await.unwrap();
    assert_eq!(chunks(&store).await.len(), before);
    other.put(&path, "other".into()).await.unwrap();
    assert_eq!((list(&objects).await.len(), list(&other).await.len()), (1, 1));
    assert_eq!(get(&objects, &path).await, data);
    assert_eq!(get(&other, &path).await, "other");
}

/// Roots of other programs may stand in the same store.
#[tokio::test]
async fn foreign_roots_are_left_alone() {
    let (store, objects) = memory();
    let name = RootName::new("obj-latest").unwrap();
    set(&store, &name, Bytes::from_static(b"foreign")).await;
    objects.put(&Path::from("a"), "data".into()).await.unwrap();
    assert_eq!(list(&objects).await.len(), 1);
    assert_eq!(store.load(&name).await.unwrap().unwrap().value, "foreign");
}

#[tokio::test]
async fn a_lost_or_damaged_chunk_is_an_error_and_not_an_absent_object() {
    let (store, objects) = memory();
    let (path, data) = (Path::from("a"), random(20_000, 1));
    objects.put(&path, data.clone().into()).await.unwrap();
    let metas: Vec<_> = store.list(None).try_collect().await.unwrap();
    for meta in metas {
        let whole = store.get(meta.id).await.unwrap().unwrap();
        store.delete(meta.id).await.unwrap();
        let e = objects.get(&path).await.unwrap().bytes().await.unwrap_err();
        assert!(matches!(e, Error::Generic { .. }) && e.to_string().contains("not in the store"), "{e}");
        let mut damaged = whole.to_vec();
        damaged[0] ^= 1;
        store.put(meta.id, damaged.into()).await.unwrap();
        let e = objects.get(&path).await.unwrap().bytes().await.unwrap_err();
        assert!(e.to_string().contains("corrupt"), "{e}");
        store.delete(meta.id).await.unwrap();
        store.put(meta.id, whole).await.unwrap();
    }
    assert_eq!(get(&objects, &path).await, data);
}

#[tokio::test]
async fn private_objects_share_nothing() {
    let store = MemoryStore::new();
    let engine = Engine::new(config()).unwrap();
    let objects = ObjectStoreAdapter::new(Arc::new(store.clone()), engine, Scope::Private, key()).unwrap();
    for path in ["a", "b"] {
        objects.put(&Path::from(path), random(20_000, 1).into()).await.unwrap();
    }
    assert_eq!(chunks(&store).await.len(), 10);
}
