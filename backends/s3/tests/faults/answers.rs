//! Answers that say that something is wrong, and answers that are none (groups 1 and 13).

use std::time::{Duration, Instant};

use futures::future::join_all;
use selfenc_core::store::{ChunkStore, ErrorKind};
use selfenc_core::wrap::{Retry, RetryPolicy};
use selfenc_s3::S3Config;

use crate::bench::{ALL, Ask, Bench, check, check_attempts, chunk};
use crate::support::action::{Action, Alter};
use crate::support::answer::Answer;
use crate::support::config::{ATTEMPTS, fresh, open, quick};
use crate::support::script::Times;
use crate::support::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY};

/// Trouble of a service that passes. An answer to HEAD has a status only.
const PASSING: &[(u16, &str, ErrorKind)] = &[
    (500, "InternalError", ErrorKind::Unavailable),
    (500, "", ErrorKind::Unavailable),
    (502, "", ErrorKind::Unavailable),
    (503, "SlowDown", ErrorKind::Throttled),
    (503, "", ErrorKind::Throttled),
    (504, "GatewayTimeout", ErrorKind::Unavailable),
    (429, "TooManyRequests", ErrorKind::Throttled),
    (429, "NobodyKnowsThis", ErrorKind::Throttled),
    (429, "", ErrorKind::Throttled),
    (408, "", ErrorKind::Unavailable),
    (400, "RequestTimeout", ErrorKind::Unavailable),
    (499, "ClientClosedRequest", ErrorKind::Unavailable),
];

fn rows(ask: Ask) -> impl Iterator<Item = (usize, Answer, ErrorKind, String)> {
    let rows = PASSING.iter().enumerate();
    let rows = rows.filter(move |(_, (status, ..))| ask != Ask::Stat || *status != 400);
    rows.map(move |(n, (status, code, kind))| {
        let code = if ask == Ask::Stat { "" } else { code };
        (n, Answer::error(*status, code), *kind, format!("{ask:?}: {status} {code}"))
    })
}

#[tokio::test]
async fn what_passes_is_not_noticed() {
    for ask in ALL {
        let bench = Bench::new().await;
        for (n, answer, _, what) in rows(*ask) {
            ask.prepare(&bench, n).await;
            bench.proxy.rule(ask.kinds(), Times::Once, Action::Answer(answer));
            ask.ask(&bench.store, n).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(bench.proxy.log().len(), 2, "{what}: {:?}", bench.proxy.log());
        }
    }
}

#[tokio::test]
async fn the_last_attempt_may_be_the_one() {
    for ask in ALL {
        let bench = Bench::new().await;
        ask.prepare(&bench, 0).await;
        bench.proxy.rule(ask.kinds(), Times::First(ATTEMPTS - 1), Action::error(503, "SlowDown"));
        ask.ask(&bench.store, 0).await.unwrap_or_else(|e| panic!("{ask:?}: {e}"));
        assert_eq!(bench.proxy.log().len(), ATTEMPTS);
    }
}

#[tokio::test]
async fn what_does_not_pass_ends_at_the_limit() {
    for ask in ALL {
        let bench = Bench::new().await;
        for (n, answer, kind, what) in rows(*ask) {
            ask.prepare(&bench, n).await;
            bench.proxy.rule(ask.kinds(), Times::Always, Action::Answer(answer));
            let begun = Instant::now();
            let e = ask.ask(&bench.store, n).await.unwrap_err();
            check_attempts(&e, kind, ATTEMPTS, &what);
            assert!(e.to_string().contains("status"), "{what}: {e}");
            assert_eq!(bench.proxy.log().len(), ATTEMPTS, "{what}");
            // Less than a wait for an answer that has come.
            assert!(begun.elapsed() < Duration::from_secs(25), "{what}: {:?}", begun.elapsed());
        }
        bench.reset();
        ask.prepare(&bench, 99).await;
        ask.ask(&bench.store, 99).await.unwrap_or_else(|e| panic!("{ask:?} afterwards: {e}"));
    }
}

