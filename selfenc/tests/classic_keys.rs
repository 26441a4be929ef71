//! The key store: what its epochs seal, who can open it, and when a key may go.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use proptest::prelude::*;
use selfenc::classic::error::Error;
use selfenc::classic::keys::{Clock, KeyConfig, KeyStore};
use selfenc::compat::{self, AnyMap, Generation};
use selfenc::store::{ChunkId, ChunkStore};
use selfenc::{DataMap, EncryptionConfig, Engine, MemoryStore, Scope, SealKey};

const DAY: Duration = Duration::from_secs(86_400);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// 32 bytes that are good enough for a key.
const MATERIAL: [u8; 32] = [
    0x8f, 0x3a, 0x9c, 0x07, 0xd1, 0x5b, 0xe2, 0x46, 0xf0, 0x81, 0x7c, 0x3b, 0xe5, 0x9a, 0xd4, 0x26, 0x08,
    0xb3, 0x6e, 0xc9, 0x12, 0x77, 0xaf, 0x54, 0x2d, 0xfe, 0x98, 0x61, 0x0b, 0xc4, 0x33, 0xda,
];

/// A clock that is set by hand.
#[derive(Clone)]
struct Hand(Arc<Mutex<SystemTime>>);

impl Hand {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + 10_000 * DAY)))
    }

    fn forward(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }

    fn back(&self, by: Duration) {
        *self.0.lock().unwrap() -= by;
    }
}

