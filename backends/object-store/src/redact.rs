//! Texts of `object_store`'s errors without what may be secret in them: it quotes the bodies of answers,
//! and a service may answer with what it was asked to sign.

use object_store::Error as Below;
use selfenc_core::store::objects::{self, Cause, code_of};

/// What `object_store` writes between a status and the body of the answer.
const STATUS: &str = "non-2xx status code: ";
const RESPONSE: &str = "Server returned error response: ";

/// The error and its causes, as cleaned texts.
pub(crate) fn cause_of(e: &Below) -> Cause {
    Cause::with(e, clean)
}

/// The text in one line, without secrets.
pub(crate) fn clean(text: &str) -> String {
    objects::clean(&cut_body(text))
}

/// Cuts the body of an answer, but for its code.
fn cut_body(text: &str) -> String {
    for (mark, skips_reason) in [(STATUS, true), (RESPONSE, false)] {
        let Some((before, rest)) = text.split_once(mark) else { continue };
        let (status, body) = match rest.split_once(": ") {
            Some((status, body)) if skips_reason => (status, body),
            _ if skips_reason => (rest, ""),
            _ => ("", rest),
        };
        let code = code_of(body).map(|code| format!(" ({code})")).unwrap_or_default();
        return format!("{before}{mark}{status}{code}");
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn bodies_go() {
        for (text, cleaned) in [
            (
                "x - Server returned non-2xx status code: 403 Forbidden: <Error><Code>AccessDenied</Code>hunter2",
                "x - Server returned non-2xx status code: 403 Forbidden (AccessDenied)",
            ),
            (
                "Server returned non-2xx status code: 500 Internal Server Error: hunter2",
                "Server returned non-2xx status code: 500 Internal Server Error",
            ),
            (
                "Server returned error response: <Code>SlowDown</Code>",
                "Server returned error response: (SlowDown)",
            ),
            ("GET https://h/b/k?sig=hunter2&x=1 in 3ms", "GET https://h/b/k?… in 3ms"),
        ] {
            assert_eq!(clean(text), cleaned);
        }
    }

    #[test]
    fn the_chain_is_kept_in_texts() {
        let body = "https://h/?sig=hunter2 - Server returned non-2xx status code: 403 Forbidden: hunter2";
        let inner = std::io::Error::other(body);
        let outer = Below::Generic { store: "test", source: Box::new(inner) };
        let cause = cause_of(&outer);
        assert_eq!(
            cause.source().unwrap().to_string(),
            "https://h/?… - Server returned non-2xx status code: 403 Forbidden"
        );
        assert!(!format!("{cause} {cause:?}").contains("hunter2"));
    }
}
