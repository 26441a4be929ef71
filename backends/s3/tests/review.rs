//! Settings and answers that a service or a user should not give, and what must not come of them: a panic, a
//! list with gaps, a wrong absence, a wait without an end.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

#[path = "support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use bytes::Bytes;
use futures::TryStreamExt;
use selfenc_core::store::{ChunkId, ChunkStore, Error, ErrorKind, Expect, OpenMode, RootName, RootStore};
use selfenc_s3::aws_sdk_s3::config::{BehaviorVersion, Region};
use selfenc_s3::aws_sdk_s3::{Client, Config};
use selfenc_s3::{Credentials, Encryption, S3Backend, S3Config, Timeouts};
use support::action::{Action, Alter};
use support::answer::Answer;
use support::config::{ATTEMPTS, config, fresh, open};
use support::request::{Kind, PUTS};
use support::script::{Rule, Times};
use support::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY};

const LIST: &[Kind] = &[Kind::List];
const GET: &[Kind] = &[Kind::Get];

fn chunk(n: usize) -> (ChunkId, Bytes) {
    let data = Bytes::from(format!("chunk {n}"));
    (ChunkId::from_bytes(blake3::hash(&data).into()), data)
}

async fn list(store: &S3Backend) -> Result<Vec<ChunkId>, Error> {
    store.list(None).map_ok(|meta| meta.id).try_collect().await
}

/// As from a file of another system: the SDK panics at them.
#[tokio::test]
async fn keys_with_line_breaks_are_refused() {
    for keys in [
        Credentials::fixed("AKIA\r", "hunter2"),
        Credentials::fixed("AKIA", "hunter2\n"),
        Credentials::temporary("AKIA", "hunter2", "hunter2\r\n"),
    ] {
        let (_service, proxy) = fresh();
        let e = config(&proxy).with_credentials(keys).open(OpenMode::Create).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unauthenticated, "{e}");
        assert!(e.to_string().contains("line break") && !format!("{e:?}").contains("hunter2"), "{e:?}");
        assert!(proxy.log().is_empty());
    }
}

#[tokio::test]
async fn strange_settings_are_errors() {
    let (_service, proxy) = fresh();
    let with = |change: &dyn Fn(S3Config) -> S3Config| change(config(&proxy)).open(OpenMode::Create);
    for region in ["eu\r\nx: y", "\u{e9}", "a b", "", "\0", "a/b"] {
        let e = with(&|config| config.with_region(region)).await.unwrap_err();
        assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains("region"), "{region:?}: {e}");
    }
    for value in ["A\r\nx: y", "\0", "\u{e9}"] {
        if let Err(e) = with(&|config| config.with_storage_class(value)).await {
            assert!(!e.is_transient(), "{value:?}: {e}");
        }
        let key = Encryption::Kms(Some(value.to_owned()));
        if let Err(e) = with(&|config| config.with_encryption(key.clone())).await {
            assert!(!e.is_transient(), "{value:?}: {e}");
        }
    }
    for bucket in ["a b", "..", "\u{e9}", "?", "#", "%", "a\\b", "{}", "\""] {
        let config = S3Config::new(bucket).with_credentials(Credentials::fixed(ACCESS_KEY, SECRET_KEY));
        let config = config.with_endpoint(&proxy.endpoint()).unwrap().with_retry(support::config::quick());
        let e = config.open(OpenMode::Existing).await.unwrap_err();
        assert!(!e.is_transient(), "{bucket}: {e}");
    }
    for endpoint in ["http://h:90000", "http://h:", "http://h:x", "http://[::1]:", "http://:80"] {
        assert!(S3Config::new("b").with_endpoint(endpoint).is_err(), "{endpoint}");
    }
    for endpoint in ["http://h", "http://h/", "https://[::1]", "http://[::1]:80/x", "HTTP://h:80"] {
        assert!(S3Config::new("b").with_endpoint(endpoint).is_ok(), "{endpoint}");
    }
}

#[tokio::test]
async fn limits_without_an_end_do_not_overflow() {
    let (_service, proxy) = fresh();
    let max = Duration::MAX;
    let timeouts = Timeouts { connect: max, attempt: max, operation: max, stall: max };
    let config = config(&proxy).with_timeouts(timeouts).with_max_chunk_len(u64::MAX);
    let config = config.with_in_flight(usize::MAX).with_maintenance_in_flight(usize::MAX);
    let store = open(&proxy, config).await;
    let (id, data) = chunk(0);
    store.put_many(vec![(id, data.clone())]).await.pop().unwrap().unwrap();
    assert_eq!(store.get(id).await.unwrap(), Some(data));
}

