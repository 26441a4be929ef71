//! Roots under faults: a swap happened or it did not, and is never said to have done both.

use selfenc_core::store::{Error, ErrorKind, Expect, RootName, RootStore, Swap};

use crate::bench::{Bench, check, check_attempts};
use crate::support::action::Action;
use crate::support::answer::Answer;
use crate::support::config::ATTEMPTS;
use crate::support::request::{Kind, PUTS};
use crate::support::script::Times;

const GET: &[Kind] = &[Kind::Get];

fn name() -> RootName {
    RootName::new("main").unwrap()
}

async fn value(bench: &Bench) -> Option<Vec<u8>> {
    bench.store.load(&name()).await.unwrap().map(|root| root.value.to_vec())
}

/// From what is there to `new`.
async fn swap(bench: &Bench, new: &'static str) -> Result<Swap, Error> {
    let root = bench.store.load(&name()).await.unwrap();
    bench.proxy.forget();
    bench.store.swap(&name(), Expect::from(root.as_ref()), Some(new.into())).await
}

fn is_done(swap: &Result<Swap, Error>) -> bool {
    matches!(swap, Ok(Swap::Done(Some(_))))
}

/// What a put of a root may meet once, so that nobody notices.
fn passing() -> Vec<Action> {
    vec![
        Action::error(500, "InternalError"),
        Action::error(503, "SlowDown"),
        Action::error(409, "ConditionalRequestConflict"),
        Action::error(409, "OperationAborted"),
        Action::ResetBeforeHeaders,
        Action::CloseBeforeHeaders,
        Action::ResetAfterForward,
        Action::AnswerAfterForward(Answer::error(500, "InternalError")),
        Action::AnswerAfterForward(Answer::error(503, "SlowDown")),
        Action::AnswerAfterForward(Answer::error(412, "PreconditionFailed")),
        Action::AnswerAfterForward(Answer::html(200)),
    ]
}

#[tokio::test]
async fn a_swap_that_meets_a_fault_once() {
    for action in passing() {
        let bench = Bench::new().await;
        for new in ["created", "updated"] {
            bench.proxy.clear_rules();
            bench.proxy.rule(PUTS, Times::Once, action.clone());
            let swapped = swap(&bench, new).await;
            assert!(is_done(&swapped), "{action:?}: {new}: {swapped:?}");
            assert!(bench.count(PUTS) <= 2, "{action:?}");
            assert_eq!(value(&bench).await.as_deref(), Some(new.as_bytes()), "{action:?}");
        }
    }
}

/// Its own record is found, so it is done, though no answer ever came.
#[tokio::test]
async fn a_swap_whose_answers_are_always_lost() {
    let bench = Bench::new().await;
    for new in ["created", "updated"] {
        bench.proxy.clear_rules();
        bench.proxy.rule(PUTS, Times::Always, Action::ResetAfterForward);
        let swapped = swap(&bench, new).await;
        assert!(is_done(&swapped), "{swapped:?}");
        assert_eq!(bench.count(PUTS), 1);
        assert_eq!(value(&bench).await.as_deref(), Some(new.as_bytes()));
    }
}

#[tokio::test]
async fn a_swap_that_always_fails() {
    let rows = [
        (Action::error(500, "InternalError"), ErrorKind::Unavailable, ATTEMPTS),
        (Action::error(503, "SlowDown"), ErrorKind::Throttled, ATTEMPTS),
        (Action::error(409, "OperationAborted"), ErrorKind::Conflict, ATTEMPTS),
        (Action::ResetBeforeHeaders, ErrorKind::Unavailable, ATTEMPTS),
        (Action::error(403, "AccessDenied"), ErrorKind::PermissionDenied, 1),
        (Action::error(403, "SignatureDoesNotMatch"), ErrorKind::Unauthenticated, 1),
        (Action::error(404, "NoSuchBucket"), ErrorKind::ContainerMissing, 1),
        (Action::error(501, "NotImplemented"), ErrorKind::Unsupported, 1),
    ];
    for (action, kind, puts) in rows {
        let bench = Bench::new().await;
        assert!(is_done(&swap(&bench, "before").await));
        bench.proxy.rule(PUTS, Times::Always, action.clone());
        let e = swap(&bench, "after").await.unwrap_err();
        let what = format!("{action:?}");
        check(&e, kind, &what);
        assert_eq!(e.attempts().map(|attempts| attempts as usize), (puts > 1).then_some(puts), "{what}");
        assert_eq!(bench.count(PUTS), puts, "{what}");
        bench.reset();
        assert_eq!(value(&bench).await.as_deref(), Some(&b"before"[..]), "{what}");
    }
}

#[tokio::test]
async fn a_refused_swap_is_a_conflict_with_what_is_there() {
    let bench = Bench::new().await;
    assert!(is_done(&swap(&bench, "first").await));
    let before = bench.store.load(&name()).await.unwrap().unwrap();
    assert!(is_done(&swap(&bench, "second").await));
    // A version that is gone: told by what is there, with no write at all.
    bench.proxy.forget();
    let stale = Expect::Version(before.version);
    let swapped = bench.store.swap(&name(), stale, Some("third".into())).await.unwrap();
    assert!(matches!(swapped, Swap::Conflict(Some(root)) if root.value == "second"));
    assert_eq!(bench.count(PUTS), 0);
}

#[tokio::test]
async fn loads_are_tried_again() {
    let bench = Bench::new().await;
    assert!(is_done(&swap(&bench, "value").await));
    let rows = [
        (Action::error(503, "SlowDown"), ErrorKind::Throttled),
        (Action::error(500, ""), ErrorKind::Unavailable),
        (Action::ResetBeforeHeaders, ErrorKind::Unavailable),
        (Action::Alter(crate::support::action::Alter::CloseEarly(3)), ErrorKind::Unavailable),
    ];
    for (action, kind) in rows {
        bench.reset();
        bench.proxy.rule(GET, Times::Once, action.clone());
        assert_eq!(value(&bench).await.as_deref(), Some(&b"value"[..]), "{action:?}");
        assert_eq!(bench.count(GET), 2, "{action:?}");
        bench.reset();
        bench.proxy.rule(GET, Times::Always, action.clone());
        let e = bench.store.load(&name()).await.unwrap_err();
        check_attempts(&e, kind, ATTEMPTS, &format!("{action:?}"));
        assert_eq!(bench.count(GET), ATTEMPTS, "{action:?}");
    }
    bench.reset();
    bench.proxy.rule(GET, Times::Always, Action::error(403, "AccessDenied"));
    check(&bench.store.load(&name()).await.unwrap_err(), ErrorKind::PermissionDenied, "denied");
    assert_eq!(bench.count(GET), 1);
}

/// What was read before is not believed when it cannot be read again after a write of unknown outcome.
#[tokio::test]
async fn a_swap_of_unknown_outcome_is_an_error() {
    let bench = Bench::new().await;
    assert!(is_done(&swap(&bench, "before").await));
    let root = bench.store.load(&name()).await.unwrap();
    bench.reset();
    bench.proxy.rule(PUTS, Times::Always, Action::ResetAfterForward);
    bench.proxy.rule(GET, Times::First(1), Action::Forward);
    bench.proxy.rule(GET, Times::Always, Action::error(503, "SlowDown"));
    let e = bench.store.swap(&name(), Expect::from(root.as_ref()), Some("after".into())).await.unwrap_err();
    check(&e, ErrorKind::Unavailable, "unknown");
    bench.reset();
    assert_eq!(value(&bench).await.as_deref(), Some(&b"after"[..]), "it had happened");
}
