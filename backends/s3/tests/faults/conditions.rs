//! Conditional puts: conflicts, refusals, lost answers, services without them (groups 2, 3, 4 and 10).

use selfenc_core::store::{ChunkStore, ErrorKind, PutOutcome};

use crate::bench::{Bench, check, check_attempts, chunk};
use crate::support::action::Action;
use crate::support::answer::Answer;
use crate::support::config::ATTEMPTS;
use crate::support::request::{Kind, PUTS};
use crate::support::script::Times;

const CREATE: &[Kind] = &[Kind::CreatePut];

fn counts(bench: &Bench) -> [usize; 3] {
    [Kind::CreatePut, Kind::Put, Kind::Head].map(|kind| bench.count(&[kind]))
}

#[tokio::test]
async fn a_conflict_is_no_refusal() {
    let bench = Bench::new().await;
    for (n, code) in ["ConditionalRequestConflict", "OperationAborted", ""].into_iter().enumerate() {
        // Nothing there: the second attempt writes it.
        let (id, data) = chunk(2 * n);
        bench.reset();
        bench.proxy.rule(CREATE, Times::Once, Action::error(409, code));
        assert_eq!(bench.store.put(id, data.clone()).await.unwrap(), PutOutcome::Inserted, "{code}");
        assert_eq!(counts(&bench), [2, 0, 0], "{code}");
        // It is there: the second attempt is refused, and a look tells that it is whole.
        bench.reset();
        bench.proxy.rule(CREATE, Times::Once, Action::error(409, code));
        assert_eq!(bench.store.put(id, data).await.unwrap(), PutOutcome::Present, "{code}");
        assert_eq!(counts(&bench), [2, 0, 1], "{code}");
        // For ever.
        let (id, data) = chunk(2 * n + 1);
        bench.reset();
        bench.proxy.rule(CREATE, Times::Always, Action::error(409, code));
        let e = bench.store.put(id, data).await.unwrap_err();
        check_attempts(&e, ErrorKind::Conflict, ATTEMPTS, code);
        assert_eq!(counts(&bench), [ATTEMPTS, 0, 0], "{code}");
        bench.reset();
        assert_eq!(bench.store.get(id).await.unwrap(), None, "{code}: a definite state");
    }
}

#[tokio::test]
async fn a_refusal_means_that_it_is_there() {
    for (status, code) in [(412, "PreconditionFailed"), (412, ""), (304, "")] {
        let bench = Bench::new().await;
        let (id, data) = bench.stored(0).await;
        bench.proxy.rule(CREATE, Times::Always, Action::error(status, code));
        assert_eq!(bench.store.put(id, data).await.unwrap(), PutOutcome::Present, "{status}");
        assert_eq!(counts(&bench), [1, 0, 1], "{status}");
    }
}

