//! What releases 0.34.1 and 0.36.2 wrote (`docs/vectors/self_encryption/`): written the same, and read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use selfenc_core::compat::{AnyMap, DataMap, Generation};
use selfenc_core::engine::{EncryptionConfig, Scope};
use sha2::{Digest, Sha256};

use crate::support::TestStore;
use crate::{engine, filled, read, write};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors/self_encryption")
}

/// As the README there describes it.
fn mix(len: usize) -> Vec<u8> {
    let piece = |i: u64| {
        let line = format!("The quick brown fox jumps over the lazy dog {i:08}\n");
        [&Sha256::digest(i.to_le_bytes())[..], line.as_bytes()].concat()
    };
    let mut bytes: Vec<u8> = (0..).take(len / 80 + 1).flat_map(piece).collect();
    bytes.truncate(len);
    bytes
}

fn input(name: &str) -> Vec<u8> {
    match name {
        "t3" => b"abc".to_vec(),
        "t3072" => (0..3072u32).map(|i| i.to_le_bytes()[0]).collect(),
        "t10k" => b"Hello, World!".repeat(1000),
        "t5m" => mix(5 * 1_048_576 + 12_345),
        "t13m" => mix(13_000_000),
        other => panic!("{other}"),
    }
}

fn generation(folder: &str) -> Generation {
    if folder.contains("34") { Generation::One } else { Generation::Two }
}

#[tokio::test]
async fn small_ones_both_ways() {
    for name in ["o34_t3", "o34_t3072", "o34_t10k", "o36_t3", "o36_t3072", "o36_t10k"] {
        let (generation, data) = (generation(name), input(&name[4..]));
        let mut chunks = Vec::new();
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(folder().join(name)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            if file != "DATAMAP" {
                chunks.push(fs::read(&path).unwrap());
                names.insert(file);
            }
        }
        let theirs = fs::read(folder().join(name).join("DATAMAP")).unwrap();
        let map = DataMap::from_bytes(&theirs).unwrap();
        assert_eq!(*map.to_secret_bytes(), theirs, "{name}");

        let store = filled(generation, chunks.clone());
        let named: BTreeSet<_> = store.names().iter().map(ToString::to_string).collect();
        assert_eq!(named, names, "{name}");
        assert!(read(&store, &map).await.unwrap() == data, "{name}");

        let ours = TestStore::default();
        let written = write(&engine(generation), &ours, &data).await;
        assert_eq!(written.map, map, "{name}");
        assert!(*ours.lock() == *store.lock(), "{name}: the chunks");
    }
}

#[tokio::test]
async fn shrunk_ones_both_ways() {
    let names = fs::read_to_string(folder().join("names_t5m_t13m.txt")).unwrap();
    for (case, map) in [("o34_t5m", "DATAMAP_34_t5m"), ("o36_t13m", "DATAMAP_36_t13m")] {
        let (generation, data) = (generation(case), input(&case[4..]));
        let listed = names.split_once(&format!("{case}:\n")).unwrap().1;
        let listed: BTreeSet<_> = listed
            .lines()
            .take_while(|line| line.starts_with(' '))
            .map(|line| line.trim().to_owned())
            .collect();
        let theirs = DataMap::from_bytes(&fs::read(folder().join(map)).unwrap()).unwrap();
        assert_eq!(theirs.child(), Some(1), "{case}");

        let store = TestStore::default();
        let written = write(&engine(generation), &store, &data).await;
        assert_eq!(written.map, theirs, "{case}");
        let named: BTreeSet<_> = store.names().iter().map(ToString::to_string).collect();
        assert_eq!(named, listed, "{case}");
        assert_eq!(written.stats.bytes_in, data.len() as u64);
        assert!(read(&store, &theirs).await.unwrap() == data, "{case}");
    }
}

#[tokio::test]
async fn a_map_of_any_kind_is_told() {
    let file = fs::read(folder().join("o34_t3/DATAMAP")).unwrap();
    assert!(matches!(AnyMap::detect(&file), Ok(AnyMap::Compat(map)) if map.original_file_size() == 3));
    let json = DataMap::from_bytes(&file).unwrap().to_secret_json();
    assert!(matches!(AnyMap::detect(json.as_bytes()), Ok(AnyMap::Compat(_))));
    let native = selfenc_core::engine::Engine::new(EncryptionConfig::new()).unwrap();
    let store = TestStore::default();
    let map = native.write_bytes(store.shared(), &Scope::Public, b"abc").await.unwrap().map;
    assert!(matches!(AnyMap::detect(&map.to_secret_bytes()), Ok(AnyMap::Native(found)) if found.len() == 3));
    for bad in [&b""[..], b"SEMAP", b"SESL", b"{}", b"[]", b"hello", &[0; 8], &[1; 90], &file[2..]] {
        let e = AnyMap::detect(bad).unwrap_err();
        assert!(matches!(e, selfenc_core::engine::Error::BadMap(_)), "{bad:?}: {e}");
    }
}
