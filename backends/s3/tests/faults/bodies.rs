//! Bodies that are whole on the wire and wrong all the same (groups 6 and 7).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use selfenc_core::engine::{EncryptionConfig, Engine, Error, Scope, name_matches};
use selfenc_core::store::{ChunkStore, ErrorKind};
use selfenc_core::wrap::Verify;
use selfenc_s3::Checksums;

use crate::bench::{Bench, check, chunk_of, no_secret};
use crate::support::action::{Action, Alter};
use crate::support::answer::Answer;
use crate::support::request::{Kind, PUTS};
use crate::support::script::Times;

const GET: &[Kind] = &[Kind::Get];

/// Stores do not know which hash made a name; what reads through `Verify` does.
#[tokio::test]
async fn wrong_bytes_are_not_returned() {
    let bench = Bench::new().await;
    let (id, data) = bench.stored(0).await;
    let checked = Verify::new(bench.store.clone(), name_matches);
    let wrong = [
        Alter::Corrupt(0),
        Alter::Corrupt(999),
        Alter::Truncate(999),
        Alter::Truncate(0),
        Alter::Extend("!".into()),
        Alter::Replace("<html>".into()),
    ];
    for alter in wrong {
        bench.reset();
        bench.proxy.rule(GET, Times::Once, Action::Alter(alter.clone()));
        let e = checked.get(id).await.unwrap_err();
        assert_eq!((e.kind(), e.is_transient()), (ErrorKind::Corrupt, false), "{alter:?}: {e}");
        no_secret(&e, "wrong bytes");
        // Not kept: the next read sees what is stored.
        assert!(checked.get(id).await.unwrap().as_ref() == Some(&data), "{alter:?}");
        assert_eq!(bench.count(GET), 2, "{alter:?}");
    }
}

/// The engine reads what is not what its name says once more, and then calls it corrupt.
#[tokio::test]
async fn wrong_bytes_are_read_once_more_by_the_engine() {
    let bench = Bench::new().await;
    let store: Arc<dyn ChunkStore> = Arc::new(bench.store.clone());
    let engine = Engine::new(EncryptionConfig::new().with_threads(1).with_chunk_cache(0)).unwrap();
    let data = chunk_of(0, 300_000).1;
    let written = engine.write_bytes(Arc::clone(&store), &Scope::Public, &data).await.unwrap();
    let reader = engine.open(store, written.map);
    for alter in [Alter::Corrupt(0), Alter::Truncate(100)] {
        bench.reset();
        let whole = reader.read_at(0, data.len()).await.unwrap();
        assert!(whole == data);
        let chunks = bench.count(GET);
        assert!(chunks > 0);
        bench.reset();
        bench.proxy.rule(GET, Times::Once, Action::Alter(alter.clone()));
        assert!(reader.read_at(0, data.len()).await.unwrap() == data, "{alter:?}");
        assert_eq!(bench.count(GET), chunks + 1, "{alter:?}");
        bench.reset();
        bench.proxy.rule(GET, Times::Always, Action::Alter(alter.clone()));
        let e = reader.read_at(0, 1).await.unwrap_err();
        assert!(matches!(e, Error::Corrupt { .. }), "{alter:?}: {e}");
        let keys: HashSet<_> = bench.proxy.log().into_iter().map(|seen| seen.key).collect();
        assert!(bench.count(GET) <= 2 * keys.len(), "{alter:?}: {} of {}", bench.count(GET), keys.len());
    }
}

/// With checksums the backend itself sees what changed on the way, and reads once more.
#[tokio::test]
async fn a_wrong_checksum() {
    let bench = Bench::with(|config| config.with_checksums(Checksums::WhenSupported)).await;
    let (id, data) = bench.stored(0).await;
    let wrong = [Alter::Corrupt(500), Alter::Header("x-amz-checksum-crc32", "AAAAAA==")];
    for alter in wrong {
        bench.reset();
        bench.proxy.rule(GET, Times::Once, Action::Alter(alter.clone()));
        let got = bench.store.get(id).await.unwrap_or_else(|e| panic!("{alter:?}: {e}"));
        assert!(got.as_ref() == Some(&data), "{alter:?}");
        assert_eq!(bench.count(GET), 2, "{alter:?}");
        assert!(bench.proxy.log().iter().all(|seen| seen.header("x-amz-checksum-mode") == "ENABLED"));

        bench.reset();
        bench.proxy.rule(GET, Times::Always, Action::Alter(alter.clone()));
        let e = bench.store.get(id).await.unwrap_err();
        check(&e, ErrorKind::Corrupt, &format!("{alter:?}"));
        assert_eq!(bench.count(GET), 2, "{alter:?}");
    }
}

