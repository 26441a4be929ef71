//! The table from `object_store`'s errors to [`ErrorKind`].
//!
//! Half of it must be read from texts: an HTTP status that `object_store` has no error for (429, 5xx, 501
//! …) is behind a type that it does not export, in an `Error::Generic`.

use std::error::Error as StdError;
use std::io;

use object_store::Error as Below;
use selfenc_core::store::objects::code_of;
use selfenc_core::store::{Error, ErrorKind};

use crate::redact::{cause_of, clean};

/// The error for a failed request: `doing` says what was tried.
///
/// Not found means the container here; whoever asks for what may be absent finds out before.
pub(crate) fn failed(op: &'static str, doing: &str, e: &Below) -> Error {
    let kind = classify(e);
    let message = format!("cannot {doing}: {}{}", clean(&e.to_string()), remedy(kind, e));
    Error::new(kind, op, message).with_source(cause_of(e))
}

/// The same for a call of the operating system that `object_store` has no part in.
pub(crate) fn io_failed(op: &'static str, doing: &str, e: io::Error) -> Error {
    let message = format!("cannot {doing}: {e}");
    match io_kind(&e) {
        ErrorKind::Other => Error::from_io(op, message, e),
        kind => Error::new(kind, op, message).with_source(e),
    }
}

pub(crate) fn is_not_found(e: &Below) -> bool {
    matches!(e, Below::NotFound { .. })
}

/// The service does not do this at all.
pub(crate) fn is_unsupported(e: &Below) -> bool {
    classify(e) == ErrorKind::Unsupported
}

/// The request may have been carried out all the same: its answer was lost.
pub(crate) fn is_ambiguous(e: &Below) -> bool {
    matches!(classify(e), ErrorKind::Timeout | ErrorKind::Unavailable)
}

/// The client below has sent it more than once, so an earlier one may have been carried out.
pub(crate) fn was_sent_again(e: &Below) -> bool {
    e.to_string().contains(" retries, max_retries: ")
}

/// The table.
pub(crate) fn classify(e: &Below) -> ErrorKind {
    match e {
        Below::NotFound { .. } => ErrorKind::ContainerMissing,
        // 409: a race that nobody has won yet. Where it means "exists", the caller has dealt with it.
        Below::AlreadyExists { .. } | Below::Precondition { .. } => ErrorKind::Conflict,
        Below::NotSupported { .. } | Below::NotImplemented { .. } => ErrorKind::Unsupported,
        Below::Unauthenticated { .. } => ErrorKind::Unauthenticated,
        Below::PermissionDenied { .. } => {
            hidden(e).filter(|kind| *kind != ErrorKind::Other).unwrap_or(ErrorKind::PermissionDenied)
        }
        Below::JoinError { .. } => ErrorKind::Closed,
        Below::UnknownConfigurationKey { .. } => ErrorKind::InvalidInput,
        _ => hidden(e).unwrap_or(ErrorKind::Other),
    }
}

/// What an error without a meaning of its own hides in its causes.
fn hidden(e: &Below) -> Option<ErrorKind> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(e);
    let mut text = String::new();
    let mut found = None;
    while let Some(error) = next {
        if let Some(e) = error.downcast_ref::<io::Error>() {
            found = found.or(Some(io_kind(e)));
        }
        #[cfg(any(feature = "gcp", feature = "azure", feature = "http"))]
        if let Some(e) = error.downcast_ref::<object_store::client::HttpError>() {
            // Not what is behind it: every lost connection is an I/O error at the bottom.
            return Some(http_kind(e.kind()));
        }
        text = error.to_string();
        if let Some(kind) = status_kind(&text) {
            let is_about_credentials = e.to_string().contains("token request");
            let is_final = !kind.is_transient();
            return Some(if is_about_credentials && is_final { ErrorKind::Unauthenticated } else { kind });
        }
        next = error.source();
    }
    found.or_else(|| text_kind(&text)).or_else(|| text_kind(&e.to_string()))
}

fn io_kind(e: &io::Error) -> ErrorKind {
    match e.kind() {
        io::ErrorKind::OutOfMemory => ErrorKind::Unavailable,
        // "Too many open files", of this process and of the whole system.
        _ if cfg!(unix) && matches!(e.raw_os_error(), Some(24 | 23)) => ErrorKind::Unavailable,
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => ErrorKind::Corrupt,
        // The paths are made by this crate: if one is not valid, the folder is not what it was.
        io::ErrorKind::InvalidInput => ErrorKind::Other,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => {
            ErrorKind::Unavailable
        }
        kind => Error::from_io("", "", kind.into()).kind(),
    }
}

#[cfg(any(feature = "gcp", feature = "azure", feature = "http"))]
fn http_kind(kind: object_store::client::HttpErrorKind) -> ErrorKind {
    match kind {
        object_store::client::HttpErrorKind::Timeout => ErrorKind::Timeout,
        // Not reached, cut off, or garbled on the way.
        _ => ErrorKind::Unavailable,
    }
}