#[tokio::test]
async fn a_service_is_waited_for_as_long_as_it_asks() {
    // Longer than a shorter pause may be taken for, too.
    let longest = Duration::from_secs(5);
    let asked = [
        (("retry-after", "1"), Duration::from_secs(1), longest),
        (("x-amz-retry-after", "250"), Duration::from_millis(250), longest),
        // As MinIO asks while it starts; nobody waits that long.
        (("retry-after", "60"), longest, Duration::from_secs(30)),
    ];
    for ((name, value), least, most) in asked {
        let bench = Bench::new().await;
        Ask::Get.prepare(&bench, 0).await;
        let answer = Answer::error(503, "SlowDown").with(name, value);
        bench.proxy.rule(Ask::Get.kinds(), Times::Once, Action::Answer(answer));
        Ask::Get.ask(&bench.store, 0).await.unwrap();
        let log = bench.proxy.log();
        let waited = log[1].at - log[0].at;
        assert!(waited >= least && waited < most, "{name}: {waited:?}");
    }
}

#[tokio::test]
async fn a_service_is_not_waited_for_beyond_the_deadline() {
    join_all(["30", "100000000000", "no number", "-1"].map(asked_to_wait)).await;
}

async fn asked_to_wait(asked: &str) {
    // The first pause of 5 s is longer than the operation; nine of them would take 45 s.
    let policy = quick().with_max_attempts(10).with_budget(Duration::from_secs(300));
    let bench = with_operation(policy, Duration::from_secs(4)).await;
    Ask::Get.prepare(&bench, 0).await;
    let answer = Answer::error(503, "SlowDown").with("retry-after", asked);
    bench.proxy.rule(Ask::Get.kinds(), Times::Always, Action::Answer(answer));
    let begun = Instant::now();
    let e = Ask::Get.ask(&bench.store, 0).await.unwrap_err();
    check(&e, ErrorKind::Throttled, asked);
    assert!(begun.elapsed() < Duration::from_secs(25), "{asked}: {:?}", begun.elapsed());
}

async fn with_operation(policy: RetryPolicy, operation: Duration) -> Bench {
    let timeouts = selfenc_s3::Timeouts { operation, ..Default::default() };
    Bench::with(|config| config.with_retry(policy).with_timeouts(timeouts)).await
}

/// A retry outside does not multiply the attempts, and neither do those of a ready client's own.
#[tokio::test]
async fn attempts_are_not_multiplied() {
    let own = aws_sdk_s3::config::retry::RetryConfig::standard().with_max_attempts(4);
    let (_service, proxy) = fresh();
    let client = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::v2026_01_12())
        .endpoint_url(proxy.endpoint())
        .region(aws_sdk_s3::config::Region::new(REGION))
        .credentials_provider(aws_credential_types::Credentials::new(
            ACCESS_KEY, SECRET_KEY, None, None, "test",
        ))
        .retry_config(own)
        .force_path_style(true)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let config = S3Config::new(BUCKET).with_client(aws_sdk_s3::Client::from_conf(client)).with_retry(quick());
    let store = Retry::new(open(&proxy, config).await, quick());
    let id = chunk(0).0;
    assert_eq!(store.get(id).await.unwrap(), None);
    for action in [Action::error(503, "SlowDown"), Action::ResetBeforeHeaders] {
        proxy.forget();
        proxy.clear_rules();
        proxy.rule(Ask::Get.kinds(), Times::Always, action.clone());
        let e = store.get(id).await.unwrap_err();
        assert_eq!(e.attempts(), Some(ATTEMPTS as u32), "{action:?}: {e}");
        assert_eq!(proxy.log().len(), ATTEMPTS, "{action:?}");
    }
}

/// Bodies of errors that are not S3's.
fn strange(status: u16) -> Vec<(&'static str, Answer)> {
    let xml = |body: &'static str| Answer::xml(status, body);
    vec![
        ("a page", Answer::html(status)),
        ("nothing", Answer::new(status, "")),
        ("half an error", xml("<?xml version=\"1.0\"?><Error><Code>NoSuch")),
        ("an error without a code", xml("<Error></Error>")),
        ("a code that is none", xml("<Error><Code>hunter2 hunter2\n\n</Code></Error>")),
        (
            "a long code",
            xml(
                "<Error><Code>hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2</Code></Error>",
            ),
        ),
        ("another document", xml("<Success/>")),
        ("no text", Answer::new(status, vec![0xff; 300])),
        ("a megabyte", Answer::new(status, vec![b'<'; 1 << 20])),
    ]
}

