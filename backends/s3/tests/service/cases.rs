//! What the conformance suite does not ask, since only a service of S3 has it: buckets, prefixes, pages,
//! batches, versions, credentials.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use selfenc_core::store::{ChunkId, ChunkStore, ChunkStoreExt, ErrorKind, OpenMode, PutOutcome, Result};
use selfenc_s3::{Checksums, Credentials, S3Backend};

use super::super::support::action::Action;
use super::super::support::request::{ANY, Kind as Request, PUTS};
use super::super::support::script::{Rule, Times};
use super::super::support::until;
use super::endpoint::{Endpoint, Kind};
use super::place::Place;
use super::raw::digits;

/// One test for each case, over the service that `$given` finds, if it finds one.
macro_rules! service_cases {
    ($given:expr) => {
        $crate::service::cases::service_cases!($given;
            the_probe_tells_what_the_service_does
            a_missing_bucket_is_named
            wrong_keys_are_told_apart
            a_user_who_may_not_write
            without_list_bucket_what_is_absent_looks_denied
            prefixes_do_not_see_each_other
            prefixes_of_any_letters
            another_value_does_not_replace_the_first
            a_put_that_races_a_delete_ends_in_either_state
            versions_are_not_multiplied
            a_body_that_is_damaged_on_its_way_is_refused
            pages_of_every_size
            five_thousand_chunks_in_batches
            no_more_requests_at_a_time_than_allowed
        );
    };
    ($given:expr; $($case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $case() {
            if let Some(endpoint) = $given {
                $crate::service::cases::$case(&endpoint).await;
            }
        }
    )*};
}
pub(crate) use service_cases;

fn chunk(n: usize, len: usize) -> (ChunkId, Bytes) {
    let mut data = vec![0; len];
    blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut data);
    (ChunkId::from_bytes(*blake3::hash(&data).as_bytes()), data.into())
}

fn chunks(count: usize, len: usize) -> Vec<(ChunkId, Bytes)> {
    (0..count).map(|n| chunk(n, len)).collect()
}

async fn place(endpoint: &Endpoint) -> Place {
    Place::new(endpoint).await.unwrap()
}

async fn ids(store: &S3Backend) -> Vec<ChunkId> {
    store.list(None).map_ok(|meta| meta.id).try_collect().await.unwrap()
}

async fn fill(store: &S3Backend, all: &[(ChunkId, Bytes)]) {
    for done in store.put_many(all.to_vec()).await {
        done.unwrap();
    }
}

pub async fn the_probe_tells_what_the_service_does(endpoint: &Endpoint) {
    let place = place(endpoint).await;
    let store = place.create().await;
    let can = store.capabilities();
    assert_eq!(can.exact_outcome, can.roots);
    if let Some(keeps) = endpoint.conditions.map(|c| c.update).or(endpoint.kind.keeps_conditions()) {
        assert_eq!((can.exact_outcome, can.roots), (keeps, keeps));
    }
    // It leaves nothing.
    assert_eq!(place.raw.keys(place.above()).await.unwrap(), [place.names().marker()]);
}

pub async fn a_missing_bucket_is_named(endpoint: &Endpoint) {
    let place = place(endpoint).await;
    let bucket = format!("selfenc-none-{}", digits());
    for mode in [OpenMode::Create, OpenMode::Existing] {
        let config = place.config_in(&bucket, &place.prefix);
        let e = config.open(mode).await.unwrap_err();
        // A service may hide from a user which buckets there are.
        let kinds = [ErrorKind::ContainerMissing, ErrorKind::PermissionDenied];
        let right = if endpoint.kind == Kind::Garage { &kinds[..] } else { &kinds[..1] };
        assert!(right.contains(&e.kind()) && e.to_string().contains(&bucket), "{e}");
    }
}

pub async fn wrong_keys_are_told_apart(endpoint: &Endpoint) {
    let place = place(endpoint).await;
    place.create().await;
    let wrong = "0123456789012345678901234567890123456789";
    let mut said = Vec::new();
    for (access, secret) in [(&endpoint.access_key[..], wrong), ("GK012345678901234567890123", wrong)] {
        let config = place.config().with_credentials(Credentials::fixed(access, secret));
        let e = config.open(OpenMode::Existing).await.unwrap_err();
        let kinds = [ErrorKind::Unauthenticated, ErrorKind::PermissionDenied];
        // Garage says AccessDenied to both.
        let right = if endpoint.kind == Kind::Garage { &kinds[..] } else { &kinds[..1] };
        assert!(right.contains(&e.kind()) && !e.is_transient(), "{e}");
        let text = format!("{e} {e:?}");
        assert!(!text.contains(wrong) && !text.contains(&endpoint.secret_key), "{text}");
        said.push(e.to_string());
    }
    assert!(endpoint.kind == Kind::Garage || said[0] != said[1], "{said:?}");
}

