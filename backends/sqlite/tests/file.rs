//! Opening, using and misusing files on the real file system.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

#[path = "support/location.rs"]
mod location;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use location::{beside, foreign};
use selfenc_core::store::{
    BlockingEngine, ChunkId, Durability, ErrorKind, Expect, OpenMode, PutOutcome, Registry, Result, RootName,
    Swap,
};
use selfenc_sqlite::{SqliteConfig, SqliteEngine, SqliteFactory};

fn open(path: &Path, mode: OpenMode) -> Result<SqliteEngine> {
    SqliteConfig::new(path).open_engine(mode)
}

fn refused(path: &Path, mode: OpenMode, kind: ErrorKind, words: &str) {
    let e = open(path, mode).unwrap_err();
    assert_eq!(e.kind(), kind, "{e}");
    let line = e.to_string();
    assert!(line.contains(words) && line.contains(path.to_str().unwrap()), "{line}");
}

fn chunk(n: u32, len: usize) -> (ChunkId, Bytes) {
    let mut id = [n as u8; 32];
    id[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_be_bytes());
    (ChunkId::from_bytes(id), Bytes::from(vec![n as u8; len]))
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

const BOTH: [OpenMode; 2] = [OpenMode::Existing, OpenMode::Create];

#[test]
fn what_is_not_there_is_made_or_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    refused(&path, OpenMode::Existing, ErrorKind::ContainerMissing, "check the path");
    assert_eq!(files(folder.path()), [], "nothing was made");
    let deep = folder.path().join("no/store.db");
    let e = open(&deep, OpenMode::Create).unwrap_err();
    assert!(e.kind() == ErrorKind::ContainerMissing && e.to_string().contains("no such folder"), "{e}");
    fs::write(&path, "").unwrap();
    refused(&path, OpenMode::Existing, ErrorKind::ContainerMissing, "create the store");
    assert_eq!(fs::read(&path).unwrap(), b"");
    let (id, data) = chunk(1, 100);
    open(&path, OpenMode::Create).unwrap().put(id, &data).unwrap();
    assert_eq!(files(folder.path()).len(), 1, "the log goes with the last handle");
    for mode in BOTH {
        assert_eq!(open(&path, mode).unwrap().get(id).unwrap(), Some(data.clone()));
    }
}

#[test]
fn many_may_make_it_at_once() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let made: Vec<_> = (0..6)
            .map(|n| {
                let path = path.clone();
                std::thread::spawn(move || {
                    let store = open(&path, OpenMode::Create).unwrap();
                    store.put(chunk(n, 100).0, &chunk(n, 100).1).unwrap();
                    store
                })
            })
            .collect();
        let stores: Vec<_> = made.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(stores.iter().all(|store| store.page(None).unwrap().len() == 6));
    }
}

#[test]
fn what_is_no_store_is_refused_with_a_remedy_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("thesis.txt"), "mine, and longer than the header of a database. ".repeat(100)).unwrap();
    fs::write(at("short.txt"), "mine").unwrap();
    foreign(&at("notes.db")).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    // With a log that a writing connection would move into the file.
    let other = foreign(&at("logged.db")).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE notes (text)").unwrap();
    foreign(&at("marked.db")).unwrap().execute_batch("PRAGMA application_id = 7").unwrap();
    let shm = beside(&at("logged.db"), "-shm");
    let all = || files(folder.path()).into_iter().filter(|(path, _)| *path != shm).collect::<Vec<_>>();
    let before = all();
    for mode in BOTH {
        refused(&at("thesis.txt"), mode, ErrorKind::InvalidInput, "is no SQLite database; check the path");
        refused(&at("short.txt"), mode, ErrorKind::InvalidInput, "is no SQLite database; check the path");
        refused(
            &at("notes.db"),
            mode,
            ErrorKind::InvalidInput,
            "another program's database (application id 0)",
        );
        refused(&at("logged.db"), mode, ErrorKind::InvalidInput, "another program's database");
        refused(
            &at("marked.db"),
            mode,
            ErrorKind::InvalidInput,
            "another program's database (application id 7)",
        );
        refused(folder.path(), mode, ErrorKind::InvalidInput, "is a folder");
    }
    assert!(all() == before, "something was written");
}

