//! Stores with wrappers, described by the builder and in TOML.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::time::Duration;

use selfenc::store::{ErrorKind, Expect, OpenMode, Swap};
use selfenc::wrap::RetryPolicy;
use selfenc::{StoreSpec, registry};

async fn info(spec: &StoreSpec) -> String {
    spec.open(&registry(), OpenMode::Create).await.unwrap().info().to_string()
}

async fn described(toml: &str) -> String {
    info(&toml.parse().unwrap()).await
}

fn refused(toml: &str) -> String {
    let e = toml.parse::<StoreSpec>().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidInput);
    e.to_string()
}

#[tokio::test]
async fn the_builder_wraps_from_the_inside_out() {
    let spec = StoreSpec::url("memory:")
        .limit(8)
        .timeout(Duration::from_secs(30))
        .retry(RetryPolicy::new())
        .cache(64 << 20)
        .verify()
        .prefix("tenant/")
        .read_only()
        .observe();
    let info = info(&spec).await;
    let order =
        ["observe(", "read-only(", "prefix(", "verify(", "cache(", "retry(", "timeout(", "limit(8, memory:)"];
    let places: Vec<_> = order.iter().map(|name| info.find(name)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{info}: {places:?}");
}

#[tokio::test]
async fn toml_says_the_same_as_the_builder() {
    let toml = r#"
        url = "memory:"
        [[wrap]]
        kind = "observe"
        [[wrap]]
        kind = "cache"
        bytes = 67_108_864
        [[wrap]]
        kind = "retry"
        attempts = 3
        base_millis = 10
        longest_millis = 100
        budget_millis = 1000
        [[wrap]]
        kind = "timeout"
        millis = 30_000
        [[wrap]]
        kind = "limit"
        in_flight = 8
        [[wrap]]
        kind = "verify"
        [[wrap]]
        kind = "prefix"
        prefix = "tenant/"
        [[wrap]]
        kind = "read-only"
        [[wrap]]
        kind = "faulty"
        seed = 7
    "#;
    let policy = RetryPolicy::new()
        .with_max_attempts(3)
        .with_base_delay(Duration::from_millis(10))
        .with_longest_delay(Duration::from_millis(100))
        .with_budget(Duration::from_secs(1));
    let spec = StoreSpec::url("memory:")
        .faulty(selfenc::wrap::FaultPlan::new(7))
        .read_only()
        .prefix("tenant/")
        .verify()
        .limit(8)
        .timeout(Duration::from_secs(30))
        .retry(policy)
        .cache(64 << 20)
        .observe();
    assert_eq!(described(toml).await, info(&spec).await);
}

#[tokio::test]
async fn stores_of_several_stores() {
    let mirror = r#"
        [[mirror]]
        url = "memory:"
        [[mirror]]
        url = "memory:"
        wrap = [{ kind = "limit", in_flight = 4 }]
    "#;
    assert_eq!(described(mirror).await, "mirror(memory:, limit(4, memory:))");
    let built = StoreSpec::mirror([StoreSpec::url("memory:"), StoreSpec::url("memory:").limit(4)]);
    assert_eq!(info(&built).await, described(mirror).await);
    let tiered = "[tiered.fast]\nurl = 'memory:'\n[tiered.slow]\nurl = 'memory:'\n";
    assert_eq!(described(tiered).await, "tiered(memory:, memory:)");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_place() {
    for (toml, words) in [
        ("", "needs one of"),
        ("url = 'memory:'\nmirror = []", "needs one of"),
        ("url = 'memory:'\n[[wrap]]\nkind = 'lmit'", "lmit"),
        ("url = 'memory:'\n\n[[wrap]]\nkind = 'limit'\nin_flght = 8", "in_flght"),
        ("url = 'memory:'\n[[wrap]]\nkind = 'limit'", "in_flight"),
        ("url = 'memory:'\nwrp = []", "line 2"),
        ("url = ", "line 1"),
    ] {
        let line = refused(toml);
        assert!(line.contains(words), "{toml}: {line}");
    }
    for bad in [
        StoreSpec::url("memory:").limit(0),
        StoreSpec::url("memory:").timeout(Duration::ZERO),
        StoreSpec::url("memory:").prefix(""),
        StoreSpec::mirror([]),
        StoreSpec::url("nothing:"),
    ] {
        let e = bad.open(&registry(), OpenMode::Create).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{bad:?}: {e}");
    }
}

#[test]
fn debug_shows_no_url() {
    let spec = StoreSpec::mirror([StoreSpec::url("s3://user:hunter2@host/b").limit(3)]);
    let debug = format!("{spec:?}");
    assert!(debug.contains("s3:") && !debug.contains("hunter2"), "{debug}");
}

#[tokio::test]
async fn a_file_is_opened_by_its_url() {
    let dir = tempfile::tempdir().unwrap();
    let (file, chunks) = (dir.path().join("my store.toml"), dir.path().join("chunks"));
    fs::write(&file, format!("url = 'file:{}'\n[[wrap]]\nkind = 'limit'\nin_flight = 2\n", chunks.display()))
        .unwrap();
    let url = format!("toml:{}", file.display());
    let missing = registry().open(&url, OpenMode::Existing).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::ContainerMissing, "{missing}");
    let store = registry().open(&url, OpenMode::Create).await.unwrap();
    assert!(store.info().to_string().starts_with("limit(2, file:"), "{}", store.info());
    let name = "a".parse().unwrap();
    assert!(matches!(
        store.swap(&name, Expect::Absent, Some("x".into())).await.unwrap(),
        Swap::Done(Some(_))
    ));

    fs::write(&file, "url = 'memory:'\n[[wrap]]\nkind = 'limt'\n").unwrap();
    let e = registry().open(&url, OpenMode::Create).await.unwrap_err();
    assert!(e.to_string().contains("my store.toml") && e.to_string().contains("limt"), "{e}");
    fs::write(&file, format!("url = '{url}'")).unwrap();
    let e = registry().open(&url, OpenMode::Create).await.unwrap_err();
    assert!(e.to_string().contains("no backend for 'toml:'"), "no endless loop: {e}");
    let e = registry().open("toml:/dev/zero", OpenMode::Create).await.unwrap_err();
    assert!(e.to_string().contains("no description"), "{e}");
    let e = registry().open("toml:/nowhere.toml", OpenMode::Create).await.unwrap_err();
    assert!(e.to_string().contains("/nowhere.toml"), "{e}");
}
