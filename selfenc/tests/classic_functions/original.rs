//! Against the published crate: equal chunks, names and maps, and each reads what the other wrote.

use std::collections::HashMap;

use selfenc::Bytes;
use selfenc::classic::functions::{
    ChunkInfo, DataMap, DataMapIndex, EncryptedChunk, MAX_CHUNK_SIZE, XorName, decrypt, deserialize, encrypt,
    get_root_data_map, serialize, shrink_data_map, stream_encrypt, streaming_decrypt, verify_chunk,
};
use selfenc::compat::Generation;

use crate::{Storage, cutting, many, mixed, one, random, stored};

fn ours(map: &self_encryption::DataMap) -> DataMap {
    DataMap::from_bytes(&map.to_bytes().unwrap()).unwrap()
}

fn theirs(map: &DataMap) -> self_encryption::DataMap {
    self_encryption::DataMap::from_bytes(&map.to_bytes().unwrap()).unwrap()
}

fn our_chunks(chunks: &[self_encryption::EncryptedChunk]) -> Vec<EncryptedChunk> {
    chunks.iter().map(|chunk| EncryptedChunk { content: chunk.content.clone() }).collect()
}

#[test]
fn the_numbers_are_theirs() {
    assert_eq!(MAX_CHUNK_SIZE, self_encryption::MAX_CHUNK_SIZE);
    assert_eq!(selfenc::classic::functions::MIN_CHUNK_SIZE, self_encryption::MIN_CHUNK_SIZE);
    assert_eq!(selfenc::classic::functions::MIN_ENCRYPTABLE_BYTES, self_encryption::MIN_ENCRYPTABLE_BYTES);
    assert_eq!(selfenc::classic::functions::COMPRESSION_QUALITY, self_encryption::COMPRESSION_QUALITY);
    assert_eq!(
        selfenc::classic::functions::DEFAULT_STREAM_DECRYPT_BATCH_SIZE,
        self_encryption::DEFAULT_STREAM_DECRYPT_BATCH_SIZE
    );
    let name = self_encryption::hash::content_hash(b"abc");
    assert_eq!(selfenc::classic::functions::hash::content_hash(b"abc").0, name.0);
}

/// The same chunks in the same order, and the same map; the last is shrunk.
#[test]
fn encrypt_is_theirs() {
    for len in [3, 4, 5, 100, 4095, 10_000, 1 << 20, 3 * MAX_CHUNK_SIZE + 5] {
        let data = Bytes::from(if len % 2 == 0 { mixed(len) } else { random(len as u64, len) });
        let (their_map, their_chunks) = self_encryption::encrypt(data.clone()).unwrap();
        let (map, chunks) = encrypt(data.clone()).unwrap();
        assert_eq!(map.to_bytes().unwrap(), their_map.to_bytes().unwrap(), "{len} bytes");
        assert_eq!(map, ours(&their_map), "{len} bytes");
        assert!(chunks == our_chunks(&their_chunks), "{len} bytes");
        // Each reads the other's, whatever the order.
        let mut mine = our_chunks(&their_chunks);
        mine.reverse();
        assert!(decrypt(&ours(&their_map), &mine).unwrap() == data, "{len} bytes");
        let for_them: Vec<_> = chunks
            .iter()
            .map(|chunk| self_encryption::EncryptedChunk { content: chunk.content.clone() })
            .collect();
        assert!(self_encryption::decrypt(&theirs(&map), &for_them).unwrap() == data, "{len} bytes");
    }
}

