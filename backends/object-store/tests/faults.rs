//! What the suite cannot ask: how often a store tries, what it believes of a service, what it leaves.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use selfenc_core::store::{
    ChunkId, ChunkStore, ChunkStoreExt, Durability, ErrorKind, Expect, OpenMode, PutOutcome, Root, RootName,
    RootStore, Swap,
};
use selfenc_object_store::{Conditions, ObjectBackend, ObjectStoreConfig};
use support::double::{ALL, Call, Controls};
use support::fault_table::table;
use support::location::chunk_path;
use support::trouble::{SECRET, Trouble};

fn id(n: u8) -> ChunkId {
    ChunkId::from_bytes([n; 32])
}

fn name(name: &str) -> RootName {
    RootName::new(name).unwrap()
}

/// A service, and a store in it that is its only user.
struct Bench {
    objects: Arc<InMemory>,
    controls: Controls,
    store: ObjectBackend,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_| {}, |config| config).await
    }

    async fn with(
        prepare: impl Fn(&Controls),
        configure: impl Fn(ObjectStoreConfig) -> ObjectStoreConfig,
    ) -> Self {
        let (objects, controls) = (Arc::new(InMemory::new()), Controls::default());
        prepare(&controls);
        let double = controls.around(Arc::clone(&objects) as _);
        let config = configure(ObjectStoreConfig::new(Arc::new(double), Durability::OnPut));
        let store = config.open(OpenMode::Create).await.unwrap();
        controls.calls();
        Self { objects, controls, store }
    }

    async fn put(&self, n: u8) -> selfenc_core::store::Result<PutOutcome> {
        self.store.put(id(n), vec![n; 100].into()).await
    }

    async fn paths(&self) -> Vec<String> {
        let found: Vec<_> = self.objects.list(None).try_collect().await.unwrap();
        found.into_iter().map(|found| found.location.to_string()).collect()
    }
}

#[tokio::test]
async fn a_put_is_one_request_and_a_duplicate_is_looked_at() {
    let bench = Bench::new().await;
    assert_eq!(bench.put(1).await.unwrap(), PutOutcome::Inserted);
    assert_eq!(bench.controls.calls(), [Call::Create]);
    assert_eq!(bench.put(1).await.unwrap(), PutOutcome::Present);
    assert_eq!(bench.controls.calls(), [Call::Create, Call::Head]);
    for _ in 0..10 {
        bench.put(1).await.unwrap();
    }
    bench.controls.calls();
    // Among so many duplicates it does not send what is probably there.
    assert_eq!(bench.put(1).await.unwrap(), PutOutcome::Present);
    assert_eq!(bench.controls.calls(), [Call::Head]);
}

#[tokio::test]
async fn a_409_is_not_taken_for_present() {
    let bench = Bench::new().await;
    bench.controls.fail_times(&[Call::Create], Trouble::Status(409, "OperationAborted"), 1);
    assert_eq!(bench.put(1).await.unwrap(), PutOutcome::Inserted);
    // The look found nothing, so it was a race: asked again.
    assert_eq!(bench.controls.calls(), [Call::Create, Call::Head, Call::Head, Call::Create]);
    assert!(bench.store.contains(id(1)).await.unwrap());

    bench.controls.fail_times(&[Call::Create], Trouble::Status(409, "OperationAborted"), usize::MAX);
    let e = bench.put(2).await.unwrap_err();
    assert!(e.kind() == ErrorKind::Conflict && e.is_transient(), "{e}");
    let creates = bench.controls.calls().into_iter().filter(|call| *call == Call::Create).count();
    assert_eq!(creates, 5, "it gives up");
}

