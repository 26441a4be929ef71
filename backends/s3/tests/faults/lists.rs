//! Listings of several pages, some of which go wrong (group 14).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use selfenc_core::store::{ChunkId, ChunkStore, Error, ErrorKind};
use selfenc_s3::{S3Config, Timeouts};

use crate::bench::{Bench, check_attempts, chunk, no_secret};
use crate::support::action::{Action, Alter};
use crate::support::answer::Answer;
use crate::support::config::{ATTEMPTS, chunk_key, quick};
use crate::support::request::Kind;
use crate::support::script::Times;

const LIST: &[Kind] = &[Kind::List];

/// Tries where each may be silent to its end.
const TRIES: usize = 2;

/// Seven chunks in pages of two, and their names in order.
async fn seven() -> (Bench, Vec<ChunkId>) {
    seven_with(|config| config).await
}

/// The same, with what ends a silence. The page after it has as long, also on a busy machine.
async fn seven_of_silent_ones() -> (Bench, Vec<ChunkId>) {
    let timeouts = Timeouts { attempt: Duration::from_secs(5), ..Timeouts::default() };
    let policy = quick().with_max_attempts(TRIES as u32);
    seven_with(|config| config.with_timeouts(timeouts).with_retry(policy)).await
}

async fn seven_with(change: impl FnOnce(S3Config) -> S3Config) -> (Bench, Vec<ChunkId>) {
    let bench = Bench::with(|config| change(config.with_page(2))).await;
    let mut ids = Vec::new();
    for n in 0..7 {
        let (id, data) = chunk(n);
        bench.store.put(id, data).await.unwrap();
        ids.push(id);
    }
    ids.sort_unstable();
    bench.reset();
    (bench, ids)
}

async fn list(bench: &Bench) -> Result<Vec<ChunkId>, Error> {
    bench.store.list(None).map_ok(|meta| meta.id).try_collect().await
}

/// What comes before the error, and the error, after which nothing comes.
async fn until_error(bench: &Bench) -> (Vec<ChunkId>, Error) {
    let mut stream = bench.store.list(None);
    let mut found = Vec::new();
    while let Some(next) = stream.next().await {
        match next {
            Ok(meta) => found.push(meta.id),
            Err(e) => {
                assert!(stream.next().await.is_none(), "it ends after an error");
                return (found, e);
            }
        }
    }
    panic!("no error, but {} chunks", found.len());
}

#[tokio::test]
async fn pages_are_asked_for_one_after_the_other() {
    let (bench, ids) = seven().await;
    assert_eq!(list(&bench).await.unwrap(), ids);
    let log = bench.proxy.log();
    assert_eq!(log.len(), 4);
    assert!(log.iter().all(|seen| seen.parameter("max-keys").as_deref() == Some("2")));
    assert!(log.iter().all(|seen| seen.key == "chunks/"));
    for (after, expected) in [(ids[3], &ids[4..]), (ids[6], &[])] {
        let found: Vec<_> = bench.store.list(Some(after)).map_ok(|meta| meta.id).try_collect().await.unwrap();
        assert_eq!(found, expected);
    }
}

/// Ways for one page to go wrong, and what is left if it always does.
fn troubles() -> Vec<(Action, ErrorKind)> {
    let cut = |text: &str| text[..text.len() - 30].to_owned();
    let broken: fn(&str) -> String = cut;
    vec![
        (Action::error(503, "SlowDown"), ErrorKind::Throttled),
        (Action::error(500, "InternalError"), ErrorKind::Unavailable),
        (Action::ResetBeforeHeaders, ErrorKind::Unavailable),
        (Action::ResetAfterForward, ErrorKind::Unavailable),
        (Action::Alter(Alter::ResetBody(200)), ErrorKind::Unavailable),
        (Action::Alter(Alter::CloseEarly(200)), ErrorKind::Unavailable),
        (Action::Alter(Alter::ChunkedCut(200)), ErrorKind::Unavailable),
        (Action::Alter(Alter::ChunkedTooShort(200)), ErrorKind::Unavailable),
        (Action::Alter(Alter::Rewrite(broken)), ErrorKind::Unavailable),
        (Action::Alter(Alter::Replace("".into())), ErrorKind::Unavailable),
        (Action::Answer(Answer::html(200)), ErrorKind::Unavailable),
    ]
}