/// What is announced is not reserved.
#[tokio::test]
async fn a_length_that_nobody_has_room_for() {
    let (_service, proxy) = fresh();
    let store = open(&proxy, config(&proxy).with_max_chunk_len(u64::MAX)).await;
    let huge = Answer::new(200, vec![7; 1 << 20]).with("etag", "\"1\"").claiming(1 << 62);
    proxy.rule(GET, Times::Always, Action::Answer(huge));
    let e = store.get(chunk(0).0).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
}

/// As from a cache that has only a part.
#[tokio::test]
async fn a_part_is_not_the_object() {
    let (_service, proxy) = fresh();
    let store = open(&proxy, config(&proxy)).await;
    let (id, data) = chunk(0);
    store.put(id, data.clone()).await.unwrap();
    let part = Answer::new(206, "chu").with("etag", "\"1\"").with("content-range", "bytes 0-2/7");
    proxy.rule(GET, Times::Once, Action::Answer(part));
    assert_eq!(store.get(id).await.unwrap(), Some(data));
}

/// A 404 whose body is lost may have been any 404, or the trouble that cut it.
#[tokio::test]
async fn an_error_that_breaks_off_is_tried_again() {
    let (_service, proxy) = fresh();
    let store = open(&proxy, config(&proxy)).await;
    let (id, data) = chunk(0);
    store.put(id, data.clone()).await.unwrap();
    for (status, code) in [(404, "NoSuchKey"), (400, "ExpiredToken")] {
        for alter in [Alter::CloseEarly(20), Alter::ResetBody(20), Alter::ChunkedCut(20)] {
            let what = format!("{status} {alter:?}");
            let action = Action::AlterAnswer(Answer::error(status, code), alter);
            proxy.clear_rules();
            proxy.rule(GET, Times::Once, action.clone());
            assert_eq!(store.get(id).await.unwrap_or_else(|e| panic!("{what}: {e}")), Some(data.clone()));
            proxy.clear_rules();
            proxy.rule(GET, Times::Always, action);
            let e = store.get(id).await.unwrap_err();
            assert_eq!((e.kind(), e.attempts()), (ErrorKind::Unavailable, Some(ATTEMPTS as u32)), "{e}");
        }
    }
}

/// Such as one behind a proxy that makes all tags weak: good for chunks.
#[tokio::test]
async fn a_service_that_refuses_what_it_should_not() {
    for (kind, is_exact) in [(&[Kind::UpdatePut][..], true), (&[Kind::CreatePut], false)] {
        let (_service, proxy) = fresh();
        let refuses = Action::error(412, "PreconditionFailed");
        proxy.add(
            Rule::new(if is_exact { &[Kind::UpdatePut] } else { &[Kind::CreatePut] }, Times::Always, refuses)
                .at("probe"),
        );
        let store = config(&proxy).open(OpenMode::Create).await.unwrap_or_else(|e| panic!("{kind:?}: {e}"));
        let found = store.capabilities();
        assert_eq!((found.roots, found.exact_outcome), (false, is_exact), "{kind:?}");
        let (id, data) = chunk(0);
        store.put(id, data).await.unwrap();
        // Once it may be an answer that was lost.
        let (_service, proxy) = fresh();
        let refuses = Action::error(412, "PreconditionFailed");
        proxy.add(Rule::new(PUTS, Times::Nth(if is_exact { 3 } else { 1 }), refuses).at("probe"));
        let found = config(&proxy).open(OpenMode::Create).await.unwrap().capabilities();
        assert!(found.roots && found.exact_outcome);
    }
}

