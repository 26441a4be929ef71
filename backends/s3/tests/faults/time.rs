//! Services that take their time (group 8).

use std::time::{Duration, Instant};

use futures::future::join_all;
use selfenc_core::store::{ChunkStore, ErrorKind, PutOutcome};
use selfenc_s3::Timeouts;
use tokio::net::TcpSocket;

use crate::bench::{ALL, Ask, Bench, check, check_attempts, chunk};
use crate::support::action::{Action, Alter};
use crate::support::answer::Answer;
use crate::support::config::{ATTEMPTS, quick};
use crate::support::request::Kind;
use crate::support::script::Times;

const GET: &[Kind] = &[Kind::Get];
const ATTEMPT: Duration = Duration::from_millis(300);

const fn times() -> Timeouts {
    let long = Duration::from_secs(20);
    Timeouts { connect: Duration::from_millis(500), attempt: ATTEMPT, operation: long, stall: long }
}

async fn bench(timeouts: Timeouts) -> Bench {
    Bench::with(|config| config.with_timeouts(timeouts)).await
}

#[tokio::test]
async fn an_answer_that_never_comes() {
    join_all(ALL.iter().copied().map(silence)).await;
}

async fn silence(ask: Ask) {
    let bench = bench(times()).await;
    let drip = Alter::DripHead(Duration::from_millis(5));
    let silent = [Action::Hang, Action::AlterAnswer(Answer::new(200, "x"), drip)];
    for (n, action) in silent.into_iter().enumerate() {
        let what = format!("{ask:?}: {action:?}");
        ask.prepare(&bench, 2 * n).await;
        bench.proxy.rule(ask.kinds(), Times::Once, action.clone());
        let begun = Instant::now();
        ask.ask(&bench.store, 2 * n).await.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(bench.proxy.log().len(), 2, "{what}");
        assert!(begun.elapsed() >= ATTEMPT, "{what}");

        ask.prepare(&bench, 2 * n + 1).await;
        bench.proxy.rule(ask.kinds(), Times::Always, action);
        let begun = Instant::now();
        let e = ask.ask(&bench.store, 2 * n + 1).await.unwrap_err();
        check_attempts(&e, ErrorKind::Timeout, ATTEMPTS, &what);
        assert_eq!(bench.proxy.log().len(), ATTEMPTS, "{what}");
        let (took, all) = (begun.elapsed(), ATTEMPT * ATTEMPTS as u32);
        assert!(took >= all && took < all + Duration::from_secs(2), "{what}: {took:?}");
    }
}

#[tokio::test]
async fn a_put_that_was_done_in_silence() {
    let bench = bench(times()).await;
    let (id, data) = chunk(0);
    bench.proxy.rule(Ask::Put.kinds(), Times::Once, Action::HangAfterForward);
    assert_eq!(bench.store.put(id, data).await.unwrap(), PutOutcome::Present);
    assert_eq!(bench.count(Ask::Put.kinds()), 2);
}

#[tokio::test]
async fn a_body_that_stalls_ends_with_its_attempt() {
    let bench = bench(times()).await;
    let (id, data) = bench.stored(0).await;
    bench.proxy.rule(GET, Times::Once, Action::Alter(Alter::StallBody(500)));
    assert!(bench.store.get(id).await.unwrap().as_ref() == Some(&data));
    assert_eq!(bench.count(GET), 2);
    bench.reset();
    bench.proxy.rule(GET, Times::Always, Action::Alter(Alter::StallBody(500)));
    check_attempts(&bench.store.get(id).await.unwrap_err(), ErrorKind::Timeout, ATTEMPTS, "a stall");
    assert_eq!(bench.count(GET), ATTEMPTS);
}

#[tokio::test]
async fn a_body_that_stalls_ends_with_the_grace() {
    let long = Duration::from_secs(30);
    let stall = Duration::from_millis(400);
    let timeouts = Timeouts { attempt: long, operation: long, stall, ..times() };
    let policy = quick().with_max_attempts(2);
    let bench = Bench::with(|config| config.with_timeouts(timeouts).with_retry(policy)).await;
    let (id, data) = bench.stored(0).await;
    bench.proxy.rule(GET, Times::Once, Action::Alter(Alter::StallBody(500)));
    assert!(bench.store.get(id).await.unwrap().as_ref() == Some(&data));
    assert_eq!(bench.count(GET), 2);
    bench.reset();
    bench.proxy.rule(GET, Times::Always, Action::Alter(Alter::StallBody(500)));
    let begun = Instant::now();
    check_attempts(&bench.store.get(id).await.unwrap_err(), ErrorKind::Timeout, 2, "a stall");
    assert_eq!(bench.count(GET), 2);
    let took = begun.elapsed();
    assert!(took >= stall * 2 && took < Duration::from_secs(10), "{took:?}");
}

/// Slower than the grace as a whole, but never silent for so long.
#[tokio::test]
async fn slow_but_alive() {
    let stall = Duration::from_millis(400);
    let timeouts = Timeouts { attempt: Duration::from_secs(10), stall, ..times() };
    let bench = bench(timeouts).await;
    let (id, data) = bench.stored(0).await;
    let slow = Alter::Slow(50, Duration::from_millis(100));
    bench.proxy.rule(GET, Times::Always, Action::Alter(slow));
    let begun = Instant::now();
    assert!(bench.store.get(id).await.unwrap() == Some(data));
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(bench.count(GET), 1);
}

#[tokio::test]
async fn the_deadline_ends_what_the_attempts_would_not() {
    join_all(ALL.iter().copied().map(silence_until_the_deadline)).await;
}

async fn silence_until_the_deadline(ask: Ask) {
    let operation = Duration::from_millis(800);
    let timeouts = Timeouts { operation, ..times() };
    let policy = quick().with_max_attempts(1000);
    let bench = Bench::with(|config| config.with_timeouts(timeouts).with_retry(policy)).await;
    ask.prepare(&bench, 0).await;
    bench.proxy.rule(ask.kinds(), Times::Always, Action::Hang);
    let begun = Instant::now();
    let e = ask.ask(&bench.store, 0).await.unwrap_err();
    let took = begun.elapsed();
    check(&e, ErrorKind::Timeout, &format!("{ask:?}"));
    let sent = bench.proxy.log().len();
    assert!(e.attempts().is_some_and(|attempts| attempts as usize >= sent), "{ask:?}: {e}");
    assert!((2..=3).contains(&sent), "{ask:?}: {sent}");
    assert!(took >= operation && took < operation + Duration::from_secs(1), "{ask:?}: {took:?}");
}

/// A host that takes no connection at all: its queue is full.
#[tokio::test]
async fn a_connection_that_is_never_made() {
    let timeouts =
        Timeouts { connect: Duration::from_millis(150), attempt: Duration::from_secs(10), ..times() };
    let policy = quick().with_max_attempts(3);
    let mut bench = Bench::with(|config| config.with_timeouts(timeouts).with_retry(policy)).await;
    let address = bench.proxy.address();
    bench.proxy.kill().await;
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.set_reuseaddr(true).unwrap();
    deaf.bind(address).unwrap();
    let _listener = deaf.listen(1).unwrap();
    let mut queue = Vec::new();
    for _ in 0..8 {
        let connect = tokio::net::TcpStream::connect(address);
        queue.push(tokio::time::timeout(Duration::from_millis(50), connect).await);
    }
    assert!(queue.iter().any(Result::is_err), "the queue is full");
    let begun = Instant::now();
    let e = bench.store.get(chunk(0).0).await.unwrap_err();
    check_attempts(&e, ErrorKind::Timeout, 3, "no connection");
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(3), "{took:?}");
}
