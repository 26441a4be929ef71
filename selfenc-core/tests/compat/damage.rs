//! Chunks that are not what a map says: found, whatever changed, in both generations.

use futures::TryStreamExt;
use selfenc_core::compat::{DataMap, Generation};
use selfenc_core::engine::Error;

use crate::model::{Map, Model};
use crate::support::{TestStore, random, text};
use crate::{cutting, filled, open, read, write};

/// Neither releases of the first generation nor `decrypt` of the second look at what they were given (defect 5).
#[tokio::test]
async fn every_changed_byte_is_found() {
    for generation in Generation::ALL {
        let store = TestStore::default();
        let data = text(900);
        let map = write(&cutting(generation, 1000), &store, &data).await.map;
        for id in store.names() {
            let len = store.lock()[&id].len();
            for at in 0..len {
                store.replace(id, |bytes| bytes[at] ^= 1 << (at % 8));
                let e = read(&store, &map).await.unwrap_err();
                assert!(matches!(e, Error::Corrupt { chunk } if chunk == id), "{generation}: {e}");
                store.replace(id, |bytes| bytes[at] ^= 1 << (at % 8));
            }
            let changes: [fn(&mut Vec<u8>); 3] =
                [|bytes| bytes.truncate(bytes.len() - 1), |bytes| bytes.push(0), Vec::clear];
            for change in changes {
                let whole = store.lock()[&id].clone();
                store.replace(id, change);
                let e = read(&store, &map).await.unwrap_err();
                assert!(matches!(e, Error::Corrupt { chunk } if chunk == id), "{generation}: {e}");
                store.lock().insert(id, whole);
            }
        }
        assert!(read(&store, &map).await.unwrap() == data);
    }
}

/// Under its own right name is a chunk that holds something else than the map says.
#[tokio::test]
async fn a_map_that_says_something_else_is_found() {
    for generation in Generation::ALL {
        let mut model = Model::new(generation, 1000);
        let map = model.chunks(&random(3, 5000), 0);
        let store = filled(generation, model.stored);
        let changes: [fn(&mut Map); 7] = [
            |map| map.infos[1].src[0] ^= 1,
            |map| map.infos[1].src[31] ^= 1,
            |map| map.infos[1].size += 1,
            |map| map.infos[1].size -= 1,
            |map| map.infos[4].size = 64 << 20,
            |map| (map.infos[1].dst, map.infos[2].dst) = (map.infos[2].dst, map.infos[1].dst),
            |map| map.infos[3].dst = map.infos[0].dst,
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut map = map.clone();
            change(&mut map);
            let e = read(&store, &DataMap::from_bytes(&map.v1()).unwrap()).await.unwrap_err();
            assert!(matches!(e, Error::Corrupt { .. }), "{generation}, change {n}: {e}");
        }
        let mut map = map;
        map.infos[2].dst = [7; 32];
        let e = read(&store, &DataMap::from_bytes(&map.v1()).unwrap()).await.unwrap_err();
        assert!(matches!(e, Error::ChunkMissing { .. }), "{generation}: {e}");
    }
}

#[tokio::test]
async fn what_was_damaged_on_its_way_is_read_once_more() {
    for generation in Generation::ALL {
        let store = TestStore::default();
        let data = random(5, 20_000);
        let map = write(&cutting(generation, 1000), &store, &data).await.map;
        for id in store.names() {
            store.damaged_once.lock().unwrap().insert(id, 0);
        }
        assert!(read(&store, &map).await.unwrap() == data);
        assert!(store.damaged_once.lock().unwrap().is_empty(), "the maps in the chunks too");
    }
}

#[tokio::test]
async fn a_check_goes_on_after_damage() {
    let store = TestStore::default();
    let written = write(&cutting(Generation::One, 1000), &store, &random(5, 20_000)).await;
    let reader = open(&store, &written.map).await.unwrap();
    let verified = reader.verify().await.unwrap();
    assert_eq!((verified.bytes, verified.chunks), (20_000, 20));
    // The first chunk too, which usually tells the generation.
    let (damaged, missing) = (written.root.infos()[0].dst_hash, written.root.infos()[17].dst_hash);
    store.replace(damaged, |bytes| bytes[5] ^= 1);
    store.lock().remove(&missing);
    let reader = open(&store, &written.map).await.unwrap();
    let found = futures::StreamExt::collect::<Vec<_>>(reader.check()).await;
    assert_eq!(found.len(), 20);
    let bad: Vec<_> = found.iter().filter_map(|found| found.as_ref().err()?.chunk()).collect();
    assert_eq!(bad, [damaged, missing]);
    assert!(reader.verify().await.is_err());
    // What is not touched can be read.
    assert!(reader.read_at(5000, 1000).await.is_ok());
    let pieces: Result<Vec<_>, _> = reader.stream(0..20_000).try_collect().await;
    assert!(matches!(pieces, Err(Error::Corrupt { chunk }) if chunk == damaged));
}

/// A few bytes that become a hundred million, under all the right hashes but that of the content (defect 6).
#[tokio::test]
async fn a_bomb_stops_at_the_length_in_the_map() {
    let mut model = Model::new(Generation::One, 1000);
    let mut map = model.chunks(&random(3, 3000), 0);
    let bomb = crate::model::compressed(&vec![0; 100_000_000]);
    assert!(bomb.len() < 200);
    let content = crate::model::one_of(&bomb, &map.infos[0].src, &map.infos[2].src, &map.infos[1].src);
    map.infos[0].dst = Generation::One.hash(&content);
    model.stored.push(content);
    let store = filled(Generation::One, model.stored);
    let e = read(&store, &DataMap::from_bytes(&map.v1()).unwrap()).await.unwrap_err();
    assert!(matches!(e, Error::Corrupt { .. }), "{e}");
}
