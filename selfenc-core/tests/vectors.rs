//! The frozen vectors of `docs/vectors/`: what was written once is written the same and read for ever.
//!
//! Each case is written again and compared byte for byte, read by the engine from the frozen files, and
//! read by the reference reader, which shares no code with it. A new case is a new line in `index.tsv`;
//! with `SELFENC_NEW_VECTORS=1` its files are made. What exists is never written over.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // in a test, a panic is the report

mod reference;
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use selfenc_core::engine::{
    Binding, Chunking, Compression, DataMap, EncryptionConfig, GroupSecret, Scope, SealKey, Suite,
};
use selfenc_core::store::ChunkId;
use sha3::{Digest, Sha3_256};
use shake::{ExtendableOutput, Shake256, Update, XofReader};
use support::{TestStore, read, text};

/// One line of `index.tsv`.
#[derive(Debug)]
struct Case {
    name: String,
    config: EncryptionConfig,
    /// `None` for a private case: its secret is gone, so it can be read but not written again.
    scope: Option<Scope>,
    input: Vec<u8>,
    level: u8,
    seal_key: Option<SealKey>,
    line: String,
}

impl Case {
    fn parse(line: &str) -> Self {
        let fields: Vec<_> = line.split('\t').collect();
        let [name, suite, scope, secret, binding, chunker, compression, input, len, digest, level, note] =
            fields[..]
        else {
            panic!("twelve columns: {line}")
        };
        let mut config = EncryptionConfig::new()
            .with_suite(suite.parse().unwrap())
            .with_compression(compression.parse::<Compression>().unwrap())
            .with_threads(2);
        if chunker != "inline" {
            let binding = if binding == "next" { Binding::Next } else { Binding::Own };
            config = config.with_chunking(chunking(chunker)).with_binding(binding);
        }
        let input = make_input(input, len.parse().unwrap());
        assert_eq!(hex(&Sha3_256::digest(&input)), digest, "{name}: the input");
        let scope = match scope {
            "public" => Some(Scope::Public),
            "group" => Some(Scope::Group(GroupSecret::from_bytes(unhex(secret)).unwrap())),
            "private" => None,
            other => panic!("scope {other}"),
        };
        let seal_key = (note != "-").then(|| SealKey::from_bytes(unhex(note)));
        let level = level.parse().unwrap();
        Self { name: name.into(), config, scope, input, level, seal_key, line: line.into() }
    }

    fn file(&self, extension: &str) -> PathBuf {
        folder().join(format!("{}.{extension}", self.name))
    }

    async fn write(&self) -> (Vec<u8>, TestStore) {
        let store = TestStore::default();
        let scope = self.scope.clone().unwrap_or(Scope::Private);
        let written = support::write(self.config.clone(), &store, &scope, &self.input).await;
        (written.map.to_secret_bytes().to_vec(), store)
    }

    /// Makes the files of a case that has none.
    async fn freeze(&self) {
        let (map, store) = self.write().await;
        fs::write(self.file("map"), &map).unwrap();
        if let Some(key) = &self.seal_key {
            let sealed = DataMap::from_bytes(&map).unwrap().seal(key).unwrap();
            fs::write(self.file("sealed"), sealed).unwrap();
        }
        let chunks = store.lock();
        if self.level < 2 && !chunks.is_empty() {
            let mut file = Vec::new();
            for stored in chunks.values() {
                file.extend_from_slice(&u32::try_from(stored.len()).unwrap().to_le_bytes());
                file.extend_from_slice(stored);
            }
            fs::write(self.file("chunks"), file).unwrap();
        }
    }

    /// The frozen chunks under the names that their bytes give them; `None` where they are not kept.
    fn frozen_chunks(&self) -> Option<BTreeMap<ChunkId, Bytes>> {
        let file = match fs::read(self.file("chunks")) {
            Ok(file) => file,
            Err(_) if self.level == 0 && self.input.len() <= 4096 => Vec::new(),
            Err(_) => {
                assert_eq!(self.level, 2, "{}: only the largest case keeps no chunks", self.name);
                return None;
            }
        };
        let (mut rest, mut chunks) = (file.as_slice(), BTreeMap::new());
        while let Some((len, after)) = rest.split_first_chunk() {
            let (stored, after) = after.split_at(u32::from_le_bytes(*len) as usize);
            let name = match self.line.split('\t').nth(1) {
                Some("0x10") => Sha3_256::digest(stored).into(),
                _ => *blake3::hash(stored).as_bytes(),
            };
            chunks.insert(ChunkId::from_bytes(name), Bytes::copy_from_slice(stored));
            rest = after;
        }
        Some(chunks)
    }

