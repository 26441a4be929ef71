//! Stores of one's own, and ours.

use std::error::Error as _;
use std::sync::Arc;

use selfenc::classic::error::Error;
use selfenc::classic::streaming::StreamDecryptor;
use selfenc::classic::{AnyStore, ChunkInfo, SelfEncryptor};
use selfenc::store::{Backend, ChunkStore, OpenMode};
use selfenc::{DataMap, EncryptionConfig, MemoryStore, Suite};

use super::{Shelf, Wrong, random, small};

fn encrypt(store: impl Into<AnyStore>) -> Result<(DataMap, usize), Error> {
    let encryptor = SelfEncryptor::with_config(random(1, 50_000), small())?;
    let (map, chunks) = encryptor.store_in(store)?.encrypt()?;
    Ok((map, chunks.len()))
}

async fn decrypt(map: DataMap, store: impl Into<AnyStore>) -> Result<Vec<u8>, Error> {
    let mut pieces = StreamDecryptor::from_data_map(map)?.with_store(store)?;
    let mut data = Vec::new();
    while let Some(piece) = pieces.next().await {
        data.extend_from_slice(&piece?);
    }
    Ok(data)
}

#[test]
fn chunks_go_to_the_store_as_well() {
    let shelf = Shelf::default();
    let encryptor = SelfEncryptor::with_config(random(1, 50_000), small()).unwrap();
    let (_, chunks) = encryptor.store_in(shelf.clone()).unwrap().encrypt().unwrap();
    assert_eq!(chunks.len(), shelf.len());
    for chunk in &chunks {
        let info = ChunkInfo::of(&chunk.content);
        assert_eq!(info.hash, *chunk.name.as_bytes());
        assert_eq!(shelf.chunks.lock().unwrap()[&info], chunk.content);
    }
}

#[tokio::test]
async fn a_store_of_ones_own_works_inside_a_runtime_too() {
    let shelf = Shelf::default();
    let (map, chunks) = encrypt(shelf.clone()).unwrap();
    assert_eq!(chunks, shelf.len());
    assert_eq!(decrypt(map, shelf).await.unwrap(), random(1, 50_000));
}

/// Its thread waits for it anyway: another one, which all others like it may hold, is not needed.
#[test]
fn many_at_once_on_few_blocking_threads_go_on() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_time()
        .build();
    runtime.unwrap().block_on(async {
        let both = [(); 2].map(|()| tokio::task::spawn_blocking(|| encrypt(Shelf::default()).map(drop)));
        for one in both {
            tokio::time::timeout(std::time::Duration::from_secs(60), one).await.unwrap().unwrap().unwrap();
        }
    });
}

/// A store whose first call panics.
struct Fragile(bool);

impl selfenc::classic::ChunkStore for Fragile {
    fn store(&mut self, data: &[u8]) -> Result<ChunkInfo, Error> {
        assert!(std::mem::replace(&mut self.0, true), "on purpose");
        Ok(ChunkInfo::of(data))
    }

    fn retrieve(&self, _: &ChunkInfo) -> Result<Vec<u8>, Error> {
        Err(Error::InvalidData("there is nothing".into()))
    }
}

#[test]
fn a_store_that_panicked_is_not_used_again() {
    let store = AnyStore::from(Fragile(false));
    let other = store.clone();
    let first = std::thread::spawn(move || encrypt(other).map(drop)).join();
    assert!(first.is_err());
    assert!(encrypt(store).unwrap_err().to_string().contains("panicked"));
}

#[tokio::test]
async fn a_store_that_lies_is_caught() {
    let e = encrypt(Shelf::but(Wrong::NamesAnotherHash)).unwrap_err();
    assert!(matches!(e, Error::ChunkStore(_)) && e.to_string().contains("not its hash"), "{e}");

    let honest = Shelf::default();
    let (map, _) = encrypt(honest.clone()).unwrap();
    let liar = Shelf { wrong: Wrong::BringsOtherBytes, ..honest.clone() };
    let e = decrypt(map.clone(), liar).await.unwrap_err();
    assert!(matches!(&e, Error::InvalidData(message) if message.contains("is corrupt")), "{e}");

    let e = decrypt(map, Shelf::default()).await.unwrap_err();
    assert!(matches!(&e, Error::InvalidData(message) if message.contains("not in the store")), "{e}");
}

#[tokio::test]
async fn what_a_store_says_is_not_lost() {
    let e = encrypt(Shelf::but(Wrong::Fails)).unwrap_err();
    assert!(matches!(e, Error::ChunkStore(_)) && e.to_string().contains("the shelf is full"), "{e}");
    let (map, _) = encrypt(Shelf::default()).unwrap();
    let e = decrypt(map, Shelf::but(Wrong::Fails)).await.unwrap_err();
    let own = e.source().and_then(|own| own.downcast_ref::<Error>());
    assert!(matches!(own, Some(Error::ChunkStore(_))), "{e:?}");
}

/// The other suite names chunks by BLAKE3, which `ChunkInfo::of` does not.
#[test]
fn a_store_that_hashes_for_another_suite_is_told_so() {
    let config = EncryptionConfig::new().with_suite(Suite::Blake3ChaCha20Poly1305);
    let encryptor = SelfEncryptor::with_config(random(1, 50_000), config).unwrap();
    let e = encryptor.store_in(Shelf::default()).unwrap().encrypt().unwrap_err();
    assert!(e.to_string().contains("not its hash"), "{e}");
}

#[test]
fn stores_of_ours_are_taken_in_every_pointer() {
    let store = MemoryStore::new();
    let (map, chunks) = encrypt(Arc::new(store.clone())).unwrap();
    let backend: Arc<dyn Backend> = Arc::new(store.clone());
    let plain: Arc<dyn ChunkStore> = Arc::new(store.clone());
    encrypt(Arc::clone(&backend)).unwrap();
    encrypt(Arc::clone(&plain)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        use futures::StreamExt;
        assert_eq!(store.list(None).count().await, chunks, "equal data is stored once");
        for store in [AnyStore::from(Arc::new(store)), backend.into(), plain.into()] {
            assert_eq!(decrypt(map.clone(), store).await.unwrap(), random(1, 50_000));
        }
    });
}

#[test]
fn files_are_written_outside_a_runtime_and_refused_inside() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("file:{}", folder.path().join("store").display());
    let store = runtime.block_on(selfenc::open_store(&url, OpenMode::Create)).unwrap();

    let inside = runtime.block_on(async { encrypt(Arc::clone(&store)) });
    assert!(matches!(inside, Err(Error::Encryption(selfenc::Error::InsideRuntime))), "{inside:?}");
    let (map, _) = encrypt(Arc::clone(&store)).unwrap();
    let first = runtime.block_on(decrypt(map, Arc::clone(&store))).unwrap();
    assert_eq!(first, random(1, 50_000));
}