#[tokio::test]
async fn a_409_is_not_taken_for_a_marker() {
    let conflict = Trouble::Status(409, "OperationAborted");
    let bench =
        Bench::with(|controls| controls.fail_times(&[Call::Create], conflict, 1), |config| config).await;
    assert_eq!(bench.paths().await, ["selfenc-store"]);

    let controls = Controls::default();
    controls.fail_times(&[Call::Create], conflict, usize::MAX);
    let double = Arc::new(controls.around(Arc::new(InMemory::new())));
    let opened = ObjectStoreConfig::new(double, Durability::OnPut).open(OpenMode::Create).await;
    let e = opened.unwrap_err();
    assert!(e.kind() == ErrorKind::Conflict && e.to_string().contains("make a store"), "{e}");
}

#[tokio::test]
async fn no_more_of_a_marker_is_read_than_was_announced() {
    let Bench { objects, controls, .. } = Bench::new().await;
    controls.fail(Some((&[Call::Get], Trouble::LongBody)));
    let double = Arc::new(controls.around(objects));
    let opened = ObjectStoreConfig::new(double, Durability::OnPut).open(OpenMode::Existing).await;
    let e = opened.unwrap_err();
    assert!(e.kind() == ErrorKind::Corrupt && e.to_string().contains("more than the 31 bytes"), "{e}");
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_stored() {
    let bench = Bench::new().await;
    bench.controls.fail_times(&[Call::Create], Trouble::LostAnswer, 1);
    bench.put(1).await.unwrap();
    assert_eq!(bench.controls.calls(), [Call::Create, Call::Head]);
    // Nothing was stored: the error stands, and says that another try may help.
    bench.controls.fail_times(&[Call::Create], Trouble::Silence, 1);
    let e = bench.put(2).await.unwrap_err();
    assert!(e.kind() == ErrorKind::Timeout && e.is_transient(), "{e}");
    assert_eq!(bench.put(2).await.unwrap(), PutOutcome::Inserted);
}

#[tokio::test]
async fn conditions_are_tried_and_not_believed() {
    let both = Conditions { create: true, update: true };
    for (ignored, lacking, expected) in [
        (&[][..], &[][..], both),
        (&[Call::Create], &[], Conditions { create: false, update: false }),
        (&[Call::Update], &[], Conditions { create: true, update: false }),
        (&[], &[Call::Create], Conditions { create: false, update: false }),
        (&[], &[Call::Update], Conditions { create: true, update: false }),
    ] {
        let prepare = |controls: &Controls| {
            controls.ignore(ignored);
            controls.fail(Some((lacking, Trouble::NotImplemented)));
        };
        let bench = Bench::with(prepare, |config| config).await;
        let can = bench.store.capabilities();
        assert_eq!(can.exact_outcome, expected.create, "{ignored:?} {lacking:?}");
        assert_eq!(can.roots, expected.create && expected.update, "{ignored:?} {lacking:?}");
        assert_eq!(bench.paths().await, ["selfenc-store"], "probes are removed");
        // Chunks need neither.
        assert_eq!(bench.put(1).await.unwrap(), PutOutcome::Inserted, "{ignored:?} {lacking:?}");
        assert_eq!(bench.put(1).await.unwrap(), PutOutcome::Present, "{ignored:?} {lacking:?}");
        bench.objects.put(&chunk_path(&Path::default(), id(1)), "cut".into()).await.unwrap();
        assert_eq!(bench.put(1).await.unwrap(), PutOutcome::Inserted, "{ignored:?} {lacking:?}");
        let swap = bench.store.swap(&name("a"), Expect::Absent, Some("x".into())).await;
        assert_eq!(swap.is_ok(), can.roots, "{swap:?}");
        if let Err(e) = swap {
            assert!(e.kind() == ErrorKind::Unsupported && e.to_string().contains("another store"), "{e}");
        }
    }
}

#[tokio::test]
async fn a_probe_that_fails_fails_the_opening() {
    let (objects, controls) = (Arc::new(InMemory::new()), Controls::default());
    for trouble in [Trouble::Status(503, ""), Trouble::Reset] {
        let store = Arc::new(controls.around(Arc::clone(&objects) as _));
        controls.fail(Some((&[Call::Update], trouble)));
        let opened = ObjectStoreConfig::new(store, Durability::OnPut).open(OpenMode::Create).await;
        assert!(opened.unwrap_err().is_transient(), "{trouble:?}");
    }
    let found: Vec<_> = objects.list(None).try_collect().await.unwrap();
    assert_eq!(found.len(), 1, "only the marker stays");
}

#[tokio::test]
async fn who_may_not_write_yet_probes_before_the_first_swap() {
    let Bench { objects, controls, store } = Bench::new().await;
    drop(store);
    let open = async || {
        let double = Arc::new(controls.around(Arc::clone(&objects) as _));
        ObjectStoreConfig::new(double, Durability::OnPut).open(OpenMode::Existing).await.unwrap()
    };
    let denied = Some((&[Call::Create, Call::Put, Call::Update][..], Trouble::Status(403, "AccessDenied")));
    controls.fail(denied);
    let store = open().await;
    assert!(store.capabilities().roots && !store.capabilities().exact_outcome);
    let swap = async |store: &ObjectBackend| store.swap(&name("a"), Expect::Absent, Some("x".into())).await;
    assert_eq!(swap(&store).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    controls.fail(None);
    assert!(matches!(swap(&store).await.unwrap(), Swap::Done(Some(_))));

    controls.fail(denied);
    let store = open().await;
    controls.fail(None);
    controls.ignore(&[Call::Update]);
    let current = store.load(&name("a")).await.unwrap();
    let e = store.swap(&name("a"), Expect::from(current.as_ref()), None).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
    assert_eq!(store.load(&name("a")).await.unwrap(), current, "nothing was overwritten");
}

async fn value(store: &ObjectBackend, root: &str) -> Root {
    store.load(&name(root)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_swap_whose_answer_was_lost_is_done_once() {
    let bench = Bench::new().await;
    bench.controls.fail_times(&[Call::Create, Call::Update], Trouble::LostAnswer, 1);
    let Swap::Done(Some(version)) =
        bench.store.swap(&name("a"), Expect::Absent, Some("1".into())).await.unwrap()
    else {
        panic!("a conflict with oneself")
    };
    assert_eq!(value(&bench.store, "a").await.version, version);
    // A service that answers only what it was asked the second time.
    bench.controls.fail_times(&[Call::Update], Trouble::Status(500, ""), 2);
    let swap = bench.store.swap(&name("a"), Expect::Version(version), Some("2".into())).await.unwrap();
    assert!(matches!(swap, Swap::Done(Some(_))), "{swap:?}");
    assert_eq!(value(&bench.store, "a").await.value, "2");
}

/// A record of this generation, by somebody else.
fn theirs(generation: u8) -> Vec<u8> {
    [&[generation, 0, 0, 0, 0, 0, 0, 0][..], &[9; 16], b"\0theirs"].concat()
}

#[tokio::test]
async fn a_swap_that_may_have_happened_is_no_conflict() {
    let bench = Bench::new().await;
    let swap =
        async |expect, value: &'static str| bench.store.swap(&name("a"), expect, Some(value.into())).await;
    swap(Expect::Absent, "1").await.unwrap();
    let before = value(&bench.store, "a").await;
    // It was stored, then replaced, and both before it could be looked at.
    bench.controls.overtake(theirs(2));
    bench.controls.fail_times(&[Call::Update], Trouble::LostAnswer, 1);
    let e = swap(Expect::from(Some(&before)), "2").await.unwrap_err();
    assert!(e.is_transient(), "{e}");
    assert_eq!(value(&bench.store, "a").await.value, "theirs");
    // Who stands in its place has kept it out.
    let before = value(&bench.store, "a").await;
    bench.controls.overtake(theirs(3));
    bench.controls.fail_times(&[Call::Update], Trouble::LostAnswer, 1);
    let swapped = swap(Expect::from(Some(&before)), "3").await.unwrap();
    assert!(matches!(swapped, Swap::Conflict(Some(_))), "{swapped:?}");
}

#[tokio::test]
async fn a_removed_root_leaves_a_record_and_no_name() {
    let bench = Bench::new().await;
    for root in ["gone", "empty", "full"] {
        let new = if root == "full" { "value" } else { "" };
        bench.store.swap(&name(root), Expect::Absent, Some(new.into())).await.unwrap();
    }
    let old = Expect::from(Some(&value(&bench.store, "gone").await));
    assert_eq!(bench.store.swap(&name("gone"), old.clone(), None).await.unwrap(), Swap::Done(None));
    let mut names: Vec<_> = bench.store.names().try_collect().await.unwrap();
    names.sort();
    assert_eq!(names, [name("empty"), name("full")]);
    assert_eq!(bench.paths().await.iter().filter(|path| path.starts_with("roots/")).count(), 3);
    assert_eq!(bench.store.swap(&name("gone"), old, Some("x".into())).await.unwrap(), Swap::Conflict(None));
    bench.store.swap(&name("gone"), Expect::Absent, Some("again".into())).await.unwrap();
    // Its third life: the generation goes on.
    assert_eq!(value(&bench.store, "gone").await.version.as_bytes()[..8], [2, 0, 0, 0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn a_damaged_root_is_said_to_be() {
    let bench = Bench::new().await;
    bench.objects.put(&Path::from("roots/61.root"), "no record".into()).await.unwrap();
    assert_eq!(bench.store.load(&name("a")).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let e = bench.store.swap(&name("a"), Expect::Absent, Some("x".into())).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
    let e = bench.store.names().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
}

#[tokio::test]
async fn each_of_many_deletes_has_its_own_answer() {
    let bench = Bench::new().await;
    for n in 0..40 {
        bench.put(n).await.unwrap();
    }
    bench.controls.fail(Some((&[Call::Delete], Trouble::Status(403, "AccessDenied"))));
    bench.controls.only_at(&id(7).to_string()[2..]);
    let answers = bench.store.delete_many((0..50).map(id).collect()).await;
    for (n, answer) in (0..).zip(answers) {
        match answer {
            Err(e) => {
                assert_eq!((n, e.kind(), e.chunk()), (7, ErrorKind::PermissionDenied, Some(id(7))), "{e}");
            }
            Ok(()) => assert_ne!(n, 7),
        }
    }
    bench.controls.fail(None);
    assert_eq!(bench.store.count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_service_that_does_not_list_in_order_is_caught() {
    for in_order in [false, true] {
        let bench = Bench::with(|_| {}, |config| config.with_lists_in_order(in_order)).await;
        for n in 0..50 {
            bench.put(n).await.unwrap();
            let neighbour = ChunkId::from_bytes(std::array::from_fn(|i| if i == 31 { !n } else { n }));
            bench.store.put(neighbour, "x".into()).await.unwrap();
        }
        bench.controls.ignore(&[Call::List]);
        let seen: Result<Vec<_>, _> = bench.store.list(None).try_collect().await;
        if in_order {
            let e = seen.unwrap_err();
            assert!(!e.is_transient() && e.to_string().contains("not list by name"), "{e}");
        } else {
            let seen = seen.unwrap();
            assert!(seen.is_sorted() && seen.len() == 100);
        }
    }
}

#[tokio::test]
async fn a_listing_ends_after_its_error() {
    for in_order in [false, true] {
        let bench = Bench::with(|_| {}, |config| config.with_lists_in_order(in_order)).await;
        bench.put(1).await.unwrap();
        bench.put(2).await.unwrap();
        bench.controls.fail(Some((&[Call::List], Trouble::Reset)));
        let mut items = bench.store.list(None);
        let e = loop {
            match items.try_next().await {
                Ok(item) => assert!(item.is_some(), "the error was swallowed"),
                Err(e) => break e,
            }
        };
        assert!(e.op() == "list" && e.is_transient(), "{e}");
        assert_eq!(items.try_next().await.unwrap(), None);
    }
}

#[tokio::test]
async fn no_error_of_any_trouble_holds_a_secret() {
    for row in table(false) {
        let bench = Bench::new().await;
        bench.put(1).await.unwrap();
        bench.controls.fail(Some((ALL, row.trouble)));
        let mut errors = vec![
            bench.put(2).await.err(),
            bench.store.get(id(1)).await.err(),
            bench.store.delete(id(1)).await.err(),
            bench.store.count().await.err(),
            bench.store.load(&name("a")).await.err(),
        ];
        errors.retain(Option::is_some);
        assert!(!errors.is_empty(), "{row:?}");
        for e in errors.into_iter().flatten() {
            let mut text = format!("{e} {e:?}");
            let mut cause = e.source();
            while let Some(below) = cause {
                text += &format!("{below} {below:?}");
                cause = below.source();
            }
            assert!(!text.contains(SECRET), "{text}");
        }
    }
}

#[tokio::test]
async fn nothing_can_be_flushed_in_objects() {
    let config = ObjectStoreConfig::new(Arc::new(InMemory::new()), Durability::OnFlush);
    let e = config.open(OpenMode::Create).await.unwrap_err();
    assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains("nothing to flush"), "{e}");
}

#[tokio::test]
async fn a_put_that_failed_in_a_folder_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let controls = Controls::default();
    let around = {
        let controls = controls.clone();
        move |objects| -> Arc<dyn ObjectStore> { Arc::new(controls.around(objects)) }
    };
    let config = ObjectStoreConfig::local(dir.path()).with_around(around);
    let store = config.open(OpenMode::Create).await.unwrap();
    let put = async |n| store.put(id(n), "chunk".into()).await;
    // It is linked, and then something fails, such as the sync of its folder.
    controls.fail_times(&[Call::Create], Trouble::LostAnswer, 1);
    assert_eq!(put(1).await.unwrap_err().kind(), ErrorKind::Timeout);
    controls.fail_times(&[Call::Create], Trouble::Errno(5), 1);
    assert_eq!(put(2).await.unwrap_err().kind(), ErrorKind::Other);
    for n in [1, 2] {
        controls.calls();
        assert_eq!(put(n).await.unwrap(), PutOutcome::Inserted);
        assert!(controls.calls().contains(&Call::Put), "not believed to be there, whatever a look says");
        assert_eq!(put(n).await.unwrap(), PutOutcome::Present);
    }
}

/// Its sync may have failed with nobody left to hear of it.
#[tokio::test]
async fn a_put_that_was_dropped_in_a_folder_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let controls = Controls::default();
    let around = {
        let controls = controls.clone();
        move |objects| -> Arc<dyn ObjectStore> { Arc::new(controls.around(objects)) }
    };
    let config = ObjectStoreConfig::local(dir.path()).with_around(around);
    let store = config.open(OpenMode::Create).await.unwrap();
    let put = async || store.put(id(1), "chunk".into()).await.unwrap();
    controls.pause(true);
    controls.calls();
    // It looks for the chunk and for the store, and then waits in the middle of writing.
    let halfway = async {
        while controls.halfway() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        outcome = put() => panic!("it was not paused: {outcome:?}"),
        halfway = tokio::time::timeout(Duration::from_secs(60), halfway) => halfway.expect("it begins"),
    }
    assert_eq!(controls.calls(), [Call::Head, Call::Head]);
    controls.pause(false);
    assert_eq!(put().await, PutOutcome::Inserted);
    assert!(controls.calls().contains(&Call::Put), "believed to be there or not, by a look");
    assert_eq!(put().await, PutOutcome::Present);
}
