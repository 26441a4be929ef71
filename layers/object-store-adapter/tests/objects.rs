//! What `object_store`'s own functions do not ask of objects.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::sync::Arc;

use futures::future::join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, UpdateVersion,
};
use selfenc_core::engine::{Engine, Scope};
use selfenc_core::store::{Backend, ChunkStoreExt, ChunksOnly, ErrorKind};
use selfenc_core::wrap::{Failure, FaultPlan, Faulty, Op, ReadOnly};
use selfenc_object_store_adapter::ObjectStoreAdapter;

use support::{CHUNK, Gate, OPEN, config, get, key, list, memory, over, random, roots, scope};

#[tokio::test]
async fn equal_objects_share_their_chunks() {
    let (store, objects) = memory();
    let data = random(100_000, 1);
    objects.put(&Path::from("a"), data.clone().into()).await.unwrap();
    let chunks = store.count().await.unwrap();
    assert_eq!(chunks, 100_000u64.div_ceil(CHUNK));
    objects.put(&Path::from("b"), data.clone().into()).await.unwrap();
    objects.put(&Path::from("b"), data.clone().into()).await.unwrap();
    objects.copy(&Path::from("a"), &Path::from("c")).await.unwrap();
    assert_eq!(store.count().await.unwrap(), chunks);
    for path in ["a", "b", "c"] {
        assert_eq!(get(&objects, &Path::from(path)).await, data);
    }
    objects.put(&Path::from("d"), random(100_000, 2).into()).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 2 * chunks);
}

/// A map of 98 chunks makes a record that does not fit into its root.
#[tokio::test]
async fn a_long_record_is_a_chunk_of_its_own() {
    let (store, objects) = memory();
    let (path, data) = (Path::from("long"), random(400_000, 1));
    objects.put(&path, data.clone().into()).await.unwrap();
    let chunks = store.count().await.unwrap();
    assert!(chunks > 400_000u64.div_ceil(CHUNK));
    let copy = Path::from("copy");
    objects.copy(&path, &copy).await.unwrap();
    assert!((1..20).contains(&(store.count().await.unwrap() - chunks)), "a copy writes its record alone");
    objects.delete(&path).await.unwrap();
    assert_eq!(get(&objects, &copy).await, data);
    assert_eq!(list(&objects).await[0].size, 400_000);
}

#[tokio::test]
async fn ranges_at_the_edges_of_chunks() {
    let (_, objects) = memory();
    let (path, data) = (Path::from("edges"), random(3 * CHUNK as usize + 100, 1));
    objects.put(&path, data.clone().into()).await.unwrap();
    let len = data.len() as u64;
    let near = |at: u64| [at.saturating_sub(1), at, at + 1];
    let edges: Vec<u64> = [0, CHUNK, 2 * CHUNK, 3 * CHUNK, len].into_iter().flat_map(near).collect();
    let mut ranges = Vec::new();
    for start in &edges {
        for end in &edges {
            let range = *start..*end;
            let result = objects.get_range(&path, range.clone()).await;
            if start >= end || *start >= len {
                assert!(matches!(result, Err(Error::Generic { .. })), "{range:?}");
                continue;
            }
            let expected = data.slice(*start as usize..(*end).min(len) as usize);
            assert_eq!(result.unwrap(), expected, "{range:?}");
            ranges.push((range, expected));
        }
    }
    let (ranges, expected): (Vec<_>, Vec<_>) = ranges.into_iter().unzip();
    assert_eq!(objects.get_ranges(&path, &ranges).await.unwrap(), expected);
    assert!(objects.get_ranges(&path, &[]).await.unwrap().is_empty());
    assert!(objects.get_ranges(&path, &[0..1, len..len + 1]).await.is_err());
}

