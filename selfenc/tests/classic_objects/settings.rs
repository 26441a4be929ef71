//! Each setting does something, or is refused.

use std::sync::Arc;
use std::time::Duration;

use selfenc::EncryptionConfig;
use selfenc::classic::error::Error;
use selfenc::classic::keys::{KeyConfig, KeyStore};
use selfenc::classic::memory::{CacheConfig, MemoryConfig};
use selfenc::classic::streaming::{StreamDecryptor, StreamEncryptor};
use selfenc::classic::{ChunkConfig, CompressionConfig, ParallelConfig, SelfEncryptor};

use super::{Shelf, random, small};

const CACHE: CacheConfig = CacheConfig { capacity: 10, ttl: Duration::from_secs(60) };

fn is_config(e: &Error, named: &str) -> bool {
    matches!(e, Error::InvalidConfig(message) if message.contains(named))
}

#[test]
fn a_wrong_setting_is_refused_by_every_constructor() {
    let new = EncryptionConfig::new;
    let (map, _) = SelfEncryptor::new("x").unwrap().encrypt().unwrap();
    for (config, named) in [
        (new().with_chunk_size(1), "chunk size"),
        (new().with_min_chunks(2), "min_chunks"),
        (new().with_compression(CompressionConfig { algorithm: "lz4", level: 1 }), "there are none, zstd"),
        (new().with_compression(CompressionConfig { algorithm: "zstd", level: 23 }), "1 to 22"),
        (new().with_parallel(ParallelConfig { max_threads: 1, chunk_size: 4096 }), "4096"),
        (new().with_memory(MemoryConfig { max_chunk_cache: 2, max_total_memory: 1 }), "max_chunk_cache"),
        (new().with_cache(CacheConfig { capacity: 0, ..CACHE }), "capacity"),
        (new().with_cache(CACHE).with_chunk_cache(0), "chunk cache"),
        (new().with_keys(KeyConfig { min_entropy: 5, ..KeyConfig::default() }), "min_entropy"),
    ] {
        let whole = SelfEncryptor::with_config("x", config.clone()).unwrap_err();
        let streamed = StreamEncryptor::new(config.clone()).unwrap_err();
        let read = StreamDecryptor::from_data_map(map.clone()).unwrap().with_config(config).unwrap_err();
        for e in [whole, streamed, read] {
            assert!(is_config(&e, named), "{named}: {e:?}");
        }
    }
}

#[test]
fn sizes_and_compression_count() {
    let stored = |config: EncryptionConfig, data: Vec<u8>| {
        let (_, chunks) = SelfEncryptor::with_config(data, config).unwrap().encrypt().unwrap();
        (chunks.len(), chunks.iter().map(|chunk| chunk.content.len()).sum::<usize>())
    };
    let text = || (0..40_000).flat_map(|i| format!("{i}\n").into_bytes()).collect::<Vec<_>>();
    let by =
        |algorithm: &'static str, level| small().with_compression(CompressionConfig { algorithm, level });
    let [none, zstd, brotli] =
        [("none", 0), ("zstd", 9), ("brotli", 9)].map(|(name, level)| stored(by(name, level), text()).1);
    assert!(none > 228_000 && zstd < 150_000 && brotli < 150_000 && brotli != zstd, "{none} {zstd} {brotli}");

    assert_eq!(stored(small(), random(1, 10 * 1024)).0, 10);
    assert_eq!(stored(EncryptionConfig::new(), random(1, 10 * 1024)).0, 1);
    assert_eq!(stored(EncryptionConfig::new().with_min_chunks(3), random(1, 10 * 1024)).0, 3);
    let cdc = ChunkConfig::ContentDefined { min: 1024, avg: 2048, max: 4096 };
    assert!((4..=10).contains(&stored(EncryptionConfig::new().with_chunking(cdc), random(1, 10 * 1024)).0));
}

#[test]
fn too_little_memory_is_told() {
    let memory = MemoryConfig { max_chunk_cache: 1 << 20, max_total_memory: 4 << 20 };
    let encryptor =
        SelfEncryptor::with_config(vec![7; 10_000], EncryptionConfig::new().with_memory(memory)).unwrap();
    assert!(is_config(&encryptor.encrypt().unwrap_err(), "3145728 bytes"));
}

