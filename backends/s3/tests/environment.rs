//! What the environment may change, each tried in a process of its own (group 18), and virtual hosts.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use selfenc_core::store::{ChunkId, ChunkStore, ErrorKind, OpenMode, StoreUrl};
use selfenc_s3::{S3Backend, S3Config};
use support::config::{config_to, fresh, quick};
use support::request::{Kind, PUTS};
use support::{ACCESS_KEY, BUCKET, SECRET_KEY, runtime};

/// Tells a child that it is one, and where it is to go.
const TARGET: &str = "SELFENC_S3_TEST_TARGET";

/// If this process is the child, where it is to go.
fn target() -> Option<String> {
    std::env::var(TARGET).ok()
}

/// Runs this test in a process with this environment and nothing else.
fn child(test: &str, target: &str, environment: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env_clear().env(TARGET, target);
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    // Not a name that nothing has.
    assert!(text.contains("1 passed"), "{text}");
}

async fn round_trip(store: &S3Backend) {
    let id = ChunkId::from_bytes([9; 32]);
    store.put(id, "through".into()).await.unwrap();
    assert_eq!(store.get(id).await.unwrap().as_deref(), Some(&b"through"[..]));
}

fn from_url(url: &str) -> S3Config {
    S3Config::from_url(&url.parse::<StoreUrl>().unwrap()).unwrap()
}

#[test]
fn proxies_are_not_asked_for_this_machine() {
    if let Some(endpoint) = target() {
        return runtime().block_on(async {
            let store = config_to(&endpoint).open(OpenMode::Create).await.unwrap();
            round_trip(&store).await;
        });
    }
    // Nobody listens there: whoever asks it fails.
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let environment = names.map(|name| (name, "http://127.0.0.1:1"));
    for host in ["127.0.0.1", "localhost"] {
        let (_service, proxy) = fresh();
        let endpoint = format!("http://{host}:{}", proxy.address().port());
        child("proxies_are_not_asked_for_this_machine", &endpoint, &environment);
        assert_eq!(proxy.count(&[Kind::Get]), 2, "the marker and the chunk");
    }
}

/// The bucket in the host's name, and a proxy of HTTP, so that no name has to be resolved.
#[test]
fn other_machines_are_asked_through_the_proxy_and_by_virtual_host() {
    if let Some(endpoint) = target() {
        return runtime().block_on(async {
            let config = config_to(&endpoint).with_path_style(false).with_prefix("a b/ü").unwrap();
            let store = config.open(OpenMode::Create).await.unwrap();
            round_trip(&store).await;
        });
    }
    let (service, proxy) = fresh();
    let test = "other_machines_are_asked_through_the_proxy_and_by_virtual_host";
    child(test, "http://s3.selfenc.test", &[("HTTP_PROXY", &proxy.endpoint())]);
    let log = proxy.log();
    assert!(proxy.count(PUTS) > 1);
    assert!(log.iter().all(|seen| seen.header("host") == "test.s3.selfenc.test"));
    assert!(log.iter().any(|seen| seen.kind == Kind::Get && seen.key.starts_with("a b/ü/chunks/09/")));
    assert!(service.path("a b/ü/selfenc-store").is_file());
}

/// No such host: the proxy would know what to do, but it is not to be asked.
#[test]
fn a_proxy_is_not_asked_where_the_environment_says_so() {
    if let Some(endpoint) = target() {
        return runtime().block_on(async {
            let config = config_to(&endpoint).with_retry(quick().with_max_attempts(2));
            let e = config.open(OpenMode::Create).await.unwrap_err();
            assert!(matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{e}");
            assert!(e.to_string().contains("s3.selfenc.test"), "{e}");
        });
    }
    let (_service, proxy) = fresh();
    let endpoint = proxy.endpoint();
    let environment = [("HTTP_PROXY", &endpoint[..]), ("NO_PROXY", "s3.selfenc.test")];
    let test = "a_proxy_is_not_asked_where_the_environment_says_so";
    child(test, "http://s3.selfenc.test", &environment);
    assert_eq!(proxy.log().len(), 0);
}

#[test]
fn keys_and_places_come_from_the_environment() {
    if let Some(url) = target() {
        return runtime().block_on(async {
            let store = from_url(&url).open(OpenMode::Create).await.unwrap();
            round_trip(&store).await;
        });
    }
    for (endpoint_name, region_name) in
        [("AWS_ENDPOINT_URL", "AWS_REGION"), ("AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION")]
    {
        let (service, proxy) = fresh();
        let endpoint = proxy.endpoint();
        let environment = [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            (endpoint_name, &endpoint),
            (region_name, "eu-north-7"),
        ];
        let url = format!("s3://{BUCKET}/below");
        child("keys_and_places_come_from_the_environment", &url, &environment);
        assert!(service.path("below/selfenc-store").is_file());
        let log = proxy.log();
        assert!(log.iter().all(|seen| seen.header("authorization").contains("/eu-north-7/s3/")));
    }
}

/// Nobody is asked for keys: not even the address that machines of AWS have.
#[test]
fn missing_keys_are_said_so_at_once() {
    if let Some(url) = target() {
        return runtime().block_on(async {
            let begun = Instant::now();
            let e = from_url(&url).open(OpenMode::Create).await.unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Unauthenticated, "{e}");
            assert!(e.to_string().contains("AWS_ACCESS_KEY_ID"), "{e}");
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        });
    }
    let (_service, proxy) = fresh();
    let endpoint = proxy.endpoint();
    let url = format!("s3://{BUCKET}/below?endpoint={endpoint}");
    // Where machines of AWS ask, so that it would show.
    let environment = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint[..])];
    child("missing_keys_are_said_so_at_once", &url, &environment);
    assert_eq!(proxy.log().len(), 0);
}

/// Directly, where the system knows `test.localhost`. Where it does not, the request through the proxy
/// above has shown the same.
#[tokio::test]
async fn a_virtual_host_of_this_machine() {
    let (_service, proxy) = fresh();
    let port = proxy.address().port();
    let found = tokio::net::lookup_host(("test.localhost", port)).await;
    let is_known = found.is_ok_and(|mut found| found.any(|address| address.is_ipv4()));
    let config = config_to(&format!("http://localhost:{port}")).with_path_style(false);
    match config.open(OpenMode::Create).await {
        Ok(store) => {
            round_trip(&store).await;
            let host = format!("test.localhost:{port}");
            assert!(proxy.log().iter().all(|seen| seen.header("host") == host));
        }
        Err(e) => {
            assert!(!is_known, "{e}");
            assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
            assert_eq!(proxy.log().len(), 0);
        }
    }
}
