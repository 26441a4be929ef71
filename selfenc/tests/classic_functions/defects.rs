//! The defects of the originals that these functions could have, by the number they have in the description of
//! the formats.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Read;

use selfenc::classic::functions::{
    DataMap, DataMapIndex, EncryptedChunk, XorName, decrypt, decrypt_chunk, decrypt_from_storage, encrypt,
    get_root_data_map, stream_encrypt, streaming_decrypt, streaming_decrypt_from_storage, verify_chunk,
};
use selfenc::compat::Generation;
use selfenc::{Bytes, Error, MapError, Result};

use crate::{Storage, cutting, in_time, many, one, random, written};

/// What every reading function makes of a map and a storage.
fn read_by_all(map: &DataMap, storage: &Storage) -> Vec<Result<Bytes>> {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output");
    let chunks: Vec<_> =
        storage.values().map(|content| EncryptedChunk { content: content.clone() }).collect();
    let file = |result: Result<()>| {
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, usize::from(result.is_ok()), "a file, or nothing");
        result.map(|()| fs::read(&output).unwrap().into())
    };
    let mut results = vec![file(decrypt_from_storage(map, &output, one(storage)))];
    let _ = fs::remove_file(&output);
    results.push(file(streaming_decrypt_from_storage(map, &output, many(storage))));
    results.push(decrypt(map, &chunks));
    results.push(streaming_decrypt(map, many(storage)).and_then(|stream| stream.range_full()));
    let pieces = streaming_decrypt(map, many(storage)).and_then(Iterator::collect::<Result<Vec<_>>>);
    results.push(pieces.map(|pieces| pieces.concat().into()));
    results
}

/// One damaged bit, or one chunk in the place of another.
#[test]
fn defect_5_every_chunk_is_checked() {
    for generation in Generation::ALL {
        let data = random(1, 2000);
        let (map, storage) = written(generation, &data, 400);
        for result in read_by_all(&map, &storage) {
            assert!(result.unwrap() == data);
        }
        let root = get_root_data_map(map.clone(), &mut one(&storage)).unwrap();
        let other = storage[&root.infos()[0].dst_hash].clone();
        for info in map.infos().iter().chain(&root.infos()[1..]) {
            let name = info.dst_hash;
            let flipped = |at: usize| {
                let mut bytes = storage[&name].to_vec();
                bytes[at] ^= 1;
                bytes.into()
            };
            let middle = storage[&name].len() / 2;
            for damaged in [flipped(0), flipped(middle), other.clone(), Bytes::new()] {
                let mut storage = storage.clone();
                storage.insert(name, damaged.clone());
                // Chunks in memory have the names of what they are.
                for result in read_by_all(&map, &storage) {
                    let e = result.unwrap_err();
                    assert_eq!(e.chunk(), Some(name.into()), "{e}");
                }
                assert!(matches!(verify_chunk(name, &damaged), Err(Error::Corrupt { .. })));
            }
        }
    }
}

/// A map that tells another hash or size of content than the chunks have: the originals read on.
#[test]
fn defect_5_every_content_is_checked() {
    for generation in Generation::ALL {
        let (map, storage) = written(generation, &random(1, 30_000), 1 << 20);
        let hashes: Vec<_> = map.infos().iter().map(|info| info.src_hash).collect();
        let stored = |index: usize| &storage[&map.infos()[index].dst_hash];
        for index in 0..3 {
            let content = decrypt_chunk(index, stored(index), &hashes, 0).unwrap();
            assert_eq!(content.len(), 10_000);
            // Its place and level count in the second generation; its own hash in both.
            assert!(decrypt_chunk((index + 1) % 3, stored(index), &hashes, 0).is_err());
            assert_eq!(
                decrypt_chunk(index, stored(index), &hashes, 1).is_err(),
                generation == Generation::Two
            );
            let mut other = hashes.clone();
            other[index] = XorName::from_content(b"another");
            assert!(decrypt_chunk(index, stored(index), &other, 0).is_err());

            let changes: [fn(&mut selfenc::classic::functions::ChunkInfo); 3] =
                [|info| info.src_size += 1, |info| info.src_size -= 1, |info| info.src_hash.0[0] ^= 1];
            for change in changes {
                let mut map = map.clone();
                change(&mut map.chunk_identifiers[index]);
                for result in read_by_all(&map, &storage) {
                    assert!(matches!(result.unwrap_err(), Error::Corrupt { .. }));
                }
                let checked = DataMapIndex::new(&map).unwrap().decrypt_chunk(index, stored(index));
                assert!(matches!(checked, Err(Error::Corrupt { .. })));
            }
        }
    }
}