#[tokio::test]
async fn ranges_from_the_end() {
    let (_, objects) = memory();
    for len in [1, 100, CHUNK, 2 * CHUNK + 1] {
        let (path, data) = (Path::from("suffixes"), random(len as usize, 1));
        objects.put(&path, data.clone().into()).await.unwrap();
        for n in [0, 1, CHUNK, len, len + 1, u64::MAX] {
            let suffix = GetOptions::new().with_range(Some(GetRange::Suffix(n)));
            let result = objects.get_opts(&path, suffix).await.unwrap();
            let start = len.saturating_sub(n);
            assert_eq!(result.range, start..len, "{n} of {len}");
            assert_eq!(result.bytes().await.unwrap(), data.slice(start as usize..), "{n} of {len}");
        }
    }
}

#[tokio::test]
async fn an_empty_object() {
    let (store, objects) = memory();
    let path = Path::from("empty");
    let put = objects.put(&path, "".into()).await.unwrap();
    let result = objects.get(&path).await.unwrap();
    assert_eq!((result.range.clone(), result.meta.size, &result.meta.e_tag), (0..0, 0, &put.e_tag));
    assert!(result.bytes().await.unwrap().is_empty());
    let suffix = GetOptions::new().with_range(Some(GetRange::Suffix(5)));
    assert_eq!(objects.get_opts(&path, suffix).await.unwrap().range, 0..0);
    assert!(objects.get_range(&path, 0..1).await.is_err());
    assert_eq!(store.count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_head_has_no_body_and_checks_conditions() {
    let (_, objects) = memory();
    let path = Path::from("a");
    objects.put(&path, random(10_000, 1).into()).await.unwrap();
    let head = GetOptions::new().with_head(true);
    let result = objects.get_opts(&path, head.clone()).await.unwrap();
    assert_eq!((result.meta.size, result.range.clone()), (10_000, 0..10_000));
    assert!(result.bytes().await.unwrap().is_empty());
    let stale = head.with_if_match(Some("00"));
    assert!(matches!(objects.get_opts(&path, stale).await, Err(Error::Precondition { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_updates_and_creates_one_wins() {
    let (_, objects) = memory();
    let path = Path::from("raced");
    for round in 0..20u64 {
        let mode = match objects.head(&path).await {
            Ok(meta) => PutMode::Update(UpdateVersion { e_tag: meta.e_tag, version: None }),
            Err(_) => PutMode::Create,
        };
        let racers = (0..8).map(|racer| {
            let (objects, path, mode) = (objects.clone(), path.clone(), mode.clone());
            let data = random(10_000, round * 8 + racer);
            tokio::spawn(async move {
                objects.put_opts(&path, data.clone().into(), mode.into()).await.map(|put| (put.e_tag, data))
            })
        });
        let mut won = Vec::new();
        for result in join_all(racers).await {
            match result.unwrap() {
                Ok(winner) => won.push(winner),
                Err(Error::Precondition { .. }) if round > 0 => {}
                Err(Error::AlreadyExists { .. }) if round == 0 => {}
                Err(e) => panic!("{e}"),
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        let result = objects.get(&path).await.unwrap();
        assert_eq!(result.meta.e_tag, won[0].0);
        assert_eq!(result.bytes().await.unwrap(), won[0].1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_overwrites_all_succeed() {
    let (_, objects) = memory();
    let path = Path::from("a");
    let puts = (0..50).map(|n| {
        let (objects, path) = (objects.clone(), path.clone());
        tokio::spawn(async move { objects.put(&path, random(100, n).into()).await.unwrap().e_tag.unwrap() })
    });
    let tags: Vec<_> = join_all(puts).await.into_iter().map(Result::unwrap).collect();
    let meta = objects.head(&path).await.unwrap();
    assert!(tags.contains(&meta.e_tag.unwrap()));
    assert_eq!(tags.iter().collect::<std::collections::BTreeSet<_>>().len(), 50);
}

#[tokio::test]
async fn conditions_that_cannot_be_met() {
    let (_, objects) = memory();
    let path = Path::from("a");
    let put = objects.put(&path, "1".into()).await.unwrap();
    let update = |e_tag: Option<&str>, version: Option<&str>| {
        let version = UpdateVersion { e_tag: e_tag.map(Into::into), version: version.map(Into::into) };
        objects.put_opts(&path, "2".into(), PutMode::Update(version).into())
    };
    let tag = put.e_tag.as_deref();
    assert!(matches!(update(None, None).await, Err(Error::Generic { .. })));
    assert!(matches!(update(tag, Some("1")).await, Err(Error::NotSupported { .. })));
    for other in ["", "00", "not hex", "é"] {
        assert!(matches!(update(Some(other), None).await, Err(Error::Precondition { .. })), "{other}");
    }
    let old = GetOptions::new().with_version(Some("1"));
    assert!(matches!(objects.get_opts(&path, old).await, Err(Error::NotSupported { .. })));
    assert!(matches!(objects.put(&Path::default(), "x".into()).await, Err(Error::Generic { .. })));
    assert_eq!(get(&objects, &path).await, "1");
}

#[tokio::test]
async fn odd_paths_come_back_as_they_were() {
    let (_, objects) = memory();
    let long = "x".repeat(1024);
    let deep = vec!["d"; 512].join("/");
    let mut paths: Vec<Path> =
        ["%", "%25", "a%2Fb", "a b", "ü/ö", "u\u{308}", "🙀", "a\nb", "..", "a/../b", "*?<>|"]
            .iter()
            .map(|odd| Path::from(*odd))
            .chain([Path::from(long), Path::from(deep), Path::parse("%Q.x").unwrap()])
            .collect();
    for path in &paths {
        objects.put(path, path.to_string().into()).await.unwrap();
    }
    paths.sort_unstable();
    let listed: Vec<_> = list(&objects).await.into_iter().map(|meta| meta.location).collect();
    assert_eq!(listed, paths);
    for path in &paths {
        assert_eq!(get(&objects, path).await, path.as_ref());
        objects.delete(path).await.unwrap();
        assert!(matches!(objects.delete(path).await, Err(Error::NotFound { .. })));
    }
    assert!(list(&objects).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_objects_are_listed_in_order() {
    let (_, objects) = memory();
    let path = |n: usize| Path::from(format!("{:02}/{n:05}", n % 100));
    let puts = stream::iter(0..10_000).map(|n| {
        let objects = objects.clone();
        async move { objects.put(&path(n), n.to_string().into()).await }
    });
    puts.buffer_unordered(64).try_for_each(async |_| Ok(())).await.unwrap();

    let metas = list(&objects).await;
    assert_eq!(metas.len(), 10_000);
    assert!(metas.is_sorted_by(|a, b| a.location < b.location));
    let level = objects.list_with_delimiter(None).await.unwrap();
    assert_eq!((level.objects.len(), level.common_prefixes.len()), (0, 100));
    let level = objects.list_with_delimiter(Some(&Path::from("42"))).await.unwrap();
    assert_eq!((level.objects.len(), level.common_prefixes.len()), (100, 0));
    let rest = objects.list_with_offset(Some(&Path::from("42")), &path(9_042));
    assert_eq!(rest.try_collect::<Vec<_>>().await.unwrap().len(), 9);
}

#[tokio::test]
async fn attributes_of_any_length_go_with_copies() {
    let (_, objects) = memory();
    let attributes = Attributes::from_iter([
        (Attribute::StorageClass, "COLD".to_owned()),
        (Attribute::Metadata("long".into()), "x".repeat(100_000)),
    ]);
    let (path, copy) = (Path::from("a"), Path::from("b"));
    objects.put_opts(&path, "data".into(), attributes.clone().into()).await.unwrap();
    objects.rename(&path, &copy).await.unwrap();
    let result = objects.get(&copy).await.unwrap();
    assert_eq!(result.attributes, attributes);
    assert_eq!(result.bytes().await.unwrap(), "data");

    let attributes = Attributes::from_iter([(Attribute::ContentType, "x".repeat(2 << 20))]);
    let e = objects.put_opts(&path, "data".into(), attributes.into()).await.unwrap_err();
    assert!(e.to_string().contains("shorter attributes"), "{e}");
}

#[tokio::test]
async fn a_rename_to_itself_keeps_the_object() {
    let (_, objects) = memory();
    let (path, other) = (Path::from("a"), Path::from("b"));
    objects.put(&path, "data".into()).await.unwrap();
    objects.rename(&path, &path).await.unwrap();
    assert_eq!(get(&objects, &path).await, "data");
    assert!(matches!(objects.rename_if_not_exists(&path, &path).await, Err(Error::AlreadyExists { .. })));
    assert!(matches!(objects.rename(&other, &other).await, Err(Error::NotFound { .. })));
    objects.put(&other, "other".into()).await.unwrap();
    assert!(matches!(objects.rename_if_not_exists(&path, &other).await, Err(Error::AlreadyExists { .. })));
    assert_eq!(get(&objects, &path).await, "data");
    objects.copy(&path, &path).await.unwrap();
    assert_eq!(get(&objects, &path).await, "data");
}

#[tokio::test]
async fn a_rename_does_not_delete_what_it_did_not_copy() {
    let gate = Gate::new(OPEN, 1);
    let objects = over(gate.clone());
    let (from, to) = (Path::from("from"), Path::from("to"));
    objects.put(&from, "old".into()).await.unwrap();
    let rename = tokio::spawn({
        let (objects, from, to) = (objects.clone(), from.clone(), to.clone());
        async move { objects.rename(&from, &to).await }
    });
    gate.until(0, 2).await;
    // The rename has read the source and waits at the target's root.
    over(Arc::new(gate.inner.clone())).put(&from, "new".into()).await.unwrap();
    gate.swaps.add_permits(OPEN);
    let e = rename.await.unwrap().unwrap_err();
    assert!(matches!(e, Error::Precondition { .. }), "{e}");
    assert_eq!(get(&objects, &from).await, "new");
    assert_eq!(get(&objects, &to).await, "old");
}

#[tokio::test]
async fn a_put_that_is_dropped_anywhere_leaves_no_object() {
    let data = random(5 * CHUNK as usize, 1);
    let path = Path::from("a");
    // Before each chunk, and before the root.
    for (puts, swaps) in [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 1)] {
        let gate = Gate::new(puts, 0);
        let objects = over(gate.clone());
        tokio::select! {
            done = objects.put(&path, data.clone().into()) => panic!("it went through a closed gate: {done:?}"),
            () = gate.until(puts as u64, swaps) => {}
        }
        assert_eq!(gate.inner.count().await.unwrap(), puts as u64);
        assert!(roots(&gate.inner).await.is_empty());
        assert!(matches!(objects.head(&path).await, Err(Error::NotFound { .. })));
        // And nothing is in the way of the next.
        gate.puts.add_permits(100);
        gate.swaps.add_permits(100);
        objects.put(&path, data.clone().into()).await.unwrap();
        assert_eq!(get(&objects, &path).await, data);
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_says_so() {
    let (store, objects) = memory();
    let path = Path::from("a");
    objects.put(&path, random(10_000, 1).into()).await.unwrap();
    let reading = over(Arc::new(ReadOnly::new(store)));
    assert_eq!(get(&reading, &path).await.len(), 10_000);
    assert!(matches!(reading.put(&path, "x".into()).await, Err(Error::PermissionDenied { .. })));
    assert!(matches!(reading.delete(&path).await, Err(Error::PermissionDenied { .. })));
    assert!(matches!(reading.copy(&path, &Path::from("b")).await, Err(Error::PermissionDenied { .. })));
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_once() {
    let (store, _) = memory();
    let engine = || Engine::new(config()).unwrap();
    let without: Arc<dyn Backend> = Arc::new(ChunksOnly::new(store.clone()));
    let e = ObjectStoreAdapter::new(without, engine(), scope(), key()).unwrap_err();
    assert!(matches!(e, Error::NotSupported { .. }) && e.to_string().contains("use a store"), "{e}");
    let small = Engine::new(config().with_memory_budget(1000)).unwrap();
    let e = ObjectStoreAdapter::new(Arc::new(store), small, Scope::Private, key()).unwrap_err();
    assert!(e.to_string().contains("bytes are needed"), "{e}");
}

#[tokio::test]
async fn a_listing_loads_sixteen_records_at_once() {
    let gate = Gate::new(OPEN, OPEN);
    let objects = over(gate.clone());
    for n in 0..200 {
        objects.put(&Path::from(n.to_string()), "data".into()).await.unwrap();
    }
    assert_eq!(gate.most_loads(), 1);
    assert_eq!(list(&objects).await.len(), 200);
    assert_eq!(gate.most_loads(), 16);
}

/// Every reply may be lost. One writer alone must never hear that another was there before it.
#[tokio::test]
async fn lost_replies_do_not_confuse_conditions() {
    let mut lost = 0;
    for seed in 0..100 {
        let store = Faulty::new(memory().0, FaultPlan::new(seed).with_failures_after(200));
        let store = Arc::new(store);
        let objects = over(store.clone());
        let path = Path::from("a");
        let mut version = None;
        for n in 0..5u64 {
            let mode = match version.take() {
                None => PutMode::Create,
                Some(e_tag) => PutMode::Update(UpdateVersion { e_tag: Some(e_tag), version: None }),
            };
            match objects.put_opts(&path, random(100, n).into(), mode.into()).await {
                Ok(put) => version = put.e_tag,
                Err(e @ (Error::AlreadyExists { .. } | Error::Precondition { .. })) => panic!("{seed}: {e}"),
                // The reply about what happened was lost too.
                Err(_) => break,
            }
        }
        lost += store.log().len();
    }
    assert!(lost > 50, "only {lost} replies were lost");
}

/// The reply of every swap is lost; what happened can still be seen.
#[tokio::test]
async fn a_lost_reply_of_a_swap_is_made_up_for() {
    let store = Arc::new(Faulty::new(memory().0, FaultPlan::new(1)));
    store.arm(Op::Swap, Failure::After(ErrorKind::Timeout));
    let objects = over(store.clone());
    let (path, other) = (Path::from("a"), Path::from("b"));
    let put = objects.put_opts(&path, "1".into(), PutMode::Create.into()).await.unwrap();
    let version = UpdateVersion { e_tag: put.e_tag, version: None };
    let put = objects.put_opts(&path, "2".into(), PutMode::Update(version.clone()).into()).await.unwrap();
    assert_eq!(objects.head(&path).await.unwrap().e_tag, put.e_tag);
    let stale = objects.put_opts(&path, "3".into(), PutMode::Update(version).into()).await;
    assert!(stale.is_err());
    assert_eq!(get(&objects, &path).await, "2");
    objects.put(&path, "4".into()).await.unwrap();
    objects.rename(&path, &other).await.unwrap();
    assert_eq!(get(&objects, &other).await, "4");
    objects.delete(&other).await.unwrap();
    assert!(list(&objects).await.is_empty());
    assert!(store.log().len() >= 6);
}

#[tokio::test]
async fn a_full_store_is_an_error_and_keeps_what_was_there() {
    let store = Arc::new(Faulty::new(memory().0, FaultPlan::new(1)));
    let objects = over(store.clone());
    let path = Path::from("a");
    objects.put(&path, random(50_000, 1).into()).await.unwrap();
    for op in [Op::Put, Op::Flush, Op::Swap] {
        store.arm(op, Failure::Before(ErrorKind::Full));
        assert!(
            matches!(objects.put(&path, random(50_000, 2).into()).await, Err(Error::Generic { .. })),
            "{op:?}"
        );
        store.disarm();
        assert_eq!(get(&objects, &path).await, random(50_000, 1));
    }
}

/// An object's data stands in its record, and a record of up to 4096 bytes in its root.
#[tokio::test]
async fn small_objects_need_no_chunk() {
    let (store, objects) = memory();
    let path = Path::from("a/path/of/usual/length.txt");
    for (len, has_chunks) in [(0, false), (1, false), (3900, false), (4096, true)] {
        objects.put(&path, random(len, 1).into()).await.unwrap();
        assert_eq!(store.count().await.unwrap() > 0, has_chunks, "{len}");
        assert_eq!(get(&objects, &path).await, random(len, 1));
    }
}