/// The kind for a status in `object_store`'s text for it, and for the code in the answer.
fn status_kind(text: &str) -> Option<ErrorKind> {
    if text.contains("redirect without LOCATION") {
        return Some(ErrorKind::InvalidInput);
    }
    if let Some((_, body)) = text.split_once("Server returned error response: ") {
        let slow = code_of(body) == Some("SlowDown");
        return Some(if slow { ErrorKind::Throttled } else { ErrorKind::Unavailable });
    }
    let (_, rest) = text.split_once("non-2xx status code: ")?;
    let status: u16 = rest.get(..3)?.parse().ok()?;
    Some(match (status, code_of(rest).unwrap_or_default()) {
        (_, "SlowDown" | "TooManyRequests" | "RequestLimitExceeded" | "ServerBusy") => ErrorKind::Throttled,
        (_, "RequestTimeout" | "OperationTimedOut") => ErrorKind::Timeout,
        (
            _,
            "AuthenticationFailed"
            | "SignatureDoesNotMatch"
            | "InvalidAccessKeyId"
            | "ExpiredToken"
            | "InvalidToken"
            | "RequestTimeTooSkewed"
            | "NoAuthenticationInformation",
        ) => ErrorKind::Unauthenticated,
        (_, "NoSuchBucket" | "ContainerNotFound") => ErrorKind::ContainerMissing,
        (401 | 407, _) => ErrorKind::Unauthenticated,
        (403, _) => ErrorKind::PermissionDenied,
        (404, _) => ErrorKind::ContainerMissing,
        (405 | 501, _) => ErrorKind::Unsupported,
        (408 | 499 | 504, _) => ErrorKind::Timeout,
        (409 | 412, _) => ErrorKind::Conflict,
        (429 | 503, _) => ErrorKind::Throttled,
        (507, _) => ErrorKind::Full,
        (423 | 425 | 500..=599, _) => ErrorKind::Unavailable,
        // A region or an address that is another's.
        (300..=399, _) => ErrorKind::InvalidInput,
        _ => ErrorKind::Other,
    })
}

/// The last resort, where nothing has a type: `object_store` in a build without this crate's features.
fn text_kind(text: &str) -> Option<ErrorKind> {
    let text = text.to_ascii_lowercase();
    if text.contains("timed out") {
        Some(ErrorKind::Timeout)
    } else if text.contains("http error: ") || text.contains("connection reset") {
        Some(ErrorKind::Unavailable)
    } else {
        None
    }
}