#[tokio::test]
async fn a_list_goes_on_wherever_it_can() {
    let (_service, proxy) = fresh();
    let store = open(&proxy, config(&proxy).with_page(2)).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let (id, data) = chunk(n);
        store.put(id, data).await.unwrap();
        ids.push(id);
    }
    ids.sort_unstable();
    // It does not say whether there is more, but how to ask for it.
    let unsaid: fn(&str) -> String = |text| {
        let text = text.replace("<IsTruncated>true</IsTruncated>", "");
        text.replace("<IsTruncated>false</IsTruncated>", "")
    };
    proxy.rule(LIST, Times::Always, Action::Alter(Alter::Rewrite(unsaid)));
    assert_eq!(list(&store).await.unwrap(), ids);
    // A chunk without a length.
    proxy.clear_rules();
    let no_size: fn(&str) -> String = |text| text.replacen("<Size>7</Size>", "", 1);
    proxy.rule(LIST, Times::Always, Action::Alter(Alter::Rewrite(no_size)));
    assert_eq!(list(&store).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// Tokens that repeat only after some pages, on pages without a chunk that would tell.
#[tokio::test]
async fn circles_of_any_length_are_found() {
    static PAGE: AtomicUsize = AtomicUsize::new(0);
    fn next(_: &str) -> String {
        let token = format!("token-{}", PAGE.fetch_add(1, Ordering::SeqCst) % 7);
        let body = Answer::page(&["chunks/other"], Some(&token)).0.into_body();
        String::from_utf8(body.to_vec()).unwrap()
    }
    let (_service, proxy) = fresh();
    let store = open(&proxy, config(&proxy)).await;
    let page = Answer::xml(200, "");
    proxy.rule(LIST, Times::First(200), Action::AlterAnswer(page, Alter::Rewrite(next)));
    let e = list(&store).await.unwrap_err();
    assert!(!e.is_transient() && e.to_string().contains("again and again"), "{e}");
    assert!(proxy.count(LIST) < 40, "{}", proxy.count(LIST));
}

/// The first attempt may have landed, so the caller must not be told that nothing can have happened.
#[tokio::test]
async fn an_unknown_swap_stays_unknown() {
    let (_service, proxy) = fresh();
    let store = open(&proxy, config(&proxy)).await;
    let name = RootName::new("main").unwrap();
    proxy.rule(PUTS, Times::Once, Action::ResetBeforeHeaders);
    proxy.rule(PUTS, Times::Always, Action::error(403, "AccessDenied"));
    let e = store.swap(&name, Expect::Absent, Some("value".into())).await.unwrap_err();
    assert!(e.is_transient() && e.kind() == ErrorKind::Unavailable, "{e}");
}

/// Where batches are not taken, a batch does not wait for each of its chunks in turn.
#[tokio::test]
async fn a_silent_service_is_not_waited_for_by_each_delete() {
    let (_service, proxy) = fresh();
    let long = Duration::from_secs(2);
    let timeouts = Timeouts { attempt: long, operation: 2 * long, ..Timeouts::default() };
    let store = open(&proxy, config(&proxy).with_timeouts(timeouts)).await;
    proxy.rule(&[Kind::DeleteMany], Times::Always, Action::error(501, "NotImplemented"));
    proxy.rule(&[Kind::Delete], Times::Always, Action::Hang);
    let begun = Instant::now();
    let outcomes = store.delete_many((0..200).map(|n| chunk(n).0).collect()).await;
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap_err().kind() == ErrorKind::Timeout));
    // Fifty times 4 s, if each were waited for.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

/// Gives keys that are about to end, and after that nothing.
#[derive(Debug, Default)]
struct Ailing(AtomicUsize);

impl ProvideCredentials for Ailing {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let soon = Some(SystemTime::now() + Duration::from_secs(50));
        future::ProvideCredentials::ready(match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(Keys::new(ACCESS_KEY, SECRET_KEY, None, soon, "test")),
            _ => Err(CredentialsError::provider_error("busy")),
        })
    }
}

#[tokio::test]
async fn keys_are_used_to_their_end_when_no_others_are_to_be_had() {
    let (_service, proxy) = fresh();
    let keys = Credentials::provider(Ailing::default());
    let store = open(&proxy, config(&proxy).with_credentials(keys)).await;
    let (id, data) = chunk(0);
    store.put(id, data).await.unwrap();
}

#[tokio::test]
async fn a_client_without_connections_of_its_own() {
    let (_service, proxy) = fresh();
    let client = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(proxy.endpoint())
        .force_path_style(true)
        .credentials_provider(Keys::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
        .build();
    let store = S3Config::new(BUCKET).with_client(Client::from_conf(client));
    let store = store.open(OpenMode::Create).await.unwrap();
    let (id, data) = chunk(0);
    store.put(id, data.clone()).await.unwrap();
    assert_eq!(store.get(id).await.unwrap(), Some(data));
}
