//! A corner of a live store: it leaves the store alone, and nothing of itself.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use selfenc_core::store::{
    Backend, ChunkId, ChunkStore, ChunkStoreExt, ErrorKind, Expect, OpenMode, Registry, RootName,
    StoreFactory, StoreUrl,
};
use selfenc_sled::{SledConfig, SledFactory, SledStore};

fn registry() -> Registry {
    Registry::new().register(SledFactory)
}

fn url(dir: &Path) -> StoreUrl {
    StoreUrl::from_path("sled", dir).unwrap()
}

async fn open(dir: &Path) -> SledStore {
    SledConfig::new(dir).open(OpenMode::Create).await.unwrap()
}

async fn fill(store: &dyn Backend) {
    for first in [0x00, 0x7f, 0xff] {
        store.put(ChunkId::from_bytes([first; 32]), vec![first; 1000].into()).await.unwrap();
    }
    store.swap(&RootName::new("a").unwrap(), Expect::Absent, Some("value".into())).await.unwrap();
}

/// Every path below `dir`, with the length and a checksum of the file.
fn everything(dir: &Path) -> BTreeMap<PathBuf, (usize, u64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        let bytes = if path.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        // FNV-1a.
        let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        found.insert(path, (bytes.len(), sum));
    }
    found
}

async fn destroy(dir: &Path) -> selfenc_core::store::Result<()> {
    SledFactory.destroy(&url(dir)).await
}

async fn refused(dir: &Path, words: &str) {
    let e = destroy(dir).await.unwrap_err();
    assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains(words), "{e}");
}

#[tokio::test]
async fn a_corner_leaves_the_live_store_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let live = open(folder.path()).await;
    fill(&live).await;
    drop(live);
    let before = everything(folder.path());

    let corner = registry().corner(&format!("{}?cache=2M", url(folder.path()))).await.unwrap();
    let dir = corner.url().to_file_path().unwrap();
    assert_eq!(everything(folder.path()), before, "a corner that is not opened makes nothing");
    let store = corner.open(OpenMode::Create).await.unwrap();
    fill(&*store).await;
    assert_eq!(dir.parent(), Some(folder.path()));

    // While it is open: a case that failed may have left tasks behind.
    corner.destroy().await.unwrap();
    assert_eq!(everything(folder.path()), before);
    let e = store.put(ChunkId::from_bytes([1; 32]), "late".into()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ContainerMissing, "{e}");
    drop(store);
    assert_eq!(everything(folder.path()), before, "a late put made something");
    corner.destroy().await.unwrap();

    // And with a corner left in it, the live store opens and sees only its own.
    let corner = registry().corner(&url(folder.path()).to_string()).await.unwrap();
    fill(&*corner.open(OpenMode::Create).await.unwrap()).await;
    assert_eq!(open(folder.path()).await.count().await.unwrap(), 3);
}

#[tokio::test]
async fn a_corner_works_while_the_live_store_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let live = open(folder.path()).await;
    let corner = registry().corner(&url(folder.path()).to_string()).await.unwrap();
    fill(&*corner.open(OpenMode::Create).await.unwrap()).await;
    fill(&live).await;
    corner.destroy().await.unwrap();
    assert_eq!(live.count().await.unwrap(), 3);
}

#[tokio::test]
async fn a_corner_needs_a_folder_and_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none");
    let e = registry().corner(&url(&missing).to_string()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ContainerMissing);
    assert!(e.to_string().contains("make it") && !missing.exists(), "{e}");
    fs::write(folder.path().join("thesis.txt"), "mine").unwrap();
    let e = registry().corner(&url(&folder.path().join("thesis.txt")).to_string()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");

    let corner = registry().corner(&url(folder.path()).to_string()).await.unwrap();
    fill(&*corner.open(OpenMode::Create).await.unwrap()).await;
    corner.destroy().await.unwrap();
    assert_eq!(everything(folder.path()).len(), 1);
}

