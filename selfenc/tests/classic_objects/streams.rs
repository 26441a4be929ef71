//! Piece by piece, there and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use selfenc::classic::error::Error;
use selfenc::classic::streaming::{StreamDecryptor, StreamEncryptor};
use selfenc::classic::{ChunkInfo, ChunkStore, SelfEncryptor};
use selfenc::store::ChunkStore as _;
use selfenc::{EncryptionConfig, MemoryStore};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::{Shelf, Wrong, random, small};

const LONG: Duration = Duration::from_secs(120);

#[tokio::test]
async fn pieces_of_any_length_give_what_the_whole_gives() {
    let data = random(1, 300_000);
    let (whole, chunks) = SelfEncryptor::with_config(data.clone(), small()).unwrap().encrypt().unwrap();
    for piece in [1, 999, 1024, 300_000] {
        let mut encryptor = StreamEncryptor::new(small()).unwrap();
        for piece in data[..].chunks(piece.max(7)) {
            encryptor.write(piece).await.unwrap();
        }
        let (map, streamed) = encryptor.finalize().await.unwrap();
        assert_eq!(*map.to_secret_bytes(), *whole.to_secret_bytes());
        assert_eq!(streamed, chunks);
    }
    let (map, chunks) = StreamEncryptor::new(small()).unwrap().finalize().await.unwrap();
    assert!(map.is_empty() && chunks.is_empty());
}

#[tokio::test]
async fn with_a_store_there_are_names_in_order() {
    // Enough for pages of the map, and two equal halves.
    let half = random(2, 400 * 1024);
    let store = Arc::new(MemoryStore::new());
    let mut encryptor = StreamEncryptor::new(small()).unwrap().with_store(Arc::clone(&store)).unwrap();
    encryptor.write(&half).await.unwrap();
    encryptor.write(&half).await.unwrap();
    let (map, names) = encryptor.finalize().await.unwrap();

    let whole = SelfEncryptor::with_config([&half[..], &half[..]].concat(), small()).unwrap();
    let (_, chunks) = whole.encrypt().unwrap();
    let of_chunks: Vec<_> = chunks.iter().map(|chunk| chunk.name).collect();
    let data = of_chunks.len() - 2;
    assert_eq!(names[..data], of_chunks[..data]);
    assert_eq!(names.len(), of_chunks.len());
    assert_eq!(store.list(None).count().await, names.len());

    let read = StreamDecryptor::from_data_map(map).unwrap().with_store(store).unwrap();
    let pieces: Vec<_> = read.map(Result::unwrap).collect().await;
    assert_eq!(pieces.concat(), [&half[..], &half[..]].concat());
}

#[tokio::test]
async fn what_is_held_is_bounded() {
    let config = EncryptionConfig::new().with_memory_budget(32 << 20);
    let mut encryptor = StreamEncryptor::new(config.clone()).unwrap();
    let megabyte = random(3, 1 << 20);
    let mut written = 0;
    let e = loop {
        let piece: Vec<u8> = megabyte.iter().map(|byte| byte ^ written as u8).collect();
        match encryptor.write(&piece).await {
            Ok(()) => written += 1,
            Err(e) => break e,
        }
        assert!(written < 64, "twice the budget, and no error");
    };
    assert!(written >= 12, "{written} MiB of 32");
    assert!(matches!(e, Error::OverBudget { budget } if budget == 32 << 20));
    assert!(e.to_string().contains("give a store"));
    assert!(matches!(encryptor.write(b"x").await, Err(Error::Unsupported(_))));
    assert!(encryptor.finalize().await.is_err());

    // With a store there is no such bound.
    let mut encryptor =
        StreamEncryptor::new(config).unwrap().with_store(Arc::new(MemoryStore::new())).unwrap();
    for i in 0..40_u8 {
        let piece: Vec<u8> = megabyte.iter().map(|byte| byte ^ i).collect();
        encryptor.write(&piece).await.unwrap();
    }
    assert_eq!(encryptor.finalize().await.unwrap().0.len(), 40 << 20);
}

/// A store that takes nothing until it is told to.
#[derive(Clone, Default)]
struct Gate {
    open: Arc<Notify>,
    shelf: Shelf,
}

impl ChunkStore for Gate {
    fn store(&mut self, data: &[u8]) -> Result<ChunkInfo, Error> {
        futures::executor::block_on(self.open.notified());
        self.open.notify_one();
        self.shelf.store(data)
    }