/// Ways for one page never to come.
fn silences() -> [Action; 2] {
    [Action::Alter(Alter::StallBody(200)), Action::Hang]
}

/// Lists after so many good pages and a bad one.
async fn fails_once((bench, ids): &(Bench, Vec<ChunkId>), pages_before: usize, action: Action) {
    let what = format!("page {} {action:?}", pages_before + 1);
    bench.reset();
    bench.proxy.rule(LIST, Times::First(pages_before), Action::Forward);
    bench.proxy.rule(LIST, Times::Once, action);
    let found = list(bench).await.unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(found, *ids, "{what}");
    assert_eq!(bench.count(LIST), 5, "{what}");
}

#[tokio::test]
async fn a_page_that_fails_once_leaves_no_gap() {
    let seven = seven().await;
    for (action, _) in troubles() {
        for pages_before in [0, 2, 3] {
            fails_once(&seven, pages_before, action.clone()).await;
        }
    }
}

#[tokio::test]
async fn a_page_that_once_does_not_come_leaves_no_gap() {
    let mut cases = Vec::new();
    for action in silences() {
        for pages_before in [0, 2, 3] {
            let action = action.clone();
            cases.push(async move { fails_once(&seven_of_silent_ones().await, pages_before, action).await });
        }
    }
    join_all(cases).await;
}

/// Lists two good pages, and a third that fails as often as it is tried.
async fn always_fails((bench, ids): &(Bench, Vec<ChunkId>), action: Action, kind: ErrorKind, tries: usize) {
    let what = format!("{action:?}");
    bench.proxy.rule(LIST, Times::First(2), Action::Forward);
    bench.proxy.rule(LIST, Times::Always, action);
    let (found, e) = until_error(bench).await;
    assert_eq!(found, ids[..4], "{what}: what came before");
    check_attempts(&e, kind, tries, &what);
    assert_eq!(bench.count(LIST), 2 + tries, "{what}");
}

#[tokio::test]
async fn a_page_that_always_fails_ends_the_list() {
    for (action, kind) in troubles() {
        always_fails(&seven().await, action, kind, ATTEMPTS).await;
    }
}

#[tokio::test]
async fn a_page_that_never_comes_ends_the_list() {
    let never = |action| async move {
        always_fails(&seven_of_silent_ones().await, action, ErrorKind::Timeout, TRIES).await;
    };
    join_all(silences().map(never)).await;
}

#[tokio::test]
async fn short_and_empty_pages_are_not_the_end() {
    let (bench, ids) = seven().await;
    let key = |n: usize| chunk_key(ids[n]);
    // The service in the process takes a key for a token.
    bench.proxy.rule(LIST, Times::Once, Action::Answer(Answer::page(&[], Some("chunks/"))));
    bench.proxy.rule(LIST, Times::Once, Action::Answer(Answer::page(&[&key(0)], Some(&key(0)))));
    assert_eq!(list(&bench).await.unwrap(), ids);
    // Two pages by script, and 2, 2, 2 keys.
    assert_eq!(bench.count(LIST), 5);
}

#[tokio::test]
async fn a_service_that_goes_round_in_circles() {
    let (bench, ids) = seven().await;
    let first = chunk_key(ids[0]);
    for keys in [&[][..], &[&first[..]]] {
        bench.reset();
        bench.proxy.rule(LIST, Times::Always, Action::Answer(Answer::page(keys, Some("again"))));
        let (found, e) = until_error(&bench).await;
        assert!(matches!(e.kind(), ErrorKind::Other | ErrorKind::Unsupported), "{e}");
        assert!(!e.is_transient(), "{e}");
        no_secret(&e, "circles");
        assert_eq!(found.len(), keys.len());
        assert!(bench.count(LIST) <= 3, "{}", bench.count(LIST));
    }
}