/// A checksum that nobody asked for is not looked at: some services give wrong ones.
#[tokio::test]
async fn no_checksum_is_asked_for_unless_set() {
    let bench = Bench::new().await;
    let (id, data) = bench.stored(0).await;
    let alter = Alter::Header("x-amz-checksum-crc32", "AAAAAA==");
    bench.proxy.rule(GET, Times::Always, Action::Alter(alter));
    assert!(bench.store.get(id).await.unwrap() == Some(data));
    assert_eq!(bench.count(GET), 1);
    assert!(!bench.proxy.log()[0].has_header("x-amz-checksum-mode"));
    bench.reset();
    bench.store.put(crate::bench::chunk(1).0, "x".into()).await.unwrap();
    let sent = bench.proxy.log().remove(0);
    let is_checksum =
        |name: &str| name.starts_with("x-amz-checksum") || name == "x-amz-sdk-checksum-algorithm";
    assert!(!sent.headers.keys().any(|name| is_checksum(name.as_str())), "{sent:?}");
}

/// A put that arrived damaged is sent once more.
#[tokio::test]
async fn a_put_that_arrives_damaged() {
    for code in ["BadDigest", "XAmzContentSHA256Mismatch"] {
        let bench = Bench::new().await;
        let (id, data) = crate::bench::chunk(0);
        bench.proxy.rule(PUTS, Times::Once, Action::error(400, code));
        bench.store.put(id, data.clone()).await.unwrap();
        // The second without a condition: the first may be there, damaged.
        assert_eq!([Kind::CreatePut, Kind::Put].map(|kind| bench.count(&[kind])), [1, 1], "{code}");
        bench.reset();
        bench.proxy.rule(PUTS, Times::Always, Action::error(400, code));
        let e = bench.store.put(id, data).await.unwrap_err();
        check(&e, ErrorKind::Corrupt, code);
        assert_eq!(bench.count(PUTS), 2, "{code}");
    }
}

/// An object that is longer than any chunk is refused by what is said of it, before anything is read.
#[tokio::test]
async fn a_body_that_is_too_long_is_not_read() {
    let bench = Bench::with(|config| config.with_max_chunk_len(2000)).await;
    let (id, _) = bench.stored(0).await;
    let tagged = |len| Answer::new(200, "x").with("etag", "\"1\"").claiming(len);
    let long = [
        Action::Alter(Alter::Extend(vec![7; 1001].into())),
        Action::AlterAnswer(tagged(2001), Alter::StallBody(1)),
        Action::AlterAnswer(tagged(10 << 40), Alter::StallBody(1)),
        Action::AlterAnswer(tagged(u64::MAX / 2), Alter::StallBody(1)),
    ];
    for action in long {
        bench.reset();
        bench.proxy.rule(GET, Times::Always, action.clone());
        let begun = Instant::now();
        let e = bench.store.get(id).await.unwrap_err();
        assert_eq!((e.kind(), e.is_transient()), (ErrorKind::Corrupt, false), "{action:?}: {e}");
        no_secret(&e, "too long");
        assert_eq!(bench.count(GET), 1, "{action:?}");
        // A body that stalls is waited for 20 s.
        assert!(begun.elapsed() < Duration::from_secs(18), "{action:?}: {:?}", begun.elapsed());
    }
    bench.reset();
    bench.proxy.rule(GET, Times::Always, Action::Alter(Alter::Extend(vec![7; 1000].into())));
    assert_eq!(bench.store.get(id).await.unwrap().unwrap().len(), 2000, "the longest");
}
