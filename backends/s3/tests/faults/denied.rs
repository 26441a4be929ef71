//! Refusals that asking again does not cure, and those that it does once (groups 9 and 10).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::{ProvideCredentials, future};
use selfenc_core::store::{ChunkStore, ErrorKind, OpenMode};
use selfenc_s3::Credentials;

use crate::bench::{Ask, Bench, check, chunk};
use crate::support::action::Action;
use crate::support::answer::Answer;
use crate::support::config::{config, fresh};
use crate::support::request::{ANY, Kind};
use crate::support::script::{Rule, Times};
use crate::support::{ACCESS_KEY, SECRET_KEY, TOKEN};

const GET: &[Kind] = &[Kind::Get];
const WITH_BODIES: &[Ask] = &[Ask::Put, Ask::Get, Ask::Delete, Ask::DeleteMany, Ask::List];

const FINAL: &[(u16, &str, ErrorKind, &str)] = &[
    (403, "AccessDenied", ErrorKind::PermissionDenied, "s3:ListBucket"),
    (403, "", ErrorKind::PermissionDenied, "s3:ListBucket"),
    (403, "InvalidObjectState", ErrorKind::PermissionDenied, "restore"),
    (403, "InvalidAccessKeyId", ErrorKind::Unauthenticated, "AWS_ACCESS_KEY_ID"),
    (403, "SignatureDoesNotMatch", ErrorKind::Unauthenticated, "AWS_SECRET_ACCESS_KEY"),
    (403, "InvalidToken", ErrorKind::Unauthenticated, "AWS_SESSION_TOKEN"),
    (401, "", ErrorKind::Unauthenticated, "credentials"),
    (404, "NoSuchBucket", ErrorKind::ContainerMissing, "bucket 'test'"),
    (301, "PermanentRedirect", ErrorKind::InvalidInput, "region"),
    (307, "TemporaryRedirect", ErrorKind::InvalidInput, "region"),
    (301, "", ErrorKind::InvalidInput, "region"),
    (400, "AuthorizationHeaderMalformed", ErrorKind::InvalidInput, "region"),
    (507, "", ErrorKind::Full, "room"),
];

#[tokio::test]
async fn what_will_not_change_is_asked_once() {
    for ask in WITH_BODIES {
        let bench = Bench::new().await;
        for (n, (status, code, kind, remedy)) in FINAL.iter().enumerate() {
            let what = format!("{ask:?}: {status} {code}");
            ask.prepare(&bench, n).await;
            bench.proxy.rule(ask.kinds(), Times::Always, Action::error(*status, code));
            let e = ask.ask(&bench.store, n).await.unwrap_err();
            check(&e, *kind, &what);
            assert!(e.to_string().contains(remedy), "{what}: {e}");
            assert_eq!(bench.proxy.log().len(), 1, "{what}");
            // Nothing is remembered of it.
            bench.reset();
            ask.ask(&bench.store, n).await.unwrap_or_else(|e| panic!("{what}, afterwards: {e}"));
        }
    }
}

