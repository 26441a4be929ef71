//! The defects of the originals, by the number they have in the description of the formats, where they are not
//! in another file: 2 and 3 in `maps.rs`, 5 and 6 in `damage.rs`, 14 in `original.rs`. Those of its functions (5 to
//! 11, 14, 15) are in the facade's tests, those of its command and of its maps (12, 13) in the command's.

use std::time::Duration;

use futures::StreamExt;
use selfenc_core::compat::{DataMap, Generation};
use selfenc_core::engine::{EncryptionConfig, Error, MapError};
use tokio::io::AsyncReadExt;

use crate::model::{Map, Model};
use crate::support::{TestStore, random, text};
use crate::{cutting, engine, filled, open, read, shared, write};

/// 38 chunks of 1024 bytes are the most whose map the originals shrink rightly.
#[tokio::test]
async fn defect_1_maps_shrink_at_any_length() {
    for generation in Generation::ALL {
        for (len, levels) in [(30_000, 1), (38_912, 1), (38_913, 2), (480_000, 2), (600_000, 3)] {
            let (store, data) = (TestStore::default(), random(1, len));
            let written = write(&cutting(generation, 1024), &store, &data).await;
            assert_eq!((written.map.len(), written.map.child()), (3, Some(levels)), "{len}");
            assert_eq!((written.root.child(), written.root.original_file_size()), (None, len as u64));
            let reader = open(&store, &written.map).await.unwrap();
            assert_eq!(*reader.map(), written.root);
            assert!(reader.read_at(0, len).await.unwrap() == data, "{generation}, {len}");
        }
    }
}

/// What they wrote beyond that is read, if asked, however often it was nested; and not without.
#[tokio::test]
async fn defect_1_nested_maps_are_repaired_on_request_only() {
    for generation in Generation::ALL {
        for (len, nested) in [(38_912, 0), (38_913, 1), (480_000, 1), (600_000, 2), (10_000_000, 3)] {
            let data = if len > 1_000_000 { text(len) } else { random(1, len) };
            let mut model = Model::new(generation, 1024);
            let map = DataMap::from_bytes(&model.encrypt(&data, 0).v1()).unwrap();
            let store = filled(generation, model.stored);
            assert_eq!((map.len(), map.child()), (3, Some(1)));
            let (reader, repaired) =
                engine(generation).open_repairing(shared(&store), map.clone()).await.unwrap();
            assert_eq!(repaired, nested, "{generation}, {len}");
            assert!(reader.read_at(0, len).await.unwrap() == data, "{generation}, {len}");
            // Without: a map in the place of the data, or an error.
            let plain = read(&store, &map).await;
            match (nested, generation) {
                (0, _) => assert!(plain.unwrap() == data),
                (_, Generation::One) => assert!(DataMap::from_bytes(&plain.unwrap()).is_ok()),
                (_, Generation::Two) => assert!(matches!(plain, Err(Error::Corrupt { .. }))),
            }
        }
    }
}

/// A budget that is too small for the map in the middle is an error, and not a reason to give that for the data.
#[tokio::test]
async fn defect_1_is_not_repaired_by_half() {
    let data = random(1, 400_000);
    let mut model = Model::new(Generation::One, 1024);
    let map = DataMap::from_bytes(&model.encrypt(&data, 0).v1()).unwrap();
    let store = filled(Generation::One, model.stored);
    let config = EncryptionConfig::new().with_memory_budget(80 << 10);
    let native = selfenc_core::engine::Engine::new(config).unwrap();
    let engine = selfenc_core::compat::Engine::new(&native, Generation::One);
    let e = engine.open_repairing(shared(&store), map).await.unwrap_err();
    assert!(matches!(e, Error::BudgetTooSmall { .. }), "{e}");
}

/// Only what breaks off is repaired: data of any kind stays what it is.
#[tokio::test]
async fn repairing_leaves_sound_maps_alone() {
    for generation in Generation::ALL {
        for data in [random(1, 3), text(90), random(2, 250), vec![0; 80 * 1000 + 10], random(3, 80 * 50 + 18)]
        {
            let store = TestStore::default();
            let map = write(&cutting(generation, 1024), &store, &data).await.map;
            let (reader, repaired) = engine(generation).open_repairing(shared(&store), map).await.unwrap();
            assert_eq!(repaired, 0);
            assert!(reader.read_at(0, data.len()).await.unwrap() == data);
        }
        // A damaged chunk is no nested map.
        let store = TestStore::default();
        let written = write(&cutting(generation, 1024), &store, &random(1, 9000)).await;
        store.replace(written.root.infos()[0].dst_hash, |bytes| bytes[0] ^= 1);
        let opened = engine(generation).open_repairing(shared(&store), written.map).await;
        let read = match opened {
            Ok((reader, repaired)) => {
                assert_eq!(repaired, 0);
                reader.read_at(0, 9000).await
            }
            Err(e) => Err(e),
        };
        assert!(matches!(read, Err(Error::Corrupt { .. })), "{read:?}");
    }
}

/// 0.31 wrote maps of maps in its own form, which later releases cannot read.
#[tokio::test]
async fn defect_3_maps_that_0_31_shrank() {
    let data = random(1, 100_000);
    let mut model = Model::new(Generation::One, 1024);
    let root = model.chunks(&data, 0);
    let map = model.shrink(root, Map::v0_31);
    let store = filled(Generation::One, model.stored);
    assert_eq!(map.child, Some(2));
    let map = DataMap::from_bytes(&map.v0_31()).unwrap();
    assert!(read(&store, &map).await.unwrap() == data);
}