#[test]
fn keys_want_a_key_store_of_their_settings() {
    let settings = KeyConfig { rotation_interval: Duration::from_secs(60), ..KeyConfig::default() };
    let config = EncryptionConfig::new().with_keys(settings);
    let encryptor = || SelfEncryptor::with_config(vec![7; 10_000], config.clone()).unwrap();
    assert!(
        matches!(encryptor().encrypt(), Err(Error::Unsupported(message)) if message.contains("seal_with"))
    );
    assert!(matches!(StreamEncryptor::new(config.clone()), Err(Error::Unsupported(_))));

    let other = KeyStore::new(KeyConfig::default()).unwrap();
    assert!(is_config(&encryptor().seal_with(other).unwrap_err(), "keys"));
    let keys = Arc::new(KeyStore::new(settings).unwrap());
    let (sealed, chunks) = encryptor().seal_with(Arc::clone(&keys)).unwrap().encrypt().unwrap();
    assert_eq!(KeyStore::epoch_of(&sealed).unwrap(), 1);
    keys.rotate().unwrap();
    let map = keys.unseal(&keys.rewrap(&sealed).unwrap()).unwrap();
    assert_eq!(SelfEncryptor::from_data_map(map, chunks).unwrap().decrypt().unwrap(), vec![7; 10_000]);
}

#[tokio::test]
async fn a_cache_is_for_reading_from_a_store() {
    let config = small().with_cache(CACHE);
    let is_refused = |e: &Error| matches!(e, Error::Unsupported(message) if message.contains("cache"));
    assert!(is_refused(&SelfEncryptor::with_config(vec![7; 10_000], config.clone()).unwrap_err()));
    assert!(is_refused(&StreamEncryptor::new(config.clone()).unwrap_err()));
    let (map, chunks) = SelfEncryptor::new(vec![7; 10_000]).unwrap().encrypt().unwrap();
    let (inline, _) = SelfEncryptor::new("x").unwrap().encrypt().unwrap();
    let read = |map| StreamDecryptor::from_data_map(map).unwrap();
    for mut read in [
        read(map.clone()).with_config(config.clone()).unwrap().with_chunks(chunks.clone()).unwrap(),
        read(map).with_chunks(chunks).unwrap().with_config(config.clone()).unwrap(),
        read(inline).with_config(config).unwrap(),
    ] {
        assert!(is_refused(&read.next().await.unwrap().unwrap_err()));
        assert!(read.next().await.is_none());
    }
}

/// Its chunks are large enough to be copied aside, where there is an executor.
#[test]
fn a_cache_needs_no_runtime() {
    let shelf = Shelf::default();
    let large = EncryptionConfig::new().with_chunk_size(1 << 20);
    let encryptor = SelfEncryptor::with_config(random(1, 3 << 20), large.clone().with_verify_present(true));
    let (map, _) = encryptor.unwrap().store_in(shelf.clone()).unwrap().encrypt().unwrap();
    let read = StreamDecryptor::from_data_map(map).unwrap().with_store(shelf).unwrap();
    let mut read = read.with_config(large.with_cache(CACHE)).unwrap();
    let mut len = 0;
    while let Some(piece) = futures::executor::block_on(read.next()) {
        len += piece.unwrap().len();
    }
    assert_eq!(len, 3 << 20);
}

/// Ten equal chunks, read one after another.
#[tokio::test]
async fn a_cache_answers_until_its_time_is_up() {
    let shelf = Shelf::default();
    let encryptor = SelfEncryptor::with_config(vec![7; 10 * 1024], small()).unwrap();
    let (map, _) = encryptor.store_in(shelf.clone()).unwrap().encrypt().unwrap();
    assert_eq!(shelf.len(), 1);

    let once = small().with_concurrency(1);
    let brief = CacheConfig { ttl: Duration::from_nanos(1), ..CACHE };
    for (config, retrieved) in
        [(once.clone(), 10), (once.clone().with_cache(CACHE), 1), (once.clone().with_cache(brief), 10)]
    {
        let before = shelf.retrieved.load(std::sync::atomic::Ordering::SeqCst);
        // In either order.
        let read = StreamDecryptor::from_data_map(map.clone()).unwrap().with_store(shelf.clone()).unwrap();
        let mut read = read.with_config(config).unwrap();
        let mut len = 0;
        while let Some(piece) = read.next().await {
            len += piece.unwrap().len();
        }
        assert_eq!(len, 10 * 1024);
        assert_eq!(shelf.retrieved.load(std::sync::atomic::Ordering::SeqCst) - before, retrieved);
    }
}