/// An answer to HEAD has no body, so only its status tells.
#[tokio::test]
async fn what_will_not_change_on_head() {
    let rows = [
        (403, ErrorKind::PermissionDenied, "s3:ListBucket"),
        (401, ErrorKind::Unauthenticated, "credentials"),
        (301, ErrorKind::InvalidInput, "region"),
        (405, ErrorKind::Unsupported, "endpoint"),
        (501, ErrorKind::Unsupported, "endpoint"),
    ];
    let bench = Bench::new().await;
    for (n, (status, kind, remedy)) in rows.into_iter().enumerate() {
        Ask::Stat.prepare(&bench, n).await;
        bench.proxy.rule(Ask::Stat.kinds(), Times::Always, Action::error(status, ""));
        let e = Ask::Stat.ask(&bench.store, n).await.unwrap_err();
        check(&e, kind, &status.to_string());
        assert!(e.to_string().contains(remedy), "{status}: {e}");
        assert_eq!(bench.proxy.log().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn what_a_service_does_not_do() {
    for ask in [Ask::Get, Ask::Delete, Ask::List] {
        let bench = Bench::new().await;
        for (n, (status, code)) in
            [(405, "MethodNotAllowed"), (405, ""), (501, "NotImplemented")].into_iter().enumerate()
        {
            ask.prepare(&bench, n).await;
            bench.proxy.rule(ask.kinds(), Times::Always, Action::error(status, code));
            let e = ask.ask(&bench.store, n).await.unwrap_err();
            check(&e, ErrorKind::Unsupported, &format!("{ask:?}: {status}"));
            assert_eq!(bench.proxy.log().len(), 1, "{ask:?}: {status}");
        }
    }
}

#[tokio::test]
async fn absence_is_no_error_and_a_missing_bucket_is_one() {
    let bench = Bench::new().await;
    let (id, data) = chunk(0);
    bench.proxy.add(Rule::new(ANY, Times::Always, Action::error(404, "NoSuchKey")).at("chunks"));
    assert_eq!(bench.store.get(id).await.unwrap(), None);
    assert_eq!(bench.store.stat(id).await.unwrap(), None);
    bench.store.delete(id).await.unwrap();
    // A 404 that says nothing may be that of a proxy on the way.
    for answer in [Answer::error(404, ""), Answer::html(404)] {
        bench.reset();
        bench.proxy.rule(ANY, Times::Always, Action::Answer(answer));
        check(&bench.store.get(id).await.unwrap_err(), ErrorKind::ContainerMissing, "get");
        check(&bench.store.delete(id).await.unwrap_err(), ErrorKind::ContainerMissing, "delete");
        assert_eq!(bench.proxy.log().len(), 2);
    }
    bench.reset();
    // HEAD cannot tell which of them is missing, so the bucket is looked at.
    bench.proxy.rule(&[Kind::Head, Kind::HeadBucket], Times::Always, Action::error(404, ""));
    check(&bench.store.stat(id).await.unwrap_err(), ErrorKind::ContainerMissing, "stat");
    bench.reset();
    bench.service.remove_bucket();
    // Which the service in the process says of HEAD only.
    const GONE: &[Kind] = &[Kind::Get, Kind::Delete, Kind::CreatePut];
    bench.proxy.rule(GONE, Times::Always, Action::error(404, "NoSuchBucket"));
    check(&bench.store.get(id).await.unwrap_err(), ErrorKind::ContainerMissing, "get");
    check(&bench.store.stat(id).await.unwrap_err(), ErrorKind::ContainerMissing, "stat");
    check(&bench.store.delete(id).await.unwrap_err(), ErrorKind::ContainerMissing, "delete");
    check(&bench.store.put(id, data).await.unwrap_err(), ErrorKind::ContainerMissing, "put");
}

#[tokio::test]
async fn opening_says_what_is_wrong() {
    let rows = [
        (404, "NoSuchBucket", ErrorKind::ContainerMissing, "bucket 'test'"),
        (403, "AccessDenied", ErrorKind::PermissionDenied, "s3:ListBucket"),
        (403, "InvalidAccessKeyId", ErrorKind::Unauthenticated, "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", ErrorKind::Unauthenticated, "AWS_SECRET_ACCESS_KEY"),
        (400, "ExpiredToken", ErrorKind::Unauthenticated, "AWS_SESSION_TOKEN"),
        (301, "PermanentRedirect", ErrorKind::InvalidInput, "eu-west-3"),
        (403, "RequestTimeTooSkewed", ErrorKind::Unauthenticated, "clock"),
    ];
    for mode in [OpenMode::Create, OpenMode::Existing] {
        let (_service, proxy) = fresh();
        for (status, code, kind, remedy) in rows {
            proxy.clear_rules();
            let answer = Answer::error(status, code).with("x-amz-bucket-region", "eu-west-3");
            proxy.rule(ANY, Times::Always, Action::Answer(answer));
            let e = config(&proxy).open(mode).await.unwrap_err();
            check(&e, kind, code);
            assert!(e.to_string().contains(remedy), "{code}: {e}");
        }
        assert_eq!(proxy.count(&[Kind::Other]), 0, "no bucket is made");
    }
}

/// The real thing: keys that the service itself refuses.
#[tokio::test]
async fn wrong_keys_are_told_apart() {
    let (_service, proxy) = fresh();
    for (access, secret, remedy) in [
        (ACCESS_KEY, "hunter2-wrong", "AWS_SECRET_ACCESS_KEY"),
        ("AKIANOBODY", SECRET_KEY, "AWS_ACCESS_KEY_ID"),
    ] {
        let keys = Credentials::fixed(access, secret);
        let e = config(&proxy).with_credentials(keys).open(OpenMode::Create).await.unwrap_err();
        check(&e, ErrorKind::Unauthenticated, remedy);
        assert!(e.to_string().contains(remedy), "{e}");
    }
}

/// Gives tokens that count up.
#[derive(Debug)]
struct Counting(Arc<AtomicUsize>);

impl ProvideCredentials for Counting {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let n = self.0.fetch_add(1, Ordering::SeqCst);
        let token = format!("{TOKEN}-{n}");
        future::ProvideCredentials::ready(Ok(Keys::new(ACCESS_KEY, SECRET_KEY, Some(token), None, "test")))
    }
}

async fn counting() -> (Bench, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let provider = Credentials::provider(Counting(Arc::clone(&asked)));
    let bench = Bench::with(|config| config.with_credentials(provider)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    (bench, asked)
}

#[tokio::test]
async fn a_token_that_expired_is_asked_for_again() {
    for (status, code) in [(400, "ExpiredToken"), (403, "ExpiredToken"), (400, "TokenRefreshRequired")] {
        for ask in WITH_BODIES {
            let (bench, asked) = counting().await;
            ask.prepare(&bench, 0).await;
            bench.proxy.rule(ask.kinds(), Times::Once, Action::error(status, code));
            ask.ask(&bench.store, 0).await.unwrap_or_else(|e| panic!("{ask:?}: {code}: {e}"));
            assert_eq!(asked.load(Ordering::SeqCst), 2, "{ask:?}: {code}");
            let log = bench.proxy.log();
            let tokens: Vec<_> = log.iter().map(|seen| seen.header("x-amz-security-token")).collect();
            assert_eq!(tokens, [format!("{TOKEN}-0"), format!("{TOKEN}-1")], "{ask:?}: {code}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_always_expired_is_asked_for_once_more() {
    let (bench, asked) = counting().await;
    Ask::Get.prepare(&bench, 0).await;
    bench.proxy.rule(GET, Times::Always, Action::error(400, "ExpiredToken"));
    let e = Ask::Get.ask(&bench.store, 0).await.unwrap_err();
    check(&e, ErrorKind::Unauthenticated, "expired");
    assert!(e.to_string().contains("AWS_SESSION_TOKEN"), "{e}");
    assert_eq!((bench.count(GET), asked.load(Ordering::SeqCst)), (2, 2));
}

/// Of many that see the same token expire, one asks.
#[tokio::test]
async fn a_token_is_asked_for_by_one_of_many() {
    let (bench, asked) = counting().await;
    let (id, data) = bench.stored(0).await;
    let expired = Rule::new(GET, Times::Always, Action::error(400, "ExpiredToken"));
    bench.proxy.add(expired.with_header("x-amz-security-token", format!("{TOKEN}-0")));
    let all = (0..8).map(|_| bench.store.get(id));
    for got in futures::future::join_all(all).await {
        assert!(got.unwrap().as_ref() == Some(&data));
    }
    let count = bench.count(GET);
    assert!((9..=16).contains(&count), "some may have come after the new token: {count}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

/// The service's clock is ten minutes ahead: the SDK learns it from the answer.
#[tokio::test]
async fn a_clock_that_is_wrong() {
    for seconds in [600, -600] {
        let bench = Bench::new().await;
        Ask::Get.prepare(&bench, 0).await;
        let skewed = || Answer::error(403, "RequestTimeTooSkewed").with_clock_off_by(seconds);
        bench.proxy.rule(GET, Times::Once, Action::Answer(skewed()));
        Ask::Get.ask(&bench.store, 0).await.unwrap();
        let sent: Vec<_> =
            bench.proxy.log().iter().map(|seen| minute_of_the_day(seen.header("x-amz-date"))).collect();
        assert_eq!(sent.len(), 2, "{seconds}");
        let ahead = (sent[1] - sent[0]).rem_euclid(24 * 60);
        let expected = (seconds / 60).rem_euclid(24 * 60);
        assert!((ahead - expected).abs() <= 1, "{seconds}: {sent:?}");

        let (id, _) = chunk(0);
        bench.reset();
        bench.proxy.rule(GET, Times::Always, Action::Answer(skewed()));
        let e = bench.store.get(id).await.unwrap_err();
        check(&e, ErrorKind::Unauthenticated, "skewed");
        assert!(e.to_string().contains("clock"), "{e}");
        assert_eq!(bench.count(GET), 2);
    }
}

/// Of `20261121T113800Z`.
fn minute_of_the_day(date: &str) -> i64 {
    let number = |at: usize| date[at..at + 2].parse::<i64>().unwrap();
    number(9) * 60 + number(11)
}
