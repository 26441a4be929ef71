//! Processes killed with `SIGKILL` while they write to a store, and two that write to one at a time.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;
use selfenc_backend_tests::kill::{Kill, child_if_asked};
use selfenc_core::store::{
    Backend, ChunkId, ChunkStore, ChunkStoreExt, Durability, OpenMode, PutOutcome, Result, RootName,
    RootStore, RootStoreExt,
};
use selfenc_sqlite::{SqliteConfig, SqliteStore};

async fn open_on_put(path: String) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(SqliteConfig::new(path).open(OpenMode::Create).await?))
}

async fn open_on_flush(path: String) -> Result<Arc<dyn Backend>> {
    let config = SqliteConfig::new(path).with_durability(Durability::OnFlush);
    Ok(Arc::new(config.open(OpenMode::Create).await?))
}

/// A folder, and the rounds that the environment asks for.
fn rounds(test: &str) -> (tempfile::TempDir, Kill) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let kill = Kill::from_env(test, path.to_str().unwrap()).unwrap();
    (folder, kill)
}

fn check_integrity(folder: &Path) {
    let conn = rusqlite::Connection::open(folder.join("store.db")).unwrap();
    let said: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(said, "ok");
    let orphans =
        "SELECT (SELECT count(*) FROM bodies) - (SELECT count(*) FROM chunks JOIN bodies USING (n))";
    assert_eq!(conn.query_row(orphans, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "bodies without a name");
}

#[test]
fn killed_on_put() {
    child_if_asked(open_on_put);
    let (folder, kill) = rounds("killed_on_put");
    let summary = kill.run(open_on_put).unwrap();
    assert!(summary.acknowledged > summary.rounds, "{summary}");
    check_integrity(folder.path());
}

#[test]
fn killed_on_flush() {
    child_if_asked(open_on_flush);
    let (folder, kill) = rounds("killed_on_flush");
    let summary = kill.run(open_on_flush).unwrap();
    assert!(summary.acknowledged > summary.rounds, "{summary}");
    check_integrity(folder.path());
}

/// Where the second process finds the store.
const STORE: &str = "SELFENC_SQLITE_SECOND";
const PUTS: u8 = 60;
const SWAPS: u64 = 40;

fn chunk(n: u8) -> (ChunkId, Bytes) {
    (ChunkId::from_bytes([n; 32]), Bytes::from(vec![n; 3000]))
}

/// Puts the chunks that both processes put, counts a root up, and says how many were new.
async fn work(store: &SqliteStore) -> usize {
    let outcomes = try_join_all((0..PUTS).map(chunk).map(|(id, data)| store.put(id, data))).await.unwrap();
    let name = RootName::new("count").unwrap();
    for _ in 0..SWAPS {
        let count_up = |old: Option<&Bytes>| {
            let count = old.map_or(0, |value| u64::from_le_bytes(value[..].try_into().unwrap()));
            Ok(Some(Bytes::from((count + 1).to_le_bytes().to_vec())))
        };
        store.update(&name, count_up).await.unwrap();
    }
    outcomes.iter().filter(|outcome| **outcome == PutOutcome::Inserted).count()
}

/// Nobody promises either process its turn within the 5 s that are usual.
async fn open_patiently(path: &Path, mode: OpenMode) -> SqliteStore {
    SqliteConfig::new(path).with_busy_timeout(Duration::from_secs(60)).open(mode).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_a_store_exactly() {
    if let Some(path) = std::env::var_os(STORE) {
        let store = open_patiently(Path::new(&path), OpenMode::Existing).await;
        let inserted = work(&store).await;
        fs::write(Path::new(&path).with_extension("said"), inserted.to_string()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open_patiently(&path, OpenMode::Create).await;
    let mut second = Command::new(std::env::current_exe().unwrap())
        .args(["two_processes_share_a_store_exactly", "--exact"])
        .env(STORE, &path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let inserted = work(&store).await;
    let status = tokio::task::spawn_blocking(move || second.wait().unwrap()).await.unwrap();
    assert!(status.success(), "the second process failed");
    let said: usize = fs::read_to_string(path.with_extension("said")).unwrap().parse().unwrap();
    assert_eq!(inserted + said, usize::from(PUTS), "each chunk was new to exactly one of them");
    let root = store.load(&RootName::new("count").unwrap()).await.unwrap().unwrap();
    assert_eq!(u64::from_le_bytes(root.value[..].try_into().unwrap()), 2 * SWAPS);
    assert_eq!(store.count().await.unwrap(), u64::from(PUTS));
    drop(store);
    tokio::time::sleep(Duration::from_millis(1)).await;
    check_integrity(folder.path());
}
