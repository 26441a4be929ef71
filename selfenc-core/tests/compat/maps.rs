//! Every form of a data map, told by its length; and everything that is none.

use proptest::prelude::*;
use selfenc_core::compat::{ChunkInfo, DataMap, Generation};
use selfenc_core::engine::MapError;
use selfenc_core::store::ChunkId;

use crate::model::{Map, Model};
use crate::support::random;

fn model(chunks: usize, child: Option<u64>) -> Map {
    let mut model = Model::new(Generation::Two, 113);
    let map = model.chunks(&random(1, chunks * 113), 0);
    assert_eq!(map.infos.len(), chunks);
    Map { child, ..map }
}

fn same(ours: &DataMap, theirs: &Map) {
    let info = |info: &ChunkInfo| (info.index, *info.dst_hash.as_bytes(), info.src_hash, info.src_size);
    let ours_infos: Vec<_> = ours.infos().iter().map(info).collect();
    let theirs_infos: Vec<_> = theirs.infos.iter().map(|i| (i.index, i.dst, i.src, i.size)).collect();
    assert!(ours_infos == theirs_infos);
    assert_eq!(ours.child(), theirs.child);
}

/// The counts of 1 modulo 256 too, of which the releases since 0.32 read a map of garbage (defect 2), and a
/// child in the form of 0.31, which they drop (defect 3).
#[test]
fn defects_2_and_3_every_form_of_every_length_is_told() {
    for chunks in [3, 4, 255, 256, 257, 258, 512, 513, 514, 769, 1025] {
        let root = model(chunks, None);
        let shrunk = Map { child: Some(2), ..root.clone() };
        same(&DataMap::from_bytes(&root.v0()).unwrap(), &root);
        for map in [root, shrunk] {
            same(&DataMap::from_bytes(&map.v0_31()).unwrap(), &map);
            let ours = DataMap::from_bytes(&map.v1()).unwrap();
            same(&ours, &map);
            assert_eq!(*ours.to_secret_bytes(), map.v1());
            same(&DataMap::from_json(&ours.to_secret_json()).unwrap(), &map);
            same(&DataMap::from_bytes(ours.to_secret_json().as_bytes()).unwrap(), &map);
        }
    }
}