#[test]
fn beside_another_programs_database_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let other = foreign(&path).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE notes (text)").unwrap();
    drop(other);
    let before = files(folder.path());
    for mode in BOTH {
        refused(&path, mode, ErrorKind::InvalidInput, "another program's database");
    }
    assert!(files(folder.path()) == before, "something was made: {:?}", files(folder.path()).len());
}

#[test]
fn tables_that_are_not_as_they_were_made_are_refused() {
    let spoil = [
        "CREATE TRIGGER t AFTER INSERT ON chunks BEGIN DELETE FROM chunks WHERE id = NEW.id; END",
        "ALTER TABLE chunks ADD COLUMN more",
        "DROP TABLE chunks; CREATE TABLE chunks (id, len, n)",
        "DROP TABLE bodies; CREATE TABLE bodies (n INTEGER PRIMARY KEY, data BLOB NOT NULL DEFAULT 7)",
        "DROP TABLE roots; CREATE VIEW roots AS SELECT 1",
    ];
    for sql in spoil {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        drop(open(&path, OpenMode::Create).unwrap());
        foreign(&path).unwrap().execute_batch(sql).unwrap();
        for mode in BOTH {
            refused(&path, mode, ErrorKind::Corrupt, "restore the file");
        }
    }
}

#[test]
fn bytes_that_became_text_are_healed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let config = SqliteConfig::new(&path).with_max_chunk_len(1000);
    let store = config.open_engine(OpenMode::Create).unwrap();
    let (id, data) = chunk(b'a'.into(), 100);
    store.put(id, &data).unwrap();
    for text in ["CAST(data AS TEXT)", "hex(zeroblob(600))", "7"] {
        foreign(&path).unwrap().execute_batch(&format!("UPDATE bodies SET data = {text}")).unwrap();
        let e = store.get(id).unwrap_err();
        assert!(e.kind() == ErrorKind::Corrupt && e.chunk() == Some(id), "{text}: {e}");
        assert!(e.to_string().contains("put it again"), "{text}: {e}");
        assert_eq!(store.put(id, &data).unwrap(), PutOutcome::Inserted, "{text}");
        assert_eq!(store.get(id).unwrap(), Some(data.clone()), "{text}");
    }
}

#[test]
fn an_error_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path, OpenMode::Create).unwrap();
    foreign(&path).unwrap().execute_batch("ALTER TABLE chunks RENAME len TO length").unwrap();
    let (id, data) = chunk(1, 10);
    for said in [store.get(id).map(drop), store.put(id, &data).map(drop), store.page(None).map(drop)] {
        let line = said.unwrap_err().to_string();
        assert!(line.contains("no such column") && !line.contains('\n'), "{line}");
    }
}

#[test]
fn an_unfinished_transaction_of_another_program_is_left_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, killed) = (folder.path().join("notes.db"), folder.path().join("killed.db"));
    let other = foreign(&path).unwrap();
    other.execute_batch("CREATE TABLE notes (text); PRAGMA cache_spill = 1; PRAGMA cache_size = 1").unwrap();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
        INSERT INTO notes SELECT zeroblob(1000) FROM n";
    other.execute_batch(fill).unwrap();
    other.execute_batch("BEGIN; UPDATE notes SET text = zeroblob(999)").unwrap();
    for suffix in ["", "-journal"] {
        fs::copy(beside(&path, suffix), beside(&killed, suffix)).unwrap();
    }
    let before = fs::read(&killed).unwrap();
    for mode in BOTH {
        refused(&killed, mode, ErrorKind::InvalidInput, "another program's database");
    }
    assert!(fs::read(&killed).unwrap() == before && beside(&killed, "-journal").exists());
}

