//! Opening, using and misusing folders on the real file system.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use selfenc_core::store::{
    BlockingEngine, Durability, ErrorKind, Expect, OpenMode, PutOutcome, Registry, RootName, Swap,
};
use selfenc_fs::os::Os;
use selfenc_fs::{FsConfig, FsEngine, FsFactory, FsLayout};
use support::chunk;
use support::sim_os::SimOs;

fn open(dir: &Path, mode: OpenMode) -> selfenc_core::store::Result<FsEngine> {
    FsConfig::new(dir).open_engine(mode)
}

fn refused(dir: &Path, mode: OpenMode, kind: ErrorKind, words: &str) {
    let e = open(dir, mode).unwrap_err();
    assert_eq!(e.kind(), kind, "{e}");
    let line = e.to_string();
    assert!(line.contains(words) && line.contains(dir.to_str().unwrap()), "{line}");
}

#[test]
fn what_is_no_store_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    refused(&dir.join("none"), OpenMode::Existing, ErrorKind::ContainerMissing, "check the path");
    refused(dir, OpenMode::Existing, ErrorKind::ContainerMissing, "create the store");
    fs::write(dir.join("thesis.txt"), "mine").unwrap();
    refused(dir, OpenMode::Existing, ErrorKind::ContainerMissing, "not a store");
    refused(dir, OpenMode::Create, ErrorKind::InvalidInput, "empty folder");
    assert_eq!(fs::read_dir(dir).unwrap().count(), 1, "nothing was made in it");
    refused(&dir.join("thesis.txt"), OpenMode::Create, ErrorKind::InvalidInput, "not a folder");
    let below = dir.join("thesis.txt").join("store");
    assert!(open(&below, OpenMode::Create).is_err());
    let e = FsConfig::new(dir.join("x")).with_durability(Durability::Volatile).open_engine(OpenMode::Create);
    assert_eq!(e.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn markers_of_other_layouts_and_damaged_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    drop(open(dir, OpenMode::Create).unwrap());
    let marker = dir.join("selfenc-store");
    assert_eq!(fs::read_to_string(&marker).unwrap(), "selfenc filesystem store, layout 1\n");
    for mode in [OpenMode::Existing, OpenMode::Create] {
        fs::write(&marker, "selfenc filesystem store, layout 2\n").unwrap();
        refused(dir, mode, ErrorKind::Unsupported, "newer version");
        for damaged in ["", "selfenc", "selfenc filesystem store, layout -1\n"] {
            fs::write(&marker, damaged).unwrap();
            refused(dir, mode, ErrorKind::Corrupt, "not the marker");
        }
    }
}

#[test]
fn parents_are_made_and_relative_paths_stay_put() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a/b/c");
    drop(open(&dir, OpenMode::Create).unwrap());
    assert_eq!(fs::read_dir(dir.join("chunks")).unwrap().count(), 256);
    let info = open(&dir, OpenMode::Existing).unwrap().info().to_string();
    assert_eq!(info, format!("file:{}", dir.display()));
}

#[test]
fn chunks_and_roots_stand_where_the_layout_says() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), OpenMode::Create).unwrap();
    let (id, data) = chunk(7);
    engine.put(id, &data).unwrap();
    let digits = id.to_string();
    let path = folder.path().join("chunks").join(&digits[..2]).join(&digits[2..]);
    assert_eq!(fs::read(path).unwrap(), data);
    engine.swap(&RootName::new("a").unwrap(), &Expect::Absent, Some("value".into())).unwrap();
    let hash = blake3::hash(b"a").to_hex().to_string();
    let record = fs::read(folder.path().join("roots").join(hash)).unwrap();
    assert!(record.starts_with(b"SERT\x01") && record.len() == 5 + 16 + 2 + 1 + 5 + 32);
}

#[test]
fn a_store_that_is_gone_is_an_error_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let engine = open(&dir, OpenMode::Create).unwrap();
    let (id, data) = chunk(7);
    let name = RootName::new("a").unwrap();
    engine.put(id, &data).unwrap();
    fs::rename(&dir, folder.path().join("elsewhere")).unwrap();
    let kinds = [
        engine.get(id).map(drop),
        engine.get(chunk(3).0).map(drop),
        engine.stat(id).map(drop),
        engine.put(chunk(3).0, &chunk(3).1).map(drop),
        engine.delete(id),
        engine.page(None).map(drop),
        engine.load(&name).map(drop),
        engine.swap(&name, &Expect::Absent, Some("x".into())).map(drop),
        engine.names().map(drop),
    ];
    for (n, result) in kinds.into_iter().enumerate() {
        let e = result.expect_err(&format!("operation {n}"));
        assert_eq!(e.kind(), ErrorKind::ContainerMissing, "operation {n}: {e}");
    }
    fs::rename(folder.path().join("elsewhere"), &dir).unwrap();
    assert_eq!(engine.get(id).unwrap(), Some(data));
    engine.put(chunk(3).0, &chunk(3).1).unwrap();
}