/// The newest releases read nothing that was written before 0.35.
#[tokio::test]
async fn defect_4_one_reader_reads_all() {
    let data = text(50_000);
    for generation in Generation::ALL {
        let mut model = Model::new(generation, 4096);
        let root = model.chunks(&data, 0);
        let store = filled(generation, model.stored);
        for bytes in [root.v0(), root.v0_31(), root.v1()] {
            let reader = open(&store, &DataMap::from_bytes(&bytes).unwrap()).await.unwrap();
            assert_eq!(reader.generation(), generation);
            assert!(reader.read_at(0, data.len()).await.unwrap() == data);
        }
    }
}

/// Maps that point at each other, or at themselves, or at levels that cannot be.
#[tokio::test]
async fn levels_must_go_down_by_one() {
    for generation in Generation::ALL {
        let mut model = Model::new(generation, 1024);
        let root = model.chunks(&random(1, 9000), 0);
        for (inner, outer) in [(None, 2), (Some(1), 1), (Some(1), 3), (Some(2), 2), (Some(100), 1)] {
            let inner = Map { child: inner, ..root.clone() };
            let outer = Map { child: Some(outer), ..model.chunks(&inner.v1(), outer) };
            let store = filled(generation, model.stored.clone());
            let e = read(&store, &DataMap::from_bytes(&outer.v1()).unwrap()).await.unwrap_err();
            assert!(matches!(e, Error::BadMap(MapError::Invalid(_))), "{e}");
        }
        // Not a map at all.
        let outer = Map { child: Some(1), ..model.chunks(&random(5, 3000), 1) };
        let store = filled(generation, model.stored.clone());
        let e = read(&store, &DataMap::from_bytes(&outer.v1()).unwrap()).await.unwrap_err();
        assert!(matches!(e, Error::BadMap(_)), "{e}");
    }
}

/// Of twice the chunks, twice the work: 30 000 are a matter of seconds, where the original sums up all sizes
/// before for every piece of input.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defect_7_many_chunks() {
    let (store, data) = (TestStore::default(), random(1, 30_000 * 113));
    let written = write(&cutting(Generation::Two, 113), &store, &data).await;
    assert_eq!(written.root.len(), 30_000);
    assert!(read(&store, &written.map).await.unwrap() == data);
}

/// No length is announced, so none can be wrong (8), and a pipe will do (9).
#[tokio::test]
async fn defects_8_and_9_inputs_of_unknown_length() {
    for generation in Generation::ALL {
        let data = random(1, 10_000);
        let (mut from, to) = tokio::io::duplex(100);
        let copy = data.clone();
        let writing = tokio::spawn(async move { tokio::io::copy(&mut &copy[..], &mut from).await });
        let store = TestStore::default();
        let map = cutting(generation, 1024).write(shared(&store), to).await.unwrap().map;
        writing.await.unwrap().unwrap();
        assert!(read(&store, &map).await.unwrap() == data);
        // An input that breaks off is an error, and no map.
        let broken = data.as_slice().chain(tokio_test_error());
        let e = cutting(generation, 1024).write(shared(&store), broken).await.unwrap_err();
        assert!(matches!(e, Error::Source(_)), "{e}");
    }
}

/// A range is a stream, which ends when it is dropped.
#[tokio::test]
async fn defect_9_ranges_stream_and_can_be_given_up() {
    for generation in Generation::ALL {
        let (store, data) = (TestStore::default(), random(1, 200_000));
        let map = write(&cutting(generation, 1000), &store, &data).await.map;
        let reader = open(&store, &map).await.unwrap();
        for (start, end) in [(0, 1), (999, 1001), (5000, 5000), (12_345, 67_890), (199_999, 200_000)] {
            let got = reader.read_at(start as u64, end - start).await.unwrap();
            assert!(got == data[start..end], "{start}..{end}");
        }
        assert!(reader.read_at(199_999, usize::MAX).await.unwrap() == data[199_999..]);
        assert!(reader.read_at(200_000, 5).await.unwrap().is_empty());
        assert!(reader.read_at(u64::MAX, 5).await.unwrap().is_empty());
        #[allow(clippy::reversed_empty_ranges)] // what a caller may well compute
        for empty in [5000..3000, 5000..5000, u64::MAX..0] {
            assert!(reader.stream(empty).next().await.is_none());
        }
        let before = store.gets.load(std::sync::atomic::Ordering::SeqCst);
        let mut stream = reader.stream(0..200_000);
        stream.next().await.unwrap().unwrap();
        drop(stream);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let asked = store.gets.load(std::sync::atomic::Ordering::SeqCst) - before;
        assert!(asked < 100, "{asked} of 200");
    }
}

#[tokio::test]
async fn too_little_is_said() {
    for generation in Generation::ALL {
        for len in 0..3 {
            let e =
                engine(generation).write(shared(&TestStore::default()), &[7; 3][..len]).await.unwrap_err();
            assert!(matches!(e, Error::TooShort { len: found, least: 3 } if found == len as u64), "{e}");
        }
        let e = engine(generation).with_max_chunk_size(112).unwrap_err();
        assert!(matches!(&e, Error::InvalidConfig(text) if text.contains("113")), "{e}");
        assert!(engine(generation).with_max_chunk_size(64 << 20).is_err());
    }
}

fn tokio_test_error() -> impl tokio::io::AsyncRead + Send + Unpin {
    let failed = futures::stream::iter([Err::<bytes::Bytes, _>(std::io::Error::other("the cable was cut"))]);
    tokio_util::io::StreamReader::new(failed)
}