/// Killed when the journal of its making was there and the file was still blank.
#[test]
fn an_unfinished_making_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, killed) = (folder.path().join("store.db"), folder.path().join("killed.db"));
    let making = foreign(&path).unwrap();
    making.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM; PRAGMA cache_size = 1").unwrap();
    let fill = "BEGIN EXCLUSIVE; PRAGMA application_id = 1397052241; CREATE TABLE t (n);
        INSERT INTO t VALUES (zeroblob(100000))";
    making.execute_batch(fill).unwrap();
    for suffix in ["", "-journal"] {
        fs::copy(beside(&path, suffix), beside(&killed, suffix)).unwrap();
    }
    drop(making);
    assert_eq!(fs::read(&killed).unwrap()[68..72], [0; 4], "not marked yet");
    let read_only = SqliteConfig::new(&killed).with_read_only(true).open_engine(OpenMode::Existing);
    assert_eq!(read_only.unwrap_err().kind(), ErrorKind::ContainerMissing);
    refused(&killed, OpenMode::Existing, ErrorKind::ContainerMissing, "create the store");
    let (id, data) = chunk(1, 100);
    open(&killed, OpenMode::Create).unwrap().put(id, &data).unwrap();
    assert_eq!(open(&killed, OpenMode::Existing).unwrap().get(id).unwrap(), Some(data));
}

#[test]
fn a_newer_schema_is_named_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(open(&path, OpenMode::Create).unwrap());
    foreign(&path).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    let before = fs::read(&path).unwrap();
    for mode in BOTH {
        refused(&path, mode, ErrorKind::Unsupported, "has schema 2, this version knows 1");
    }
    assert!(fs::read(&path).unwrap() == before);
    foreign(&path).unwrap().execute_batch("PRAGMA user_version = 1; DROP TABLE roots").unwrap();
    refused(&path, OpenMode::Create, ErrorKind::Corrupt, "restore the file");
}

#[test]
fn a_damaged_file_is_an_error_wherever_it_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let chunks: Vec<_> = (0..24).map(|n| chunk(n, 500 * n as usize)).collect();
    let store = SqliteConfig::new(&path).with_page_size(4096).open_engine(OpenMode::Create).unwrap();
    for (id, data) in &chunks {
        store.put(*id, data).unwrap();
    }
    drop(store);
    let good = fs::read(&path).unwrap();
    let mut complaints = 0;
    for page in 0..good.len() / 4096 {
        for fill in [0x00, 0xa5, 0xff] {
            let mut bad = good.clone();
            bad[page * 4096..(page + 1) * 4096].fill(fill);
            fs::write(&path, bad).unwrap();
            let Ok(store) = open(&path, OpenMode::Existing) else {
                complaints += 1;
                continue;
            };
            // Nothing panics, and what is said to be absent or whole may be wrong only where the page was.
            for (id, data) in &chunks {
                match store.get(*id) {
                    Ok(Some(got)) => assert_eq!(got.len(), data.len()),
                    Ok(None) => {}
                    Err(e) => {
                        assert_eq!(e.kind(), ErrorKind::Corrupt, "page {page}: {e}");
                        complaints += 1;
                    }
                }
            }
            for outcome in [store.page(None).map(drop), store.names().map(drop), store.delete(chunks[7].0)] {
                complaints += usize::from(outcome.is_err_and(|e| e.kind() == ErrorKind::Corrupt));
            }
        }
    }
    assert!(complaints > good.len() / 4096, "{complaints}");
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    let half = open(&path, OpenMode::Existing)
        .and_then(|store| chunks.iter().try_for_each(|(id, _)| store.get(*id).map(drop)));
    assert_eq!(half.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_log_that_is_none_is_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let (path, (id, data)) = (folder.path().join("store.db"), chunk(1, 5000));
    open(&path, OpenMode::Create).unwrap().put(id, &data).unwrap();
    for junk in [&b"junk"[..], &[0; 40_000], &[0xff; 40_000]] {
        fs::write(beside(&path, "-wal"), junk).unwrap();
        fs::write(beside(&path, "-shm"), junk).unwrap();
        let store = open(&path, OpenMode::Existing).unwrap();
        assert_eq!(store.get(id).unwrap(), Some(data.clone()));
        assert_eq!(store.put(id, &data).unwrap(), PutOutcome::Present);
    }
}