#[test]
fn json_as_others_write_it() {
    let hash = "ab".repeat(32);
    let chunk = |i: u32| {
        format!(r#"{{"index":{i},"dst_hash":"{hash}","src_hash":"{hash}","src_size":9,"more":[{{}}]}}"#)
    };
    let chunks = [2, 0, 1].map(chunk).join(",");
    for text in [
        format!(r#"{{"chunk_identifiers":[{chunks}],"child":null}}"#),
        format!(r#"{{"chunk_identifiers":[{chunks}]}}"#),
        format!(r#"{{"other":1,"child":null,"chunk_identifiers":[{chunks}]}}"#),
        format!("[{chunks}]"),
        format!("\n [{}]\n", chunks.replace("ab", "AB")),
    ] {
        let map = DataMap::from_bytes(text.as_bytes()).unwrap();
        assert_eq!((map.len(), map.child(), map.original_file_size()), (3, None, 27), "{text}");
        assert_eq!(map.infos()[2].index, 2);
    }
    let shrunk = format!(r#"{{"child":7,"chunk_identifiers":[{chunks}]}}"#);
    assert_eq!(DataMap::from_json(&shrunk).unwrap().child(), Some(7));
    for (bad, error) in [
        (format!("[{chunks}"), MapError::Damaged),
        (format!("[{chunks}]]"), MapError::NotADataMap),
        (format!("[{}]", chunks.replace("ab", "xy")), MapError::NotADataMap),
        (format!("[{}]", chunks.replacen("ab", "", 1)), MapError::NotADataMap),
        (format!("[{}]", chunks.replace(r#":9"#, ":-1")), MapError::NotADataMap),
        ("[".repeat(100_000), MapError::NotADataMap),
        (r#"{"chunk_identifiers":null}"#.to_owned(), MapError::NotADataMap),
    ] {
        assert_eq!(DataMap::from_json(&bad).unwrap_err(), error, "{:.80}", bad);
    }
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let invalid = |change: fn(&mut Map), why: &str| {
        let mut map = model(4, None);
        change(&mut map);
        for bytes in [map.v0_31(), map.v1()] {
            let Err(MapError::Invalid(said)) = DataMap::from_bytes(&bytes) else { panic!("{why}") };
            assert!(said.contains(why), "{said}: {why}");
        }
    };
    invalid(|map| map.infos.truncate(2), "three chunks");
    invalid(|map| map.infos.clear(), "three chunks");
    invalid(|map| map.infos[2].index = 1, "numbered");
    invalid(|map| map.infos[3].index = u64::MAX, "numbered");
    invalid(|map| map.infos[0].size = 0, "64 MiB");
    invalid(|map| map.infos[0].size = (64 << 20) + 1, "64 MiB");
    invalid(|map| map.infos[0].size = u64::MAX, "64 MiB");
    invalid(|map| map.child = Some(0), "levels");
    invalid(|map| map.child = Some(101), "levels");
    invalid(|map| map.child = Some(u64::MAX), "levels");
    // In another order it is the same map.
    let mut map = model(4, None);
    let sorted = DataMap::from_bytes(&map.v1()).unwrap();
    map.infos.reverse();
    assert_eq!(DataMap::from_bytes(&map.v1()).unwrap(), sorted);
}

/// Nothing is allocated for a count that the bytes do not hold.
#[test]
fn a_count_of_anything_is_no_map() {
    for count in [0, 1, 2, 4, 1 << 20, 1 << 40, u64::MAX / 80, u64::MAX / 80 + 1, u64::MAX] {
        let mut bytes = model(3, None).v1();
        bytes[1..9].copy_from_slice(&u64::to_le_bytes(count));
        assert_eq!(DataMap::from_bytes(&bytes), Err(MapError::NotADataMap), "{count}");
        let mut bytes = model(3, None).v0();
        bytes[..8].copy_from_slice(&u64::to_le_bytes(count));
        assert_eq!(DataMap::from_bytes(&bytes), Err(MapError::NotADataMap), "{count}");
    }
}

#[test]
fn lengths_are_exact() {
    for bytes in [model(5, None).v1(), model(5, Some(1)).v1(), model(5, Some(1)).v0_31(), model(5, None).v0()]
    {
        for len in 0..bytes.len() {
            // Without its child, a map of 0.31 is one of an older release.
            let is_older = (bytes.len() % 80, len % 80, bytes.len() - len) == (17, 8, 9);
            assert_eq!(DataMap::from_bytes(&bytes[..len]).is_ok(), is_older, "{len} of {}", bytes.len());
        }
        for more in 1..170 {
            let longer = [&bytes[..], &vec![0; more]].concat();
            // 0.31's form is told from an older one by a byte 0 at its end, as it should be.
            let is_other_form = more == 1 && bytes.len() % 80 == 8;
            assert_eq!(DataMap::from_bytes(&longer).is_ok(), is_other_form, "{more} after {}", bytes.len());
        }
    }
}

#[test]
fn a_map_shows_nothing_of_its_hashes() {
    let map = DataMap::from_bytes(&model(3, Some(1)).v1()).unwrap();
    let shown = format!("{map:?} {:?}", map.infos());
    for info in map.infos() {
        let secret: String = info.src_hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!shown.contains(&secret), "{shown}");
        assert!(!shown.contains(&format!("{:?}", &info.src_hash[..4]).trim_matches(['[', ']']).to_owned()));
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = DataMap::from_bytes(&bytes);
        let _ = DataMap::from_json(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_change_panics(at in 0usize..258, to: u8) {
        let mut bytes = model(3, Some(1)).v1();
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(map) = DataMap::from_bytes(&bytes) {
            prop_assert_eq!(&**map.to_secret_bytes(), &bytes[..]);
        }
    }

    #[test]
    fn what_goes_in_comes_out(
        hashes in prop::collection::vec((any::<[u8; 32]>(), any::<[u8; 32]>(), 1u64..=64 << 20), 3..40),
        child in prop::option::of(1u64..=100),
    ) {
        let chunks: Vec<_> = (0..)
            .zip(&hashes)
            .map(|(index, (dst, src, size))| ChunkInfo {
                index,
                dst_hash: ChunkId::from_bytes(*dst),
                src_hash: *src,
                src_size: *size,
            })
            .collect();
        let map = match child {
            Some(child) => DataMap::with_child(chunks, child),
            None => DataMap::new(chunks),
        };
        let map = map.unwrap();
        prop_assert_eq!(&DataMap::from_bytes(&map.to_secret_bytes()).unwrap(), &map);
        prop_assert_eq!(&DataMap::from_json(&map.to_secret_json()).unwrap(), &map);
    }
}
