//! Services that take their time (group 8).

use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use selfenc_core::store::{ChunkStore, Error, ErrorKind, PutOutcome};
use selfenc_s3::Timeouts;
use tokio::net::TcpSocket;

use crate::bench::{ALL, Ask, Bench, check, check_attempts, chunk};
use crate::support::action::{Action, Alter};
use crate::support::answer::Answer;
use crate::support::config::quick;
use crate::support::request::Kind;
use crate::support::script::Times;

const GET: &[Kind] = &[Kind::Get];

/// The answer after a silence has as long, also on a busy machine. So silences are long: there are few of
/// them, side by side.
const ATTEMPT: Duration = Duration::from_secs(5);
const TRIES: usize = 2;

/// What nobody is to wait for in these tests.
const LONG: Duration = Duration::from_secs(60);

/// How much longer something may take on a busy machine. Less than `LONG`.
const SLACK: Duration = Duration::from_secs(30);

const fn times() -> Timeouts {
    Timeouts { connect: LONG, attempt: ATTEMPT, operation: LONG, stall: LONG }
}

async fn bench(timeouts: Timeouts, tries: usize) -> Bench {
    let policy = quick().with_max_attempts(tries as u32);
    Bench::with(|config| config.with_timeouts(timeouts).with_retry(policy)).await
}

#[tokio::test]
async fn an_answer_that_never_comes() {
    let drip = Alter::DripHead(Duration::from_millis(5));
    let silent = [Action::Hang, Action::AlterAnswer(Answer::new(200, "x"), drip)];
    let mut cases = Vec::new();
    for ask in ALL {
        for action in &silent {
            cases.push(join(silent_once(*ask, action.clone()), silent_always(*ask, action.clone())));
        }
    }
    join_all(cases).await;
}

async fn silent_once(ask: Ask, action: Action) {
    let what = format!("{ask:?}: {action:?}");
    let bench = bench(times(), TRIES).await;
    ask.prepare(&bench, 0).await;
    bench.proxy.rule(ask.kinds(), Times::Once, action);
    let begun = Instant::now();
    ask.ask(&bench.store, 0).await.unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(bench.proxy.log().len(), 2, "{what}");
    assert!(begun.elapsed() >= ATTEMPT, "{what}");
}

async fn silent_always(ask: Ask, action: Action) {
    let what = format!("{ask:?}: {action:?}");
    let bench = bench(times(), TRIES).await;
    ask.prepare(&bench, 0).await;
    bench.proxy.rule(ask.kinds(), Times::Always, action);
    let begun = Instant::now();
    let e = ask.ask(&bench.store, 0).await.unwrap_err();
    check_attempts(&e, ErrorKind::Timeout, TRIES, &what);
    assert_eq!(bench.proxy.log().len(), TRIES, "{what}");
    let (took, all) = (begun.elapsed(), ATTEMPT * TRIES as u32);
    assert!(took >= all && took < all + SLACK, "{what}: {took:?}");
}

#[tokio::test]
async fn a_put_that_was_done_in_silence() {
    let bench = bench(times(), TRIES).await;
    let (id, data) = chunk(0);
    bench.proxy.rule(Ask::Put.kinds(), Times::Once, Action::HangAfterForward);
    assert_eq!(bench.store.put(id, data).await.unwrap(), PutOutcome::Present);
    assert_eq!(bench.count(Ask::Put.kinds()), 2);
}

/// Reads a chunk whose body stalls: what came of it, and how long it took.
async fn stalled(timeouts: Timeouts, stalls: Times) -> (Result<(), Error>, Duration) {
    let bench = bench(timeouts, TRIES).await;
    Ask::Get.prepare(&bench, 0).await;
    bench.proxy.rule(GET, stalls, Action::Alter(Alter::StallBody(500)));
    let begun = Instant::now();
    let got = Ask::Get.ask(&bench.store, 0).await;
    assert_eq!(bench.count(GET), TRIES, "{stalls:?}");
    (got, begun.elapsed())
}

#[tokio::test]
async fn a_body_that_stalls_ends_with_its_attempt() {
    let (once, always) = join(stalled(times(), Times::Once), stalled(times(), Times::Always)).await;
    once.0.unwrap();
    check_attempts(&always.0.unwrap_err(), ErrorKind::Timeout, TRIES, "a stall");
}

#[tokio::test]
async fn a_body_that_stalls_ends_with_the_grace() {
    let stall = Duration::from_secs(5);
    let timeouts = || Timeouts { attempt: LONG, stall, ..times() };
    let (once, always) = join(stalled(timeouts(), Times::Once), stalled(timeouts(), Times::Always)).await;
    once.0.unwrap();
    check_attempts(&always.0.unwrap_err(), ErrorKind::Timeout, TRIES, "a stall");
    let (took, all) = (always.1, stall * TRIES as u32);
    assert!(took >= all && took < all + SLACK, "{took:?}");
}

/// Slower than the grace as a whole, but never silent for so long.
#[tokio::test]
async fn slow_but_alive() {
    let stall = Duration::from_secs(5);
    let bench = bench(Timeouts { attempt: LONG, stall, ..times() }, TRIES).await;
    let (id, data) = bench.stored(0).await;
    // Twenty pieces.
    let slow = Alter::Slow(50, Duration::from_millis(300));
    bench.proxy.rule(GET, Times::Always, Action::Alter(slow));
    let begun = Instant::now();
    assert!(bench.store.get(id).await.unwrap() == Some(data));
    assert!(begun.elapsed() > stall);
    assert_eq!(bench.count(GET), 1);
}

#[tokio::test]
async fn the_deadline_ends_what_the_attempts_would_not() {
    join_all(ALL.iter().copied().map(silence_until_the_deadline)).await;
}

async fn silence_until_the_deadline(ask: Ask) {
    let operation = Duration::from_secs(5);
    let timeouts = Timeouts { attempt: Duration::from_secs(2), operation, ..times() };
    let bench = bench(timeouts, 1000).await;
    ask.prepare(&bench, 0).await;
    bench.proxy.rule(ask.kinds(), Times::Always, Action::Hang);
    let begun = Instant::now();
    let e = ask.ask(&bench.store, 0).await.unwrap_err();
    let took = begun.elapsed();
    check(&e, ErrorKind::Timeout, &format!("{ask:?}"));
    let sent = bench.proxy.log().len();
    assert!(e.attempts().is_some_and(|attempts| attempts as usize >= sent), "{ask:?}: {e}");
    // Three by the clock; on a busy machine an attempt may end before it is sent.
    assert!((1..=3).contains(&sent), "{ask:?}: {sent}");
    assert!(took >= operation && took < operation + SLACK, "{ask:?}: {took:?}");
}

/// A host that takes no connection at all: its queue is full.
#[tokio::test]
async fn a_connection_that_is_never_made() {
    let timeouts = Timeouts { connect: Duration::from_millis(150), attempt: LONG, ..times() };
    let mut bench = bench(timeouts, 3).await;
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
    assert!(took >= Duration::from_millis(450) && took < SLACK, "{took:?}");
}
