//! Opening, corners and destroying: what is found, what is left alone.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use selfenc_core::store::{
    ChunkId, ChunkMeta, ChunkStore, ChunkStoreExt, Durability, ErrorKind, OpenMode, Registry, Result,
    StoreFactory, StoreUrl,
};
use selfenc_object_store::{ObjectBackend, ObjectStoreConfig, ObjectStoreFactory};

const LOCAL: ObjectStoreFactory = ObjectStoreFactory::LOCAL;

fn registry() -> Registry {
    Registry::new().register(LOCAL)
}

fn url(dir: &Path) -> StoreUrl {
    StoreUrl::from_path("objects", dir).unwrap()
}

async fn open(dir: &Path, mode: OpenMode) -> Result<ObjectBackend> {
    ObjectStoreConfig::local(dir).open(mode).await
}

async fn fill(store: &dyn ChunkStore) {
    for first in [0x00, 0x7f, 0xff] {
        store.put(ChunkId::from_bytes([first; 32]), vec![first; 1000].into()).await.unwrap();
    }
}

async fn make(dir: &Path) {
    fill(&open(dir, OpenMode::Create).await.unwrap()).await;
}

/// Every path below `dir`, and the bytes of the files.
fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        let bytes = if path.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.insert(path, bytes);
    }
    found
}

async fn destroy(dir: &Path) -> Result<()> {
    LOCAL.destroy(&url(dir)).await
}

#[tokio::test]
async fn a_store_is_made_found_and_told_from_other_things() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a/b");
    let e = open(&dir, OpenMode::Existing).await.unwrap_err();
    assert!(e.kind() == ErrorKind::ContainerMissing && e.to_string().contains("no such folder"), "{e}");
    assert!(!dir.exists());
    make(&dir).await;
    assert_eq!(fs::read(dir.join("selfenc-store")).unwrap(), b"selfenc object store, layout 1\n");
    let store = open(&dir, OpenMode::Existing).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 3);
    assert_eq!(store.info().to_string(), format!("objects:{}", dir.display()));
    let can = store.capabilities();
    assert!(can.durability == Durability::OnPut && can.exact_outcome && !can.roots && !can.drop_ordered);

    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let e = open(&empty, OpenMode::Existing).await.unwrap_err();
    assert!(e.kind() == ErrorKind::ContainerMissing && e.to_string().contains("no store"), "{e}");
    fs::write(empty.join("thesis.txt"), "mine").unwrap();
    let e = open(&empty, OpenMode::Create).await.unwrap_err();
    assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains("thesis.txt"), "{e}");
    assert_eq!(everything(&empty).len(), 1);
    let e = open(&empty.join("thesis.txt"), OpenMode::Create).await.unwrap_err();
    assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains("not a folder"), "{e}");
    let e = open(&empty.join("thesis.txt/x"), OpenMode::Create).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
}

#[tokio::test]
async fn markers_of_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (text, kind) in [
        ("selfenc filesystem store, layout 1\n", ErrorKind::InvalidInput),
        ("selfenc object store, layout 2\n", ErrorKind::Unsupported),
        (&"x".repeat(1000), ErrorKind::InvalidInput),
    ] {
        fs::write(folder.path().join("selfenc-store"), text).unwrap();
        for mode in [OpenMode::Create, OpenMode::Existing] {
            assert_eq!(open(folder.path(), mode).await.unwrap_err().kind(), kind, "{text}");
        }
        assert_eq!(destroy(folder.path()).await.unwrap_err().kind(), kind, "{text}");
        assert_eq!(everything(folder.path()).len(), 1);
    }
}

#[tokio::test]
async fn a_copy_without_its_empty_folders_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path()).await;
    fs::remove_dir(folder.path().join("chunks/5a")).unwrap();
    // What is not theirs does not count for one.
    fs::write(folder.path().join("chunks/.DS_Store"), "not ours").unwrap();
    let store = open(folder.path(), OpenMode::Existing).await.unwrap();
    assert!(folder.path().join("chunks/5a").is_dir());
    fill(&store).await;
}

/// Names that `object_store` has no path for.
#[cfg(unix)]
#[tokio::test]
async fn names_that_are_no_paths_are_ignored() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    make(folder.path()).await;
    let store = open(folder.path(), OpenMode::Existing).await.unwrap();
    for below in ["chunks/7f", "chunks"] {
        for odd in [&b"Icon\r"[..], b"caf\xe9"] {
            fs::write(folder.path().join(below).join(OsStr::from_bytes(odd)), "not ours").unwrap();
        }
        let seen: Vec<_> = futures::TryStreamExt::try_collect(store.list(None)).await.unwrap();
        let expected = [0x00, 0x7f, 0xff].map(|n| ChunkMeta { id: ChunkId::from_bytes([n; 32]), len: 1000 });
        assert_eq!(seen, expected, "{below}");
        let after = store.list(Some(ChunkId::from_bytes([0x7f; 32])));
        assert_eq!(futures::StreamExt::count(after).await, 1, "{below}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_that_is_turned_elsewhere_does_not_turn_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, link) = (folder.path().join("store"), folder.path().join("current"));
    make(&dir).await;
    std::os::unix::fs::symlink(&dir, &link).unwrap();
    let store = open(&link, OpenMode::Existing).await.unwrap();
    fs::remove_file(&link).unwrap();
    fs::create_dir(&link).unwrap();
    fill(&store).await;
    store.delete(ChunkId::from_bytes([0; 32])).await.unwrap();
    store.flush().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_store_behind_a_link_is_destroyed_and_the_link_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, link) = (folder.path().join("store"), folder.path().join("current"));
    make(&dir).await;
    std::os::unix::fs::symlink(&dir, &link).unwrap();
    for _ in 0..2 {
        destroy(&link).await.unwrap();
        assert!(link.is_symlink() && everything(&dir).is_empty());
    }
}