/// Chunks that hold a million times their size are not read beyond what the map says.
#[test]
fn defect_6_decompression_is_bounded() {
    for generation in Generation::ALL {
        let (mut map, storage) = written(generation, &vec![0; 12 << 20], 4 << 20);
        assert!(storage.values().all(|content| content.len() < 200));
        assert_eq!(map.original_file_size(), 12 << 20);
        map.chunk_identifiers[2].src_size = 1;
        for result in read_by_all(&map, &storage) {
            assert!(matches!(result.unwrap_err(), Error::Corrupt { .. }));
        }
    }
    // Nor does a map that states more than there can be reserve it.
    let (mut map, storage) = written(Generation::Two, b"abc", 1 << 20);
    let template = map.chunk_identifiers[0].clone();
    let info =
        |index| selfenc::classic::functions::ChunkInfo { index, src_size: 64 << 20, ..template.clone() };
    map.chunk_identifiers = (0..100_000).map(info).collect();
    for result in read_by_all(&map, &storage) {
        result.unwrap_err();
    }
}

/// Twice the chunks, twice the work.
#[test]
fn defect_7_many_chunks() {
    in_time(|| {
        let data = random(1, 20_000 * 113);
        let pieces = data.chunks(1000).map(Bytes::copy_from_slice);
        let mut stream = cutting(Generation::Two, 113).stream_encrypt(data.len(), pieces).unwrap();
        let storage: Storage = stream.chunks().map(Result::unwrap).collect();
        let map = stream.into_datamap().unwrap();
        assert_eq!(get_root_data_map(map.clone(), &mut one(&storage)).unwrap().len(), 20_000);
        assert!(streaming_decrypt(&map, many(&storage)).unwrap().range_full().unwrap() == data);
    });
}

#[test]
fn defect_8_an_input_of_another_length_is_an_error() {
    in_time(|| {
        // Of three chunks, and of many.
        for (announced, max) in [(1000, 1000), (1000, 300), (1000, 250), (10_000, 100)] {
            let max = max.max(113);
            for given in [0, 1, announced - max, announced - 1, announced + 1, announced + max, 3 * announced]
            {
                let data = random(1, given);
                let pieces = data.chunks(37).map(Bytes::copy_from_slice);
                let mut stream = cutting(Generation::Two, max).stream_encrypt(announced, pieces).unwrap();
                let last = stream.chunks().last().unwrap();
                let e = last.unwrap_err().to_string();
                let short = given < announced;
                assert!(e.contains(&format!("{announced} bytes were announced")), "{e}");
                assert!(
                    e.contains(&if short { format!("only {given}") } else { "longer".to_owned() }),
                    "{e}"
                );
                assert!(stream.chunks().next().is_none());
                assert!(stream.datamap().is_none());
            }
            // Empty pieces are no end.
            let data = random(1, announced);
            let pieces = data.chunks(37).flat_map(|piece| [Bytes::new(), Bytes::copy_from_slice(piece)]);
            let mut stream = cutting(Generation::Two, max).stream_encrypt(announced, pieces).unwrap();
            let storage: Storage = stream.chunks().map(Result::unwrap).collect();
            let map = stream.into_datamap().unwrap();
            assert!(streaming_decrypt(&map, many(&storage)).unwrap().range_full().unwrap() == data);
        }
    });
}

/// What comes through a pipe has no length.
#[cfg(target_os = "linux")]
#[test]
fn defect_9_an_input_may_be_a_pipe() {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    in_time(|| {
        let data = random(1, 300_000);
        let (reader, mut writer) = std::io::pipe().unwrap();
        let copy = data.clone();
        let writing = std::thread::spawn(move || writer.write_all(&copy).unwrap());
        let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
        let mut storage = Storage::new();
        let map =
            cutting(Generation::Two, 10_000).streaming_encrypt_from_file(path.as_ref(), |name, content| {
                storage.insert(name, content);
                Ok(())
            });
        writing.join().unwrap();
        let read = streaming_decrypt(&map.unwrap(), many(&storage)).unwrap().range_full().unwrap();
        assert!(read == data);
    });
}

/// Chunks leave while the input is still to come, and no more of it is taken than the budget lets in.
#[test]
fn defect_9_a_stream_is_read_as_it_is_used() {
    let taken = Cell::new(0u64);
    let pieces = std::iter::repeat_with(|| {
        taken.set(taken.get() + (1 << 20));
        Bytes::from(vec![7; 1 << 20])
    });
    let mut stream = cutting(Generation::Two, 4 << 20).stream_encrypt(1 << 40, pieces).unwrap();
    for _ in 0..3 {
        stream.chunks().next().unwrap().unwrap();
    }
    assert!(taken.get() <= 256 << 20, "{} bytes", taken.get());
}

/// Whoever has the old file open goes on reading it, and after a failure it is still there.
#[test]
fn defect_10_files_are_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output");
    fs::write(&output, b"what was there before").unwrap();
    let mut old = File::open(&output).unwrap();
    let data = random(1, 5000);
    let (map, storage) = written(Generation::Two, &data, 500);
    let root = get_root_data_map(map.clone(), &mut one(&storage)).unwrap();
    let mut less = storage.clone();
    less.remove(&root.infos()[9].dst_hash);
    let files = || fs::read_dir(folder.path()).unwrap().count();
    for _ in 0..2 {
        assert!(decrypt_from_storage(&map, &output, one(&less)).is_err());
        assert!(streaming_decrypt_from_storage(&map, &output, many(&less)).is_err());
        assert_eq!((fs::read(&output).unwrap(), files()), (b"what was there before".to_vec(), 1));
    }
    // While it is written, the old one is what others see.
    decrypt_from_storage(&map, &output, |name| {
        assert_eq!(fs::read(&output).unwrap(), b"what was there before");
        one(&storage)(name)
    })
    .unwrap();
    assert!(fs::read(&output).unwrap() == data);
    let mut still = Vec::new();
    old.read_to_end(&mut still).unwrap();
    assert_eq!((still, files()), (b"what was there before".to_vec(), 1));
}