fn remedy(kind: ErrorKind, e: &Below) -> &'static str {
    match (kind, e) {
        (ErrorKind::PermissionDenied, Below::PermissionDenied { .. }) => {
            "; check what these credentials may do (some services also say this of what is absent, unless \
             they may list)"
        }
        (ErrorKind::Unauthenticated, _) => "; check the credentials in the environment, and the clock",
        (ErrorKind::ContainerMissing, _) => "; does the bucket, container or folder exist?",
        (ErrorKind::Corrupt, _) => "; something else stands where an object belongs: move it away",
        (ErrorKind::InvalidInput, _) => "; check the address and the region",
        (ErrorKind::Unsupported, _) => "; this service cannot do it",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use selfenc_core::store::ChunkId;

    use super::*;

    fn boxed(text: &str) -> Box<dyn StdError + Send + Sync> {
        text.into()
    }

    fn generic(text: &str) -> Below {
        Below::Generic { store: "test", source: boxed(text) }
    }

    fn status(status: &str) -> Below {
        generic(&format!(
            "Error performing GET https://h/b?sig=hunter2 in 1ms - Server returned non-2xx status code: {status}"
        ))
    }

    fn io(code: i32) -> Below {
        Below::Generic { store: "LocalFileSystem", source: Box::new(io::Error::from_raw_os_error(code)) }
    }

    fn named() -> Vec<(Below, ErrorKind)> {
        let (path, source) = (|| "a/b".to_owned(), || boxed("no"));
        vec![
            (Below::NotFound { path: path(), source: source() }, ErrorKind::ContainerMissing),
            (Below::AlreadyExists { path: path(), source: source() }, ErrorKind::Conflict),
            (Below::Precondition { path: path(), source: source() }, ErrorKind::Conflict),
            (Below::NotModified { path: path(), source: source() }, ErrorKind::Other),
            (Below::PermissionDenied { path: path(), source: source() }, ErrorKind::PermissionDenied),
            (Below::Unauthenticated { path: path(), source: source() }, ErrorKind::Unauthenticated),
            (Below::NotSupported { source: source() }, ErrorKind::Unsupported),
            (
                Below::NotImplemented { operation: "put".into(), implementer: "x".into() },
                ErrorKind::Unsupported,
            ),
            (Below::UnknownConfigurationKey { store: "x", key: "y".into() }, ErrorKind::InvalidInput),
            (generic("who knows"), ErrorKind::Other),
        ]
    }

    #[test]
    fn every_named_error_has_its_kind() {
        for (e, kind) in named() {
            let error = failed("put", "write the object", &e);
            assert_eq!((error.kind(), error.is_transient()), (kind, kind.is_transient()), "{error}");
            assert!(error.to_string().contains("cannot write the object: "), "{error}");
            assert!(error.source().is_some());
        }
    }

    #[test]
    fn every_hidden_status_has_its_kind() {
        for (text, kind) in [
            ("400 Bad Request: <Code>RequestTimeout</Code>", ErrorKind::Timeout),
            ("400 Bad Request: <Code>ExpiredToken</Code>", ErrorKind::Unauthenticated),
            ("400 Bad Request: <Code>InvalidRequest</Code>", ErrorKind::Other),
            ("401 Unauthorized", ErrorKind::Unauthenticated),
            ("404 Not Found: <Code>NoSuchBucket</Code>", ErrorKind::ContainerMissing),
            ("405 Method Not Allowed", ErrorKind::Unsupported),
            ("408 Request Timeout", ErrorKind::Timeout),
            ("413 Payload Too Large", ErrorKind::Other),
            ("423 Locked", ErrorKind::Unavailable),
            ("429 Too Many Requests", ErrorKind::Throttled),
            ("499 ", ErrorKind::Timeout),
            ("500 Internal Server Error", ErrorKind::Unavailable),
            ("501 Not Implemented", ErrorKind::Unsupported),
            ("502 Bad Gateway", ErrorKind::Unavailable),
            ("503 Service Unavailable", ErrorKind::Throttled),
            ("504 Gateway Timeout", ErrorKind::Timeout),
            ("507 Insufficient Storage", ErrorKind::Full),
            ("301 Moved Permanently", ErrorKind::InvalidInput),
        ] {
            let e = failed("get", "read", &status(text));
            assert_eq!((e.kind(), e.is_transient()), (kind, kind.is_transient()), "{text}: {e}");
            assert!(!format!("{e} {e:?}").contains("hunter2"), "{e:?}");
        }
        for (text, kind) in [
            ("Server returned error response: <Code>SlowDown</Code>", ErrorKind::Throttled),
            ("Server returned error response: <Code>InternalError</Code>", ErrorKind::Unavailable),
            ("Received redirect without LOCATION, this", ErrorKind::InvalidInput),
            ("HTTP error: error sending request", ErrorKind::Unavailable),
            ("HTTP error: operation timed out", ErrorKind::Timeout),
        ] {
            assert_eq!(classify(&generic(text)), kind, "{text}");
        }
    }

    #[test]
    fn a_refusal_may_be_about_who_asks() {
        for (code, kind) in [
            ("AccessDenied", ErrorKind::PermissionDenied),
            ("SignatureDoesNotMatch", ErrorKind::Unauthenticated),
            ("AuthenticationFailed", ErrorKind::Unauthenticated),
        ] {
            let text = format!("Server returned non-2xx status code: 403 Forbidden: <Code>{code}</Code>");
            let e = Below::PermissionDenied { path: "a".into(), source: boxed(&text) };
            assert_eq!(classify(&e), kind, "{code}");
        }
        let text = |status| {
            let text = format!("Server returned non-2xx status code: {status}");
            generic(&format!("Error performing token request: Error performing POST - {text}"))
        };
        assert_eq!(classify(&text("400 Bad Request")), ErrorKind::Unauthenticated);
        assert_eq!(classify(&text("503 Service Unavailable")), ErrorKind::Throttled);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn every_errno_has_its_kind() {
        for (code, kind) in [
            (28, ErrorKind::Full),             // ENOSPC
            (122, ErrorKind::Full),            // EDQUOT
            (13, ErrorKind::PermissionDenied), // EACCES
            (1, ErrorKind::PermissionDenied),  // EPERM
            (30, ErrorKind::ReadOnly),         // EROFS
            (5, ErrorKind::Other),             // EIO
            (24, ErrorKind::Unavailable),      // EMFILE
            (23, ErrorKind::Unavailable),      // ENFILE
            (12, ErrorKind::Unavailable),      // ENOMEM
            (16, ErrorKind::Unavailable),      // EBUSY
            (116, ErrorKind::Unavailable),     // ESTALE
            (21, ErrorKind::Corrupt),          // EISDIR
            (20, ErrorKind::Corrupt),          // ENOTDIR
            (104, ErrorKind::Unavailable),     // ECONNRESET
            (110, ErrorKind::Timeout),         // ETIMEDOUT
        ] {
            assert_eq!(classify(&io(code)), kind, "errno {code}");
            assert_eq!(
                io_failed("put", "x", io::Error::from_raw_os_error(code)).kind(),
                kind,
                "errno {code}"
            );
        }
    }

    #[tokio::test]
    async fn a_lost_task_says_closed() {
        let task = tokio::spawn(std::future::pending::<()>());
        task.abort();
        let source = task.await.unwrap_err();
        assert_eq!(classify(&Below::JoinError { source }), ErrorKind::Closed);
    }

    #[test]
    fn no_whole_name_of_a_chunk() {
        let id = ChunkId::from_bytes([0xab; 32]);
        let path = format!("chunks/ab/{}", &id.to_string()[2..]);
        let e = failed("get", "read", &Below::NotModified { path, source: boxed("no") }).with_chunk(id);
        assert!(!format!("{e} {e:?}").contains(&id.to_string()[2..]), "{e:?}");
    }
}