#[test]
fn folders_removed_by_hand_are_made_again() {
    for durability in [Durability::OnPut, Durability::OnFlush] {
        let folder = tempfile::tempdir().unwrap();
        let config = FsConfig::new(folder.path()).with_durability(durability);
        let engine = config.open_engine(OpenMode::Create).unwrap();
        let (id, data) = chunk(7);
        let name = RootName::new("a").unwrap();
        for gone in ["chunks/64", "tmp", "roots"] {
            engine.put(id, &data).unwrap();
            engine.swap(&name, &Expect::Absent, Some("x".into())).unwrap();
            engine.flush().unwrap();
            fs::remove_dir_all(folder.path().join(gone)).unwrap();
            assert!(engine.page(None).unwrap().len() <= 1);
            engine.delete(id).unwrap();
            engine.flush().unwrap();
            assert_eq!(engine.get(id).unwrap(), None, "{gone}");
            assert_eq!(engine.put(id, &data).unwrap(), PutOutcome::Inserted, "{gone}");
            assert_eq!(engine.get(id).unwrap(), Some(data.clone()), "{gone}");
            assert!(engine.names().unwrap().len() <= 1);
            let current = engine.load(&name).unwrap();
            let swap = engine.swap(&name, &Expect::from(current.as_ref()), None).unwrap();
            assert_eq!(swap, Swap::Done(None), "{gone}");
        }
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_never_hangs_and_can_be_healed() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), OpenMode::Create).unwrap();
    let (id, data) = chunk(7);
    let digits = id.to_string();
    let path = folder.path().join("chunks").join(&digits[..2]).join(&digits[2..]);
    let corrupt = |what: &str| {
        for result in [engine.get(id).map(drop), engine.stat(id).map(drop)] {
            assert_eq!(result.expect_err(what).kind(), ErrorKind::Corrupt, "{what}");
        }
        assert_eq!(engine.page(None).unwrap(), [], "{what}");
    };
    let fifo = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(fifo.success());
    corrupt("a named pipe");
    assert_eq!(engine.put(id, &data).unwrap(), PutOutcome::Inserted);
    assert_eq!(engine.get(id).unwrap(), Some(data.clone()));
    engine.delete(id).unwrap();

    symlink("/dev/zero", &path).unwrap();
    corrupt("a symbolic link");
    engine.put(id, &data).unwrap();
    assert_eq!(engine.get(id).unwrap(), Some(data.clone()));
    engine.delete(id).unwrap();

    fs::create_dir(&path).unwrap();
    corrupt("a folder");
    let e = engine.put(id, &data).unwrap_err();
    assert!(e.kind() == ErrorKind::Corrupt && e.to_string().contains("move it away"), "{e}");
    fs::remove_dir(&path).unwrap();
    engine.put(id, &data).unwrap();
}

#[test]
fn damaged_roots_are_corrupt_and_name_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), OpenMode::Create).unwrap();
    let (a, b) = (RootName::new("a").unwrap(), RootName::new("b").unwrap());
    for name in [&a, &b] {
        engine.swap(name, &Expect::Absent, Some("value".into())).unwrap();
    }
    let file = |name: &str| folder.path().join("roots").join(blake3::hash(name.as_bytes()).to_hex().as_str());
    let good = fs::read(file("a")).unwrap();
    let corrupt = |what: &str| {
        let swap = engine.swap(&a, &Expect::Absent, Some("x".into())).map(drop);
        for result in [engine.load(&a).map(drop), swap, engine.names().map(drop)] {
            let e = result.expect_err(what);
            assert!(e.kind() == ErrorKind::Corrupt && e.to_string().contains("roots"), "{what}: {e}");
        }
        assert_eq!(engine.load(&b).unwrap().unwrap().value, "value");
    };
    for len in [0, 10, good.len() - 1] {
        fs::write(file("a"), &good[..len]).unwrap();
        corrupt("cut");
    }
    fs::copy(file("b"), file("a")).unwrap();
    corrupt("another root's record");
    fs::write(file("a"), &good).unwrap();
    assert_eq!(engine.names().unwrap().len(), 2);
}