#[tokio::test]
async fn strange_bodies_of_errors_do_not_matter() {
    for ask in [Ask::Put, Ask::Get, Ask::Delete, Ask::DeleteMany, Ask::List] {
        let bench = Bench::new().await;
        for (n, (what, answer)) in strange(500).into_iter().enumerate() {
            let what = format!("{ask:?}: 500 and {what}");
            ask.prepare(&bench, 2 * n).await;
            bench.proxy.rule(ask.kinds(), Times::Once, Action::Answer(answer.clone()));
            ask.ask(&bench.store, 2 * n).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(bench.proxy.log().len(), 2, "{what}");

            ask.prepare(&bench, 2 * n + 1).await;
            bench.proxy.rule(ask.kinds(), Times::Always, Action::Answer(answer));
            let e = ask.ask(&bench.store, 2 * n + 1).await.unwrap_err();
            check_attempts(&e, ErrorKind::Unavailable, ATTEMPTS, &what);
            assert_eq!(bench.proxy.log().len(), ATTEMPTS, "{what}");
        }
    }
}

#[tokio::test]
async fn an_endless_error_is_not_read_to_its_end() {
    for ask in [Ask::Put, Ask::Get, Ask::Delete, Ask::DeleteMany, Ask::List] {
        let bench = Bench::new().await;
        let endless = || Action::AlterAnswer(Answer::error(500, "InternalError"), Alter::Endless);
        ask.prepare(&bench, 0).await;
        bench.proxy.rule(ask.kinds(), Times::Once, endless());
        ask.ask(&bench.store, 0).await.unwrap_or_else(|e| panic!("{ask:?}: {e}"));
        assert_eq!(bench.proxy.log().len(), 2, "{ask:?}");

        ask.prepare(&bench, 1).await;
        bench.proxy.rule(ask.kinds(), Times::Always, endless());
        let begun = Instant::now();
        let e = ask.ask(&bench.store, 1).await.unwrap_err();
        check_attempts(&e, ErrorKind::Unavailable, ATTEMPTS, &format!("{ask:?}"));
        assert_eq!(bench.proxy.log().len(), ATTEMPTS, "{ask:?}");
        assert!(begun.elapsed() < Duration::from_secs(25), "{ask:?}: {:?}", begun.elapsed());
    }
}

/// What a parser that does not mind a missing end takes for an answer without chunks, or without errors.
fn half(ask: Ask) -> Answer {
    let start = "<?xml version=\"1.0\"?>";
    match ask {
        Ask::DeleteMany => Answer::xml(200, format!("{start}<DeleteResult><Error><Key>chunks/")),
        Ask::List => {
            Answer::xml(200, format!("{start}<ListBucketResult><IsTruncated>false</IsTruncated><Con"))
        }
        _ => Answer::xml(200, format!("{start}<Err")),
    }
}

/// A 200 that holds an error, or comes from a proxy on the way, is no success.
#[tokio::test]
async fn a_success_that_is_none() {
    for ask in [Ask::Put, Ask::Get, Ask::Stat, Ask::DeleteMany, Ask::List] {
        let bench = Bench::new().await;
        let answers = [
            ("an error", Answer::error(200, "InternalError")),
            ("a page", Answer::html(200)),
            ("nothing", Answer::new(200, "")),
            ("half a document", half(ask)),
        ];
        for (n, (what, answer)) in answers.into_iter().enumerate() {
            let what = format!("{ask:?}: 200 and {what}");
            ask.prepare(&bench, 2 * n).await;
            bench.proxy.rule(ask.kinds(), Times::Once, Action::Answer(answer.clone()));
            ask.ask(&bench.store, 2 * n).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(bench.proxy.log().len(), 2, "{what}: it was taken for a success");

            ask.prepare(&bench, 2 * n + 1).await;
            bench.proxy.rule(ask.kinds(), Times::Always, Action::Answer(answer));
            let e = ask.ask(&bench.store, 2 * n + 1).await.expect_err(&what);
            check_attempts(&e, ErrorKind::Unavailable, ATTEMPTS, &what);
            assert_eq!(bench.proxy.log().len(), ATTEMPTS, "{what}");
        }
    }
}
