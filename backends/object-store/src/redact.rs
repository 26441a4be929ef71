//! Texts of errors without what may be secret in them.
//!
//! A URL may hold a signature in its query, a user before its `@`, and a service may answer with what it
//! was asked to sign. None of that may reach a log (RUSTSEC-2024-0358 was about such messages).

use std::error::Error as StdError;
use std::fmt;

/// No text is longer, in characters: a service may answer with a whole page.
const MAX_LEN: usize = 400;

/// Hex runs from this length on are names of chunks or roots, and are cut to their first digits.
const LONG_NAME: usize = 32;

/// What `object_store` writes between a status and the body of the answer.
const STATUS: &str = "non-2xx status code: ";
const RESPONSE: &str = "Server returned error response: ";

/// An error and its causes, as cleaned texts. The errors themselves would give their secrets to whoever
/// prints the chain.
#[derive(Debug)]
pub(crate) struct Cause {
    text: String,
    source: Option<Box<Self>>,
}

/// No chain of causes is followed further.
const MAX_CAUSES: usize = 8;

impl Cause {
    pub(crate) fn of(error: &dyn StdError) -> Self {
        let mut texts = vec![clean(&error.to_string())];
        let mut next = error.source();
        while let (Some(error), true) = (next, texts.len() < MAX_CAUSES) {
            texts.push(clean(&error.to_string()));
            next = error.source();
        }
        // Most errors repeat their causes; a cause that says nothing new stays, since its place is news.
        let last = Self { text: texts.pop().unwrap_or_default(), source: None };
        texts.into_iter().rev().fold(last, |below, text| Self { text, source: Some(Box::new(below)) })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

/// The text in one line, without secrets.
pub(crate) fn clean(text: &str) -> String {
    let text = cut_credentials(&cut_body(text));
    let words: Vec<_> = text.split_whitespace().map(|word| shorten_names(&clean_url(word))).collect();
    let line = words.join(" ");
    match line.char_indices().nth(MAX_LEN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
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

/// Cuts what looks like a file of credentials: it stands in a text if it was given where its path belongs,
/// or could not be parsed.
fn cut_credentials(text: &str) -> String {
    let is_json =
        |(at, _): &(usize, &str)| text[at + 1..].starts_with(|c: char| c == '"' || c.is_whitespace());
    let json = text.match_indices('{').find(is_json).map(|(at, _)| at);
    let marks = ["-----BEGIN", "string \""].iter().filter_map(|mark| text.find(mark));
    match marks.chain(json).min() {
        Some(at) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The code in the body of a service's answer, such as `NoSuchBucket`.
pub(crate) fn code_of(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_word = !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    is_word.then_some(code)
}

/// Cuts the query, and the user, of a URL somewhere in this word.
fn clean_url(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else {
        // Also of a URL without its host, and of a header.
        return match word.split_once('?') {
            Some((before, query)) if query.contains('=') => format!("{before}?…"),
            _ => word.to_owned(),
        };
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (place, tail) = rest.split_at(end);
    let host_end = place.find('/').unwrap_or(place.len());
    let place = match place[..host_end].rfind('@') {
        Some(at) => format!("…{}", &place[at..]),
        None => place.to_owned(),
    };
    let tail = if tail.is_empty() { "" } else { "?…" };
    format!("{scheme}://{place}{tail}")
}

fn shorten_names(word: &str) -> String {
    let mut short = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let run = rest[start..].find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len() - start);
        let keep = if run >= LONG_NAME { 6 } else { run };
        short.push_str(&rest[..start + keep]);
        if run >= LONG_NAME {
            short.push('…');
        }
        rest = &rest[start + run..];
    }
    short + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_users_and_bodies_go() {
        for (text, cleaned) in [
            ("GET https://h/b/k?sig=hunter2&x=1 in 3ms", "GET https://h/b/k?… in 3ms"),
            ("GET https://user:hunter2@h/b in 3ms", "GET https://…@h/b in 3ms"),
            ("error (https://h/b#hunter2)", "error (https://h/b?…"),
            ("/b/k?token=hunter2", "/b/k?…"),
            ("is it there?", "is it there?"),
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
            ("two\nlines\there", "two lines here"),
            ("cannot open { \"key\": \"hunter2\" }: no", "cannot open …"),
            ("cannot open -----BEGIN hunter2: no", "cannot open …"),
            ("invalid type: string \"hunter2\", expected struct", "invalid type: …"),
            ("cannot open a{b}: no", "cannot open a{b}: no"),
        ] {
            assert_eq!(clean(text), cleaned);
        }
        assert!(!clean(&format!("{} https://h/?sig=hunter2", "x ".repeat(1000))).contains("hunter2"));
        assert_eq!(clean(&"é".repeat(1000)).chars().count(), MAX_LEN + 1);
    }

    #[test]
    fn whole_names_of_chunks_go() {
        let name = "0123456789abcdef".repeat(4);
        assert_eq!(clean(&format!("chunks/01/{}: no", &name[2..])), "chunks/01/234567…: no");
        assert_eq!(clean("deadbeef cafe"), "deadbeef cafe");
    }

    #[test]
    fn the_chain_is_kept_in_texts() {
        let inner = std::io::Error::other("https://h/?sig=hunter2");
        let outer = object_store::Error::Generic { store: "test", source: Box::new(inner) };
        let cause = Cause::of(&outer);
        assert_eq!(cause.source().unwrap().to_string(), "https://h/?…");
        assert!(!format!("{cause} {cause:?}").contains("hunter2"));
    }
}