    fn retrieve(&self, info: &ChunkInfo) -> Result<Vec<u8>, Error> {
        self.shelf.retrieve(info)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writing_waits_for_the_store() {
    let gate = Gate::default();
    let config = EncryptionConfig::new().with_memory_budget(16 << 20);
    let mut encryptor = StreamEncryptor::new(config).unwrap().with_store(gate.clone()).unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let data = random(4, 24 << 20);
    let writing = {
        let (written, data) = (Arc::clone(&written), data.clone());
        tokio::spawn(async move {
            for piece in data.chunks(64 << 10) {
                encryptor.write(piece).await?;
                written.fetch_add(piece.len(), Ordering::SeqCst);
            }
            encryptor.finalize().await
        })
    };
    // On a busy machine it may stand still before it has really begun.
    let stands_still = async {
        let mut before = usize::MAX;
        while written.load(Ordering::SeqCst) != before || before < 1 << 20 {
            before = written.load(Ordering::SeqCst);
            sleep(Duration::from_millis(500)).await;
        }
        before
    };
    let before = timeout(LONG, stands_still).await.unwrap();
    assert!((1 << 20..=17 << 20).contains(&before), "{before} bytes are in flight, of 16 MiB");
    gate.open.notify_one();
    let (map, _) = timeout(LONG, writing).await.unwrap().unwrap().unwrap();
    let mut read = StreamDecryptor::from_data_map(map).unwrap().with_store(gate).unwrap();
    let mut at = 0;
    while let Some(piece) = read.next().await {
        let piece = piece.unwrap();
        assert_eq!(piece, data[at..at + piece.len()]);
        at += piece.len();
    }
    assert_eq!(at, data.len());
}

#[tokio::test]
async fn a_store_that_fails_ends_it_and_says_why() {
    let mut encryptor = StreamEncryptor::new(small()).unwrap().with_store(Shelf::but(Wrong::Fails)).unwrap();
    let data = random(5, 100 << 10);
    let failed = loop {
        match timeout(LONG, encryptor.write(&data)).await.unwrap() {
            Ok(()) => {}
            Err(e) => break e,
        }
    };
    assert!(matches!(&failed, Error::ChunkStore(_)) && failed.to_string().contains("the shelf is full"));

    let mut encryptor = StreamEncryptor::new(small()).unwrap().with_store(Shelf::but(Wrong::Fails)).unwrap();
    encryptor.write(&data[..10_000]).await.unwrap();
    let failed = encryptor.finalize().await.unwrap_err();
    assert!(failed.to_string().contains("the shelf is full"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_dropped_stops() {
    let gate = Gate::default();
    let mut encryptor = StreamEncryptor::new(small()).unwrap().with_store(gate.clone()).unwrap();
    // The store holds it up, and the budget is large enough for all of it to be taken.
    timeout(LONG, encryptor.write(&random(6, 200 << 10))).await.unwrap().unwrap();
    sleep(Duration::from_millis(300)).await;
    drop(encryptor);
    gate.open.notify_one();
    sleep(Duration::from_millis(1000)).await;
    // Those that had begun.
    assert!(gate.shelf.len() <= 17, "{} chunks of 200", gate.shelf.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_was_dropped_gives_no_map() {
    let gate = Gate::default();
    let config = EncryptionConfig::new().with_memory_budget(16 << 20);
    let mut encryptor = StreamEncryptor::new(config).unwrap().with_store(gate.clone()).unwrap();
    let data = random(7, 32 << 20);
    assert!(
        timeout(Duration::from_millis(500), encryptor.write(&data)).await.is_err(),
        "it waits for the store"
    );
    gate.open.notify_one();
    assert!(matches!(encryptor.write(b"x").await, Err(Error::Unsupported(m)) if m.contains("dropped call")));
    assert!(encryptor.finalize().await.is_err());
}

/// A store that gives nothing back.
struct WriteOnly(Shelf);

impl ChunkStore for WriteOnly {
    fn store(&mut self, data: &[u8]) -> Result<ChunkInfo, Error> {
        self.0.store(data)
    }

    fn retrieve(&self, _: &ChunkInfo) -> Result<Vec<u8>, Error> {
        Err(Error::chunk_store("write only"))
    }
}

#[tokio::test]
async fn a_map_is_not_lost_for_the_order_of_names() {
    let shelf = Shelf::default();
    let mut encryptor = StreamEncryptor::new(small()).unwrap().with_store(WriteOnly(shelf.clone())).unwrap();
    let data = random(8, 800 << 10);
    encryptor.write(&data).await.unwrap();
    let (map, names) = encryptor.finalize().await.unwrap();
    assert!(names.len() > 800 && names.len() == shelf.len());
    let read = StreamDecryptor::from_data_map(map).unwrap().with_store(shelf).unwrap();
    assert_eq!(read.map(Result::unwrap).collect::<Vec<_>>().await.concat(), data);
}

#[tokio::test]
async fn a_store_comes_first_and_a_source_is_needed() {
    let mut encryptor = StreamEncryptor::new(small()).unwrap();
    encryptor.write(b"x").await.unwrap();
    assert!(matches!(encryptor.with_store(Shelf::default()), Err(Error::Unsupported(_))));

    let (map, chunks) = SelfEncryptor::new(vec![7; 10_000]).unwrap().encrypt().unwrap();
    let mut read = StreamDecryptor::from_data_map(map.clone()).unwrap();
    assert!(matches!(read.next().await, Some(Err(Error::NoSource))));
    assert!(read.next().await.is_none());
    let mut begun = StreamDecryptor::from_data_map(map.clone()).unwrap().with_chunks(chunks.clone()).unwrap();
    begun.next().await.unwrap().unwrap();
    assert!(matches!(begun.with_store(Shelf::default()), Err(Error::Unsupported(_))));
    let read = StreamDecryptor::from_data_map(map.clone()).unwrap().with_chunks(chunks).unwrap();
    assert_eq!(read.map(Result::unwrap).collect::<Vec<_>>().await.concat(), vec![7; 10_000]);

    let mut read = StreamDecryptor::from_data_map(map).unwrap().with_chunks([]).unwrap();
    assert!(matches!(read.next().await, Some(Err(Error::InvalidData(_)))));
    assert!(read.next().await.is_none());

    // What is in the map itself needs none.
    let (map, _) = SelfEncryptor::new("hello").unwrap().encrypt().unwrap();
    assert_eq!(StreamDecryptor::from_data_map(map).unwrap().next().await.unwrap().unwrap(), "hello");
}

#[test]
fn outside_a_runtime_it_says_so() {
    let mut encryptor = StreamEncryptor::new(small()).unwrap();
    let e = futures::executor::block_on(encryptor.write(b"x")).unwrap_err();
    assert!(matches!(e, Error::Unsupported(message) if message.contains("runtime")));
}