#[test]
fn shrinking_is_theirs() {
    for (count, child) in [(3, None), (4, None), (39, None), (39, Some(2)), (3000, None)] {
        let info = |index: usize| ChunkInfo {
            index,
            dst_hash: XorName::from_content(&[1, index as u8]),
            src_hash: XorName::from_content(&[2, index as u8]),
            src_size: 1 + index,
        };
        let infos = (0..count).map(info).collect();
        let map = match child {
            None => DataMap::new(infos),
            Some(child) => DataMap::with_child(infos, child),
        };
        let (mut kept, mut their_kept) = (Storage::new(), HashMap::new());
        let (shrunk, chunks) = shrink_data_map(map.clone(), |name, content| {
            kept.insert(name, content);
            Ok(())
        })
        .unwrap();
        let (their_shrunk, their_chunks) = self_encryption::shrink_data_map(theirs(&map), |name, content| {
            their_kept.insert(XorName(name.0), content);
            Ok(())
        })
        .unwrap();
        assert_eq!(shrunk, ours(&their_shrunk), "{count}");
        assert_eq!(chunks, our_chunks(&their_chunks), "{count}");
        assert_eq!(kept, their_kept, "{count}");
        if child.is_none() {
            assert_eq!(get_root_data_map(shrunk, &mut one(&kept)).unwrap(), map);
        }
    }
}

#[test]
fn streams_are_theirs() {
    for (len, piece) in [(3, 1), (5000, 7), (5000, 5000), (100_000, 1024), (3 * MAX_CHUNK_SIZE + 5, 1 << 20)]
    {
        let data = mixed(len);
        let pieces = || data.chunks(piece).map(Bytes::copy_from_slice);
        let mut stream = stream_encrypt(len, pieces()).unwrap();
        assert!(stream.datamap().is_none());
        let kept: Vec<_> = stream.chunks().collect::<Result<_, _>>().unwrap();
        assert!(stream.chunks().next().is_none());
        let mut their_stream = self_encryption::stream_encrypt(len, pieces()).unwrap();
        let their_kept: Storage =
            their_stream.chunks().map(|chunk| chunk.unwrap()).map(|(name, c)| (XorName(name.0), c)).collect();
        assert_eq!(stream.datamap().unwrap(), &ours(their_stream.datamap().unwrap()), "{len}");
        assert_eq!(kept.len(), their_kept.len(), "{len}");
        let kept: Storage = kept.into_iter().collect();
        assert!(kept == their_kept, "{len}");

        // Each reads the other's.
        let map = stream.into_datamap().unwrap();
        let read: Vec<_> =
            streaming_decrypt(&map, many(&their_kept)).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(read.concat() == data, "{len}");
        let fetch = |names: &[(usize, self_encryption::XorName)]| {
            Ok(names.iter().map(|(index, name)| (*index, kept[&XorName(name.0)].clone())).collect())
        };
        let their_read = self_encryption::streaming_decrypt(&theirs(&map), fetch).unwrap();
        assert!(their_read.range_full().unwrap() == data, "{len}");
    }
}

#[test]
fn single_chunks_are_theirs() {
    let data = Bytes::from(random(1, 10_000));
    let (map, chunks) = self_encryption::encrypt(data.clone()).unwrap();
    let hashes: Vec<_> = map.infos().iter().map(|info| XorName(info.src_hash.0)).collect();
    let their_index = self_encryption::DataMapIndex::new(&map).unwrap();
    let index = DataMapIndex::new(&ours(&map)).unwrap();
    assert_eq!(index.file_size(), their_index.file_size());
    for (at, chunk) in chunks.iter().enumerate() {
        let content = their_index.decrypt_chunk(at, &chunk.content).unwrap();
        assert_eq!(index.decrypt_chunk(at, &chunk.content).unwrap(), content);
        let alone = selfenc::classic::functions::decrypt_chunk(at, &chunk.content, &hashes, 0).unwrap();
        assert_eq!(alone, content);
        assert_eq!(index.chunk_range(at), their_index.chunk_range(at));
    }
    for (start, end) in
        [(0, 0), (0, 1), (3332, 3333), (3333, 3334), (3332, 3334), (0, 20_000), (9999, 10_000)]
    {
        assert_eq!(index.chunks_overlapping(start..end), their_index.chunks_overlapping(start..end));
    }
    assert_eq!(index.chunks_overlapping(10_000..u64::MAX), 0..0);
}

