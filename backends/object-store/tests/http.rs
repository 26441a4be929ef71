//! Real answers of real servers, in canned form: what `object_store` makes of a status, and whether it is
//! understood. A server on a local port speaks just enough HTTP.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::error::Error as _;
use std::sync::{Arc, Mutex};

use selfenc_core::store::{
    ChunkId, ChunkStore, Error, ErrorKind, Expect, OpenMode, PutOutcome, RootName, RootStore, StoreUrl, Swap,
};
use selfenc_object_store::{Conditions, ObjectBackend, ObjectStoreConfig, object_store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request.
#[derive(Clone, Debug)]
enum Answer {
    /// Status, more headers, body.
    With(u16, &'static str, Vec<u8>),
    /// A body shorter than it says, and the end of the connection.
    Cut(Vec<u8>),
    /// The end of the connection.
    HangUp,
}

type Respond = Box<dyn FnMut(&str, &str) -> Answer + Send>;

/// A server, and the lines of its requests.
struct Server {
    port: u16,
    respond: Arc<Mutex<Respond>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let respond: Arc<Mutex<Respond>> = Arc::new(Mutex::new(Box::new(found)));
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (answers, log) = (Arc::clone(&respond), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, log) = (Arc::clone(&answers), Arc::clone(&log));
                // One request for each connection.
                tokio::spawn(async move { serve(stream, &answers, &log).await });
            }
        });
        Self { port, respond, seen }
    }

    /// From now on it answers like this; `respond` gets the method and the path.
    fn answer(&self, respond: impl FnMut(&str, &str) -> Answer + Send + 'static) {
        *self.respond.lock().unwrap() = Box::new(respond);
        self.seen.lock().unwrap().clear();
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// A bucket of Google's in it, opened as it stands.
    async fn gcs(&self) -> ObjectBackend {
        let known = Conditions { create: true, update: true };
        self.gcs_config(0).with_conditions(known).open(OpenMode::Existing).await.unwrap()
    }

    fn gcs_config(&self, max_retries: usize) -> ObjectStoreConfig {
        use object_store::{ClientOptions, RetryConfig, gcp::GoogleCloudStorageBuilder};
        let retry = RetryConfig { max_retries, ..RetryConfig::default() };
        let builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name("bucket")
            .with_base_url(&format!("http://127.0.0.1:{}", self.port))
            .with_skip_signature(true)
            .with_bearer_token("hunter2")
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_retry(retry);
        prepare_tls();
        let store = Arc::new(builder.build().unwrap());
        ObjectStoreConfig::new(store, selfenc_core::store::Durability::OnPut).with_lists_in_order(true)
    }
}

/// Opening by URL does it; here the builder is used directly.
fn prepare_tls() {
    let url: StoreUrl = "http://127.0.0.1:1/x".parse().unwrap();
    ObjectStoreConfig::from_url(&url).unwrap();
}