/// From a reader and a value, whose keys cannot be borrowed; and the bare list of old releases.
#[test]
fn defect_11_maps_come_from_any_json() {
    let (map, _) = written(Generation::Two, &random(1, 2000), 300);
    assert!(map.is_child());
    let json = serde_json::to_string_pretty(&map).unwrap();
    assert_eq!(serde_json::from_str::<DataMap>(&json).unwrap(), map);
    assert_eq!(serde_json::from_slice::<DataMap>(json.as_bytes()).unwrap(), map);
    assert_eq!(serde_json::from_reader::<_, DataMap>(json.as_bytes()).unwrap(), map);
    let value = serde_json::to_value(&map).unwrap();
    assert_eq!(serde_json::from_value::<DataMap>(value.clone()).unwrap(), map);
    assert!(serde_json::from_value::<self_encryption::DataMap>(value.clone()).is_err(), "they cannot");
    let root = DataMap::new(map.infos().to_vec());
    let list = value["chunk_identifiers"].clone();
    assert_eq!(serde_json::from_reader::<_, DataMap>(list.to_string().as_bytes()).unwrap(), root);
    assert_eq!(serde_json::from_value::<DataMap>(list.clone()).unwrap(), root);
    // Unknown keys do not matter, nor a child that is left out.
    let other = serde_json::json!({ "from": "elsewhere", "chunk_identifiers": list });
    assert_eq!(serde_json::from_value::<DataMap>(other).unwrap(), root);
    for bad in ["{}", "[]", "null", "7", "\"map\"", "{\"chunk_identifiers\":[]}", "[{}]", "{\"child\":1}"] {
        assert!(serde_json::from_str::<DataMap>(bad).is_err(), "{bad}");
    }
}

/// The longest chunk is a number at run time, and needs no agreement between writer and reader.
#[test]
fn defect_14_the_longest_chunk_is_chosen_at_run_time() {
    let data = Bytes::from(random(1, 30_000));
    for generation in Generation::ALL {
        for max in [113, 1024, 10_000, 1 << 20, (64 << 20) - 1] {
            let encryption = cutting(generation, max);
            assert_eq!((encryption.generation(), encryption.max_chunk_size()), (generation, max));
            let (map, chunks) = encryption.encrypt(data.clone()).unwrap();
            let storage = crate::stored(generation, &chunks);
            let root = get_root_data_map(map.clone(), &mut one(&storage)).unwrap();
            assert_eq!(root.len(), if max <= 10_000 { 30_000usize.div_ceil(max) } else { 3 });
            assert_eq!(map.is_child(), root.len() > 3);
            assert!(decrypt(&map, &chunks).unwrap() == data);
        }
        for wrong in [0, 112, 64 << 20, usize::MAX] {
            let e = cutting(generation, wrong).encrypt(data.clone()).unwrap_err();
            assert!(matches!(e, Error::InvalidConfig(_)), "{e}");
        }
    }
    // A map of another level than its chunks is refused, and so ends what would go round in circles.
    let (mut map, storage) = written(Generation::One, &data, 1024);
    map.child = Some(2);
    let e = get_root_data_map(map.clone(), &mut one(&storage)).unwrap_err();
    assert!(matches!(e, Error::BadMap(MapError::Invalid(_))), "{e}");
    for result in read_by_all(&map, &storage) {
        assert!(matches!(result.unwrap_err(), Error::BadMap(MapError::Invalid(_))));
    }
}

/// The example of the README, which names a function that is private there.
#[test]
fn defect_15_the_readme_compiles() {
    use selfenc::classic::functions::decrypt_full_set;

    fn basic_example() -> Result<()> {
        let data = Bytes::from("Hello, World!".repeat(1000));
        let (data_map, encrypted_chunks) = encrypt(data.clone())?;
        assert_eq!(decrypt(&data_map, &encrypted_chunks)?, data);
        assert_eq!(decrypt_full_set(&data_map, &encrypted_chunks)?, data);
        Ok(())
    }
    basic_example().unwrap();
    // Of a map that was shrunk as well.
    let data = random(1, 5000);
    let (map, chunks) = cutting(Generation::Two, 500).encrypt(data.clone().into()).unwrap();
    assert!(map.is_child());
    assert!(decrypt_full_set(&map, &chunks).unwrap() == data);
    // Its stream has the same shape here.
    let mut stream = stream_encrypt(3, std::iter::once("abc".into())).unwrap();
    assert_eq!(stream.chunks().count(), 3);
}