#[test]
fn temporaries_of_the_dead_are_swept_and_of_the_living_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let tmp = folder.path().join("tmp");
    let count = || fs::read_dir(&tmp).unwrap().count();
    let living = open(folder.path(), OpenMode::Create).unwrap();
    assert_eq!(count(), 1, "the lock of the session that made the store");
    living.put(chunk(7).0, &chunk(7).1).unwrap();
    let session = fs::read_dir(&tmp).unwrap().next().unwrap().unwrap().file_name();
    let session = session.to_str().unwrap().strip_suffix(".lock").unwrap().to_owned();
    fs::write(tmp.join(format!("{session}-99")), "being written").unwrap();
    for n in 0..100 {
        fs::write(tmp.join(format!("{n:016x}.lock")), "").unwrap();
        fs::write(tmp.join(format!("{n:016x}-0")), "of a crashed process").unwrap();
    }
    fs::write(tmp.join("ffffffffffffffff-0"), "young, and without a session").unwrap();

    let reader = open(folder.path(), OpenMode::Existing).unwrap();
    assert_eq!(count(), 3, "the living session's lock and temporary, and the young stray");
    assert_eq!(reader.get(chunk(7).0).unwrap(), Some(chunk(7).1));
    assert_eq!(count(), 3, "reading starts no session");
    drop(living);
    assert_eq!(count(), 2, "a lock goes with its session");
}

#[test]
fn strays_are_swept_after_a_day_by_any_clock() {
    let sim = SimOs::new(1);
    let open = || FsConfig::new("/s").with_os(Arc::new(sim.clone())).open_engine(OpenMode::Create).unwrap();
    let count = || sim.read_dir(Path::new("/s/tmp")).unwrap().len();
    drop(open());
    sim.plant(Path::new("/s/tmp/ffffffffffffffff-0"), b"");
    for (advance, left) in [(0, 1), (86_000, 1), (500, 0)] {
        sim.advance(Duration::from_secs(advance));
        drop(open());
        assert_eq!(count(), left, "after {advance} s more");
    }
}

#[test]
fn two_processes_swap_one_root() {
    // Two openings share no memory, so to each other they are two processes.
    let folder = tempfile::tempdir().unwrap();
    let name = RootName::new("counter").unwrap();
    drop(open(folder.path(), OpenMode::Create).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let engine = open(folder.path(), OpenMode::Existing).unwrap();
                for _ in 0..25 {
                    loop {
                        let current = engine.load(&name).unwrap();
                        let count = current.as_ref().map_or(0, |root| root.value[0]);
                        let new = Some(vec![count + 1].into());
                        if let Swap::Done(_) =
                            engine.swap(&name, &Expect::from(current.as_ref()), new).unwrap()
                        {
                            break;
                        }
                    }
                }
            });
        }
    });
    let engine = open(folder.path(), OpenMode::Existing).unwrap();
    assert_eq!(engine.load(&name).unwrap().unwrap().value[0], 100);
}

#[test]
fn two_processes_put_and_delete_the_same_chunks() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), OpenMode::Create).unwrap());
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let dir = folder.path();
            scope.spawn(move || {
                let engine = open(dir, OpenMode::Existing).unwrap();
                let mut rng = support::Rng(seed);
                for _ in 0..150 {
                    let (id, data) = chunk(rng.below(6));
                    match rng.below(3) {
                        0 => engine.delete(id).unwrap(),
                        1 => assert!(engine.get(id).unwrap().is_none_or(|got| got == data)),
                        _ => drop(engine.put(id, &data).unwrap()),
                    }
                }
            });
        }
    });
    let engine = open(folder.path(), OpenMode::Existing).unwrap();
    for meta in engine.page(None).unwrap() {
        let found = (0..6).map(chunk).find(|(id, _)| *id == meta.id).unwrap();
        assert_eq!(engine.get(meta.id).unwrap(), Some(found.1));
    }
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn urls() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new().register(FsFactory);
    let url = format!("file://{}/a%20store", folder.path().display());
    let e = registry.open(&url, OpenMode::Existing).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ContainerMissing, "{e}");
    let store = registry.open(&url, OpenMode::Create).await.unwrap();
    assert_eq!(store.capabilities().durability, Durability::OnPut);
    assert!(folder.path().join("a store/selfenc-store").is_file());
    for (query, durability) in [("on-flush", Durability::OnFlush), ("on-put", Durability::OnPut)] {
        let store = registry.open(&format!("{url}?durability={query}"), OpenMode::Existing).await.unwrap();
        assert_eq!(store.capabilities().durability, durability);
    }
    for (query, word) in [("durability=maybe", "'maybe'"), ("fsync=no", "'fsync'")] {
        let e = registry.open(&format!("{url}?{query}"), OpenMode::Existing).await.unwrap_err();
        assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains(word), "{e}");
    }
}

