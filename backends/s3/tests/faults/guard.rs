//! What guards the body of a put: found out at open, and given up when the service does not take it.

use selfenc_core::store::{ChunkStore, ErrorKind, Expect, OpenMode, PutOutcome, RootName, RootStore, Swap};
use selfenc_s3::{Checksums, S3Backend, S3Config};

use crate::bench::{check, chunk};
use crate::support::action::{Action, Alter};
use crate::support::config::{config, fresh};
use crate::support::proxy::Proxy;
use crate::support::request::{PUTS, Seen};
use crate::support::script::{Rule, Times};
use crate::support::server::Service;

const CHECKSUM: &str = "x-amz-checksum-crc32";
const HASH: &str = "x-amz-content-sha256";

/// What goes with the body of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    Hash,
    Both,
    Checksum,
}

fn with(put: &Seen) -> With {
    match (put.header(HASH) != "UNSIGNED-PAYLOAD", put.has_header(CHECKSUM)) {
        (true, false) => With::Hash,
        (true, true) => With::Both,
        (false, true) => With::Checksum,
        (false, false) => panic!("nothing guards {put:?}"),
    }
}

/// How the puts went out that the proxy has seen since, but for the marker.
fn puts(proxy: &Proxy) -> Vec<With> {
    let log = proxy.log();
    proxy.forget();
    log.iter()
        .filter(|seen| PUTS.contains(&seen.kind) && !seen.key.ends_with("selfenc-store"))
        .map(with)
        .collect()
}

/// A store that finds out for itself what the service keeps.
async fn open(rule: Option<Rule>, change: impl FnOnce(S3Config) -> S3Config) -> (Service, Proxy, S3Backend) {
    let (service, proxy) = fresh();
    if let Some(rule) = rule {
        proxy.add(rule);
    }
    let store = change(config(&proxy)).open(OpenMode::Create).await.unwrap();
    let found = store.capabilities();
    assert!(found.roots && found.exact_outcome);
    (service, proxy, store)
}

async fn put(store: &S3Backend, n: usize) {
    let (id, data) = chunk(n);
    assert_eq!(store.put(id, data.clone()).await.unwrap(), PutOutcome::Inserted);
    assert!(store.get(id).await.unwrap() == Some(data));
}

#[tokio::test]
async fn a_service_that_checks() {
    let (_service, proxy, store) = open(None, |config| config).await;
    let with = puts(&proxy);
    assert_eq!(with, [With::Both, With::Checksum, With::Checksum, With::Checksum], "no request more");
    put(&store, 0).await;
    assert_eq!(puts(&proxy), [With::Checksum]);
}

/// As at AWS: the first put of all asks.
#[tokio::test]
async fn checksums_that_are_wanted() {
    let (_service, proxy) = fresh();
    let config = config(&proxy).with_checksums(Checksums::WhenSupported);
    let store = config.with_conditions(crate::support::config::KEPT).open(OpenMode::Create).await.unwrap();
    let log = proxy.log();
    assert!(log.iter().any(|seen| PUTS.contains(&seen.kind) && with(seen) == With::Both));
    proxy.forget();
    put(&store, 0).await;
    assert_eq!(puts(&proxy), [With::Checksum]);
}

#[tokio::test]
async fn checksums_that_are_not_wanted() {
    let (_service, proxy, store) = open(None, |config| config.with_checksums(Checksums::WhenRequired)).await;
    put(&store, 0).await;
    assert_eq!(puts(&proxy), [With::Hash; 5]);
}

/// It took the checksum and says nothing: then nobody knows whether it looked.
#[tokio::test]
async fn a_service_that_does_not_say_that_it_checks() {
    let rule = Rule::new(PUTS, Times::Always, Action::Alter(Alter::Without(CHECKSUM)));
    let (_service, proxy, store) = open(Some(rule), |config| config).await;
    put(&store, 0).await;
    assert_eq!(puts(&proxy), [With::Both, With::Hash, With::Hash, With::Hash, With::Hash]);
}

#[tokio::test]
async fn a_service_that_knows_no_checksums() {
    for (status, code) in [(400, "InvalidArgument"), (501, "NotImplemented"), (403, "SignatureDoesNotMatch")]
    {
        let refuses = Action::error(status, code);
        let rule =
            Rule::new(PUTS, Times::Always, refuses).with_header("x-amz-sdk-checksum-algorithm", "CRC32");
        let (_service, proxy, store) = open(Some(rule), |config| config).await;
        put(&store, 0).await;
        let expected = [With::Both, With::Hash, With::Hash, With::Hash, With::Hash, With::Hash];
        assert_eq!(puts(&proxy), expected, "{code}: one request more");
    }
}

