//! The types: names, maps, and the words about them.

use std::process::Command;

use selfenc::classic::functions::{
    ChunkInfo, DataMap, DataMapIndex, XorName, decrypt, deserialize, serialize, stream_decrypt_batch_size,
};
use selfenc::{Error, MapError, compat};

use crate::small;

#[test]
fn names_are_hex_digits() {
    let name = XorName::from_content(b"abc");
    let hex = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    assert_eq!(name.to_hex(), hex);
    assert_eq!(format!("{name} {name:x}"), format!("{hex} {hex}"));
    assert_eq!(format!("{name:?}"), "XorName(6437b3ac…)");
    assert_eq!(XorName::from_hex(hex).unwrap(), name);
    assert_eq!(hex.to_uppercase().parse::<XorName>().unwrap(), name);
    for bad in ["", "6437", &hex[1..], &format!("{hex}0"), &hex.replace('a', "g")] {
        assert!(XorName::from_hex(bad).is_err(), "{bad}");
    }
    let (bytes, slice): (&[u8; 32], &[u8]) = (name.as_bytes(), name.as_ref());
    assert_eq!((bytes[..].to_vec(), name.len()), (slice.to_vec(), 32));
    assert!(deserialize::<XorName>(&bytes[1..]).is_err());
}

#[test]
fn maps_sort_count_and_sum() {
    let (map, _) = small();
    let mut infos = map.infos().to_vec();
    infos.reverse();
    assert_eq!(DataMap::new(infos.clone()), map);
    assert_eq!((map.len(), map.child(), map.is_child(), map.original_file_size()), (3, None, false, 3));
    let child = DataMap::with_child(infos, 2);
    assert_eq!((child.child(), child.is_child()), (Some(2), true));
    assert_eq!(child.chunk_identifiers, map.chunk_identifiers);
    let core = compat::DataMap::try_from(&child).unwrap();
    assert_eq!(DataMap::from(core), child);
}

/// The hash of content is what keys are made from.
#[test]
fn debug_shows_no_secret() {
    let (map, _) = small();
    let index = DataMapIndex::new(&map).unwrap();
    let shown = format!("{map:?} {map:#?} {:?} {index:?}", map.infos()[0]);
    for info in map.infos() {
        assert!(shown.contains(&info.dst_hash.to_hex()[..8]));
        assert!(!shown.contains(&info.src_hash.to_hex()[..8]), "{shown}");
    }
    assert!(!shown.contains("src_hash"));
}

/// The fields are open: what is no map is refused by whoever gets it.
#[test]
fn what_is_no_map_is_refused() {
    let (map, chunks) = small();
    let change = |change: fn(&mut DataMap)| {
        let mut map = map.clone();
        change(&mut map);
        map
    };
    let cases = [
        change(|map| map.chunk_identifiers.truncate(2)),
        change(|map| map.chunk_identifiers.clear()),
        change(|map| map.chunk_identifiers[1].index = 7),
        change(|map| map.chunk_identifiers[1].src_size = 0),
        change(|map| map.chunk_identifiers[1].src_size = usize::MAX),
        change(|map| map.child = Some(0)),
        change(|map| map.child = Some(101)),
    ];
    let is_bad = |e: &Error| matches!(e, Error::BadMap(MapError::Invalid(_)));
    for bad in cases {
        assert!(is_bad(&bad.to_bytes().unwrap_err()), "{bad:?}");
        assert!(is_bad(&serialize(&bad).unwrap_err()), "{bad:?}");
        assert!(is_bad(&DataMapIndex::new(&bad).unwrap_err()), "{bad:?}");
        assert!(is_bad(&decrypt(&bad, &chunks).unwrap_err()), "{bad:?}");
        let json = serde_json::to_string(&bad).unwrap();
        assert!(serde_json::from_str::<DataMap>(&json).is_err(), "{bad:?}");
        assert!(self_encryption::deserialize::<DataMap>(&self_encryption::serialize(&bad).unwrap()).is_err());
        assert!(bad.original_file_size() >= bad.infos().first().map_or(0, |info| info.src_size));
    }
    let mut bytes = map.to_bytes().unwrap();
    bytes[0] = 2;
    assert!(DataMap::from_bytes(&bytes).is_err());
    assert!(self_encryption::deserialize::<DataMap>(&bytes).is_err());
    assert!(deserialize::<ChunkInfo>(&bytes[..79]).is_err());
    // What is wrong is not repeated: it may be most of a secret.
    let json = serde_json::to_string(&map).unwrap();
    let secret = map.infos()[0].src_hash.to_hex();
    let e = serde_json::from_str::<DataMap>(&json.replace(&secret, &secret[..62])).unwrap_err();
    assert!(!e.to_string().contains(&secret[..8]), "{e}");
}

/// Read once for each process, hence processes.
#[test]
fn the_batch_size_follows_the_environment() {
    const EXPECTED: &str = "SELFENC_TEST_EXPECTED";
    if let Ok(expected) = std::env::var(EXPECTED) {
        assert_eq!(stream_decrypt_batch_size().to_string(), expected);
        return;
    }
    for (told, expected) in [(None, "10"), (Some("64"), "64"), (Some("0"), "10"), (Some("many"), "10")] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "maps::the_batch_size_follows_the_environment"]).env(EXPECTED, expected);
        match told {
            Some(told) => child.env("STREAM_DECRYPT_BATCH_SIZE", told),
            None => child.env_remove("STREAM_DECRYPT_BATCH_SIZE"),
        };
        let output = child.output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && shown.contains("1 passed"), "{told:?}: {shown}");
    }
}
