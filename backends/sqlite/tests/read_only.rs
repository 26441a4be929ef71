//! Places where nothing can be written. As root everything can, so another user looks at them.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use selfenc_core::store::{BlockingEngine, ChunkId, ErrorKind, Expect, OpenMode, RootName};
use selfenc_sqlite::{SqliteConfig, SqliteEngine};

/// Where the other user finds the store.
const STORE: &str = "SELFENC_SQLITE_READ_ONLY";
const NOBODY: u32 = 65_534;

fn chunk(n: u8) -> (ChunkId, Bytes) {
    (ChunkId::from_bytes([n; 32]), Bytes::from(vec![n; 3000]))
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, Permissions::from_mode(bits)).unwrap();
}

/// Reads what there is, and is refused everything else.
fn look(path: &Path) {
    let store = SqliteConfig::new(path).open_engine(OpenMode::Existing).unwrap();
    let (id, data) = chunk(1);
    for _ in 0..3 {
        assert_eq!(store.get(id).unwrap(), Some(data.clone()));
        assert_eq!(store.get(chunk(2).0).unwrap(), None);
        assert_eq!(store.page(None).unwrap().len(), 1);
        assert!(store.load(&RootName::new("a").unwrap()).unwrap().is_some());
    }
    store.flush().unwrap();
    let root = RootName::new("b").unwrap();
    for said in [
        store.put(chunk(2).0, &chunk(2).1).map(drop),
        store.delete(id),
        store.swap(&root, &Expect::Absent, Some(data)).map(drop),
    ] {
        let e = said.unwrap_err();
        assert!(e.kind() == ErrorKind::ReadOnly && !e.is_transient(), "{e}");
    }
}

fn filled(path: &Path) -> SqliteEngine {
    let store = SqliteConfig::new(path).open_engine(OpenMode::Create).unwrap();
    store.put(chunk(1).0, &chunk(1).1).unwrap();
    store.swap(&RootName::new("a").unwrap(), &Expect::Absent, Some(chunk(1).1)).unwrap();
    store
}

/// Runs `look` as somebody who may not write there.
fn look_as_nobody(test: &str, folder: &Path, path: &Path) {
    if fs::metadata(folder).unwrap().uid() != 0 {
        return look(path);
    }
    let binary = folder.join("look");
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    mode(&binary, 0o755);
    mode(folder, 0o755);
    let mut look = Command::new(&binary);
    look.args([test, "--exact"]).env(STORE, path).current_dir(folder).uid(NOBODY).gid(NOBODY);
    let said = look.output().unwrap();
    fs::remove_file(&binary).unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    assert!(String::from_utf8_lossy(&said.stdout).contains("1 passed"), "it did not look");
}

fn asked() -> bool {
    std::env::var_os(STORE).map(|path| look(Path::new(&path))).is_some()
}

#[test]
fn a_store_at_rest_can_be_read_where_nothing_can_be_written() {
    if asked() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(filled(&path));
    mode(&path, 0o444);
    mode(folder.path(), 0o555);
    look_as_nobody("a_store_at_rest_can_be_read_where_nothing_can_be_written", folder.path(), &path);
    mode(folder.path(), 0o755);
}

#[test]
fn a_store_that_somebody_else_writes_can_be_read() {
    if asked() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let live = filled(&path);
    look_as_nobody("a_store_that_somebody_else_writes_can_be_read", folder.path(), &path);
    live.put(chunk(3).0, &chunk(3).1).unwrap();
}

#[test]
fn a_store_that_is_asked_to_write_nothing_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let config = SqliteConfig::new(&path).with_read_only(true);
    let e = config.clone().open_engine(OpenMode::Create).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ContainerMissing, "{e}");
    assert!(!path.exists());
    drop(filled(&path));
    let store = config.open_engine(OpenMode::Create).unwrap();
    assert_eq!(store.put(chunk(1).0, &chunk(1).1).unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(store.get(chunk(1).0).unwrap(), Some(chunk(1).1));
}