/// Somebody else removed it, and perhaps not durably.
#[tokio::test]
async fn a_delete_that_found_nothing_is_flushed_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), OpenMode::Create).await.unwrap();
    let (id, dir) = (ChunkId::from_bytes([1; 32]), folder.path().join("chunks/01"));
    for many in [false, true] {
        if many {
            store.delete_many(vec![id]).await.remove(0).unwrap();
        } else {
            store.delete(id).await.unwrap();
        }
        // A sync that cannot be done shows that it was tried.
        fs::remove_dir(&dir).unwrap();
        let e = store.flush().await.unwrap_err();
        assert!(e.to_string().contains("chunks/01"), "{e}");
        fs::create_dir(&dir).unwrap();
        store.flush().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_was_moved_is_missing_and_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let store = open(&dir, OpenMode::Create).await.unwrap();
    fill(&store).await;
    fs::rename(&dir, folder.path().join("moved")).unwrap();
    let e = store.put(ChunkId::from_bytes([1; 32]), "late".into()).await.unwrap_err();
    assert!(e.kind() == ErrorKind::ContainerMissing && e.to_string().contains("is gone"), "{e}");
    assert!(!dir.exists(), "a late put made something");
}

#[tokio::test]
async fn a_corner_leaves_the_live_store_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path()).await;
    let before = everything(folder.path());
    let corner = registry().corner(&url(folder.path()).to_string()).await.unwrap();
    assert_eq!(everything(folder.path()), before, "a corner that is not opened makes nothing");
    let store = corner.open(OpenMode::Create).await.unwrap();
    fill(&*store).await;
    let live = open(folder.path(), OpenMode::Existing).await.unwrap();
    assert_eq!(live.count().await.unwrap(), 3, "the live store does not see the corner");
    corner.destroy().await.unwrap();
    assert_eq!(everything(folder.path()), before);
    let e = store.put(ChunkId::from_bytes([1; 32]), "late".into()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ContainerMissing, "{e}");
    assert_eq!(everything(folder.path()), before, "a late put made something");

    let missing = folder.path().join("none");
    let e = registry().corner(&url(&missing).to_string()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ContainerMissing, "{e}");
}

#[tokio::test]
async fn a_corner_that_was_left_is_in_no_stores_way() {
    let folder = tempfile::tempdir().unwrap();
    let corner = registry().corner(&url(folder.path()).to_string()).await.unwrap();
    fill(&*corner.open(OpenMode::Create).await.unwrap()).await;
    let dir = corner.url().to_file_path().unwrap();
    let left = everything(&dir);
    make(folder.path()).await;
    destroy(folder.path()).await.unwrap();
    assert_eq!(everything(&dir), left);
}

#[tokio::test]
async fn whatever_a_store_made_goes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    destroy(&dir).await.unwrap();
    make(&dir).await;
    // Of writers that were killed.
    let digits = "0123456789abcdef".repeat(4);
    for staged in [format!("chunks/5a/{}#1", &digits[..62]), "selfenc-store#12".to_owned()] {
        fs::write(dir.join(staged), "half").unwrap();
    }
    destroy(&dir).await.unwrap();
    assert!(!dir.exists(), "{:?}", everything(&dir).keys());
    // A destroying that was interrupted: the marker goes first.
    make(&dir).await;
    fs::remove_file(dir.join("selfenc-store")).unwrap();
    destroy(&dir).await.unwrap();
    assert!(!dir.exists());
}

#[tokio::test]
async fn foreign_files_stay_and_are_named() {
    for foreign in ["thesis.txt", "chunks/.DS_Store", "chunks/5a/readme", "roots/readme", "deep/down/x"] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        make(&dir).await;
        let path = dir.join(foreign);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "not ours").unwrap();
        let e = destroy(&dir).await.unwrap_err();
        assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains(foreign), "{e}");
        let files: Vec<_> = everything(&dir).into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
        assert_eq!(files, [(path.clone(), b"not ours".to_vec())], "{foreign}");
        // Nor is it destroyed as a store now, although nothing else is in it.
        let e = destroy(&dir).await.unwrap_err();
        assert!(e.to_string().contains("not a store"), "{e}");
        fs::remove_file(&path).unwrap();
        destroy(&dir).await.unwrap();
    }
}

#[tokio::test]
async fn two_prefixes_do_not_see_each_other() {
    let objects = Arc::new(InMemory::new());
    let open = async |prefix: &str| {
        let config = ObjectStoreConfig::new(Arc::clone(&objects) as _, Durability::Volatile);
        config.with_prefix(prefix).unwrap().open(OpenMode::Create).await.unwrap()
    };
    let (a, longer) = (open("a").await, open("ab").await);
    fill(&a).await;
    assert_eq!((a.count().await.unwrap(), longer.count().await.unwrap()), (3, 0));
    objects.put(&"a/b".into(), "x".into()).await.unwrap();
    objects.put(&"other".into(), "x".into()).await.unwrap();
    let config = ObjectStoreConfig::new(Arc::clone(&objects) as _, Durability::Volatile);
    let e = config.open(OpenMode::Create).await.unwrap_err();
    assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains("another prefix"), "{e}");
    assert_eq!(a.info().to_string(), "object-store:InMemory/a");
    assert!(objects.head(&"a/selfenc-store".into()).await.is_ok());
}

#[test]
fn prefixes_are_checked() {
    let config = ObjectStoreConfig::new(Arc::new(InMemory::new()), Durability::Volatile);
    for bad in ["a//b", "a/../b", ".", "a/\0"] {
        let e = config.clone().with_prefix(bad).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{bad}: {e}");
    }
    config.with_prefix("/a b/ü/").unwrap();
}
