//! Whatever goes in comes out, and equal input gives equal chunks.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // in a test, a panic is the report

mod support;

use proptest::prelude::*;
use selfenc_core::engine::{Binding, Chunking, Compression, EncryptionConfig, GroupSecret, Scope, Suite};
use support::{Dribble, TestStore, engine, random, read, small, text, write};

const CDC: Chunking = Chunking::ContentDefined { min: 256, avg: 1024, max: 4096 };

fn group(byte: u8) -> Scope {
    Scope::Group(GroupSecret::from_bytes([byte; 32]).expect("not zero"))
}

async fn round_trip(config: &EncryptionConfig, scope: &Scope, data: &[u8]) {
    let store = TestStore::default();
    let written = write(config.clone(), &store, scope, data).await;
    assert_eq!(written.stats.bytes_in, data.len() as u64);
    assert_eq!(written.map.len(), data.len() as u64);
    let bytes = written.map.to_secret_bytes();
    let map = selfenc_core::engine::DataMap::from_bytes(&bytes).expect("its own bytes");
    assert_eq!(map.to_secret_bytes(), bytes);
    assert_eq!(read(&store, &map).await.expect("an honest store"), data, "{config:?} {}", data.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_size_up_to_20_000() {
    let data = random(1, 20_000);
    for suite in Suite::ALL {
        let engine = engine(small().with_suite(suite));
        for len in 0..=data.len() {
            let store = TestStore::default();
            let data = &data[..len];
            let map = engine.write_bytes(store.shared(), &Scope::Public, data).await.unwrap().map;
            let back = engine.open(store.shared(), map).read_at(0, len).await.unwrap();
            assert_eq!(back, data, "{suite} {len}");
        }
    }
}

#[tokio::test]
async fn around_multiples_of_the_chunk_size() {
    for chunks in [1, 2, 3, 4, 5, 511, 512, 513, 1024, 1025] {
        for delta in [-1i64, 0, 1] {
            let len = usize::try_from(chunks * 1024 + delta).unwrap();
            round_trip(&small(), &Scope::Public, &random(2, len)).await;
            round_trip(&small(), &group(1), &text(len)).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_configuration(
        len in 0usize..60_000,
        seed: u64,
        dense: bool,
        suite in prop::sample::select(Suite::ALL.to_vec()),
        chunking in prop::sample::select(vec![
            Chunking::fixed(1024),
            Chunking::fixed(5000),
            Chunking::Fixed { size: 4096, min_chunks: 3 },
            CDC,
        ]),
        compression in prop::sample::select(vec![
            Compression::None,
            Compression::Zstd { level: 3 },
            Compression::Zstd { level: 19 },
            Compression::Brotli { quality: 4 },
        ]),
        binding in prop::sample::select(vec![None, Some(Binding::Own), Some(Binding::Next)]),
        scope in prop::sample::select(vec![Scope::Public, group(3), Scope::Private]),
    ) {
        let mut config = small().with_suite(suite).with_chunking(chunking).with_compression(compression);
        if let Some(binding) = binding {
            config = config.with_binding(binding);
        }
        let data = if dense { random(seed, len) } else { text(len) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(round_trip(&config, &scope, &data));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_sources_and_completion_order_change_nothing() {
    let data = [random(4, 300_000), text(500_000)].concat();
    for (scope, chunking) in
        [(Scope::Public, Chunking::fixed(1024)), (group(1), Chunking::fixed(1024)), (group(1), CDC)]
    {
        let config = small().with_chunking(chunking);
        let reference = TestStore::default();
        let map = write(config.clone(), &reference, &scope, &data).await.map.to_secret_bytes();
        for threads in [1, 2, 8] {
            for jitter in [false, true] {
                let store = TestStore { jitter, ..TestStore::default() };
                let engine = engine(config.clone().with_threads(threads));
                let written = engine.write(store.shared(), &scope, Dribble::new(&data)).await.unwrap();
                assert_eq!(written.map.to_secret_bytes(), map, "{threads} {jitter}");
                assert_eq!(*store.lock(), *reference.lock());
            }
        }
    }
}

#[tokio::test]
async fn the_smallest_budget_is_enough() {
    let data = [random(4, 100_000), text(100_000)].concat();
    for chunking in [Chunking::fixed(4096), Chunking::Fixed { size: 4096, min_chunks: 3 }, CDC] {
        for threads in [1, 8] {
            let config = EncryptionConfig::new().with_chunking(chunking).with_threads(threads);
            round_trip(&config.with_memory_budget(4 * (8192 + 65536)), &Scope::Public, &data).await;
        }
    }
}

#[tokio::test]
async fn the_second_time_nothing_is_stored() {
    let store = TestStore::default();
    let data = text(600_000);
    let first = write(small(), &store, &group(1), &data).await;
    assert!(first.stats.bytes_stored > 0);
    assert_eq!(first.stats.chunks_present, 0);
    let names = store.names();
    let second = write(small(), &store, &group(1), &data).await;
    assert_eq!((second.stats.bytes_stored, second.stats.chunks_new), (0, 0));
    assert_eq!(second.stats.chunks_present, first.stats.chunks_new);
    assert_eq!(second.map.to_secret_bytes(), first.map.to_secret_bytes());
    assert_eq!(store.names(), names);
}

#[tokio::test]
async fn scopes_share_no_name() {
    let data = text(100_000);
    for chunking in [Chunking::fixed(1024), CDC] {
        let mut seen = std::collections::BTreeSet::new();
        let scopes = [Scope::Public, group(1), group(2), Scope::Private, Scope::Private];
        let mut count = 0;
        for scope in scopes {
            let store = TestStore::default();
            write(small().with_chunking(chunking), &store, &scope, &data).await;
            count += store.names().len();
            seen.extend(store.names());
        }
        assert_eq!(seen.len(), count);
    }
}

#[tokio::test]
async fn suites_share_no_name() {
    let (a, b) = (TestStore::default(), TestStore::default());
    let data = text(50_000);
    write(small().with_suite(Suite::ALL[0]), &a, &Scope::Public, &data).await;
    write(small().with_suite(Suite::ALL[1]), &b, &Scope::Public, &data).await;
    assert!(a.names().iter().all(|name| !b.names().contains(name)));
}

#[tokio::test]
async fn equal_chunks_coincide_unless_their_neighbours_differ() {
    let data = vec![7; 100 * 1024];
    let own = TestStore::default();
    write(small(), &own, &Scope::Private, &data).await;
    assert_eq!(own.names().len(), 1);
    let next = TestStore::default();
    let mut data = data;
    data[50 * 1024] = 8;
    write(small(), &next, &Scope::Public, &data).await;
    // The odd one, the two before it, and all the others.
    assert_eq!(next.names().len(), 4);
}

#[tokio::test]
async fn an_insertion_moves_few_content_defined_chunks() {
    let data = random(9, 400_000);
    let mut edited = data.clone();
    edited.splice(200_000..200_000, *b"inserted");
    let store = TestStore::default();
    let config = small().with_chunking(CDC);
    let first = write(config.clone(), &store, &group(1), &data).await.stats;
    let second = write(config, &store, &group(1), &edited).await.stats;
    assert!(first.chunks_new > 200, "{first:?}");
    assert!(second.chunks_new < 10, "{second:?}");
}

#[tokio::test]
async fn min_chunks_cuts_small_inputs_into_thirds() {
    let config = small().with_chunking(Chunking::Fixed { size: 4096, min_chunks: 3 });
    for (len, lens) in
        [(5000, vec![1666, 1666, 1668]), (12_287, vec![4095, 4095, 4097]), (12_288, vec![4096; 3])]
    {
        let store = TestStore::default();
        let map = write(config.clone(), &store, &Scope::Public, &random(1, len)).await.map;
        assert_eq!(map.entries().map(|chunk| chunk.len).collect::<Vec<_>>(), lens);
    }
}
