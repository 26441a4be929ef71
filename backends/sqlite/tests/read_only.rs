//! Places where nothing can be written. As root everything can, so another user looks at them.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

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

fn filled_with(path: &Path, n: u8) -> SqliteEngine {
    let store = SqliteConfig::new(path).open_engine(OpenMode::Create).unwrap();
    store.put(chunk(n).0, &chunk(n).1).unwrap();
    store
}

fn filled(path: &Path) -> SqliteEngine {
    let store = filled_with(path, 1);
    store.swap(&RootName::new("a").unwrap(), &Expect::Absent, Some(chunk(1).1)).unwrap();
    store
}

/// Copies this program to where somebody else can run it. Not by itself: what a thread of another test starts
/// meanwhile would for a moment have the copy open for writing as well, and nobody can run it then.
fn copy_of_this_program(to: &Path) {
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(to).status().unwrap();
    assert!(copied.success());
    mode(to, 0o755);
}

/// Runs `look` as somebody who may not write there.
fn look_as_nobody(test: &str, folder: &Path, path: &Path) {
    if fs::metadata(folder).unwrap().uid() != 0 {
        return look(path);
    }
    let binary = folder.join("look");
    copy_of_this_program(&binary);
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

/// What was read before the file changed is not believed after it.
fn look_twice(path: &Path, change: impl FnOnce()) {
    let store = SqliteConfig::new(path).open_engine(OpenMode::Existing).unwrap();
    assert_eq!(store.get(chunk(1).0).unwrap(), Some(chunk(1).1));
    assert_eq!(store.get(chunk(2).0).unwrap(), None);
    change();
    assert!(store.get(chunk(2).0).unwrap() == Some(chunk(2).1), "it is not seen");
    assert_eq!(store.page(None).unwrap().len(), 2);
}

#[test]
fn what_somebody_else_put_meanwhile_shows_where_nothing_can_be_written() {
    const NAME: &str = "what_somebody_else_put_meanwhile_shows_where_nothing_can_be_written";
    if let Some(path) = std::env::var_os(STORE) {
        return look_twice(Path::new(&path), || {
            println!("looked once");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, binary) = (folder.path().join("store.db"), folder.path().join("look"));
    drop(filled(&path));
    copy_of_this_program(&binary);
    let allow = |write: bool| {
        mode(&path, if write { 0o644 } else { 0o444 });
        mode(folder.path(), if write { 0o755 } else { 0o555 });
    };
    let put = || {
        allow(true);
        drop(filled_with(&path, 2));
        allow(false);
    };
    allow(false);
    if fs::metadata(folder.path()).unwrap().uid() != 0 {
        look_twice(&path, put);
        return allow(true);
    }
    let mut look = Command::new(&binary);
    look.args([NAME, "--exact", "--nocapture"]).env(STORE, &path).current_dir(folder.path());
    look.uid(NOBODY).gid(NOBODY).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = look.spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("looked once")), "it did not look");
    put();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let rest: Vec<_> = said.collect();
    assert!(child.wait().unwrap().success(), "{rest:?}");
    allow(true);
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
