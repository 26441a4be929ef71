//! The proxy of the other tests, tested: that it forwards, counts and fails as it is told.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_s3::error::DisplayErrorContext;
use support::action::{Action, Alter};
use support::answer::{Answer, http_date};
use support::proxy::Proxy;
use support::request::{ANY, Kind, PUTS};
use support::script::{Rule, Times};
use support::server::Service;
use support::upstream::Upstream;
use support::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY};

fn client(proxy: &Proxy, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(proxy.endpoint())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(ACCESS_KEY, secret, None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .force_path_style(true)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

async fn put(client: &Client, key: &str, body: &'static [u8]) -> Result<(), String> {
    let put = client.put_object().bucket(BUCKET).key(key).if_none_match("*").body(body.to_vec().into());
    put.send().await.map(drop).map_err(|e| format!("{}", DisplayErrorContext(e)))
}

async fn get(client: &Client, key: &str) -> Result<Vec<u8>, String> {
    let get = client.get_object().bucket(BUCKET).key(key).send().await;
    let get = get.map_err(|e| format!("{}", DisplayErrorContext(e)))?;
    Ok(get.body.collect().await.map_err(|e| format!("{e:?}"))?.to_vec())
}

async fn both_upstreams(check: impl AsyncFn(Proxy)) {
    let service = Service::atomic();
    check(Proxy::start(Upstream::Service(service))).await;
    let service = Service::atomic();
    check(Proxy::start(Upstream::Address(service.listen().to_string()))).await;
}

#[tokio::test]
async fn it_forwards_and_the_signature_holds() {
    both_upstreams(async |proxy| {
        let client = client(&proxy, SECRET_KEY);
        put(&client, "a/b c", b"hello").await.unwrap();
        assert!(put(&client, "a/b c", b"other").await.unwrap_err().contains("PreconditionFailed"));
        assert_eq!(get(&client, "a/b c").await.unwrap(), b"hello");
        let head = client.head_object().bucket(BUCKET).key("a/b c").send().await.unwrap();
        assert_eq!(head.content_length(), Some(5));
        assert!(get(&client, "none").await.unwrap_err().contains("NoSuchKey"));
        client.head_bucket().bucket(BUCKET).send().await.unwrap();
        let list = client.list_objects_v2().bucket(BUCKET).prefix("a/").send().await.unwrap();
        assert_eq!(list.contents()[0].key(), Some("a/b c"));
        client.delete_object().bucket(BUCKET).key("a/b c").send().await.unwrap();
        let kinds: Vec<_> = proxy.log().iter().map(|seen| (seen.kind, seen.key.clone())).collect();
        let expected = [
            (Kind::CreatePut, "a/b c"),
            (Kind::CreatePut, "a/b c"),
            (Kind::Get, "a/b c"),
            (Kind::Head, "a/b c"),
            (Kind::Get, "none"),
            (Kind::HeadBucket, ""),
            (Kind::List, "a/"),
            (Kind::Delete, "a/b c"),
        ];
        assert_eq!(kinds, expected.map(|(kind, key)| (kind, key.to_owned())));
        assert_eq!((proxy.most_in_flight(), proxy.in_flight()), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    both_upstreams(async |proxy| {
        let e = put(&client(&proxy, "wrong"), "a", b"x").await.unwrap_err();
        assert!(e.contains("SignatureDoesNotMatch"), "{e}");
    })
    .await;
}

#[tokio::test]
async fn rules_hold_as_often_as_they_say() {
    let proxy = Proxy::start(Upstream::Service(Service::new()));
    let client = client(&proxy, SECRET_KEY);
    let refused = || Action::error(503, "SlowDown");
    proxy.add(Rule::new(PUTS, Times::Nth(2), refused()).at("one"));
    proxy.rule(&[Kind::Get], Times::First(2), refused());
    let mut outcomes = Vec::new();
    for key in ["one", "two", "one-2", "one-3"] {
        outcomes.push(put(&client, key, b"x").await.is_ok());
    }
    assert_eq!(outcomes, [true, true, false, true]);
    for expected in [false, false, true] {
        assert_eq!(get(&client, "one").await.is_ok(), expected);
    }
    proxy.clear_rules();
    proxy.rule(ANY, Times::Always, refused());
    assert!(get(&client, "one").await.is_err() && get(&client, "one").await.is_err());
    assert_eq!((proxy.count(&[Kind::Get]), proxy.count(PUTS)), (5, 4));
}

#[tokio::test]
async fn answers_break_as_told() {
    let proxy = Proxy::start(Upstream::Service(Service::new()));
    let client = client(&proxy, SECRET_KEY);
    put(&client, "a", b"0123456789").await.unwrap();
    let fine: &[(Alter, &[u8])] = &[
        (Alter::Truncate(4), b"0123"),
        (Alter::Extend("!".into()), b"0123456789!"),
        (Alter::Replace("x".into()), b"x"),
        (Alter::ChunkedTooShort(4), b"0123"),
        (Alter::ExtraBytes("HTTP/1.1 200 OK\r\n\r\n".into()), b"0123456789"),
        (Alter::Slow(3, Duration::from_millis(5)), b"0123456789"),
    ];
    for (alter, expected) in fine {
        proxy.clear_rules();
        let alter = Action::Alter(alter.clone());
        proxy.rule(&[Kind::Get], Times::Always, alter.clone());
        // What was sent with a checksum of the whole comes without one here.
        assert_eq!(unchecked(&client, "a").await.unwrap(), *expected, "{alter:?}");
    }
    for alter in [Alter::CloseEarly(4), Alter::ResetBody(4), Alter::ChunkedCut(4), Alter::CloseEarly(0)] {
        proxy.clear_rules();
        proxy.rule(&[Kind::Get], Times::Always, Action::Alter(alter.clone()));
        let e = unchecked(&client, "a").await.unwrap_err();
        assert_eq!(e.contains("Reset"), matches!(alter, Alter::ResetBody(_)), "{alter:?}: {e}");
    }
    for alter in [Alter::StallBody(4), Alter::DripHead(Duration::from_millis(1)), Alter::Endless] {
        proxy.clear_rules();
        proxy.rule(&[Kind::Get], Times::Always, Action::Alter(alter.clone()));
        let limit = Duration::from_millis(200);
        assert!(tokio::time::timeout(limit, unchecked(&client, "a")).await.is_err(), "{alter:?}");
    }
}

async fn unchecked(client: &Client, key: &str) -> Result<Vec<u8>, String> {
    let config = aws_sdk_s3::config::Builder::new()
        .response_checksum_validation(aws_sdk_s3::config::ResponseChecksumValidation::WhenRequired);
    let get = client.get_object().bucket(BUCKET).key(key).customize().config_override(config).send().await;
    let get = get.map_err(|e| format!("{}", DisplayErrorContext(e)))?;
    Ok(get.body.collect().await.map_err(|e| format!("{e:?}"))?.to_vec())
}

#[tokio::test]
async fn a_lost_answer_is_of_what_was_done() {
    let proxy = Proxy::start(Upstream::Service(Service::new()));
    let client = client(&proxy, SECRET_KEY);
    proxy.rule(PUTS, Times::Once, Action::ResetBeforeHeaders);
    assert!(put(&client, "a", b"x").await.is_err());
    assert!(get(&client, "a").await.unwrap_err().contains("NoSuchKey"));
    proxy.clear_rules();
    proxy.rule(PUTS, Times::Once, Action::ResetAfterForward);
    let e = put(&client, "a", b"x").await.unwrap_err();
    assert!(e.contains("reset"), "{e}");
    assert_eq!(get(&client, "a").await.unwrap(), b"x");
    proxy.clear_rules();
    proxy.rule(PUTS, Times::Once, Action::AnswerAfterForward(Answer::error(500, "InternalError")));
    assert!(put(&client, "b", b"x").await.unwrap_err().contains("InternalError"));
    assert_eq!(get(&client, "b").await.unwrap(), b"x");
}

#[tokio::test]
async fn conditions_can_be_ignored_and_puts_wait() {
    let mut proxy = Proxy::start(Upstream::Service(Service::new()));
    let client = client(&proxy, SECRET_KEY);
    proxy.ignore_conditions(true);
    put(&client, "a", b"1").await.unwrap();
    put(&client, "a", b"2").await.unwrap();
    assert_eq!(get(&client, "a").await.unwrap(), b"2");
    proxy.pause_puts(true);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { put(&client, "b", b"1").await }
    });
    while proxy.waiting_puts() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(get(&client, "b").await.unwrap_err().contains("NoSuchKey"));
    proxy.pause_puts(false);
    waiting.await.unwrap().unwrap();
    assert_eq!(get(&client, "b").await.unwrap(), b"1");
    proxy.kill().await;
    assert!(get(&client, "b").await.is_err());
}

#[test]
fn dates_are_those_of_http() {
    let at = |seconds| http_date(std::time::UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(at(1_709_210_096), "Thu, 29 Feb 2024 12:34:56 GMT");
    assert_eq!(at(1_798_761_599), "Thu, 31 Dec 2026 23:59:59 GMT");
}
