//! Streams of decrypted data, and parts of it.

use std::cell::RefCell;

use selfenc::classic::functions::{
    DataMapIndex, XorName, get_root_data_map, get_root_data_map_parallel, streaming_decrypt,
    streaming_decrypt_with_batch_size,
};
use selfenc::compat::Generation;
use selfenc::{Bytes, Error};

use crate::{many, one, random, written};

#[test]
fn every_part_is_what_it_should_be() {
    let data = random(1, 700);
    for generation in Generation::ALL {
        let (map, storage) = written(generation, &data, 200);
        let stream = streaming_decrypt_with_batch_size(&map, many(&storage), 2).unwrap();
        assert_eq!(stream.file_size(), 700);
        let steps = [0, 1, 2, 199, 200, 201, 399, 400, 401, 599, 600, 699, 700, 701, 5000, usize::MAX];
        for start in steps {
            let from = start.min(700);
            assert_eq!(stream.range_from(start).unwrap(), data[from..]);
            assert_eq!(stream.range_to(start).unwrap(), data[..from]);
            for end in steps {
                let to = end.min(700).max(from);
                assert_eq!(stream.range(start..end).unwrap(), data[from..to], "{start}..{end}");
                let len = end.saturating_sub(start);
                assert_eq!(stream.get_range(start, len).unwrap(), data[from..to], "{start}, {len}");
                let inclusive = end.saturating_add(1).min(700).max(from);
                assert_eq!(stream.range_inclusive(start, end).unwrap(), data[from..inclusive]);
            }
        }
        assert_eq!(stream.range_full().unwrap(), data);
        let pieces: Vec<_> = stream.map(|piece| piece.unwrap().to_vec()).collect();
        assert!(pieces.iter().map(Vec::as_slice).eq(data.chunks(200)));
    }
}

#[test]
fn batches_are_no_larger_than_told_and_parts_fetch_what_they_need() {
    let data = random(1, 2100);
    let (map, storage) = written(Generation::Two, &data, 200);
    let asked = RefCell::new(Vec::new());
    let fetch = |wanted: &[(usize, XorName)]| {
        asked.borrow_mut().push(wanted.iter().map(|(index, _)| *index).collect::<Vec<_>>());
        many(&storage)(wanted)
    };
    let mut stream = streaming_decrypt_with_batch_size(&map, fetch, 4).unwrap();
    // The map behind the map, level by level, and no data.
    assert!(asked.take().iter().flatten().all(|index| *index < 6));
    assert_eq!(stream.range(400..401).unwrap(), data[400..401]);
    assert_eq!(asked.take(), [[2]]);
    assert_eq!(stream.range(399..1401).unwrap(), data[399..1401]);
    assert_eq!(asked.take(), [vec![1, 2, 3, 4], vec![5, 6, 7]]);
    assert_eq!(stream.range(2100..9000).unwrap(), Bytes::new());
    assert!(asked.take().is_empty());
    // Nothing before it is wanted.
    assert_eq!(stream.next().unwrap().unwrap(), data[..200]);
    assert_eq!(asked.take(), [[0, 1, 2, 3]]);
    assert_eq!(stream.by_ref().count(), 10);
    assert_eq!(asked.take(), [vec![4, 5, 6, 7], vec![8, 9, 10]]);
    assert!(stream.next().is_none());

    let huge = streaming_decrypt_with_batch_size(&map, many(&storage), usize::MAX).unwrap();
    assert_eq!(huge.range_full().unwrap(), data);
    let none = streaming_decrypt_with_batch_size(&map, many(&storage), 0).unwrap_err();
    assert!(matches!(none, Error::InvalidConfig(_)), "{none}");
}

/// The order of the answer does not matter, nor what is in it beyond; what is not, does.
#[test]
fn answers_are_told_apart_by_their_index() {
    let data = random(1, 1000);
    let (map, storage) = written(Generation::Two, &data, 200);
    let backwards = |wanted: &[(usize, XorName)]| {
        let mut answer = many(&storage)(wanted)?;
        answer.reverse();
        answer.push((999, Bytes::from_static(b"extra")));
        Ok(answer)
    };
    assert_eq!(streaming_decrypt(&map, backwards).unwrap().range_full().unwrap(), data);
    let root = get_root_data_map_parallel(map.clone(), &backwards).unwrap();
    assert_eq!(root, get_root_data_map(map.clone(), &mut one(&storage)).unwrap());
    assert_eq!((root.len(), root.child()), (5, None));
    // A map of data needs nothing.
    let nothing = |_: &[(usize, XorName)]| -> selfenc::Result<Vec<(usize, Bytes)>> { panic!("not needed") };
    assert_eq!(get_root_data_map_parallel(root.clone(), &nothing).unwrap(), root);
    assert_eq!(get_root_data_map(root.clone(), &mut |_| panic!("not needed")).unwrap(), root);

    let missing = root.infos()[3].dst_hash;
    let mut less = storage.clone();
    less.remove(&missing);
    let mut stream = streaming_decrypt_with_batch_size(&map, many(&less), 2).unwrap();
    let is_missing = |e: Error| matches!(e, Error::ChunkMissing { chunk } if chunk == missing.into());
    assert!(is_missing(stream.range_full().unwrap_err()));
    assert_eq!(stream.range_to(600).unwrap(), data[..600]);
    assert_eq!(stream.next().unwrap().unwrap(), data[..200]);
    assert_eq!(stream.next().unwrap().unwrap(), data[200..400]);
    assert!(is_missing(stream.next().unwrap().unwrap_err()));
    assert!(stream.next().is_none());
    drop(stream);

    less.insert(missing, storage[&missing].clone());
    let gone = map.infos()[0].dst_hash;
    less.remove(&gone);
    let e = get_root_data_map_parallel(map.clone(), &many(&less)).unwrap_err();
    assert_eq!(e.chunk(), Some(gone.into()));
    assert_eq!(streaming_decrypt(&map, many(&less)).unwrap_err().chunk(), Some(gone.into()));
}

#[test]
fn an_index_knows_where_chunks_are() {
    let (map, storage) = written(Generation::One, &random(1, 1000), 400);
    let index = DataMapIndex::new(&map).unwrap();
    assert_eq!((index.file_size(), index.infos()), (1000, map.infos()));
    let ranges: Vec<_> = (0..4).map(|chunk| index.chunk_range(chunk)).collect();
    assert_eq!(ranges, [0..333, 333..666, 666..1000, 1000..1000]);
    assert_eq!(index.chunk_range(usize::MAX), 1000..1000);
    for start in 0..1001 {
        for end in [start, start + 1, start + 333, start + 334, u64::MAX] {
            let holds =
                |chunk: &usize| ranges[*chunk].start < end && start < ranges[*chunk].end && start < end;
            let expected: Vec<_> = (0..3).filter(holds).collect();
            assert!(index.chunks_overlapping(start..end).eq(expected), "{start}..{end}");
        }
    }
    let stored = &storage[&map.infos()[1].dst_hash];
    assert_eq!(index.decrypt_chunk(1, stored).unwrap().len(), 333);
    assert!(matches!(index.decrypt_chunk(2, stored), Err(Error::Corrupt { .. })));
    assert!(matches!(index.decrypt_chunk(3, stored), Err(Error::BadMap(_))));
}
