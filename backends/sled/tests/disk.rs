//! Opening, using and misusing folders on the real file system.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use selfenc_core::store::{
    BlockingEngine, ErrorKind, Expect, OpenMode, PutOutcome, Registry, RootName, Swap,
};
use selfenc_sled::{SledConfig, SledEngine, SledFactory};
use support::{Rng, by_sled_alone, chunk};

fn open(dir: &Path, mode: OpenMode) -> selfenc_core::store::Result<SledEngine> {
    SledConfig::new(dir).open_engine(mode)
}

fn refused(dir: &Path, mode: OpenMode, kind: ErrorKind, words: &str) {
    let e = open(dir, mode).unwrap_err();
    assert_eq!(e.kind(), kind, "{e}");
    let line = e.to_string();
    assert!(line.contains(words) && line.contains(dir.to_str().unwrap()), "{line}");
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
    assert!(open(&dir.join("thesis.txt").join("store"), OpenMode::Create).is_err());
}

#[test]
fn another_programs_sled_database_is_refused_and_left_as_it_was() {
    for place in ["", "sled"] {
        let folder = tempfile::tempdir().unwrap();
        let theirs = sled::open(folder.path().join(place)).unwrap();
        theirs.insert("theirs", "value").unwrap();
        drop(theirs);
        let before = everything(folder.path());
        refused(folder.path(), OpenMode::Existing, ErrorKind::ContainerMissing, "not a store");
        refused(folder.path(), OpenMode::Create, ErrorKind::InvalidInput, "neither empty nor a store");
        assert_eq!(everything(folder.path()), before);
    }
}

#[test]
fn markers_of_other_layouts_and_damaged_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    drop(open(dir, OpenMode::Create).unwrap());
    let marker = dir.join("selfenc-store");
    assert_eq!(fs::read_to_string(&marker).unwrap(), "selfenc sled store, layout 1\n");
    let before = everything(&dir.join("sled"));
    for mode in [OpenMode::Existing, OpenMode::Create] {
        fs::write(&marker, "selfenc sled store, layout 2\n").unwrap();
        refused(dir, mode, ErrorKind::Unsupported, "newer version");
        fs::write(&marker, "selfenc filesystem store, layout 1\n").unwrap();
        refused(dir, mode, ErrorKind::InvalidInput, "another kind");
        for damaged in ["", "hello", "selfen"] {
            fs::write(&marker, damaged).unwrap();
            refused(dir, mode, ErrorKind::Corrupt, "not the marker");
        }
    }
    assert_eq!(everything(&dir.join("sled")), before, "sled was asked before the marker was read");
}

#[test]
fn a_making_that_was_interrupted_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a/b");
    drop(open(&dir, OpenMode::Create).unwrap());
    fs::remove_file(dir.join("selfenc-store")).unwrap();
    refused(&dir, OpenMode::Existing, ErrorKind::ContainerMissing, "no store was made in it");
    let (id, data) = chunk(1, 5000);
    open(&dir, OpenMode::Create).unwrap().put(id, &data).unwrap();
    assert_eq!(open(&dir, OpenMode::Existing).unwrap().get(id).unwrap(), Some(data));
}

#[test]
fn a_store_whose_database_is_gone_is_not_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    drop(open(&dir, OpenMode::Create).unwrap());
    fs::rename(dir.join("sled/db"), dir.join("sled/elsewhere")).unwrap();
    for mode in [OpenMode::Existing, OpenMode::Create] {
        refused(&dir, mode, ErrorKind::Corrupt, "is gone");
    }
    fs::remove_dir_all(dir.join("sled")).unwrap();
    fs::create_dir(dir.join("sled")).unwrap();
    File::create(dir.join("sled/db")).unwrap();
    refused(&dir, OpenMode::Existing, ErrorKind::Corrupt, "finds no store");
}

#[test]
fn a_store_that_is_gone_is_an_error_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let engine = open(&dir, OpenMode::Create).unwrap();
    let (id, data) = chunk(7, 5000);
    let name = RootName::new("a").unwrap();
    engine.put(id, &data).unwrap();
    fs::rename(&dir, folder.path().join("elsewhere")).unwrap();
    let kinds = [
        engine.get(id).map(drop),
        engine.stat(id).map(drop),
        engine.put(chunk(3, 10).0, &chunk(3, 10).1).map(drop),
        engine.delete(id),
        engine.page(None).map(drop),
        engine.flush(),
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
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_says_so() {
    // Nobody may make a folder there, root included.
    let e = open(Path::new("/sys/kernel/selfenc"), OpenMode::Create).unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnly), "{e}");
    assert!(e.to_string().contains("/sys/kernel/selfenc"), "{e}");
}

#[test]
fn no_value_is_long_enough_for_a_file_of_its_own() {
    // sled neither syncs nor frees such files, nor counts them for its cache.
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), OpenMode::Create).unwrap();
    let (mut rng, name) = (Rng(7), RootName::new("a").unwrap());
    for n in 0..200 {
        let len = [0, 1, 2047, 2048, 2049, 100_000, 1 << 20, 3 << 20][rng.below(8) as usize];
        let (id, data) = chunk(rng.below(20), len);
        engine.put(id, &data).unwrap();
        assert_eq!(engine.get(id).unwrap(), Some(data));
        if n % 20 == 0 {
            let current = engine.load(&name).unwrap();
            let new = Some(chunk(n, 1 << 20).1);
            assert!(matches!(engine.swap(&name, &Expect::from(current.as_ref()), new), Ok(Swap::Done(_))));
        }
        if n % 3 == 0 {
            engine.delete(chunk(rng.below(20), len).0).unwrap();
        }
    }
    let files = everything(&folder.path().join("sled/blobs"));
    assert!(files.is_empty(), "{:?}", files.keys());
}