/// By the rules of a bucket, for one.
#[tokio::test]
async fn a_service_that_wants_bodies_signed() {
    for (status, code) in [(403, "AccessDenied"), (400, "InvalidRequest"), (501, "NotImplemented")] {
        let refuses = Action::error(status, code);
        let rule = Rule::new(PUTS, Times::Always, refuses.clone()).with_header(HASH, "UNSIGNED-PAYLOAD");
        let (_service, proxy, store) = open(Some(rule), |config| config).await;
        put(&store, 0).await;
        let first = [With::Both, With::Checksum, With::Hash, With::Hash, With::Hash, With::Hash];
        assert_eq!(puts(&proxy), first, "{code}: one request more");
        // The same long after.
        let (_service, proxy, store) = open(None, |config| config).await;
        proxy.forget();
        proxy.add(Rule::new(PUTS, Times::Always, refuses).with_header(HASH, "UNSIGNED-PAYLOAD"));
        put(&store, 0).await;
        put(&store, 1).await;
        assert_eq!(puts(&proxy), [With::Checksum, With::Hash, With::Hash], "{code}");
    }
}

/// Who may not write is told so, whatever guards the body.
#[tokio::test]
async fn a_put_that_is_denied_in_every_form() {
    let (_service, proxy, store) = open(None, |config| config).await;
    proxy.forget();
    proxy.deny_writes();
    for (n, expected) in [&[With::Checksum, With::Hash][..], &[With::Hash]].into_iter().enumerate() {
        let (id, data) = chunk(n);
        check(&store.put(id, data).await.unwrap_err(), ErrorKind::PermissionDenied, "denied");
        assert_eq!(puts(&proxy), expected);
    }
}

/// The service sees it, in each form, and the put is sent once more.
#[tokio::test]
async fn a_body_that_is_damaged_on_its_way() {
    for (checksums, form) in [(Checksums::Auto, With::Checksum), (Checksums::WhenRequired, With::Hash)] {
        for (n, at) in [0, 500, 999].into_iter().enumerate() {
            let (_service, proxy, store) = open(None, |config| config.with_checksums(checksums)).await;
            proxy.forget();
            proxy.rule(PUTS, Times::Once, Action::Damage(at));
            put(&store, n).await;
            assert_eq!(puts(&proxy), [form, With::Hash], "{form:?}, byte {at}");
        }
    }
}

/// It did say so, and does not any more: another service may stand behind the address.
#[tokio::test]
async fn a_service_that_no_longer_says_that_it_checks() {
    let (_service, proxy, store) = open(None, |config| config).await;
    proxy.forget();
    proxy.rule(PUTS, Times::Once, Action::Alter(Alter::Without(CHECKSUM)));
    put(&store, 0).await;
    put(&store, 1).await;
    assert_eq!(puts(&proxy), [With::Checksum, With::Hash]);
}

/// A service that takes the missing hash for a wrong one, as it says.
#[tokio::test]
async fn a_service_that_compares_what_is_no_hash() {
    for code in ["XAmzContentSHA256Mismatch", "InvalidDigest", "BadDigest"] {
        let refuses = Action::error(400, code);
        let rule = Rule::new(PUTS, Times::Always, refuses).with_header(HASH, "UNSIGNED-PAYLOAD");
        let (_service, proxy, store) = open(Some(rule), |config| config).await;
        put(&store, 0).await;
        let expected = [With::Both, With::Checksum, With::Hash, With::Hash, With::Hash, With::Hash];
        assert_eq!(puts(&proxy), expected, "{code}");
    }
}

/// What the trial writes keeps its condition when it is sent again.
#[tokio::test]
async fn a_trial_that_arrives_damaged_finds_the_same() {
    for nth in 1..=4 {
        let rule = Rule::new(PUTS, Times::Nth(nth), Action::error(400, "BadDigest")).at("probe");
        // `open` looks at the capabilities.
        let (_service, _proxy, store) = open(Some(rule), |config| config).await;
        put(&store, 0).await;
    }
}

/// A root is signed whatever guards chunks, and what is damaged on its way never takes the place of a good one.
#[tokio::test]
async fn a_root_that_is_damaged_on_its_way() {
    let (_service, proxy, store) = open(None, |config| config).await;
    let name = RootName::new("root").unwrap();
    let Swap::Done(Some(version)) = store.swap(&name, Expect::Absent, Some("good".into())).await.unwrap()
    else {
        panic!("it was absent")
    };
    proxy.forget();
    for at in [0, 10, 40] {
        proxy.rule(PUTS, Times::Always, Action::Damage(at));
        let next = store.swap(&name, Expect::Version(version.clone()), Some("next".into())).await;
        assert!(next.is_err(), "byte {at}: {next:?}");
        proxy.clear_rules();
        let root = store.load(&name).await.unwrap().unwrap();
        assert_eq!((&root.value[..], &root.version), (&b"good"[..], &version), "byte {at}");
    }
    assert!(puts(&proxy).iter().all(|with| *with == With::Hash));
}