pub async fn a_user_who_may_not_write(endpoint: &Endpoint) {
    let place = place(endpoint).await;
    let (id, data) = chunk(1, 100);
    place.create().await.put(id, data.clone()).await.unwrap();
    place.proxy.deny_writes();
    let store = place.open(OpenMode::Existing).await.unwrap();
    assert_eq!(store.get(id).await.unwrap(), Some(data));
    let (new, more) = chunk(2, 100);
    assert_eq!(store.put(new, more).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(store.get(new).await.unwrap(), None);
    // Nor can a store be made.
    let other = place.config_at(&format!("{}/other", place.prefix));
    assert_eq!(other.open(OpenMode::Create).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
}

pub async fn without_list_bucket_what_is_absent_looks_denied(endpoint: &Endpoint) {
    let place = place(endpoint).await;
    let store = place.create().await;
    let denied = Action::error(403, "AccessDenied");
    place.proxy.add(Rule::new(&[Request::Get, Request::Head], Times::Always, denied).at("chunks/"));
    let (id, _) = chunk(1, 10);
    for e in [store.get(id).await.unwrap_err(), store.stat(id).await.unwrap_err()] {
        assert!(e.kind() == ErrorKind::PermissionDenied && e.to_string().contains("ListBucket"), "{e}");
    }
}

pub async fn prefixes_do_not_see_each_other(endpoint: &Endpoint) {
    let place = place(endpoint).await;
    // Siblings of which one's name begins with the other's, and one within the other.
    let prefixes = ["ab", "abc", "ab/c"].map(|name| format!("{}{name}", place.above()));
    let mut stores = Vec::new();
    for (n, prefix) in prefixes.iter().enumerate() {
        let store = place.config_at(prefix).open(OpenMode::Create).await.unwrap();
        let (id, data) = chunk(n, 50);
        assert_ne!(store.put(id, data).await.unwrap(), PutOutcome::Present, "{prefix}");
        stores.push(store);
    }
    for (n, store) in stores.iter().enumerate() {
        assert_eq!(ids(store).await, [chunk(n, 50).0], "{}", prefixes[n]);
        for other in (0..stores.len()).filter(|other| *other != n) {
            assert_eq!(store.get(chunk(other, 50).0).await.unwrap(), None);
        }
    }
    stores[0].delete(chunk(0, 50).0).await.unwrap();
    assert_eq!(ids(&stores[1]).await, [chunk(1, 50).0]);
}

pub async fn prefixes_of_any_letters(endpoint: &Endpoint) {
    let place = place(endpoint).await;
    let names = ["with space", "plus+percent%41", "caf\u{e9}/\u{1f980}", "a=b&c;d,e", "UPPER/lower", "q?x#y"];
    for name in names {
        let prefix = format!("{}{name}", place.above());
        let store = place.config_at(&prefix).open(OpenMode::Create).await.unwrap();
        let all = chunks(3, 40);
        fill(&store, &all).await;
        assert_eq!(ids(&store).await.len(), 3, "{name}");
        assert_eq!(store.get(all[0].0).await.unwrap().as_ref(), Some(&all[0].1), "{name}");
        assert_eq!(store.stat(all[1].0).await.unwrap().unwrap().len, 40, "{name}");
        let key = format!("{prefix}/chunks/{}/{}", &all[2].0.to_string()[..2], &all[2].0.to_string()[2..]);
        assert_eq!(place.raw.get(&key).await.as_ref(), Ok(&all[2].1), "{name}");
        let done = store.delete_many(all.iter().map(|(id, _)| *id).collect()).await;
        assert!(done.iter().all(Result::is_ok), "{name}: {done:?}");
        assert_eq!(store.count().await.unwrap(), 0, "{name}");
        // Again, and what it made is found.
        place.config_at(&prefix).open(OpenMode::Existing).await.unwrap();
    }
}

pub async fn another_value_does_not_replace_the_first(endpoint: &Endpoint) {
    let place = place(endpoint).await;
    let store = place.create().await;
    let ((id, first), (_, other)) = (chunk(1, 3000), chunk(2, 3000));
    store.put(id, first.clone()).await.unwrap();
    let outcome = store.put(id, other.clone()).await.unwrap();
    let kept = store.get(id).await.unwrap().unwrap();
    assert_eq!(kept, first);
    assert_eq!(outcome, PutOutcome::Present);
}

pub async fn a_put_that_races_a_delete_ends_in_either_state(endpoint: &Endpoint) {
    let place = place(endpoint).await;
    let store = place.create().await;
    let (id, data) = chunk(1, 5000);
    for _ in 0..40 {
        let (put, deleted) = tokio::join!(store.put(id, data.clone()), store.delete(id));
        put.unwrap();
        deleted.unwrap();
        let got = store.get(id).await.unwrap();
        assert!(got.is_none() || got.as_ref() == Some(&data));
        // Nobody deletes now: what is said to be there is there.
        let outcome = store.put(id, data.clone()).await.unwrap();
        if store.capabilities().exact_outcome {
            assert_eq!(outcome == PutOutcome::Present, got.is_some());
        }
        assert_eq!(store.get(id).await.unwrap().as_ref(), Some(&data));
        store.delete(id).await.unwrap();
    }
}

pub async fn versions_are_not_multiplied(endpoint: &Endpoint) {
    if !endpoint.kind.has_versions() {
        return;
    }
    let mut place = place(endpoint).await;
    place.raw.keep_versions().await.unwrap();
    place.has_versions = true;
    let store = place.create().await;
    let (id, data) = chunk(1, 1000);
    for _ in 0..3 {
        store.put(id, data.clone()).await.unwrap();
    }
    assert_eq!(place.raw.versions(&place.names().chunk(id)).await.unwrap(), 1);
    store.delete(id).await.unwrap();
    assert_eq!((store.get(id).await.unwrap(), ids(&store).await), (None, vec![]));
    // A delete marker is not in the way.
    assert_eq!(store.put(id, data.clone()).await.unwrap(), PutOutcome::Inserted);
    assert_eq!(store.get(id).await.unwrap(), Some(data));
    let done = store.delete_many(vec![id]).await;
    assert!(done[0].is_ok() && ids(&store).await.is_empty(), "{done:?}");
}

/// Whatever guards it: the service has said that it checks what it got, or it got a signed hash.
pub async fn a_body_that_is_damaged_on_its_way_is_refused(endpoint: &Endpoint) {
    for checksums in [Checksums::Auto, Checksums::WhenSupported, Checksums::WhenRequired] {
        for n in 1..4 {
            let place = place(endpoint).await;
            let store = place.config().with_checksums(checksums).open(OpenMode::Create).await.unwrap();
            // What asks, asks once.
            store.put(chunk(0, 100).0, chunk(0, 100).1).await.unwrap();
            let (id, data) = chunk(n, 1000);
            place.proxy.forget();
            place.proxy.rule(PUTS, Times::Once, Action::Damage(n * 300));
            assert_eq!(store.put(id, data.clone()).await.unwrap(), PutOutcome::Inserted);
            assert_eq!(store.get(id).await.unwrap(), Some(data));
            let puts = place.proxy.log().into_iter().filter(|seen| PUTS.contains(&seen.kind));
            let is_signed: Vec<_> =
                puts.map(|seen| seen.header("x-amz-content-sha256") != "UNSIGNED-PAYLOAD").collect();
            let checks = checksums == Checksums::WhenSupported
                || (checksums == Checksums::Auto && endpoint.conditions.is_none());
            assert_eq!(is_signed, [!checks, true], "{checksums:?}");
        }
    }
}

pub async fn pages_of_every_size(endpoint: &Endpoint) {
    let place = place(endpoint).await;
    let store = place.create().await;
    let all = chunks(1001, 10);
    let sorted: BTreeSet<_> = all.iter().map(|(id, _)| *id).collect();
    let sorted: Vec<_> = sorted.into_iter().collect();
    fill(&store, &all).await;
    place.proxy.forget();
    assert_eq!(ids(&store).await, sorted);
    assert!(place.proxy.count(&[Request::List]) >= 2);
    // Resumed at the edge of a page, on both sides of it.
    for at in [998, 999, 1000] {
        let rest: Vec<_> = store.list(Some(sorted[at])).map_ok(|meta| meta.id).try_collect().await.unwrap();
        assert_eq!(rest, sorted[at + 1..]);
    }
    // A stream that is dropped half-read is no trouble.
    for _ in 0..10 {
        assert_eq!(store.list(None).next().await.unwrap().unwrap().id, sorted[0]);
    }
    store.delete(sorted[500]).await.unwrap();
    assert_eq!(ids(&store).await.len(), 1000);
    for (pages_of, from) in [(11, 900), (1, 980)] {
        let paged = place.config().with_page(pages_of).open(OpenMode::Existing).await.unwrap();
        place.proxy.forget();
        let rest: Vec<_> = paged.list(Some(sorted[from])).map_ok(|meta| meta.id).try_collect().await.unwrap();
        assert_eq!(rest, sorted[from + 1..], "pages of {pages_of}");
        assert!(
            place.proxy.count(&[Request::List]) >= (1000 - from) / usize::from(pages_of),
            "pages of {pages_of}"
        );
    }
}

pub async fn five_thousand_chunks_in_batches(endpoint: &Endpoint) {
    let place = place(endpoint).await;
    let store = place.create().await;
    let all = chunks(5000, 16);
    fill(&store, &all).await;
    let mut left: BTreeSet<_> = all.iter().map(|(id, _)| *id).collect();
    assert!(ids(&store).await.into_iter().eq(left.iter().copied()));
    let mut rest = all.iter().map(|(id, _)| *id);
    for size in [0, 1, 1000, 1001, 2500] {
        // Every hundredth is not there, and one is named twice.
        let absent = (0..size / 100).map(|n| chunk(100_000 + n, 16).0);
        let mut batch: Vec<_> = absent.collect();
        let there: Vec<_> = rest.by_ref().take(size - batch.len()).collect();
        batch.extend(&there);
        if size > 1000 {
            batch[0] = there[0];
        }
        place.proxy.forget();
        let done = store.delete_many(batch.clone()).await;
        assert!(done.len() == size && done.iter().all(Result::is_ok), "a batch of {size}");
        check_batches(&place, size);
        there.iter().for_each(|id| assert!(left.remove(id)));
    }
    assert!(ids(&store).await.into_iter().eq(left.iter().copied()));
    let ends = [all[0].0, all[4999].0];
    assert_eq!(
        (store.get(ends[0]).await.unwrap(), store.get(ends[1]).await.unwrap().is_some()),
        (None, true)
    );
}

/// No request names more than a service takes; no more requests than needed.
fn check_batches(place: &Place, size: usize) {
    let seen = place.proxy.log();
    let named: Vec<_> = seen
        .iter()
        .filter(|seen| seen.kind == Request::DeleteMany)
        .map(|seen| seen.key.matches("<Key>").count())
        .collect();
    assert!(named.iter().all(|named| *named <= 1000), "{named:?}");
    assert!(seen.len() <= size.div_ceil(1000) + 1, "{} requests for a batch of {size}", seen.len());
    let single = seen.iter().filter(|seen| seen.kind == Request::Delete).count();
    assert!(named.iter().sum::<usize>() + single + 1 >= size, "{named:?} of {size}");
}

pub async fn no_more_requests_at_a_time_than_allowed(endpoint: &Endpoint) {
    let place = place(endpoint).await;
    let store = place.config().with_in_flight(16).open(OpenMode::Create).await.unwrap();
    let all = chunks(256, 2000);
    place.proxy.rule(ANY, Times::Always, Action::Delay(Duration::from_millis(5)));
    place.proxy.forget();
    place.proxy.pause_puts(true);
    let puts = join_all(all.iter().map(|(id, data)| store.put(*id, data.clone())));
    let held = async {
        until("as many puts as there may be", || place.proxy.waiting_puts() >= 16).await;
        // In which more could come.
        tokio::time::sleep(Duration::from_millis(200)).await;
        place.proxy.pause_puts(false);
    };
    let (puts, ()) = tokio::join!(puts, held);
    assert!(puts.iter().all(Result::is_ok), "{puts:?}");
    let gets = join_all(all.iter().map(|(id, _)| store.get(*id))).await;
    assert!(gets.iter().zip(&all).all(|(got, (_, data))| got.as_ref().unwrap().as_ref() == Some(data)));
    assert_eq!(place.proxy.most_in_flight(), 16);
}
