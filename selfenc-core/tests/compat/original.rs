//! Against the published crate, release 0.36.2, and the model: equal chunks, names and maps, for every class of
//! length and every largest chunk.

use std::collections::BTreeSet;
use std::sync::Mutex;

use bytes::Bytes;
use selfenc_core::compat::{DataMap, Generation};
use selfenc_core::store::ChunkId;

use crate::model::Model;
use crate::support::{TestStore, random, text};
use crate::{cutting, engine, filled, read, write};

const MAX: usize = self_encryption::MAX_CHUNK_SIZE;

/// Half of it compresses.
fn mixed(len: usize) -> Vec<u8> {
    let (mut bytes, lines) = (random(7, len), text(len));
    bytes
        .chunks_mut(10_000)
        .zip(lines.chunks(10_000))
        .step_by(2)
        .for_each(|(to, from)| to.copy_from_slice(from));
    bytes
}

/// Around each step of the rule by which inputs are cut, up to 60 MB.
fn lengths() -> Vec<usize> {
    let steps = [3, 100, 4096, 3 * MAX, 4 * MAX];
    let mut lengths: Vec<_> = steps.into_iter().flat_map(|len| [len - 1, len, len + 1]).collect();
    lengths.retain(|len| *len >= 3);
    lengths.extend([10_000, 1 << 20, MAX, 2 * MAX + 1, 9 * MAX, 60_000_000]);
    lengths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_class_of_length_is_the_same_as_the_original() {
    for len in lengths() {
        let data = if len % 3 == 0 { random(len as u64, len) } else { mixed(len) };
        let (theirs, encrypted) = self_encryption::encrypt(Bytes::from(data.clone())).unwrap();
        let theirs_map = DataMap::from_bytes(&theirs.to_bytes().unwrap()).unwrap();

        let store = TestStore::default();
        let written = write(&engine(Generation::Two), &store, &data).await;
        assert_eq!(written.map, theirs_map, "{len} bytes");
        let names =
            encrypted.iter().map(|chunk| ChunkId::from_bytes(*blake3::hash(&chunk.content).as_bytes()));
        assert_eq!(
            store.names(),
            names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>(),
            "{len} bytes"
        );

        // Each reads what the other wrote.
        let their_store = filled(Generation::Two, encrypted.iter().map(|chunk| chunk.content.to_vec()));
        assert!(read(&their_store, &theirs_map).await.unwrap() == data, "{len} bytes");
        let ours = store.lock().clone().into_values();
        let ours: Vec<_> = ours.map(|content| self_encryption::EncryptedChunk { content }).collect();
        let map = self_encryption::DataMap::from_bytes(&written.map.to_secret_bytes()).unwrap();
        assert!(self_encryption::decrypt(&map, &ours).unwrap() == data, "{len} bytes");
    }
}

#[tokio::test]
async fn our_json_is_theirs() {
    let (map, _) = self_encryption::encrypt(random(1, 1000).into()).unwrap();
    let ours = DataMap::from_bytes(&map.to_bytes().unwrap()).unwrap();
    let theirs = serde_json::to_string(&map).unwrap();
    assert_eq!(*ours.to_secret_json(), theirs);
    assert_eq!(DataMap::from_json(&theirs).unwrap(), ours);
    assert!(serde_json::from_str::<self_encryption::DataMap>(&ours.to_secret_json()).unwrap() == map);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_largest_chunk_is_the_same_as_the_model() {
    let data = mixed(30_000);
    for generation in Generation::ALL {
        for max in [113, 114, 500, 1000, 1024, 4096, 9_999, 10_000, 10_001, 30_000, 1 << 20, (64 << 20) - 1] {
            for len in [3, 4, 5, 338, 339, 340, 3 * max - 1, 3 * max, 3 * max + 1, 29_999, 30_000] {
                if !(3..=data.len()).contains(&len) {
                    continue;
                }
                let mut model = Model::new(generation, max);
                let map = model.encrypt_rightly(&data[..len]);
                let expected = filled(generation, model.stored);
                let store = TestStore::default();
                let engine = if max == (64 << 20) - 1 {
                    // Four of them, twice each.
                    let config = selfenc_core::engine::EncryptionConfig::new().with_memory_budget(600 << 20);
                    let native = selfenc_core::engine::Engine::new(config).unwrap();
                    selfenc_core::compat::Engine::new(&native, generation)
                        .with_max_chunk_size((64 << 20) - 1)
                        .unwrap()
                } else {
                    cutting(generation, max as u32)
                };
                let written = write(&engine, &store, &data[..len]).await;
                let what = format!("{generation}, {len} bytes in chunks of {max}");
                assert!(*written.map.to_secret_bytes() == map.v1(), "{what}: the map");
                assert!(*store.lock() == *expected.lock(), "{what}: the chunks");
                assert!(read(&store, &written.map).await.unwrap() == data[..len], "{what}");
            }
        }
    }
}

/// The model and the original agree as well, so that the model may stand for what cannot be a dependency.
#[test]
fn the_model_is_the_original() {
    for len in [3, 1000, 100_000, 3 * MAX + 5] {
        let data = mixed(len);
        let (theirs, chunks) = self_encryption::encrypt(Bytes::from(data.clone())).unwrap();
        let mut model = Model::new(Generation::Two, MAX);
        assert!(model.encrypt(&data, 0).v1() == theirs.to_bytes().unwrap());
        assert!(model.stored.iter().eq(chunks.iter().map(|chunk| &chunk.content[..])));
    }
}

/// Closures as storage, theirs.
#[tokio::test]
async fn their_stream_reads_ours() {
    let data = mixed(3 * MAX + 1000);
    let store = TestStore::default();
    let written = write(&engine(Generation::Two), &store, &data).await;
    let map = self_encryption::DataMap::from_bytes(&written.map.to_secret_bytes()).unwrap();
    let asked = Mutex::new(0);
    let fetch = |names: &[(usize, self_encryption::XorName)]| {
        *asked.lock().unwrap() += names.len();
        let get = |(index, name): &(usize, self_encryption::XorName)| {
            (*index, store.lock()[&ChunkId::from_bytes(name.0)].clone())
        };
        Ok(names.iter().map(get).collect())
    };
    let stream = self_encryption::streaming_decrypt(&map, fetch).unwrap();
    let read: Vec<u8> = stream.flat_map(|piece| piece.unwrap()).collect();
    assert!(read == data);
    assert_eq!(*asked.lock().unwrap(), 7);
}