async fn serve(mut stream: TcpStream, respond: &Mutex<Respond>, seen: &Mutex<Vec<String>>) -> Option<()> {
    let mut request = Vec::new();
    let head = loop {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8(request[..head].to_vec()).ok()?;
    let length = text
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    while request.len() < head + length.unwrap_or(0) {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    let mut words = text.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    seen.lock().unwrap().push(format!("{method} {path}"));
    let answer = respond.lock().unwrap()(&method, &path);
    let (status, headers, body, len) = match answer {
        Answer::With(status, headers, body) => (status, headers, body.clone(), body.len()),
        Answer::Cut(body) => {
            (200, "ETag: \"1\"\r\nx-goog-generation: 1\r\n", body[..body.len() / 2].to_vec(), body.len())
        }
        Answer::HangUp => return None,
    };
    let head = format!(
        "HTTP/1.1 {status} Status\r\nContent-Length: {len}\r\nConnection: close\r\n\
         Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    if method != "HEAD" {
        stream.write_all(&body).await.ok()?;
    }
    stream.shutdown().await.ok()
}

const OK_HEADERS: &str = "ETag: \"1\"\r\nx-goog-generation: 1\r\n";

fn with(status: u16, body: &str) -> Answer {
    Answer::With(status, OK_HEADERS, body.as_bytes().to_vec())
}

fn code(status: u16, code: &str) -> Answer {
    with(
        status,
        &format!("<?xml version='1.0'?><Error><Code>{code}</Code><Details>hunter2</Details></Error>"),
    )
}

/// Everything is there, and is a marker.
fn found(_method: &str, _path: &str) -> Answer {
    with(200, "selfenc object store, layout 1\n")
}

fn id() -> ChunkId {
    ChunkId::from_bytes([0xab; 32])
}

fn check(e: &Error, kind: ErrorKind, what: &str) {
    assert_eq!((e.kind(), e.is_transient()), (kind, kind.is_transient()), "{what}: {e}");
    let mut text = format!("{e} {e:?}");
    let mut cause = e.source();
    while let Some(below) = cause {
        text += &format!("{below} {below:?}");
        cause = below.source();
    }
    assert!(!text.contains("hunter2") && !text.contains(&id().to_string()[2..]), "{what}: {text}");
}

#[tokio::test]
async fn hidden_statuses_are_understood() {
    let server = Server::start().await;
    let store = server.gcs().await;
    for (status, name, kind) in [
        (400, "RequestTimeout", ErrorKind::Timeout),
        (400, "InvalidArgument", ErrorKind::Other),
        (401, "AuthenticationRequired", ErrorKind::Unauthenticated),
        (403, "AccessDenied", ErrorKind::PermissionDenied),
        (403, "SignatureDoesNotMatch", ErrorKind::Unauthenticated),
        (405, "MethodNotAllowed", ErrorKind::Unsupported),
        (408, "RequestTimeout", ErrorKind::Timeout),
        (429, "TooManyRequests", ErrorKind::Throttled),
        (500, "InternalError", ErrorKind::Unavailable),
        (501, "NotImplemented", ErrorKind::Unsupported),
        (502, "BadGateway", ErrorKind::Unavailable),
        (503, "ServiceUnavailable", ErrorKind::Throttled),
        (504, "GatewayTimeout", ErrorKind::Timeout),
        (507, "InsufficientStorage", ErrorKind::Full),
    ] {
        server.answer(move |_, _| code(status, name));
        let e = store.get(id()).await.unwrap_err();
        check(&e, kind, &format!("{status} {name} on get"));
        assert!(e.to_string().contains(&status.to_string()) || matches!(status, 401 | 403), "{e}");
        check(&store.delete(id()).await.unwrap_err(), kind, &format!("{status} {name} on delete"));
        let listed = futures::TryStreamExt::try_collect::<Vec<_>>(store.list(None)).await;
        check(&listed.unwrap_err(), kind, &format!("{status} {name} on list"));
        if kind != ErrorKind::Unsupported {
            let e = store.put(id(), "x".into()).await.unwrap_err();
            check(&e, kind, &format!("{status} {name} on put"));
        }
    }
}

#[tokio::test]
async fn a_missing_chunk_is_none_and_a_missing_bucket_is_an_error() {
    let server = Server::start().await;
    let store = server.gcs().await;
    let only_chunks = |_: &str, path: &str| match path.contains("chunks") {
        true => code(404, "NoSuchKey"),
        false => with(200, ""),
    };
    server.answer(only_chunks);
    assert_eq!(store.get(id()).await.unwrap(), None);
    assert_eq!(store.stat(id()).await.unwrap(), None);
    store.delete(id()).await.unwrap();
    server.answer(|_, _| code(404, "NoSuchBucket"));
    for e in [
        store.get(id()).await.unwrap_err(),
        store.stat(id()).await.unwrap_err(),
        store.delete(id()).await.unwrap_err(),
        store.put(id(), "x".into()).await.unwrap_err(),
    ] {
        check(&e, ErrorKind::ContainerMissing, "no bucket");
    }
    for (mode, kind) in
        [(OpenMode::Existing, ErrorKind::ContainerMissing), (OpenMode::Create, ErrorKind::ContainerMissing)]
    {
        check(&server.gcs_config(0).open(mode).await.unwrap_err(), kind, "open");
    }
}

#[tokio::test]
async fn transport_errors_pass() {
    let server = Server::start().await;
    let store = server.gcs().await;
    server.answer(|_, _| Answer::HangUp);
    check(&store.get(id()).await.unwrap_err(), ErrorKind::Unavailable, "a hang-up");
    check(&store.put(id(), "x".into()).await.unwrap_err(), ErrorKind::Unavailable, "a hang-up");
    server.answer(|_, _| Answer::Cut(vec![7; 5000]));
    check(&store.get(id()).await.unwrap_err(), ErrorKind::Unavailable, "a body that is cut");
    server.answer(|_, _| Answer::With(200, OK_HEADERS, vec![7; 5000]));
    assert_eq!(store.get(id()).await.unwrap().unwrap().len(), 5000);
}

#[tokio::test]
async fn conditions_of_a_put() {
    let server = Server::start().await;
    let store = server.gcs().await;
    // 412: it exists. The look says how long it is.
    server.answer(|method, _| match method {
        "PUT" => code(412, "PreconditionFailed"),
        _ => with(200, "12345"),
    });
    assert_eq!(store.put(id(), "54321".into()).await.unwrap(), PutOutcome::Present);
    assert_eq!(server.seen().len(), 2);
    // 409: a race. It is not there, so the put is sent again.
    let mut puts = 0;
    server.answer(move |method, path| match (method, path.contains("chunks")) {
        ("PUT", _) => {
            puts += 1;
            if puts == 1 { code(409, "Conflict") } else { with(200, "") }
        }
        (_, true) => code(404, "NoSuchKey"),
        _ => with(200, ""),
    });
    assert_eq!(store.put(id(), "x".into()).await.unwrap(), PutOutcome::Inserted);
    assert_eq!(server.seen().iter().filter(|line| line.starts_with("PUT")).count(), 2);
}

#[tokio::test]
async fn a_swap_that_was_overtaken_is_a_conflict() {
    let server = Server::start().await;
    let store = server.gcs().await;
    let theirs = [&[0; 24][..], b"\0theirs"].concat();
    let mut put = false;
    server.answer(move |method, path| match (method, path.contains("roots")) {
        ("PUT", _) => {
            put = true;
            code(412, "PreconditionFailed")
        }
        ("GET", true) if put => Answer::With(200, OK_HEADERS, theirs.clone()),
        (_, true) => code(404, "NoSuchKey"),
        _ => with(200, ""),
    });
    let name = RootName::new("main").unwrap();
    let swap = store.swap(&name, Expect::Absent, Some("mine".into())).await.unwrap();
    let Swap::Conflict(Some(root)) = swap else { panic!("{swap:?}") };
    assert_eq!(root.value, "theirs");
}

/// The first answer was lost below, so the refusal is of what the client sent again.
#[tokio::test]
async fn a_refusal_of_what_was_sent_again_is_no_conflict() {
    let server = Server::start().await;
    let known = Conditions { create: true, update: true };
    let store = server.gcs_config(1).with_conditions(known).open(OpenMode::Existing).await.unwrap();
    let theirs = [&[1][..], &[0; 23], b"\0theirs"].concat();
    let mut puts = 0;
    server.answer(move |method, path| match (method, path.contains("roots")) {
        ("PUT", _) => {
            puts += 1;
            if puts == 1 { code(500, "InternalError") } else { code(412, "PreconditionFailed") }
        }
        ("GET", true) if puts > 0 => Answer::With(200, OK_HEADERS, theirs.clone()),
        (_, true) => code(404, "NoSuchKey"),
        _ => with(200, ""),
    });
    let name = RootName::new("main").unwrap();
    let e = store.swap(&name, Expect::Absent, Some("mine".into())).await.unwrap_err();
    check(&e, ErrorKind::Conflict, "a swap that may have happened");
    assert_eq!(server.seen().iter().filter(|line| line.starts_with("PUT")).count(), 2);
}

#[tokio::test]
async fn a_webdav_server_by_url() {
    let server = Server::start().await;
    let open = async || {
        let url: StoreUrl = format!("http://127.0.0.1:{}/dav", server.port).parse().unwrap();
        ObjectStoreConfig::from_url(&url).unwrap().open(OpenMode::Existing).await
    };
    let store = open().await.unwrap();
    assert!(!store.capabilities().roots && !store.capabilities().exact_outcome);
    assert_eq!(store.info().to_string(), format!("http://127.0.0.1:{}/dav", server.port));
    // No conditions: it looks, and then writes.
    server.answer(|method, path| match (method, path.contains("chunks")) {
        ("PUT", _) => with(201, ""),
        (_, true) => code(404, ""),
        _ => with(200, ""),
    });
    assert_eq!(store.put(id(), "x".into()).await.unwrap(), PutOutcome::Inserted);
    let marker = "HEAD /dav/selfenc-store".to_owned();
    let chunk = format!("/dav/chunks/ab/{}", &id().to_string()[2..]);
    let looks = [format!("HEAD {chunk}"), marker, format!("PUT {chunk}")];
    assert_eq!(server.seen(), looks);
    server.answer(|_, _| code(404, ""));
    check(&open().await.unwrap_err(), ErrorKind::ContainerMissing, "open");
    server.answer(|_, _| code(401, ""));
    check(&open().await.unwrap_err(), ErrorKind::Unauthenticated, "open");
}
