//! Connections that fail (group 5).

use std::time::{Duration, Instant};

use selfenc_core::store::{ChunkStore, ErrorKind, OpenMode};
use selfenc_core::wrap::RetryPolicy;

use crate::bench::{ALL, Ask, Bench, check_attempts, chunk_of};
use crate::support::action::{Action, Alter};
use crate::support::config::{ATTEMPTS, config, fresh, quick};
use crate::support::proxy::Proxy;
use crate::support::request::Kind;
use crate::support::script::Times;

#[tokio::test]
async fn a_connection_that_ends_before_the_answer() {
    for ask in ALL {
        let bench = Bench::new().await;
        for (n, action) in [Action::ResetBeforeHeaders, Action::CloseBeforeHeaders].into_iter().enumerate() {
            let what = format!("{ask:?}: {action:?}");
            ask.prepare(&bench, 2 * n).await;
            bench.proxy.rule(ask.kinds(), Times::Once, action.clone());
            ask.ask(&bench.store, 2 * n).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(bench.proxy.log().len(), 2, "{what}");

            ask.prepare(&bench, 2 * n + 1).await;
            bench.proxy.rule(ask.kinds(), Times::Always, action);
            let e = ask.ask(&bench.store, 2 * n + 1).await.unwrap_err();
            check_attempts(&e, ErrorKind::Unavailable, ATTEMPTS, &what);
            assert_eq!(bench.proxy.log().len(), ATTEMPTS, "{what}");
        }
    }
}

/// Deleting twice is as good as once.
#[tokio::test]
async fn a_lost_answer_to_a_delete() {
    for ask in [Ask::Delete, Ask::DeleteMany] {
        let bench = Bench::new().await;
        ask.prepare(&bench, 0).await;
        bench.proxy.rule(ask.kinds(), Times::Once, Action::ResetAfterForward);
        ask.ask(&bench.store, 0).await.unwrap();
        assert_eq!(bench.proxy.log().len(), 2, "{ask:?}");
    }
}

/// Ways for a body to be other than announced, where that can be told on the wire.
fn broken() -> Vec<Alter> {
    vec![
        Alter::ResetBody(0),
        Alter::ResetBody(70_000),
        Alter::CloseEarly(0),
        Alter::CloseEarly(70_000),
        Alter::CloseEarly(99_999),
        Alter::ChunkedCut(70_000),
        // A clean end too early. Without a length nobody could tell.
        Alter::ChunkedTooShort(70_000),
        Alter::ChunkedTooShort(0),
        Alter::Endless,
    ]
}

#[tokio::test]
async fn a_body_that_breaks_off_is_read_again() {
    const GET: &[Kind] = &[Kind::Get];
    let bench = Bench::new().await;
    let (id, data) = chunk_of(0, 100_000);
    bench.store.put(id, data.clone()).await.unwrap();
    for alter in broken() {
        bench.reset();
        bench.proxy.rule(GET, Times::Once, Action::Alter(alter.clone()));
        let got = bench.store.get(id).await.unwrap_or_else(|e| panic!("{alter:?}: {e}"));
        assert!(got.as_ref() == Some(&data), "{alter:?}");
        assert_eq!(bench.count(GET), 2, "{alter:?}");

        bench.reset();
        bench.proxy.rule(GET, Times::Always, Action::Alter(alter.clone()));
        let begun = Instant::now();
        let e = bench.store.get(id).await.expect_err(&format!("{alter:?}"));
        check_attempts(&e, ErrorKind::Unavailable, ATTEMPTS, &format!("{alter:?}"));
        assert_eq!(bench.count(GET), ATTEMPTS, "{alter:?}");
        // Less than one attempt may take.
        assert!(begun.elapsed() < Duration::from_secs(25), "{alter:?}: {:?}", begun.elapsed());
    }
}

/// More on the wire than the answer says is not taken for a part of it, nor for the next answer.
#[tokio::test]
async fn extra_bytes_are_nobodys() {
    const GET: &[Kind] = &[Kind::Get];
    let bench = Bench::new().await;
    let (id, data) = bench.stored(0).await;
    let (other, other_data) = bench.stored(1).await;
    let next = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\netag: \"1\"\r\n\r\nbad";
    for extra in [&b"!"[..], next] {
        bench.reset();
        bench.proxy.rule(GET, Times::Always, Action::Alter(Alter::ExtraBytes(extra.to_vec().into())));
        for _ in 0..5 {
            // A connection that is found to be broken while a request is sent on it costs an attempt.
            assert!(bench.store.get(id).await.unwrap().as_ref() == Some(&data));
            assert!(bench.store.get(other).await.unwrap().as_ref() == Some(&other_data));
        }
    }
}

/// Nobody listens; then somebody does.
#[tokio::test]
async fn a_connection_that_is_refused() {
    let patient = |attempts| {
        let delay = Duration::from_millis(400);
        RetryPolicy::new().with_max_attempts(attempts).with_base_delay(delay).with_longest_delay(delay)
    };
    let Bench { service: _service, proxy: mut first, store } =
        Bench::with(|config| config.with_retry(patient(20))).await;
    Ask::Put.ask(&store, 0).await.unwrap();
    let (upstream, port) = (first.upstream().clone(), first.address().port());
    first.kill().await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { Ask::Get.ask(&store, 0).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let second = Proxy::start_at(upstream, port);
    waiting.await.unwrap().unwrap();
    assert_eq!(second.count(&[Kind::Get]), 1);
}

#[tokio::test]
async fn a_connection_that_is_always_refused() {
    let mut bench = Bench::new().await;
    bench.proxy.kill().await;
    for ask in ALL {
        let begun = Instant::now();
        let e = ask.ask(&bench.store, 0).await.unwrap_err();
        check_attempts(&e, ErrorKind::Unavailable, ATTEMPTS, &format!("{ask:?}"));
        assert!(e.to_string().contains(&bench.proxy.endpoint()), "{ask:?}: {e}");
        // Less than six connections may take that nobody answers.
        assert!(begun.elapsed() < Duration::from_secs(17), "{ask:?}: {:?}", begun.elapsed());
    }
}

/// An address at which nobody has ever answered may be wrong, and somebody waits to be told.
#[tokio::test]
async fn a_stranger_is_given_up_sooner() {
    let (_service, mut proxy) = fresh();
    let config = config(&proxy).with_retry(quick().with_max_attempts(50));
    proxy.kill().await;
    let e = config.open(OpenMode::Create).await.unwrap_err();
    check_attempts(&e, ErrorKind::Unavailable, 6, "nobody is there");
    assert!(e.to_string().contains(&proxy.endpoint()), "{e}");
}
