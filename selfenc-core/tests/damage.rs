//! A store that lies, or loses: the exact bytes come back or an error does, never other bytes.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // in a test, a panic is the report

mod support;

use std::sync::atomic::Ordering;

use bytes::Bytes;
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use selfenc_core::engine::{
    Chunking, Compression, DataMap, EncryptionConfig, Error, GroupSecret, MapError, Scope, Suite,
    name_matches,
};
use selfenc_core::store::ChunkId;
use support::{TestStore, random, read, small, text, write};

const SEED: [u8; 32] = *b"selfenc: ten thousand mutations.";

struct Written {
    store: TestStore,
    map: DataMap,
    data: Vec<u8>,
}

/// Inputs with every kind of part: raw and compressed chunks, pages, inline data.
async fn samples() -> Vec<Written> {
    let scope = Scope::Group(GroupSecret::from_bytes([5; 32]).unwrap());
    let mixed = [random(1, 4000), text(4000)].concat();
    let mut samples = Vec::new();
    for suite in Suite::ALL {
        let paged = [random(2, 300 * 1024), text(300 * 1024)].concat();
        let config = small().with_suite(suite);
        for (config, data) in [
            (config.clone(), mixed.clone()),
            (config.clone().with_compression(Compression::Brotli { quality: 4 }), mixed.clone()),
            (
                config.clone().with_chunking(Chunking::ContentDefined { min: 256, avg: 1024, max: 4096 }),
                mixed.clone(),
            ),
            (config.clone(), paged),
            (config, text(100)),
        ] {
            let store = TestStore::default();
            let map = write(config, &store, &scope, &data).await.map;
            samples.push(Written { store, map, data });
        }
    }
    samples
}

/// What a change to one stored chunk must lead to.
async fn assert_corrupt(sample: &Written, id: ChunkId, what: &str) {
    match read(&sample.store, &sample.map).await {
        Err(Error::Corrupt { chunk }) => assert_eq!(chunk, id, "{what}"),
        other => panic!("{what}: {:?}", other.map(|data| data.len())),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_mutations_of_chunks_pages_and_maps() {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let samples = samples().await;
    for round in 0..10_000 {
        let sample = &samples[round % samples.len()];
        let names = sample.store.names();
        // Every fourth hits the map, and all of them where there is nothing else.
        if names.is_empty() || round % 4 == 0 {
            let mut bytes = sample.map.to_secret_bytes().to_vec();
            mutate(&mut bytes, &mut rng);
            let error = DataMap::from_bytes(&bytes).expect_err("no damaged map is read");
            assert!(matches!(error, Error::BadMap(_)), "{error:?}");
            continue;
        }
        let id = names[rng.next_u64() as usize % names.len()];
        let honest = sample.store.lock()[&id].clone();
        sample.store.replace(id, |bytes| mutate(bytes, &mut rng));
        assert!(!name_matches(id, &sample.store.lock()[&id]));
        assert_corrupt(sample, id, &format!("round {round}")).await;
        sample.store.lock().insert(id, honest);
    }
    for sample in &samples {
        assert_eq!(read(&sample.store, &sample.map).await.unwrap(), sample.data);
    }
}

/// Flips a bit, cuts, extends, or overwrites a run; always a change.
fn mutate(bytes: &mut Vec<u8>, rng: &mut TestRng) {
    let before = bytes.clone();
    let at = rng.next_u64() as usize % bytes.len();
    match rng.next_u32() % 8 {
        0 => bytes.truncate(at),
        1 => bytes.extend_from_slice(&rng.next_u64().to_le_bytes()[..1 + at % 8]),
        2 => {
            let end = (at + 16).min(bytes.len());
            rng.fill_bytes(&mut bytes[at..end]);
        }
        3 => drop(bytes.remove(at)),
        _ => bytes[at] ^= 1 << (rng.next_u32() % 8),
    }
    if *bytes == before {
        bytes[at] ^= 1;
    }
}

/// What a network damages once, is right when it is read again.
#[tokio::test]
async fn damage_on_the_way_is_read_again() {
    for sample in samples().await {
        for damage in [0, 1] {
            let names = sample.store.names();
            let mut damaged = names.iter().map(|id| (*id, damage)).collect();
            std::mem::swap(&mut *sample.store.damaged_once.lock().unwrap(), &mut damaged);
            let before = sample.store.gets.load(Ordering::SeqCst);
            assert_eq!(read(&sample.store, &sample.map).await.unwrap(), sample.data);
            assert_eq!(sample.store.gets.load(Ordering::SeqCst) - before, 2 * names.len());
        }
    }
}

#[tokio::test]
async fn missing_empty_and_swapped_chunks_are_named() {
    for sample in samples().await {
        let names = sample.store.names();
        for (index, &id) in names.iter().enumerate().take(40) {
            let honest = sample.store.lock().remove(&id).unwrap();
            match read(&sample.store, &sample.map).await {
                Err(Error::ChunkMissing { chunk }) => assert_eq!(chunk, id),
                other => panic!("missing: {other:?}"),
            }
            sample.store.lock().insert(id, Bytes::new());
            assert_corrupt(&sample, id, "empty").await;
            let other = sample.store.lock()[&names[(index + 1) % names.len()]].clone();
            sample.store.lock().insert(id, other);
            assert_corrupt(&sample, id, "another chunk's bytes").await;
            sample.store.lock().insert(id, honest);
        }
    }
}

#[tokio::test]
async fn a_damaged_chunk_spares_the_others() {
    let store = TestStore::default();
    let data = random(3, 20 * 1024);
    let written = write(small(), &store, &Scope::Private, &data).await;
    let victim = written.map.entries().nth(7).unwrap();
    store.replace(victim.name, |bytes| bytes[100] ^= 1);
    let reader = support::engine(small()).open(store.shared(), written.map);
    assert_eq!(reader.read_at(0, 7 * 1024).await.unwrap(), data[..7 * 1024]);
    assert_eq!(reader.read_at(8 * 1024, 99_999).await.unwrap(), data[8 * 1024..]);
    let error = reader.read_at(7 * 1024 + 5, 1).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { chunk } if chunk == victim.name));
    assert!(error.to_string().contains(&victim.name.short()));
    use futures::StreamExt;
    let checked: Vec<_> = reader.check().collect().await;
    assert_eq!(checked.len(), 20);
    assert_eq!(checked.iter().filter(|result| result.is_err()).count(), 1);
}

