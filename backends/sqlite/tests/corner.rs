//! A corner beside a live store, and the removal of stores: what is no store's is left.
#![allow(clippy::unwrap_used)]

#[path = "support/location.rs"]
mod location;

use std::fs;
use std::path::{Path, PathBuf};

use location::{beside, foreign};
use selfenc_core::store::{
    ChunkId, ChunkStore, ChunkStoreExt, ErrorKind, OpenMode, Registry, StoreFactory, StoreUrl,
};
use selfenc_sqlite::{SqliteConfig, SqliteFactory, SqliteStore};

fn registry() -> Registry {
    Registry::new().register(SqliteFactory)
}

fn url(path: &Path) -> StoreUrl {
    StoreUrl::from_path("sqlite", path).unwrap()
}

async fn filled(path: &Path) -> SqliteStore {
    let store = SqliteConfig::new(path).open(OpenMode::Create).await.unwrap();
    for n in 0..3 {
        store.put(ChunkId::from_bytes([n; 32]), vec![n; 1000].into()).await.unwrap();
    }
    store
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

async fn destroy(path: &Path) -> selfenc_core::store::Result<()> {
    SqliteFactory.destroy(&url(path)).await
}

async fn refused(path: &Path, words: &str) {
    let e = destroy(path).await.unwrap_err();
    assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains(words), "{e}");
    assert!(path.exists());
}

#[tokio::test]
async fn a_corner_stands_beside_the_live_store_and_leaves_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b?.db");
    let live = filled(&path).await;
    let before = names(folder.path());
    let settings = format!("{}?durability=on-flush&page_size=8192", url(&path));
    for at in [settings.as_str(), &url(folder.path()).to_string()] {
        let corner = registry().corner(at).await.unwrap();
        assert_eq!(names(folder.path()), before, "a corner makes nothing yet");
        let file = corner.url().to_file_path().unwrap();
        assert_eq!(file.parent(), Some(folder.path()));
        assert_eq!(file.extension().unwrap(), "db");
        let store = corner.open(OpenMode::Create).await.unwrap();
        store.put(ChunkId::from_bytes([9; 32]), vec![9; 10].into()).await.unwrap();
        let query: Vec<_> = corner.url().query().map(|(key, value)| format!("{key}={value}")).collect();
        let expected =
            if at == settings { "durability=on-flush page_size=8192" } else { "durability=on-put" };
        assert!(query.join(" ").starts_with(expected), "{query:?}");
        drop(store);
        corner.destroy().await.unwrap();
        assert_eq!(names(folder.path()), before, "nothing of the corner is left");
    }
    assert_eq!(live.count().await.unwrap(), 3);
    let nowhere = url(&folder.path().join("no/store.db"));
    let e = SqliteFactory.corner(&nowhere, "x").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ContainerMissing, "{e}");
    let e = SqliteFactory.corner(&url(&path), "../x").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
}

#[tokio::test]
async fn a_store_goes_with_all_that_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(filled(&path).await);
    fs::write(folder.path().join("store.db.txt"), "mine").unwrap();
    destroy(&path).await.unwrap();
    destroy(&path).await.unwrap();
    assert_eq!(names(folder.path()), [folder.path().join("store.db.txt")]);
    // Its making was interrupted.
    fs::write(&path, "").unwrap();
    destroy(&path).await.unwrap();
    assert!(!path.exists());
    // A crash left its log.
    let live = filled(&path).await;
    let killed = folder.path().join("killed.db");
    location::copy_as_killed(&path, &killed).unwrap();
    drop(live);
    assert!(beside(&killed, "-wal").exists());
    destroy(&killed).await.unwrap();
    assert!(!killed.exists() && !beside(&killed, "-wal").exists() && !beside(&killed, "-shm").exists());
}

#[tokio::test]
async fn a_store_in_use_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let live = filled(&path).await;
    let e = destroy(&path).await.unwrap_err();
    assert!(e.is_transient() && e.to_string().contains("has"), "{e}");
    assert_eq!(live.count().await.unwrap(), 3);
    assert!(live.get(ChunkId::from_bytes([1; 32])).await.unwrap().is_some());
    drop(live);
    destroy(&path).await.unwrap();
    assert_eq!(names(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_is_no_store_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let (text, other) = (folder.path().join("thesis.txt"), folder.path().join("notes.db"));
    fs::write(&text, "mine, and no database").unwrap();
    foreign(&other).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    refused(&text, "is no SQLite database").await;
    refused(&other, "another program's database").await;
    refused(folder.path(), "is a folder").await;
    #[cfg(unix)]
    {
        let (path, link) = (folder.path().join("store.db"), folder.path().join("link.db"));
        drop(filled(&path).await);
        std::os::unix::fs::symlink(&path, &link).unwrap();
        refused(&link, "symbolic link").await;
        assert!(path.exists());
    }
    let newer = folder.path().join("newer.db");
    drop(filled(&newer).await);
    foreign(&newer).unwrap().execute_batch("PRAGMA user_version = 9").unwrap();
    assert_eq!(destroy(&newer).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(newer.exists());
}