    async fn check(&self) {
        let frozen = fs::read(self.file("map")).expect("a frozen map; see the top of this file");
        let map = DataMap::from_bytes(&frozen).unwrap();
        assert_eq!(map.level(), self.level, "{}", self.name);
        let mut kept = self.frozen_chunks();
        if self.scope.is_some() {
            let (written, store) = self.write().await;
            assert!(written == frozen, "{}: the map is written as it was", self.name);
            let chunks = std::mem::take(&mut *store.lock());
            let kept = kept.get_or_insert_with(|| chunks.clone());
            assert!(*kept == chunks, "{}: the chunks are written as they were", self.name);
        }
        let store = TestStore::default();
        *store.lock() = kept.expect("kept, or written again");
        assert!(read(&store, &map).await.unwrap() == self.input, "{}: read by the engine", self.name);
        self.check_reference(&frozen, &store);
        if let Some(key) = &self.seal_key {
            let sealed = fs::read(self.file("sealed")).unwrap();
            let opened = DataMap::unseal(key, &sealed).unwrap().to_secret_bytes();
            assert_eq!(*opened, frozen);
            assert_eq!(reference::unseal(key.expose(), &sealed).unwrap(), frozen);
        }
    }

    fn check_reference(&self, map: &[u8], store: &TestStore) {
        let chunks = store.lock();
        let get = |name: &[u8; 32]| chunks.get(&ChunkId::from_bytes(*name)).map(|stored| stored.to_vec());
        let mut rest = self.input.as_slice();
        reference::read_with(map, &get, &mut |piece| {
            rest = rest.strip_prefix(piece).expect("the bytes of the input, in order");
        })
        .unwrap_or_else(|e| panic!("{}: read by the reference: {e}", self.name));
        assert!(rest.is_empty(), "{}: all of it", self.name);
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors")
}

fn cases() -> Vec<Case> {
    let index = fs::read_to_string(folder().join("index.tsv")).unwrap();
    index.lines().skip(1).map(Case::parse).collect()
}

fn chunking(text: &str) -> Chunking {
    let (kind, sizes) = text.split_once(':').unwrap();
    let sizes: Vec<u32> = sizes.split([',', ':']).map(|size| size.parse().unwrap()).collect();
    match (kind, &sizes[..]) {
        ("fixed", [size]) => Chunking::fixed(*size),
        ("fixed", [size, min_chunks]) => Chunking::Fixed { size: *size, min_chunks: *min_chunks },
        ("cdc", [min, avg, max]) => Chunking::ContentDefined { min: *min, avg: *avg, max: *max },
        _ => panic!("chunker {text}"),
    }
}

fn make_input(kind: &str, len: usize) -> Vec<u8> {
    match kind {
        "zero" => vec![0; len],
        "text" => text(len),
        "random" => {
            let mut shake = Shake256::default();
            shake.update(b"selfenc vector random");
            let mut bytes = vec![0; len];
            shake.finalize_xof().read(&mut bytes);
            bytes
        }
        other => panic!("input {other}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> [u8; 32] {
    *text.parse::<ChunkId>().unwrap().as_bytes()
}

#[tokio::test]
async fn every_vector_is_written_and_read_as_it_was() {
    for case in cases() {
        if std::env::var_os("SELFENC_NEW_VECTORS").is_some() && !case.file("map").exists() {
            case.freeze().await;
        }
        case.check().await;
    }
}

#[test]
fn the_vectors_cover_the_format() {
    let index = fs::read_to_string(folder().join("index.tsv")).unwrap();
    for suite in Suite::ALL {
        let suite = format!("{:#x}", suite.id());
        let lines: Vec<Vec<_>> = index
            .lines()
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .filter(|fields| fields[1] == suite)
            .collect();
        let has = |column: usize, start: &str| {
            let found = lines.iter().any(|fields| fields[column].starts_with(start));
            assert!(found, "{suite}: no vector has {start} in column {column}");
        };
        for scope in ["public", "group", "private"] {
            has(2, scope);
        }
        for binding in ["own", "next"] {
            has(4, binding);
        }
        for chunker in ["inline", "fixed:1024", "fixed:1048576", "fixed:4096:3", "cdc:"] {
            has(5, chunker);
        }
        for compression in ["none", "zstd:", "brotli:"] {
            has(6, compression);
        }
        for input in ["zero", "random", "text"] {
            has(7, input);
        }
        for level in ["0", "1", "2"] {
            has(10, level);
        }
        assert!(lines.iter().any(|fields| fields[11] != "-"), "{suite}: no sealed vector");
    }
    let files = fs::read_dir(folder()).unwrap().count();
    assert!(files > 40, "the files are there: {files}");
}