/// As self_encryption leaves it: chunks by their names, perhaps with a map beside them.
#[test]
fn a_folder_of_chunks_opens_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (id, data) = chunk(1);
    fs::write(dir.join(id.to_string()), &data).unwrap();
    fs::write(dir.join("DATAMAP"), "a map").unwrap();
    let store = open(dir, OpenMode::Existing).unwrap();
    assert!(!store.capabilities().roots);
    assert_eq!(store.get(id).unwrap().as_ref(), Some(&data));
    assert_eq!(store.page(None).unwrap().len(), 1);
    drop(store);
    // Who makes a store there must say that it is to be flat.
    refused(dir, OpenMode::Create, ErrorKind::InvalidInput, "empty folder");
    let store = open(dir, OpenMode::Existing).unwrap();
    let (other, more) = chunk(2);
    assert_eq!(store.put(other, &more).unwrap(), PutOutcome::Inserted);
    assert_eq!(store.put(id, &data).unwrap(), PutOutcome::Present);
    let e = store.load(&RootName::new("root").unwrap()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
    drop(store);
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort_unstable();
    let mut expected = [id.to_string(), other.to_string(), "DATAMAP".to_owned()];
    expected.sort_unstable();
    assert_eq!(names, expected.map(std::ffi::OsString::from), "and nothing else was made");
    assert_eq!(fs::read(dir.join(other.to_string())).unwrap(), more);
}

/// The original writes in place and syncs nothing: a crash leaves files of the right length and other bytes.
#[test]
fn a_torn_chunk_in_a_flat_store_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (id, data) = chunk(2);
    let path = folder.path().join(id.to_string());
    fs::write(&path, vec![0; data.len()]).unwrap();
    let store = open(folder.path(), OpenMode::Existing).unwrap();
    assert_eq!(store.put(id, &data).unwrap(), PutOutcome::Inserted);
    assert_eq!(fs::read(&path).unwrap(), data);
    assert_eq!(store.put(id, &data).unwrap(), PutOutcome::Present);
}

#[test]
fn flat_stores_are_made_on_request_and_no_other_becomes_one() {
    let folder = tempfile::tempdir().unwrap();
    let flat = |dir: &Path, mode| FsConfig::new(dir).with_layout(FsLayout::Flat).open_engine(mode);
    let dir = folder.path().join("a/b");
    assert_eq!(flat(&dir, OpenMode::Existing).unwrap_err().kind(), ErrorKind::ContainerMissing);
    drop(flat(&dir, OpenMode::Create).unwrap());
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    drop(flat(&dir, OpenMode::Existing).unwrap());
    // An empty folder is not taken for one.
    refused(&dir, OpenMode::Existing, ErrorKind::ContainerMissing, "create the store");
    let sharded = folder.path().join("sharded");
    drop(open(&sharded, OpenMode::Create).unwrap());
    let e = flat(&sharded, OpenMode::Existing).unwrap_err();
    assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains("leave out"), "{e}");
    // A folder by such a name is no chunk.
    let odd = folder.path().join("odd");
    fs::create_dir_all(odd.join("ab".repeat(32))).unwrap();
    refused(&odd, OpenMode::Create, ErrorKind::InvalidInput, "empty folder");
}

#[tokio::test]
async fn flat_stores_by_url() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new().register(FsFactory);
    let url = format!("file:{}?layout=flat", folder.path().join("s").display());
    let store = registry.open(&url, OpenMode::Create).await.unwrap();
    let (id, data) = chunk(1);
    store.put(id, data).await.unwrap();
    drop(store);
    assert!(folder.path().join("s").join(id.to_string()).is_file());
    let bad = url.replace("flat", "round");
    let e = registry.open(&bad, OpenMode::Create).await.unwrap_err();
    assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains("flat"), "{e}");
}