/// What was refused was deleted before anybody could look: it is put again, and never said to be there.
#[tokio::test]
async fn a_refusal_of_what_is_not_there_is_not_believed() {
    for (status, code) in [(412, "PreconditionFailed"), (304, "")] {
        let bench = Bench::new().await;
        let (id, data) = chunk(0);
        bench.proxy.rule(CREATE, Times::Once, Action::error(status, code));
        assert_eq!(bench.store.put(id, data.clone()).await.unwrap(), PutOutcome::Inserted);
        assert_eq!(counts(&bench), [2, 0, 1], "{status}");
        assert_eq!(bench.store.get(id).await.unwrap(), Some(data));

        let (id, data) = chunk(1);
        bench.reset();
        bench.proxy.rule(CREATE, Times::Always, Action::error(status, code));
        let e = bench.store.put(id, data).await.unwrap_err();
        check(&e, ErrorKind::Conflict, "refused for ever");
        assert!(bench.count(CREATE) <= ATTEMPTS, "{}", bench.count(CREATE));
        bench.reset();
        assert_eq!(bench.store.get(id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_damaged_one_that_refuses_is_replaced() {
    let bench = Bench::new().await;
    let (id, data) = bench.stored(0).await;
    let path = bench.service.path(&crate::support::config::chunk_key(id));
    std::fs::write(path, &data[..10]).unwrap();
    assert_eq!(bench.store.put(id, data.clone()).await.unwrap(), PutOutcome::Inserted);
    assert_eq!(counts(&bench), [1, 1, 1]);
    assert_eq!(bench.store.get(id).await.unwrap(), Some(data));
}

/// Stored, but the answer was lost: the second attempt is refused by the first, and that is a success.
#[tokio::test]
async fn a_lost_answer_to_a_put() {
    let lost = [
        Action::ResetAfterForward,
        Action::AnswerAfterForward(Answer::error(500, "InternalError")),
        Action::AnswerAfterForward(Answer::error(503, "SlowDown")),
        Action::AnswerAfterForward(Answer::html(502)),
    ];
    for action in lost {
        let bench = Bench::new().await;
        let (id, data) = chunk(0);
        bench.proxy.rule(PUTS, Times::Once, action.clone());
        assert_eq!(bench.store.put(id, data.clone()).await.unwrap(), PutOutcome::Present, "{action:?}");
        assert_eq!(counts(&bench), [2, 0, 1], "{action:?}");
        assert_eq!(bench.store.get(id).await.unwrap(), Some(data), "{action:?}");
    }
}

#[tokio::test]
async fn answers_to_puts_that_are_always_lost() {
    let bench = Bench::new().await;
    let (id, data) = chunk(0);
    bench.proxy.rule(PUTS, Times::Always, Action::ResetAfterForward);
    let e = bench.store.put(id, data.clone()).await.unwrap_err();
    check_attempts(&e, ErrorKind::Unavailable, ATTEMPTS, "lost answers");
    assert_eq!(counts(&bench), [ATTEMPTS, 0, 0]);
    bench.reset();
    assert_eq!(bench.store.get(id).await.unwrap(), Some(data), "the first had arrived");
}

/// The service does not know the condition: it is left out, now and from then on.
#[tokio::test]
async fn a_service_without_conditions() {
    let refusals = [
        (501, "NotImplemented", Times::Once),
        (501, "NotImplemented", Times::Always),
        (501, "", Times::Once),
        (405, "MethodNotAllowed", Times::Always),
    ];
    for (status, code, times) in refusals {
        let what = format!("{status} {code} {times:?}");
        let bench = Bench::new().await;
        let (id, data) = chunk(0);
        bench.proxy.rule(CREATE, times, Action::error(status, code));
        assert_eq!(bench.store.put(id, data.clone()).await.unwrap(), PutOutcome::Inserted, "{what}");
        assert_eq!(counts(&bench), [1, 1, 1], "{what}: asked, looked, put");
        bench.proxy.forget();
        assert_eq!(bench.store.put(id, data).await.unwrap(), PutOutcome::Present, "{what}");
        assert_eq!(counts(&bench), [0, 0, 1], "{what}: looked");
        let (id, data) = chunk(1);
        bench.proxy.forget();
        assert_eq!(bench.store.put(id, data).await.unwrap(), PutOutcome::Inserted, "{what}");
        assert_eq!(counts(&bench), [0, 1, 1], "{what}: looked, put");
    }
}

/// A service that does not even take plain puts: said so, at once.
#[tokio::test]
async fn a_service_without_puts() {
    for (status, code) in [(405, "MethodNotAllowed"), (501, "NotImplemented")] {
        let bench = Bench::new().await;
        let (id, data) = chunk(0);
        bench.proxy.rule(PUTS, Times::Always, Action::error(status, code));
        let e = bench.store.put(id, data).await.unwrap_err();
        check(&e, ErrorKind::Unsupported, code);
        assert_eq!(counts(&bench), [1, 1, 1], "{code}");
    }
}