/// Always another token, and never a key.
#[tokio::test]
async fn a_service_that_never_ends() {
    static PAGES: AtomicUsize = AtomicUsize::new(0);
    fn another(_: &str) -> String {
        let token = format!("chunks/{}", PAGES.fetch_add(1, Ordering::SeqCst));
        let body = Answer::page(&[], Some(&token)).0.into_body();
        String::from_utf8(body.to_vec()).unwrap()
    }
    let (bench, _) = seven().await;
    bench.proxy.rule(LIST, Times::Always, Action::AlterAnswer(Answer::xml(200, ""), Alter::Rewrite(another)));
    let (found, e) = until_error(&bench).await;
    assert!(found.is_empty() && !e.is_transient(), "{e}");
    assert!(bench.count(LIST) <= 1100, "{}", bench.count(LIST));
}

/// More is to come, but not how to ask for it: what came is not all.
#[tokio::test]
async fn a_page_that_is_cut_without_a_token() {
    let (bench, _) = seven().await;
    let without: fn(&str) -> String = |text| {
        let (before, rest) = text.split_once("<NextContinuationToken>").unwrap();
        format!("{before}{}", rest.split_once("</NextContinuationToken>").unwrap().1)
    };
    bench.proxy.rule(LIST, Times::Always, Action::Alter(Alter::Rewrite(without)));
    let (_, e) = until_error(&bench).await;
    no_secret(&e, "no token");
}

/// A token may expire; the last key does not.
#[tokio::test]
async fn a_token_that_expired() {
    let (bench, ids) = seven().await;
    bench.proxy.rule(LIST, Times::First(2), Action::Forward);
    bench.proxy.rule(LIST, Times::Once, Action::error(400, "InvalidArgument"));
    assert_eq!(list(&bench).await.unwrap(), ids);
    let log = bench.proxy.log();
    assert_eq!(log.len(), 5);
    assert_eq!(log[3].parameter("start-after"), Some(chunk_key(ids[3])));
    assert_eq!(log[3].parameter("continuation-token"), None);
}

#[tokio::test]
async fn a_service_without_order_is_refused() {
    let (bench, ids) = seven().await;
    let keys = [chunk_key(ids[3]), chunk_key(ids[1])];
    let page = Answer::page(&[&keys[0], &keys[1]], None);
    bench.proxy.rule(LIST, Times::Always, Action::Answer(page));
    let (found, e) = until_error(&bench).await;
    assert_eq!((found, e.kind()), (vec![ids[3]], ErrorKind::Unsupported));
}

#[tokio::test]
async fn what_is_no_chunk_is_left_out() {
    let (bench, ids) = seven().await;
    let key = chunk_key(ids[0]);
    let keys = ["chunks/", "chunks/00", "chunks/readme.txt", &key, &format!("{key}0"), "other"];
    bench.proxy.rule(LIST, Times::Always, Action::Answer(Answer::page(&keys, None)));
    assert_eq!(list(&bench).await.unwrap(), ids[..1]);
}

#[tokio::test]
async fn an_endless_page_is_not_read_to_its_end() {
    let timeouts = Timeouts { attempt: Duration::from_secs(1), ..Timeouts::default() };
    let bench = Bench::with(|config| config.with_timeouts(timeouts)).await;
    let page = Answer::page(&[], None);
    bench.proxy.rule(LIST, Times::Always, Action::AlterAnswer(page, Alter::Endless));
    let (_, e) = until_error(&bench).await;
    // By its length or by its time, whichever ends first.
    assert!(matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{e}");
    assert_eq!(e.attempts(), Some(ATTEMPTS as u32));
}

#[tokio::test]
async fn a_list_that_is_dropped_holds_nothing() {
    let (service, proxy) = crate::support::config::fresh();
    let config = crate::support::config::config(&proxy).with_page(2).with_maintenance_in_flight(1);
    let store = crate::support::config::open(&proxy, config).await;
    for n in 0..7 {
        let (id, data) = chunk(n);
        store.put(id, data).await.unwrap();
    }
    proxy.rule(LIST, Times::First(20), Action::Delay(Duration::from_millis(20)));
    for taken in [0, 1, 3] {
        let mut stream = store.list(None);
        for _ in 0..taken {
            stream.next().await.unwrap().unwrap();
        }
        drop(stream);
        let all = tokio::time::timeout(Duration::from_secs(60), store.list(None).try_collect::<Vec<_>>());
        assert_eq!(all.await.unwrap().unwrap().len(), 7);
    }
    drop(service);
}