#[tokio::test]
async fn a_map_for_another_store_names_the_first_missing_chunk() {
    let (here, there) = (TestStore::default(), TestStore::default());
    let written = write(small(), &here, &Scope::Public, &text(10_000)).await;
    let first = written.map.entries().next().unwrap().name;
    let error = read(&there, &written.map).await.unwrap_err();
    assert!(matches!(error, Error::ChunkMissing { chunk } if chunk == first), "{error:?}");
}

#[tokio::test]
async fn no_prefix_of_a_map_is_a_map() {
    for sample in samples().await {
        let bytes = sample.map.to_secret_bytes();
        let step = (bytes.len() / 300).max(1);
        for cut in (0..bytes.len()).step_by(step) {
            assert!(DataMap::from_bytes(&bytes[..cut]).is_err());
        }
    }
}

#[test]
fn what_is_no_map_says_so() {
    let refusal = |bytes: &[u8]| match DataMap::from_bytes(bytes) {
        Err(Error::BadMap(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(b""), MapError::NotADataMap);
    assert_eq!(refusal(b"PNG"), MapError::NotADataMap);
    assert_eq!(refusal(b"SEMAP"), MapError::Damaged);
    assert_eq!(refusal(b"SEMAP\x02\x10"), MapError::NewerVersion(2));
    assert_eq!(refusal(b"SESL\x01"), MapError::Sealed);
    assert_eq!(refusal(b"SEMAP\x01\x10\0\0\0"), MapError::Damaged);
}

#[tokio::test]
async fn strangers_garbage_under_a_name_is_found_when_asked() {
    let data = random(3, 10 * 1024);
    let config = EncryptionConfig::new().with_chunk_size(1024).with_threads(1);
    let honest = TestStore::default();
    write(config.clone(), &honest, &Scope::Public, &data).await;
    let poisoned = TestStore { keeps_first: true, ..TestStore::default() };
    let victim = honest.names()[3];
    poisoned.lock().insert(victim, vec![0; honest.lock()[&victim].len()].into());
    let trusting = support::engine(config.clone());
    assert!(trusting.write_bytes(poisoned.shared(), &Scope::Public, &data).await.is_ok());
    let wary = support::engine(config.with_verify_present(true));
    let error = wary.write_bytes(poisoned.shared(), &Scope::Public, &data).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { chunk } if chunk == victim), "{error:?}");
}