#[test]
fn what_a_crash_leaves_between_pieces_and_entry_goes_with_the_next_put() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), OpenMode::Create).unwrap();
    let (id, data) = chunk(1, 10_000);
    let (_, pieces) = engine.trees().unwrap();
    for leave in [true, false] {
        pieces.insert([id.as_bytes(), &[9; 12][..]].concat(), "of a put that a crash cut short").unwrap();
        assert_eq!((engine.get(id).unwrap(), engine.stat(id).unwrap()), (None, None));
        assert_eq!(engine.page(None).unwrap(), []);
        if leave {
            assert_eq!(engine.put(id, &data).unwrap(), PutOutcome::Inserted);
            assert_eq!(pieces.len(), 5);
            assert_eq!(engine.get(id).unwrap(), Some(data.clone()));
        }
        engine.delete(id).unwrap();
        assert_eq!(pieces.len(), 0);
    }
}

#[test]
fn damaged_roots_are_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let (a, b) = (RootName::new("a").unwrap(), RootName::new("b").unwrap());
    let edit = |change: &dyn Fn(&sled::Tree, &sled::Tree)| {
        let db = by_sled_alone(&dir);
        change(&db.open_tree("roots").unwrap(), &db.open_tree("root-values").unwrap());
    };
    for damage in 0..3 {
        let _ = fs::remove_dir_all(&dir);
        let engine = open(&dir, OpenMode::Create).unwrap();
        for name in [&a, &b] {
            engine.swap(name, &Expect::Absent, Some(chunk(1, 10_000).1)).unwrap();
        }
        drop(engine);
        edit(&|roots, values| {
            let record = roots.get("a").unwrap().unwrap();
            match damage {
                0 => drop(roots.insert("a", &record[..20]).unwrap()),
                1 => drop(roots.insert("a", [&record[..16], &[0xff; 8]].concat()).unwrap()),
                _ => drop(values.remove([&record[..16], &[0, 0, 0, 1]].concat()).unwrap()),
            }
        });
        let engine = open(&dir, OpenMode::Existing).unwrap();
        let swap = engine.swap(&a, &Expect::Absent, Some("x".into())).map(drop);
        for result in [engine.load(&a).map(drop), swap] {
            let e = result.unwrap_err();
            assert!(e.kind() == ErrorKind::Corrupt && e.to_string().contains("root 'a'"), "{e}");
        }
        assert_eq!(engine.load(&b).unwrap().unwrap().value, chunk(1, 10_000).1);
        assert_eq!(engine.names().unwrap(), [a.clone(), b.clone()]);
    }
    let too_long = Some(vec![0; (16 << 20) + 1].into());
    let e = open(&dir, OpenMode::Existing).unwrap().swap(&b, &Expect::Absent, too_long).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
}

static SYNC_FAILS: AtomicBool = AtomicBool::new(false);

fn sync(file: &File) -> io::Result<()> {
    if SYNC_FAILS.load(Ordering::SeqCst) { Err(io::Error::from_raw_os_error(5)) } else { file.sync_all() }
}

#[test]
fn a_failed_sync_is_an_error_and_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let engine = SledConfig::new(folder.path()).with_sync(sync).open_engine(OpenMode::Create).unwrap();
    let ((id, data), name) = (chunk(1, 5000), RootName::new("a").unwrap());
    engine.put(id, &data).unwrap();
    engine.flush().unwrap();
    for fails in [true, false] {
        SYNC_FAILS.store(fails, Ordering::SeqCst);
        let e = engine.flush().unwrap_err();
        assert_eq!((e.op(), e.kind()), ("flush", ErrorKind::Other), "{e}");
        let e = engine.swap(&name, &Expect::Absent, Some("x".into())).unwrap_err();
        assert_eq!(e.op(), "swap", "{e}");
        // It was swapped, and is not durable: not known to be, so not `Ok`.
        let current = engine.load(&name).unwrap();
        assert!(engine.swap(&name, &Expect::from(current.as_ref()), None).is_err());
        assert_eq!(engine.get(id).unwrap(), Some(data.clone()));
    }
    drop(engine);
    let engine = open(folder.path(), OpenMode::Existing).unwrap();
    engine.flush().unwrap();
    assert_eq!(engine.get(id).unwrap(), Some(data));
}

#[tokio::test]
async fn urls() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new().register(SledFactory);
    let url = format!("sled://{}/a%20store", folder.path().display());
    let e = registry.open(&url, OpenMode::Existing).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ContainerMissing, "{e}");
    let store = registry.open(&url, OpenMode::Create).await.unwrap();
    assert!(!store.capabilities().shared);
    assert_eq!(store.info().to_string(), format!("sled:{}/a store", folder.path().display()));
    assert!(folder.path().join("a store/selfenc-store").is_file());
    assert!(!format!("{store:?}").contains("contents"), "sled's Debug prints what is stored");
    drop(store);
    drop(registry.open(&format!("{url}?cache=64M"), OpenMode::Existing).await.unwrap());
    for (query, words) in [("cache=big", "'big'"), ("cache=1K", "too small"), ("fsync=no", "'fsync'")] {
        let e = registry.open(&format!("{url}?{query}"), OpenMode::Existing).await.unwrap_err();
        assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains(words), "{e}");
    }
}
