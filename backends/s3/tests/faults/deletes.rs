//! Batches of deletes: refused forms, and answers with an error for some (groups 11 and 12).

use selfenc_core::store::{ChunkId, ChunkStore, ErrorKind};

use crate::bench::{Bench, check, check_attempts, chunk};
use crate::support::action::Action;
use crate::support::answer::Answer;
use crate::support::config::{ATTEMPTS, chunk_key};
use crate::support::request::Kind;
use crate::support::script::Times;

const MANY: &[Kind] = &[Kind::DeleteMany];
const ONE: &[Kind] = &[Kind::Delete];

/// Ways to say that a batch must be sent otherwise.
const REFUSALS: &[(u16, &str)] = &[
    (400, "MissingContentMD5"),
    (400, "InvalidRequest"),
    (400, "InvalidArgument"),
    (400, ""),
    (501, "NotImplemented"),
    (405, "MethodNotAllowed"),
];

/// Three stored chunks, anew.
async fn stored(bench: &Bench) -> Vec<ChunkId> {
    bench.proxy.clear_rules();
    let mut ids = Vec::new();
    for n in 0..3 {
        let (id, data) = chunk(n);
        bench.store.put(id, data).await.unwrap();
        ids.push(id);
    }
    bench.reset();
    ids
}

async fn all_gone(bench: &Bench, ids: &[ChunkId]) {
    for id in ids {
        assert_eq!(bench.store.get(*id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_service_that_wants_md5() {
    for (status, code) in REFUSALS {
        let bench = Bench::new().await;
        let ids = stored(&bench).await;
        bench.proxy.rule(MANY, Times::Once, Action::error(*status, code));
        for outcome in bench.store.delete_many(ids.clone()).await {
            outcome.unwrap_or_else(|e| panic!("{status} {code}: {e}"));
        }
        let log = bench.proxy.log();
        let forms: Vec<_> = log.iter().map(|seen| (seen.kind, seen.has_header("content-md5"))).collect();
        assert_eq!(forms, [(Kind::DeleteMany, false), (Kind::DeleteMany, true)], "{status} {code}");
        assert!(!log[1].headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum")));
        all_gone(&bench, &ids).await;
        // Remembered.
        let ids = stored(&bench).await;
        for outcome in bench.store.delete_many(ids).await {
            outcome.unwrap();
        }
        assert_eq!((bench.count(MANY), bench.count(ONE)), (1, 0), "{status} {code}");
        assert!(bench.proxy.log()[0].has_header("content-md5"));
    }
}

#[tokio::test]
async fn a_service_without_batches() {
    for (status, code) in REFUSALS {
        let bench = Bench::new().await;
        let ids = stored(&bench).await;
        bench.proxy.rule(MANY, Times::Always, Action::error(*status, code));
        for outcome in bench.store.delete_many(ids.clone()).await {
            outcome.unwrap_or_else(|e| panic!("{status} {code}: {e}"));
        }
        assert_eq!((bench.count(MANY), bench.count(ONE)), (2, 3), "{status} {code}");
        all_gone(&bench, &ids).await;
        let ids = stored(&bench).await;
        bench.proxy.rule(MANY, Times::Always, Action::error(*status, code));
        for outcome in bench.store.delete_many(ids).await {
            outcome.unwrap();
        }
        assert_eq!((bench.count(MANY), bench.count(ONE)), (0, 3), "{status} {code}: remembered");
    }
}

/// Trouble is not a refusal of the form, and what is denied is denied in every form.
#[tokio::test]
async fn other_errors_do_not_change_the_form() {
    let rows = [
        (503, "SlowDown", ErrorKind::Throttled, ATTEMPTS),
        (500, "InternalError", ErrorKind::Unavailable, ATTEMPTS),
        (403, "AccessDenied", ErrorKind::PermissionDenied, 1),
        (404, "NoSuchBucket", ErrorKind::ContainerMissing, 1),
    ];
    for (status, code, kind, sent) in rows {
        let bench = Bench::new().await;
        let ids = stored(&bench).await;
        bench.proxy.rule(MANY, Times::Always, Action::error(status, code));
        for (outcome, id) in bench.store.delete_many(ids.clone()).await.into_iter().zip(ids) {
            let e = outcome.unwrap_err();
            check(&e, kind, code);
            assert_eq!(e.chunk(), Some(id));
            assert_eq!(e.attempts().is_some(), sent > 1, "{e}");
        }
        assert_eq!((bench.count(MANY), bench.count(ONE)), (sent, 0), "{code}");
    }
}

fn result(errors: &[(ChunkId, &str)]) -> Answer {
    let errors: String = errors
        .iter()
        .map(|(id, code)| {
            format!("<Error><Key>{}</Key><Code>{code}</Code><Message>No.</Message></Error>", chunk_key(*id))
        })
        .collect();
    document(&errors)
}

fn document(errors: &str) -> Answer {
    Answer::xml(
        200,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{errors}</DeleteResult>"
        ),
    )
}

#[tokio::test]
async fn those_that_failed_are_sent_again() {
    for code in ["InternalError", "SlowDown", "ServiceUnavailable"] {
        let bench = Bench::new().await;
        let ids = stored(&bench).await;
        let some = result(&[(ids[0], code), (ids[2], code)]);
        bench.proxy.rule(MANY, Times::Once, Action::Answer(some));
        for outcome in bench.store.delete_many(ids.clone()).await {
            outcome.unwrap_or_else(|e| panic!("{code}: {e}"));
        }
        let log = bench.proxy.log();
        let asked: Vec<_> = log.iter().map(|seen| seen.key.matches("<Key>").count()).collect();
        assert_eq!(asked, [3, 2], "{code}: only those");
        assert!(!log[1].key.contains(&chunk_key(ids[1])), "{code}");
        // The service only said that it removed the one in the middle.
        assert!(bench.store.get(ids[0]).await.unwrap().is_none());
        assert!(bench.store.get(ids[1]).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn one_that_failed_is_sent_again() {
    let bench = Bench::new().await;
    let ids = stored(&bench).await;
    bench.proxy.rule(MANY, Times::Once, Action::Answer(result(&[(ids[1], "InternalError")])));
    for outcome in bench.store.delete_many(ids.clone()).await {
        outcome.unwrap();
    }
    assert_eq!(bench.proxy.log().len(), 2);
    assert!(bench.store.get(ids[1]).await.unwrap().is_none());
}

#[tokio::test]
async fn those_that_always_fail_are_told() {
    let bench = Bench::new().await;
    let ids = stored(&bench).await;
    let some = result(&[(ids[0], "SlowDown"), (ids[2], "InternalError")]);
    bench.proxy.rule(MANY, Times::Always, Action::Answer(some));
    let outcomes = bench.store.delete_many(ids.clone()).await;
    check_attempts(outcomes[0].as_ref().unwrap_err(), ErrorKind::Throttled, ATTEMPTS, "the first");
    assert!(outcomes[1].is_ok());
    check_attempts(outcomes[2].as_ref().unwrap_err(), ErrorKind::Unavailable, ATTEMPTS, "the last");
    assert_eq!(outcomes[2].as_ref().unwrap_err().chunk(), Some(ids[2]));
    assert_eq!((bench.count(MANY), bench.count(ONE)), (ATTEMPTS, 0));
}

#[tokio::test]
async fn those_that_are_denied_are_told_at_once() {
    let bench = Bench::new().await;
    let ids = stored(&bench).await;
    bench.proxy.rule(MANY, Times::Always, Action::Answer(result(&[(ids[1], "AccessDenied")])));
    let outcomes = bench.store.delete_many(ids.clone()).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    let e = outcomes[1].as_ref().unwrap_err();
    check(e, ErrorKind::PermissionDenied, "denied");
    assert_eq!((e.chunk(), e.attempts()), (Some(ids[1]), None));
    assert_eq!(bench.proxy.log().len(), 1);
    // What is not there is as good as removed.
    bench.reset();
    bench.proxy.rule(MANY, Times::Always, Action::Answer(result(&[(ids[1], "NoSuchKey")])));
    assert!(bench.store.delete_many(ids).await.iter().all(Result::is_ok));
}

/// An error that names no key, or one that nobody asked about, may be about any of them.
#[tokio::test]
async fn an_error_without_a_key_is_no_success() {
    let stranger = format!("<Error><Key>{}</Key><Code>AccessDenied</Code></Error>", "chunks%2Fab");
    for errors in ["<Error><Code>InternalError</Code></Error>", &stranger] {
        let bench = Bench::new().await;
        let ids = stored(&bench).await;
        bench.proxy.rule(MANY, Times::Always, Action::Answer(document(errors)));
        let outcomes = bench.store.delete_many(ids.clone()).await;
        for (outcome, id) in outcomes.iter().zip(ids) {
            let is_there = bench.store.get(id).await.unwrap().is_some();
            assert!(outcome.is_err() || !is_there, "{errors}: said to be removed, and there");
        }
    }
}

#[tokio::test]
async fn batches_are_of_a_thousand() {
    let bench = Bench::new().await;
    for (count, requests) in [(0, 0), (1, 1), (2, 1), (1000, 1), (1001, 2), (2500, 3)] {
        bench.reset();
        let name = |n: usize| ChunkId::from_bytes(blake3::hash(&n.to_le_bytes()).into());
        let ids: Vec<_> = (0..count).map(name).collect();
        let outcomes = bench.store.delete_many(ids.iter().chain(ids.first()).copied().collect()).await;
        assert!(outcomes.iter().all(Result::is_ok) && outcomes.len() == count + count.min(1));
        assert_eq!(bench.proxy.log().len(), requests, "{count}");
        let asked: Vec<_> = bench.proxy.log().iter().map(|seen| seen.key.matches("<Key>").count()).collect();
        assert!(asked.iter().all(|asked| *asked <= 1000), "{count}: {asked:?}");
        if count > 1001 {
            assert_eq!(asked.iter().sum::<usize>(), count, "each once");
        }
    }
}