#[test]
fn settings_are_checked_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    for bad in [0, 512, 2048, 5000, 131_072] {
        let e = SqliteConfig::new(&path).with_page_size(bad).open_engine(OpenMode::Create).unwrap_err();
        assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains("from 4096 to 65536"), "{e}");
    }
    let long = SqliteConfig::new(&path).with_max_chunk_len(1 << 30).open_engine(OpenMode::Create);
    assert_eq!(long.unwrap_err().kind(), ErrorKind::InvalidInput);
    let volatile = SqliteConfig::new(&path).with_durability(Durability::Volatile);
    assert_eq!(volatile.open_engine(OpenMode::Create).unwrap_err().kind(), ErrorKind::InvalidInput);
    for (size, in_file) in [(65536, 65536_i64), (4096, 65536)] {
        drop(SqliteConfig::new(&path).with_page_size(size).open_engine(OpenMode::Create).unwrap());
        let conn = foreign(&path).unwrap();
        assert_eq!(conn.query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0)).unwrap(), in_file);
        assert_eq!(conn.query_row("PRAGMA auto_vacuum", [], |row| row.get::<_, i64>(0)).unwrap(), 2);
    }
}

#[tokio::test]
async fn urls_say_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, path) = (Registry::new().register(SqliteFactory), folder.path().join("a b?.db"));
    let plain = selfenc_core::store::StoreUrl::from_path("sqlite", &path).unwrap();
    let url = format!("{plain}?durability=on-flush&page_size=8192");
    let store = registry.open(&url, OpenMode::Create).await.unwrap();
    assert_eq!(store.capabilities().durability, Durability::OnFlush);
    assert_eq!(store.info().to_string(), format!("sqlite:{}", path.display()));
    assert!(path.is_file());
    for bad in ["?durability=volatile", "?page_size=1", "?page_size=many", "?cache=1"] {
        let e = registry.open(&format!("{plain}{bad}"), OpenMode::Existing).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{bad}: {e}");
    }
}

#[test]
fn a_file_that_was_moved_or_replaced_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, aside) = (folder.path().join("store.db"), folder.path().join("aside.db"));
    let store = open(&path, OpenMode::Create).unwrap();
    let (id, data) = chunk(1, 100);
    store.put(id, &data).unwrap();
    fs::rename(&path, &aside).unwrap();
    fs::write(&path, "another").unwrap();
    for said in
        [store.get(id).map(drop), store.put(id, &data).map(drop), store.flush(), store.stat(id).map(drop)]
    {
        let e = said.unwrap_err();
        assert!(e.kind() == ErrorKind::ContainerMissing && e.to_string().contains("open it again"), "{e}");
    }
    fs::rename(&aside, &path).unwrap();
    assert_eq!(store.get(id).unwrap(), Some(data));
}

#[test]
fn a_writer_elsewhere_makes_it_unavailable_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let config = SqliteConfig::new(&path).with_busy_timeout(Duration::from_secs(1));
    let store = Arc::new(config.open_engine(OpenMode::Create).unwrap());
    let (id, data) = chunk(1, 100);
    store.put(id, &data).unwrap();
    let other = foreign(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (start, name) = (Instant::now(), RootName::new("a").unwrap());
    // All at once: they wait once, not one after the other, which takes 16 s.
    let threads: Vec<_> = (2..18)
        .map(|n| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || store.put(chunk(n, 100).0, &chunk(n, 100).1).unwrap_err())
        })
        .collect();
    for thread in threads {
        let e = thread.join().unwrap();
        assert!(e.kind() == ErrorKind::Unavailable && e.is_transient(), "{e}");
        assert!(e.to_string().contains("another connection holds the database"), "{e}");
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let swapped = store.swap(&name, &Expect::Absent, Some(data.clone()));
    assert_eq!(swapped.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.delete(id).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.get(id).unwrap(), Some(data.clone()), "reading goes on");
    assert_eq!(store.page(None).unwrap().len(), 1);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(store.swap(&name, &Expect::Absent, Some(data)).unwrap(), Swap::Done(Some(_))));
    store.delete(id).unwrap();
}