impl Clock for Hand {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

fn keys() -> KeyStore {
    KeyStore::new(KeyConfig::default()).unwrap()
}

fn on_hand() -> (KeyStore, Hand) {
    let hand = Hand::new();
    (KeyStore::with_clock(KeyConfig::default(), hand.clone()).unwrap(), hand)
}

/// A map that holds its data itself.
fn map(text: &str) -> DataMap {
    let store = Arc::new(MemoryStore::new());
    let engine = Engine::new(EncryptionConfig::new()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(engine.write_bytes(store, &Scope::Public, text.as_bytes())).unwrap().map
}

fn same(one: &DataMap, other: &DataMap) -> bool {
    one.to_secret_bytes() == other.to_secret_bytes()
}

fn epoch(sealed: &[u8]) -> u64 {
    KeyStore::epoch_of(sealed).unwrap()
}

fn ids(keys: &KeyStore) -> Vec<u64> {
    keys.epochs().iter().map(|epoch| epoch.id).collect()
}

/// The chunks of a store, in the order of their names.
async fn names(store: &MemoryStore) -> Vec<ChunkId> {
    store.list(None).map_ok(|meta| meta.id).try_collect().await.unwrap()
}

fn counts(keys: &KeyStore) -> Vec<usize> {
    keys.epochs().iter().map(|epoch| epoch.maps).collect()
}

#[test]
fn a_config_is_validated_when_the_store_is_made() {
    let wrong = KeyConfig { rotation_interval: Duration::ZERO, ..KeyConfig::default() };
    assert!(matches!(KeyStore::new(wrong), Err(Error::InvalidConfig(_))));
    assert_eq!(*keys().config(), KeyConfig::default());
}

#[test]
fn an_epoch_has_an_id_a_time_and_a_key_of_its_own() {
    let (keys, hand) = on_hand();
    assert_eq!(keys.epochs(), [], "none before one is needed");
    let sealed = keys.seal(&map("one")).unwrap();
    hand.forward(DAY);
    keys.rotate().unwrap();
    let epochs = keys.epochs();
    assert_eq!(ids(&keys), [1, 2]);
    assert_eq!(epochs[1].created.duration_since(epochs[0].created).unwrap(), DAY);
    assert_eq!(epochs[1].created, hand.now());
    // The bytes of one epoch under the number of another.
    let mut other = sealed.clone();
    other[6] = 2;
    assert_eq!(epoch(&other), 2);
    assert!(matches!(keys.unseal(&other), Err(Error::Encryption(selfenc::Error::WrongKey))));
    assert!(same(&keys.unseal(&sealed).unwrap(), &map("one")));
}

#[test]
fn sealed_bytes_describe_themselves_and_hide_the_map() {
    let keys = keys();
    let map = map("a text that is easily found");
    let sealed = keys.seal(&map).unwrap();
    assert_eq!(sealed[..14], *b"SEPOC\x01\x01\0\0\0\0\0\0\0");
    assert!(DataMap::is_sealed(&sealed[14..]) && !DataMap::is_sealed(&sealed));
    assert!(KeyStore::is_sealed(&sealed) && !KeyStore::is_sealed(&sealed[14..]));
    assert!(!sealed.windows(6).any(|window| window == b"easily"));
    assert_eq!(sealed.len(), 14 + 85 + map.to_secret_bytes().len());
    assert_ne!(keys.seal(&map).unwrap()[14..], sealed[14..], "salted anew each time");
}

#[test]
fn another_key_store_does_not_open_it() {
    let (ours, theirs) = (keys(), keys());
    let sealed = ours.seal(&map("ours")).unwrap();
    assert!(matches!(theirs.unseal(&sealed), Err(Error::UnknownEpoch { epoch: 1 })));
    theirs.rotate().unwrap();
    for refused in
        [theirs.unseal(&sealed).map(drop), theirs.rewrap(&sealed).map(drop), theirs.remember(&sealed)]
    {
        assert!(matches!(refused, Err(Error::Encryption(selfenc::Error::WrongKey))));
    }
    assert_eq!((ids(&theirs), counts(&theirs)), (vec![1], vec![0]));
}

#[test]
fn a_new_epoch_starts_when_the_interval_has_passed_and_it_is_used() {
    let (keys, hand) = on_hand();
    let first = keys.seal(&map("first")).unwrap();
    hand.forward(MONTH - Duration::from_nanos(1));
    assert_eq!(epoch(&keys.seal(&map("late")).unwrap()), 1);
    hand.forward(Duration::from_nanos(1));
    // Neither looking nor opening needs a new one.
    keys.unseal(&first).unwrap();
    assert_eq!(ids(&keys), [1]);
    assert_eq!(epoch(&keys.seal(&map("new")).unwrap()), 2);
    hand.forward(MONTH);
    assert_eq!(epoch(&keys.rewrap(&first).unwrap()), 3);
    // However long nobody uses it, one starts, not many.
    hand.forward(MONTH * 50);
    assert_eq!(keys.current_epoch().unwrap(), 4);
    assert_eq!(keys.current_epoch().unwrap(), 4);

    let never = KeyConfig { rotation_interval: Duration::MAX, ..KeyConfig::default() };
    let (hand, still) = (hand.clone(), KeyStore::with_clock(never, hand).unwrap());
    still.current_epoch().unwrap();
    hand.forward(MONTH * 10_000);
    assert_eq!(still.current_epoch().unwrap(), 1);
}

#[test]
fn rotate_starts_one_at_once_and_the_interval_with_it() {
    let (keys, hand) = on_hand();
    assert_eq!((keys.rotate().unwrap(), keys.rotate().unwrap()), (1, 2));
    hand.forward(MONTH / 2);
    assert_eq!(keys.rotate().unwrap(), 3);
    hand.forward(MONTH / 2);
    assert_eq!(keys.current_epoch().unwrap(), 3, "it is half as old as it may be");
    hand.forward(MONTH / 2);
    assert_eq!(keys.current_epoch().unwrap(), 4);
}

#[test]
fn old_epochs_stay_readable() {
    let keys = keys();
    let sealed: Vec<_> = (0..20)
        .map(|n| {
            keys.rotate().unwrap();
            keys.seal(&map(&format!("number {n}"))).unwrap()
        })
        .collect();
    for (n, sealed) in (0..).zip(&sealed) {
        assert_eq!(epoch(sealed), n + 1);
        assert!(same(&keys.unseal(sealed).unwrap(), &map(&format!("number {n}"))));
    }
}

#[test]
fn a_clock_that_goes_back_starts_nothing() {
    let (keys, hand) = on_hand();
    assert_eq!(keys.current_epoch().unwrap(), 1);
    hand.back(9000 * DAY);
    for _ in 0..100 {
        assert_eq!(epoch(&keys.seal(&map("x")).unwrap()), 1);
        hand.back(Duration::from_secs(1));
    }
    // From where it went to, the next epoch is an interval away, not years.
    hand.forward(MONTH - DAY);
    assert_eq!(keys.current_epoch().unwrap(), 1);
    hand.forward(2 * DAY);
    assert_eq!(keys.current_epoch().unwrap(), 2);
    assert_eq!(keys.rotate().unwrap(), 3, "ids rise whatever the clock says");

    // One that trembles about a point makes nothing of it.
    for _ in 0..100 {
        hand.forward(MONTH - Duration::from_secs(2));
        hand.back(MONTH - Duration::from_secs(1));
        assert_eq!(keys.current_epoch().unwrap(), 3);
    }
    // Set ten years ahead and corrected: one epoch too many, and then one a month again.
    hand.forward(3650 * DAY);
    assert_eq!(keys.current_epoch().unwrap(), 4);
    hand.back(3650 * DAY);
    assert_eq!(keys.current_epoch().unwrap(), 4);
    hand.forward(MONTH);
    assert_eq!(keys.current_epoch().unwrap(), 5);
}

#[test]
fn a_clock_before_1970_is_a_clock() {
    let long_ago = SystemTime::UNIX_EPOCH.checked_sub(1000 * DAY).unwrap();
    let keys = KeyStore::with_clock(KeyConfig::default(), move || long_ago).unwrap();
    let sealed = keys.seal(&map("x")).unwrap();
    assert_eq!(epoch(&keys.rewrap(&sealed).unwrap()), 1);
    assert_eq!(keys.epochs()[0].created, long_ago);
}

#[tokio::test]
async fn rewrap_moves_a_map_and_touches_no_chunk() {
    let store = Arc::new(MemoryStore::new());
    let engine = Engine::new(EncryptionConfig::new().with_chunk_size(1024)).unwrap();
    let data: Vec<u8> = (0..100_000_u32).flat_map(|n| (n * 7919).to_le_bytes()).collect();
    let written = engine.write_bytes(store.clone(), &Scope::Private, &data).await.unwrap();
    let keys = keys();
    let sealed = keys.seal(&written.map).unwrap();
    let before = names(&store).await;
    assert_eq!(before.len(), 391);

    keys.rotate().unwrap();
    let moved = keys.rewrap(&sealed).unwrap();
    assert_eq!((epoch(&sealed), epoch(&moved)), (1, 2));
    assert_eq!(counts(&keys), [0, 1]);
    assert_eq!(names(&store).await, before);
    let map = keys.unseal(&moved).unwrap();
    assert!(same(&map, &written.map), "the very same map: the same chunks under the same keys");
    assert_eq!(engine.open(store, map).read_at(0, data.len()).await.unwrap(), data);

    // Where it is already it stays, byte for byte.
    assert_eq!(keys.rewrap(&moved).unwrap(), moved);
    assert_eq!(counts(&keys), [0, 1]);
}

#[test]
fn what_cannot_be_opened_is_not_moved() {
    let keys = keys();
    let sealed = keys.seal(&map("x")).unwrap();
    keys.rotate().unwrap();
    let mut damaged = sealed.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(keys.rewrap(&damaged), Err(Error::InvalidData(_))));
    assert!(matches!(keys.remember(&damaged), Err(Error::InvalidData(_))));
    assert_eq!(counts(&keys), [1, 0]);
}

#[test]
fn an_epoch_that_maps_need_is_not_retired() {
    let keys = keys();
    let (a, b) = (keys.seal(&map("a")).unwrap(), keys.seal(&map("b")).unwrap());
    keys.rotate().unwrap();
    assert!(matches!(keys.retire(1), Err(Error::EpochInUse { epoch: 1, maps: 2 })));
    let moved = keys.rewrap(&a).unwrap();
    assert!(matches!(keys.retire(1), Err(Error::EpochInUse { epoch: 1, maps: 1 })));
    assert!(keys.unseal(&a).is_ok(), "until then all is readable");
    // Told twice about one map, it does not take it for two.
    assert!(keys.forget(&b) && !keys.forget(&b) && !keys.forget(&a));
    keys.retire(1).unwrap();
    assert_eq!(ids(&keys), [2]);
    for gone in [&a, &b] {
        assert!(matches!(keys.unseal(gone), Err(Error::UnknownEpoch { epoch: 1 })));
        assert!(matches!(keys.rewrap(gone), Err(Error::UnknownEpoch { epoch: 1 })));
    }
    assert!(same(&keys.unseal(&moved).unwrap(), &map("a")));
    assert!(matches!(keys.retire(1), Err(Error::UnknownEpoch { epoch: 1 })));
    assert_eq!(keys.rotate().unwrap(), 3, "no id is used twice");
}

#[test]
fn the_newest_epoch_is_not_retired() {
    let keys = keys();
    assert!(matches!(keys.retire(1), Err(Error::UnknownEpoch { epoch: 1 })));
    keys.rotate().unwrap();
    assert!(matches!(keys.retire(1), Err(Error::EpochIsNewest { epoch: 1 })));
    keys.rotate().unwrap();
    keys.retire(1).unwrap();
    assert!(matches!(keys.retire(2), Err(Error::EpochIsNewest { epoch: 2 })));
}

#[test]
fn a_map_that_is_remembered_holds_its_epoch() {
    let (yesterday, today) = (keys(), keys());
    yesterday.import(&MATERIAL).unwrap();
    let sealed = yesterday.seal(&map("kept")).unwrap();

    assert_eq!(today.import(&MATERIAL).unwrap(), 1);
    today.rotate().unwrap();
    today.remember(&sealed).unwrap();
    today.remember(&sealed).unwrap();
    assert!(matches!(today.retire(1), Err(Error::EpochInUse { epoch: 1, maps: 1 })));
    assert!(same(&today.unseal(&sealed).unwrap(), &map("kept")));
    assert!(today.forget(&sealed));
    today.retire(1).unwrap();
}

#[test]
fn imported_material_is_a_key_if_it_can_be_one() {
    let keys = keys();
    assert_eq!(keys.current_epoch().unwrap(), 1);
    assert_eq!(keys.import(&MATERIAL).unwrap(), 2);
    let sealed = keys.seal(&map("x")).unwrap();
    assert_eq!(epoch(&sealed), 2);
    let own = DataMap::unseal(&SealKey::from_bytes(MATERIAL), &sealed[14..]).unwrap();
    assert!(same(&own, &map("x")), "32 bytes are the key itself");

    let password = b"correct horse battery staple, 32";
    for weak in [&MATERIAL[..31], &[7; 32], &[7; 500], password, &MATERIAL[..8].repeat(4), &[]] {
        let Err(Error::KeyMaterial(_)) = keys.import(weak) else { panic!("{weak:?} is taken") };
    }
    assert_eq!(ids(&keys), [1, 2], "what was refused started nothing");

    let lax = KeyConfig { min_entropy: 128, quantum_safe: false, ..KeyConfig::default() };
    let lax = KeyStore::new(lax).unwrap();
    assert_eq!(lax.import(&MATERIAL[..16]).unwrap(), 1);
    assert!(matches!(lax.import(&MATERIAL[..15]), Err(Error::KeyMaterial(_))));
    assert!(same(&lax.unseal(&lax.seal(&map("y")).unwrap()).unwrap(), &map("y")));
}

#[test]
fn quantum_safe_refuses_smaller_keys() {
    let strict = keys();
    let Err(Error::Unsupported(message)) = strict.check_generation(Generation::One) else { panic!() };
    assert!(message.contains("AES-128") && message.contains("quantum_safe"), "{message}");
    strict.check_generation(Generation::Two).unwrap();
    let lax = KeyStore::new(KeyConfig { quantum_safe: false, ..KeyConfig::default() }).unwrap();
    lax.check_generation(Generation::One).unwrap();
}

#[test]
fn a_map_of_any_kind_is_sealed_or_told_what_to_do() {
    let keys = keys();
    let sealed = keys.seal_any(&AnyMap::Native(map("native"))).unwrap();
    assert!(same(&keys.unseal(&sealed).unwrap(), &map("native")));
    let chunk = |index| compat::ChunkInfo {
        index,
        dst_hash: ChunkId::from_bytes([1; 32]),
        src_hash: [2; 32],
        src_size: 1,
    };
    let old = AnyMap::Compat(compat::DataMap::new((0..3).map(chunk).collect()).unwrap());
    let Err(Error::Unsupported(message)) = keys.seal_any(&old) else { panic!() };
    assert!(message.contains("convert"), "{message}");
}

#[test]
fn no_key_shows() {
    let keys = keys();
    keys.import(&MATERIAL).unwrap();
    let sealed = keys.seal(&map("a canary in the map")).unwrap();
    let mut damaged = sealed.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut weak = MATERIAL;
    weak[8..].fill(0x8f);
    let texts = [
        format!("{keys:?} {:?}", keys.epochs()),
        format!("{:?}", keys.unseal(&damaged).unwrap_err()),
        format!("{:?}", keys.import(&weak).unwrap_err()),
        format!("{:?}", keys.retire(1).unwrap_err()),
    ];
    assert!(texts[0].contains("maps: 1"), "{}", texts[0]);
    for text in texts {
        for canary in ["8f3a9c", "8F3A9C", "143, 58, 156", "0x8f, 0x3a", "canary"] {
            assert!(!text.contains(canary), "{text}");
        }
    }
}

#[test]
fn one_key_store_serves_many_threads() {
    fn crosses<T: Send + Sync + 'static>(_: &T) {}
    let keys = Arc::new(keys());
    crosses(&*keys);
    let map = map("shared");
    let sealed: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let worker = |task: usize| {
            let (keys, map) = (Arc::clone(&keys), map.clone());
            scope.spawn(move || {
                let mut kept: Vec<Vec<u8>> = Vec::new();
                for round in 0..50 {
                    match (task + round) % 5 {
                        0 => drop(keys.rotate().unwrap()),
                        1 => {
                            // Whoever retires what others still need is refused.
                            let oldest = keys.epochs().first().map_or(0, |epoch| epoch.id);
                            let _ = keys.retire(oldest);
                        }
                        2 if !kept.is_empty() => {
                            let old = kept.swap_remove(round % kept.len());
                            kept.push(keys.rewrap(&old).unwrap());
                        }
                        _ => kept.push(keys.seal(&map).unwrap()),
                    }
                }
                kept
            })
        };
        let workers: Vec<_> = (0..8).map(worker).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(sealed.iter().all(|sealed| same(&keys.unseal(sealed).unwrap(), &map)));
    assert_eq!(counts(&keys).iter().sum::<usize>(), sealed.len(), "each is counted once");
    let ids = ids(&keys);
    assert!(ids.is_sorted() && ids.iter().collect::<HashSet<_>>().len() == ids.len());
}

#[tokio::test]
async fn the_largest_map_goes_in_and_nothing_larger_is_read() {
    let store = Arc::new(MemoryStore::new());
    let engine = Engine::new(EncryptionConfig::new().with_chunk_size(1024)).unwrap();
    let map = engine.write_bytes(store, &Scope::Private, &vec![9; 512 * 1024]).await.unwrap().map;
    assert_eq!(map.entries().count(), selfenc::FAN);
    let keys = keys();
    let mut sealed = keys.seal(&map).unwrap();
    assert_eq!(sealed.len(), 14 + 55_448);
    assert!(same(&keys.unseal(&sealed).unwrap(), &map));
    for more in [1, 100 << 20] {
        sealed.resize(14 + 55_448 + more, 0);
        let Err(Error::InvalidData(message)) = keys.unseal(&sealed) else { panic!() };
        assert!(message.contains("longer"), "{message}");
    }
}

#[test]
fn every_flip_and_every_cut_is_an_error() {
    let keys = keys();
    keys.rotate().unwrap();
    let sealed = keys.seal(&map("x")).unwrap();
    keys.rotate().unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut damaged = sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(keys.unseal(&damaged).is_err() && keys.rewrap(&damaged).is_err(), "bit {bit}");
    }
    for cut in 0..sealed.len() {
        assert!(keys.unseal(&sealed[..cut]).is_err() && keys.rewrap(&sealed[..cut]).is_err(), "cut at {cut}");
    }
    let longer = [&sealed[..], &[0]].concat();
    assert!(keys.unseal(&longer).is_err() && keys.rewrap(&longer).is_err());
    assert_eq!(counts(&keys), [1, 0]);
}

