//! Many requests in trouble at once, and the limits that keep it bounded (groups 15, 16 and 17).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use selfenc_core::store::{ChunkStore, ErrorKind};
use selfenc_core::wrap::RetryPolicy;
use selfenc_s3::Timeouts;

use crate::bench::{ALL, Ask, Bench, check, chunk};
use crate::support::action::{Action, Alter};
use crate::support::answer::Answer;
use crate::support::config::{ATTEMPTS, quick};
use crate::support::request::{ANY, Kind};
use crate::support::script::Times;
use crate::support::{ACCESS_KEY, SECRET_KEY, until};

const GET: &[Kind] = &[Kind::Get];
const MANY: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_retries_is_bounded() {
    let bench = Bench::with(|config| config.with_in_flight(20)).await;
    bench.proxy.rule(GET, Times::Always, Action::error(503, "SlowDown"));
    let outcomes = join_all((0..MANY).map(|n| bench.store.get(chunk(n).0))).await;
    for outcome in outcomes {
        let e = outcome.unwrap_err();
        check(&e, ErrorKind::Throttled, "a storm");
        assert!(e.attempts().is_some(), "{e}");
    }
    // Ten retries for each of the twenty in flight, and no more, for all of them together.
    let storm = bench.count(GET);
    assert_eq!(storm, MANY + 200, "of {} without a budget", MANY * ATTEMPTS);
    // With nothing left, each request is sent once.
    bench.proxy.forget();
    let e = bench.store.get(chunk(0).0).await.unwrap_err();
    assert_eq!((bench.count(GET), e.attempts()), (1, Some(1)), "{e}");
    // Successes bring retries back.
    bench.reset();
    assert_eq!(bench.store.get(chunk(0).0).await.unwrap(), None);
    for n in 0..3 {
        bench.store.put(chunk(n).0, chunk(n).1).await.unwrap();
    }
    bench.proxy.forget();
    bench.proxy.rule(GET, Times::First(3), Action::error(503, "SlowDown"));
    assert_eq!(bench.store.get(chunk(0).0).await.unwrap(), Some(chunk(0).1));
    assert_eq!(bench.count(GET), 4);
}