#[tokio::test]
async fn whatever_a_store_made_goes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    destroy(&dir).await.unwrap();
    for _ in 0..2 {
        fill(&open(&dir).await).await;
    }
    fs::write(dir.join("sled/snap.0000000000000001.generating"), "of a crash").unwrap();
    fs::write(dir.join("sled/blobs/1234"), "of a sled with other settings").unwrap();
    fs::write(dir.join("selfenc-store.new"), "of a crash").unwrap();
    destroy(&dir).await.unwrap();
    assert!(!dir.exists());

    // A making, or a destroying, that was interrupted.
    for left in ["", "sled", "sled/blobs"] {
        fs::create_dir_all(dir.join(left)).unwrap();
        fs::write(dir.join("lock"), "").unwrap();
        destroy(&dir).await.unwrap();
        assert!(!dir.exists(), "{left}");
    }
}

#[tokio::test]
async fn what_is_no_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fs::write(dir.join("thesis.txt"), "mine").unwrap();
    drop(sled::open(dir.join("sled")).unwrap());
    let before = everything(dir);
    refused(dir, "not a store").await;
    refused(&dir.join("sled"), "not a store").await;
    refused(&dir.join("thesis.txt"), "not a folder").await;
    fs::write(dir.join("selfenc-store"), "selfenc sled store, layout 2\n").unwrap();
    assert_eq!(destroy(dir).await.unwrap_err().kind(), ErrorKind::Unsupported);
    fs::write(dir.join("selfenc-store"), "selfenc filesystem store, layout 1\n").unwrap();
    refused(dir, "another kind").await;
    fs::remove_file(dir.join("selfenc-store")).unwrap();
    fs::remove_file(dir.join("thesis.txt")).unwrap();
    refused(dir, "not a store").await;
    assert_eq!(everything(dir).len() + 1, before.len());
}

#[tokio::test]
async fn foreign_files_stay_and_are_named() {
    for foreign in ["thesis.txt", "sled/.DS_Store", "sled/blobs/x", "sled/snap.old", "deep/er/file"] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        fill(&open(&dir).await).await;
        let path = dir.join(foreign);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "not ours").unwrap();
        let e = destroy(&dir).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
        let line = e.to_string();
        let named = line.split(": ").nth(3).unwrap().split(';').next().unwrap();
        assert!(path.starts_with(named) && !named.contains(", "), "{foreign}: {line}");
        let found = everything(&dir).into_iter().filter(|(_, (len, _))| *len > 0);
        assert_eq!(found.map(|(path, _)| path).collect::<Vec<_>>(), [path], "{foreign}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn no_symbolic_link_is_followed() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let (dir, elsewhere) = (folder.path().join("store"), folder.path().join("elsewhere"));
    fill(&open(&elsewhere).await).await;
    let before = everything(&elsewhere);

    symlink(&elsewhere, &dir).unwrap();
    refused(&dir, "symbolic link").await;
    fs::remove_file(&dir).unwrap();

    for link in ["sled", "sled/blobs", "sled/db"] {
        fill(&open(&dir).await).await;
        let path = dir.join(link);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        symlink(elsewhere.join(link), &path).unwrap();
        refused(&dir, path.to_str().unwrap()).await;
        assert_eq!(everything(&elsewhere), before, "{link}");
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[tokio::test]
async fn destroying_under_writers_ends_with_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let corner = registry().corner(&url(folder.path()).to_string()).await.unwrap();
        let store = corner.open(OpenMode::Create).await.unwrap();
        let writers = (0..8u8).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                for step in 0..200u8 {
                    // They fail as soon as the store is gone.
                    let _ = store.put(ChunkId::from_bytes([n ^ step; 32]), vec![n; 10_000].into()).await;
                    let _ = store.delete(ChunkId::from_bytes([step; 32])).await;
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        corner.destroy().await.unwrap();
        for writer in writers {
            writer.await.unwrap();
        }
        drop(store);
        assert_eq!(everything(folder.path()), BTreeMap::new());
    }
}