/// Bytes of a stranger: any at all, or any behind a head that is right so far.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let heads = [
        &b""[..],
        b"SEPOC",
        b"SEPOC\x01",
        b"SEPOC\x01\x01\0\0\0\0\0\0\0",
        b"SEPOC\x01\x01\0\0\0\0\0\0\0SESL\x01",
    ];
    let head = prop::sample::select(heads.map(<[u8]>::to_vec).to_vec());
    (head, prop::collection::vec(any::<u8>(), 0..400)).prop_map(|(head, rest)| [head, rest].concat())
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in hostile()) {
        let keys = keys();
        keys.rotate().unwrap();
        keys.rotate().unwrap();
        prop_assert!(keys.unseal(&bytes).is_err());
        prop_assert!(keys.rewrap(&bytes).is_err());
        prop_assert!(keys.remember(&bytes).is_err());
        prop_assert!(!keys.forget(&bytes));
        let _ = KeyStore::epoch_of(&bytes);
        prop_assert_eq!(counts(&keys), [0, 0]);
    }

    #[test]
    fn no_splice_of_two_maps_is_opened(cut in 14_usize..150, text in "[a-z]{0,40}") {
        let keys = keys();
        let (one, other) = (keys.seal(&map(&text)).unwrap(), keys.seal(&map(&text)).unwrap());
        let spliced = [&one[..cut], &other[cut..]].concat();
        prop_assert_eq!(keys.unseal(&spliced).is_ok(), spliced == one || spliced == other);
    }

    #[test]
    fn no_material_makes_it_panic(material in prop::collection::vec(any::<u8>(), 0..1100)) {
        let keys = keys();
        let taken = keys.import(&material).is_ok();
        prop_assert!(!taken || (32..=1024).contains(&material.len()));
    }
}

#[test]
fn an_imported_epoch_may_have_its_number_and_none_may_go_back() {
    let keys = KeyStore::new(KeyConfig::default()).unwrap();
    let key = || SealKey::generate().unwrap();
    keys.import_as(7, key().expose()).unwrap();
    assert_eq!((keys.current_epoch().unwrap(), keys.rotate().unwrap()), (7, 8));
    for refused in [0, 1, 7, 8, 1 << 63, u64::MAX] {
        let e = keys.import_as(refused, key().expose()).unwrap_err();
        assert!(matches!(&e, Error::InvalidConfig(m) if m.contains("above 8")), "{e}");
    }
    assert!(matches!(keys.import_as(9, b"too short"), Err(Error::KeyMaterial(_))));
    assert_eq!(keys.epochs().len(), 2);
}