/// Those that failed together do not return together.
#[tokio::test(flavor = "multi_thread")]
async fn retries_are_spread() {
    let delay = Duration::from_secs(2);
    let policy = RetryPolicy::new().with_max_attempts(2).with_base_delay(delay).with_longest_delay(delay);
    let bench = Bench::with(|config| config.with_in_flight(100).with_retry(policy)).await;
    bench.proxy.rule(GET, Times::Always, Action::error(503, "SlowDown"));
    for outcome in join_all((0..60).map(|n| bench.store.get(chunk(n).0))).await {
        outcome.unwrap_err();
    }
    let mut first = HashMap::new();
    let mut waits = Vec::new();
    for seen in bench.proxy.log() {
        match first.remove(&seen.key) {
            None => drop(first.insert(seen.key, seen.at)),
            Some(before) => waits.push((seen.at - before).as_millis() as usize),
        }
    }
    assert_eq!(waits.len(), 60);
    let mut tenths = [0; 10];
    for wait in &waits {
        tenths[(wait / 200).min(9)] += 1;
    }
    // Each tenth of the delay has six of them on average.
    assert!(tenths.iter().filter(|count| **count > 0).count() >= 7, "{tenths:?}");
    assert!(tenths.iter().all(|count| *count <= 24), "{tenths:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_are_in_flight_than_set() {
    let narrow = || Bench::with(|config| config.with_in_flight(16).with_maintenance_in_flight(3));
    let bench = narrow().await;
    bench.proxy.pause_puts(true);
    let puts = join_all((0..256).map(|n| bench.store.put(chunk(n).0, chunk(n).1)));
    let held = async {
        full(&bench, 16).await;
        bench.proxy.pause_puts(false);
    };
    let (puts, ()) = tokio::join!(puts, held);
    assert!(puts.iter().all(Result::is_ok));
    assert_eq!(bench.proxy.most_in_flight(), 16);
    bench.reset();
    bench.proxy.rule(ANY, Times::Always, Action::Delay(Duration::from_millis(15)));
    let deletes = join_all((0..64).map(|n| bench.store.delete(chunk(n).0)));
    let gets = join_all((64..256).map(|n| bench.store.get(chunk(n).0)));
    let (deletes, gets) = tokio::join!(deletes, gets);
    assert!(deletes.iter().all(Result::is_ok));
    assert!(gets.into_iter().zip(64..).all(|(got, n)| got.unwrap() == Some(chunk(n).1)));
    assert!(bench.proxy.most_of(Kind::Delete) <= 3 && bench.proxy.most_of(Kind::Get) <= 16);
    bench.reset();
    // A body that takes its time is still being read.
    bench.proxy.rule(GET, Times::Always, Action::Alter(Alter::StallBody(400)));
    tokio::select! {
        _ = join_all((64..256).map(|n| bench.store.get(chunk(n).0))) => panic!("none of these bodies ends"),
        () = full(&bench, 16) => {}
    }
    assert_eq!(bench.proxy.most_in_flight(), 16);
    // Anew: one of those that were dropped may have sent something before it was.
    let bench = narrow().await;
    bench.proxy.rule(ANY, Times::Always, Action::Hang);
    tokio::select! {
        _ = join_all((0..64).map(|n| bench.store.delete(chunk(n).0))) => panic!("none of these is answered"),
        _ = join_all((64..256).map(|n| bench.store.get(chunk(n).0))) => panic!("none of these is answered"),
        () = full(&bench, 3 + 16) => {}
    }
    assert_eq!((bench.proxy.most_of(Kind::Delete), bench.proxy.most_of(Kind::Get)), (3, 16));
}

/// Waits until so many are in flight, and then for a while in which more could come.
async fn full(bench: &Bench, most: usize) {
    until("as many as there may be", || bench.proxy.in_flight() >= most).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// Ways to fail, quick ones and slow ones.
fn failures(ask: Ask) -> Vec<Action> {
    let mut all = vec![
        Action::error(500, "InternalError"),
        Action::error(403, "AccessDenied"),
        Action::ResetBeforeHeaders,
        Action::Hang,
        Action::AlterAnswer(Answer::new(200, "x"), Alter::DripHead(Duration::from_millis(5))),
    ];
    // An answer to HEAD is its head; 404 means that there is none.
    if ask != Ask::Stat {
        all.push(Action::error(404, "NoSuchBucket"));
        all.push(Action::AlterAnswer(Answer::error(500, "InternalError"), Alter::Endless));
        all.push(Action::AlterAnswer(Answer::error(500, "InternalError"), Alter::StallBody(9)));
    }
    if ask == Ask::Get {
        all.push(Action::Alter(Alter::CloseEarly(0)));
        all.push(Action::Alter(Alter::StallBody(0)));
        all.push(Action::Alter(Alter::Endless));
    }
    all
}

/// One permit for each lane: if a failure kept it, nothing would go on.
#[tokio::test]
async fn every_failure_gives_its_permit_back() {
    let mut cases = Vec::new();
    for ask in ALL {
        cases.extend(failures(*ask).into_iter().map(|action| fail_and_go_on(*ask, action)));
    }
    join_all(cases).await;
}

async fn fail_and_go_on(ask: Ask, action: Action) {
    // The good attempt has as long as a silent one, also on a busy machine.
    let timeouts = Timeouts { attempt: Duration::from_secs(5), ..Timeouts::default() };
    let bench = Bench::with(|config| {
        let config = config.with_in_flight(1).with_maintenance_in_flight(1);
        config.with_timeouts(timeouts).with_retry(quick().with_max_attempts(2))
    });
    let (bench, limit, what) = (bench.await, Duration::from_secs(60), format!("{ask:?}: {action:?}"));
    ask.prepare(&bench, 0).await;
    bench.proxy.rule(ask.kinds(), Times::Always, action);
    let failing = tokio::time::timeout(limit, ask.ask(&bench.store, 0)).await.unwrap();
    assert!(failing.is_err(), "{what}");
    ask.prepare(&bench, 1).await;
    let after = tokio::time::timeout(limit, ask.ask(&bench.store, 1)).await;
    after.unwrap_or_else(|_| panic!("{what} keeps its permit")).unwrap();
}

/// So does one that nobody waits for any more, and its connection ends.
#[tokio::test]
async fn what_is_dropped_gives_its_permit_back() {
    join_all(ALL.iter().copied().map(drop_and_go_on)).await;
}

async fn drop_and_go_on(ask: Ask) {
    let bench = Bench::with(|config| config.with_in_flight(1).with_maintenance_in_flight(1)).await;
    ask.prepare(&bench, 0).await;
    bench.proxy.rule(ask.kinds(), Times::Once, Action::Hang);
    tokio::select! {
        answered = ask.ask(&bench.store, 0) => panic!("{ask:?}: {answered:?}"),
        () = until("it is sent", || bench.count(ask.kinds()) == 1) => {}
    }
    // Less than the time of an attempt, which would give it back as well.
    let after = tokio::time::timeout(Duration::from_secs(25), ask.ask(&bench.store, 0)).await;
    after.unwrap_or_else(|_| panic!("{ask:?} keeps its permit")).unwrap();
    until("no connection stays", || bench.proxy.in_flight() == 0).await;
}

/// The deadline runs while a request waits for its turn.
#[tokio::test]
async fn the_deadline_covers_the_wait_for_a_turn() {
    let long = Duration::from_secs(60);
    let operation = Duration::from_secs(5);
    let timeouts = Timeouts { attempt: long, operation, ..Timeouts::default() };
    let bench = Bench::with(|config| config.with_in_flight(1).with_timeouts(timeouts)).await;
    bench.stored(0).await;
    bench.proxy.rule(GET, Times::Always, Action::Hang);
    let begun = Instant::now();
    for outcome in join_all((0..6).map(|_| bench.store.get(chunk(0).0))).await {
        check(&outcome.unwrap_err(), ErrorKind::Timeout, "a turn that never comes");
    }
    let took = begun.elapsed();
    assert!(took >= operation && took < operation + Duration::from_secs(30), "{took:?}");
    assert!(bench.count(GET) <= 2, "{}: what has no time left is not sent", bench.count(GET));
    bench.reset();
    Ask::Get.ask(&bench.store, 0).await.unwrap();
}

/// Listing and deleting do not take the turns of reading and writing, nor the other way round.
#[tokio::test]
async fn lanes_do_not_wait_for_each_other() {
    let bench = Bench::with(|config| config.with_in_flight(1).with_maintenance_in_flight(1)).await;
    bench.stored(0).await;
    for (blocked, free) in [(Ask::List, Ask::Get), (Ask::Delete, Ask::Put), (Ask::Get, Ask::List)] {
        bench.reset();
        Ask::Get.prepare(&bench, 0).await;
        bench.proxy.rule(blocked.kinds(), Times::Always, Action::Hang);
        let hanging = blocked.ask(&bench.store, 0);
        // Less than the time of an attempt, after which it would be free.
        let passing = tokio::time::timeout(Duration::from_secs(25), free.ask(&bench.store, 0));
        tokio::select! {
            _ = hanging => panic!("{blocked:?} hangs"),
            passed = passing => passed.unwrap_or_else(|_| panic!("{free:?} waits")).unwrap(),
        }
    }
}

/// What describes a store shows no key, and neither does any error: `bench::check` looks at each.
#[tokio::test]
async fn nothing_shows_a_secret() {
    let (_service, proxy) = crate::support::config::fresh();
    let config = crate::support::config::config(&proxy);
    let mut texts = vec![format!("{config:?}")];
    let store = crate::support::config::open(&proxy, config).await;
    texts.push(format!("{store:?} {} {:?}", store.info(), store.info()));
    for text in texts {
        assert!(!text.contains(SECRET_KEY) && !text.contains(ACCESS_KEY), "{text}");
    }
}
