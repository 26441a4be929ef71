//! A corner of a live store: it leaves the store alone, and nothing of itself.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use selfenc_core::store::{
    Backend, ChunkId, ChunkStore, ChunkStoreExt, Durability, ErrorKind, Expect, OpenMode, Registry, RootName,
    StoreFactory, StoreUrl,
};
use selfenc_fs::{FsConfig, FsFactory, FsStore};

fn registry() -> Registry {
    Registry::new().register(FsFactory)
}

fn url(dir: &Path) -> StoreUrl {
    StoreUrl::from_path("file", dir).unwrap()
}

async fn open(dir: &Path) -> FsStore {
    FsConfig::new(dir).open(OpenMode::Create).await.unwrap()
}

async fn fill(store: &dyn Backend) {
    for first in [0x00, 0x7f, 0xff] {
        store.put(ChunkId::from_bytes([first; 32]), vec![first; 1000].into()).await.unwrap();
    }
    store.swap(&RootName::new("a").unwrap(), Expect::Absent, Some("value".into())).await.unwrap();
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

async fn destroy(dir: &Path) -> selfenc_core::store::Result<()> {
    FsFactory.destroy(&url(dir)).await
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

    let corner = registry().corner(&format!("{}?durability=on-flush", url(folder.path()))).await.unwrap();
    let dir = corner.url().to_file_path().unwrap();
    assert_eq!(everything(folder.path()), before, "a corner that is not opened makes nothing");
    let store = corner.open(OpenMode::Create).await.unwrap();
    fill(&*store).await;
    assert_eq!(store.capabilities().durability, Durability::OnFlush);
    assert_eq!(dir.parent(), Some(folder.path()));

    let live = open(folder.path()).await;
    assert_eq!(live.count().await.unwrap(), 3, "the live store does not see the corner");
    drop(live);
    // While it is open: a case that failed may have left tasks behind.
    corner.destroy().await.unwrap();
    assert_eq!(everything(folder.path()), before);
    let e = store.put(ChunkId::from_bytes([1; 32]), "late".into()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ContainerMissing, "{e}");
    drop(store);
    assert_eq!(everything(folder.path()), before, "a late put made something");
    corner.destroy().await.unwrap();
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
    let e = registry().corner(&format!("{}?colour=red", url(folder.path()))).await.unwrap_err();
    assert!(e.to_string().contains("'colour'"), "{e}");
}

#[tokio::test]
async fn whatever_a_store_made_goes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    destroy(&dir).await.unwrap();
    fill(&open(&dir).await).await;
    let session = "0123456789abcdef";
    for crashed in [format!("{session}.lock"), format!("{session}-0"), format!("{session}-17")] {
        fs::write(dir.join("tmp").join(crashed), "of a session that crashed").unwrap();
    }
    destroy(&dir).await.unwrap();
    assert!(!dir.exists());

    // A making, or a destroying, that was interrupted.
    fs::create_dir_all(dir.join("chunks/00")).unwrap();
    fs::create_dir(dir.join("tmp")).unwrap();
    destroy(&dir).await.unwrap();
    assert!(!dir.exists());
}

#[tokio::test]
async fn what_is_no_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fs::write(dir.join("thesis.txt"), "mine").unwrap();
    fs::create_dir_all(dir.join("chunks/00")).unwrap();
    let before = everything(dir);
    refused(dir, "not a store").await;
    refused(&dir.join("thesis.txt"), "not a folder").await;
    fs::write(dir.join("selfenc-store"), "selfenc filesystem store, layout 2\n").unwrap();
    assert_eq!(destroy(dir).await.unwrap_err().kind(), ErrorKind::Unsupported);
    fs::write(dir.join("selfenc-store"), "mine as well").unwrap();
    assert_eq!(destroy(dir).await.unwrap_err().kind(), ErrorKind::Corrupt);
    fs::remove_file(dir.join("selfenc-store")).unwrap();
    assert_eq!(everything(dir), before);
}

#[tokio::test]
async fn foreign_files_stay_and_are_named() {
    let digits = "0123456789abcdef".repeat(4);
    for foreign in [
        "thesis.txt".to_owned(),
        "chunks/.DS_Store".to_owned(),
        format!("chunks/5a/{}", &digits[..61]),
        format!("chunks/5a/{}.tmp", &digits[..62]),
        "roots/readme".to_owned(),
        "tmp/junk".to_owned(),
        format!("chunks/not-a-shard/{}", &digits[..62]),
        format!("chunks/5a/{}/deep", &digits[..62]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        fill(&open(&dir).await).await;
        let path = dir.join(&foreign);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "not ours").unwrap();
        let e = destroy(&dir).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
        let line = e.to_string();
        let named = line.split(": ").nth(3).unwrap().split(';').next().unwrap();
        assert!(path.starts_with(named) && !named.contains(", "), "{foreign}: {line}");
        let files: Vec<_> = everything(&dir).into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
        assert_eq!(files, [(path.clone(), b"not ours".to_vec())], "{foreign}");
        fs::remove_file(&path).unwrap();
        for folder in path.ancestors().skip(1).take_while(|above| *above != dir) {
            let _ = fs::remove_dir(folder);
        }
        destroy(&dir).await.unwrap();
        assert!(!dir.exists(), "{foreign}");
    }
}

#[tokio::test]
async fn files_that_nfs_keeps_for_who_has_them_open_are_waited_for() {
    let digits = "0123456789abcdef".repeat(4);
    for held in [".nfs01", "tmp/.nfs02", "roots/.nfs03", "chunks/00/.nfs04"] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        fill(&open(&dir).await).await;
        let path = dir.join(held);
        fs::write(&path, &digits).unwrap();
        for _ in 0..2 {
            let e = destroy(&dir).await.unwrap_err();
            assert!(e.kind() == ErrorKind::Conflict && e.is_transient(), "{held}: {e}");
        }
        assert!(path.exists(), "{held}");
        fs::remove_file(&path).unwrap();
        destroy(&dir).await.unwrap();
        assert!(!dir.exists(), "{held}");
    }
}

#[tokio::test]
async fn a_corner_that_was_left_is_in_no_stores_way() {
    let folder = tempfile::tempdir().unwrap();
    let corner = registry().corner(&url(folder.path()).to_string()).await.unwrap();
    fill(&*corner.open(OpenMode::Create).await.unwrap()).await;
    let left = everything(&corner.url().to_file_path().unwrap());
    drop(corner);
    let e = FsConfig::new(folder.path()).open(OpenMode::Existing).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ContainerMissing, "{e}");
    fill(&open(folder.path()).await).await;
    assert!(left.iter().all(|(path, bytes)| everything(folder.path()).get(path) == Some(bytes)));

    for near in ["selfenc-test-0123456789abcde", "selfenc-test-0123456789abcdeg", "selfenc-test-"] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(near)).unwrap();
        let e = FsConfig::new(folder.path()).open(OpenMode::Create).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{near}: {e}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("selfenc-test-0123456789abcdef"), "a file").unwrap();
    assert!(FsConfig::new(folder.path()).open(OpenMode::Create).await.is_err());
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

    let digits = "7f".repeat(31);
    for link in ["chunks", "chunks/7f", "roots", "tmp", &format!("chunks/7f/{digits}")] {
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
    for _ in 0..5 {
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
        assert_eq!(everything(folder.path()), BTreeMap::new());
    }
}