#[test]
fn maps_are_theirs_in_binary_and_json() {
    let (their_map, _) = self_encryption::encrypt(random(1, 1000).into()).unwrap();
    let map = ours(&their_map);
    for (map, their_map) in [
        (map.clone(), their_map.clone()),
        (
            DataMap::with_child(map.infos().to_vec(), 3),
            self_encryption::DataMap::with_child(their_map.infos().to_vec(), 3),
        ),
    ] {
        let bytes = their_map.to_bytes().unwrap();
        assert_eq!(serialize(&map).unwrap(), self_encryption::serialize(&their_map).unwrap());
        assert_eq!(deserialize::<DataMap>(&bytes).unwrap(), map);
        // Through bincode, which is what theirs is.
        assert_eq!(self_encryption::serialize(&map).unwrap(), bytes);
        assert_eq!(self_encryption::deserialize::<DataMap>(&bytes).unwrap(), map);

        let json = serde_json::to_string(&their_map).unwrap();
        assert_eq!(serde_json::to_string(&map).unwrap(), json);
        assert_eq!(serde_json::from_str::<DataMap>(&json).unwrap(), map);
        assert_eq!(DataMap::from_bytes(json.as_bytes()).unwrap(), map);
    }
    let (info, their_info) = (&map.infos()[1], &their_map.infos()[1]);
    assert_eq!(serialize(info).unwrap(), self_encryption::serialize(their_info).unwrap());
    assert_eq!(&deserialize::<ChunkInfo>(&serialize(info).unwrap()).unwrap(), info);
    assert_eq!(self_encryption::serialize(info).unwrap(), self_encryption::serialize(their_info).unwrap());
    assert_eq!(serde_json::to_string(info).unwrap(), serde_json::to_string(their_info).unwrap());
    let (name, their_name) = (&info.dst_hash, &their_info.dst_hash);
    assert_eq!(serialize(name).unwrap(), self_encryption::serialize(their_name).unwrap());
    assert_eq!(self_encryption::serialize(name).unwrap(), self_encryption::serialize(their_name).unwrap());
    assert_eq!(&deserialize::<XorName>(&name[..]).unwrap(), name);
}

/// What both generations make of `abc`, as their releases wrote it.
#[test]
fn the_shortest_input_in_both_generations() {
    let known = [
        (
            Generation::One,
            [
                "5df3ea3d08f37635b1af717b12b65e4e",
                "6cf17f12aeeed1a70ed477d1dd48608d",
                "7b6821c5d07ec7d3b27187d85835a8d5",
            ],
            ["9c67126e", "cfed0e65", "d8fdb85d"],
        ),
        (
            Generation::Two,
            [
                "f30850778d6eea28d4a98281dc7c0a20b727659b04",
                "97405392ad5b9ada0d74d4b71debf72f886b215df0",
                "e3c54f3cda321453e9154a45bb501f028b991014a6",
            ],
            ["32af05d1", "536e602b", "68fe81d4"],
        ),
    ];
    for (generation, contents, names) in known {
        let encryption = cutting(generation, 1 << 20);
        let (map, chunks) = encryption.encrypt("abc".into()).unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut found: Vec<_> = map
            .infos()
            .iter()
            .zip(&chunks)
            .map(|(info, chunk)| (info.dst_hash.to_hex()[..8].to_owned(), hex(&chunk.content)))
            .collect();
        found.sort();
        let expected: Vec<_> = names
            .into_iter()
            .zip(contents)
            .map(|(name, content)| (name.to_owned(), content.to_owned()))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(decrypt(&map, &chunks).unwrap(), "abc");
        for (name, content) in stored(generation, &chunks) {
            assert_eq!(verify_chunk(name, &content).unwrap().content, content);
        }
    }
}