#[test]
fn a_slow_reader_elsewhere_does_not_stop_writing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let config = SqliteConfig::new(&path).with_busy_timeout(Duration::from_millis(50));
    let store = config.open_engine(OpenMode::Create).unwrap();
    store.put(chunk(0, 10).0, &chunk(0, 10).1).unwrap();
    let reader = foreign(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM chunks").unwrap();
    for n in 1..30 {
        store.put(chunk(n, 1 << 20).0, &chunk(n, 1 << 20).1).unwrap();
    }
    let len = || fs::metadata(beside(&path, "-wal")).unwrap().len();
    assert!(len() > 29 << 20, "the log has to be kept for the reader: {}", len());
    reader.execute_batch("ROLLBACK").unwrap();
    for n in 30..80 {
        store.put(chunk(n, 1 << 20).0, &chunk(n, 1 << 20).1).unwrap();
    }
    assert!(len() < 48 << 20, "the log was not started anew: {}", len());
    assert_eq!(store.page(None).unwrap().len(), 80);
}

#[test]
fn a_slow_reader_elsewhere_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let patience = Duration::from_secs(60);
    let config = SqliteConfig::new(&path).with_durability(Durability::OnFlush).with_busy_timeout(patience);
    let store = config.open_engine(OpenMode::Create).unwrap();
    store.put(chunk(0, 10).0, &chunk(0, 10).1).unwrap();
    let reader = foreign(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM chunks").unwrap();
    for n in 1..90 {
        let start = Instant::now();
        store.put(chunk(n, 1 << 20).0, &chunk(n, 1 << 20).1).unwrap();
        assert!(start.elapsed() < patience / 2, "put {n}: {:?}", start.elapsed());
    }
}

#[test]
fn a_file_that_cannot_become_shorter_costs_a_flush_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(open(&path, OpenMode::Create).unwrap());
    // As one that was dumped and restored.
    let other = foreign(&path).unwrap();
    other.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM").unwrap();
    drop(other);
    let store = open(&path, OpenMode::Existing).unwrap();
    for n in 0..100 {
        store.put(chunk(n, 50_000).0, &chunk(n, 50_000).1).unwrap();
    }
    for n in 0..90 {
        store.delete(chunk(n, 0).0).unwrap();
    }
    let log = || fs::read(beside(&path, "-wal")).unwrap();
    let before = log();
    store.flush().unwrap();
    assert!(log() == before, "a flush with nothing to do writes to the log");
}

#[test]
fn a_file_becomes_shorter_after_deletes() {
    for durability in [Durability::OnPut, Durability::OnFlush] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let config = SqliteConfig::new(&path).with_durability(durability);
        let store = config.open_engine(OpenMode::Create).unwrap();
        for n in 0..400 {
            store.put(chunk(n, 50_000).0, &chunk(n, 50_000).1).unwrap();
        }
        store.flush().unwrap();
        // Every other one, so that what stays has to be moved.
        for n in (0..400).filter(|n| n % 8 != 0) {
            store.delete(chunk(n, 0).0).unwrap();
        }
        store.flush().unwrap();
        let len = fs::metadata(&path).unwrap().len();
        assert!(len < 5_000_000, "{durability:?}: 2.5 MB are left, the file has {len}");
        for n in (0..400).filter(|n| n % 8 == 0) {
            assert_eq!(store.get(chunk(n, 0).0).unwrap(), Some(chunk(n, 50_000).1));
        }
        drop(store);
        let said =
            foreign(&path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
        assert_eq!(said.unwrap(), "ok");
    }
}

#[test]
fn a_listing_goes_on_page_by_page_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteConfig::new(folder.path().join("store.db")).with_durability(Durability::OnFlush);
    let store = store.open_engine(OpenMode::Create).unwrap();
    for n in 0..2500 {
        store.put(chunk(n, 8).0, &chunk(n, 8).1).unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(after).unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 1000);
        after = Some(last.id);
        // What was seen is deleted, and something new is put behind and before it.
        for meta in &page {
            store.delete(meta.id).unwrap();
        }
        let (new, data) = chunk(10_000 + seen.len() as u32, 8);
        store.put(new, &data).unwrap();
        seen.extend(page.into_iter().map(|meta| meta.id));
    }
    assert!(seen.is_sorted_by(|a, b| a < b));
    assert!((0..2500).all(|n| seen.binary_search(&chunk(n, 8).0).is_ok()), "one is missing");
}
