use std::error::Error as StdError;
use std::fmt;

/// No text is longer, in characters: a service may answer with a whole page.
const MAX_LEN: usize = 400;

/// Hex runs from this length on are names of chunks or roots, and are cut to their first digits.
const LONG_NAME: usize = 32;

/// No chain of causes is followed further.
const MAX_CAUSES: usize = 8;

/// An error and its causes, as cleaned texts, for [`Error::with_source`](crate::store::Error::with_source).
///
/// The errors themselves would give their secrets to whoever prints the chain.
#[derive(Debug)]
pub struct Cause {
    text: String,
    source: Option<Box<Self>>,
}

impl Cause {
    /// The error and its causes, each through [`clean`].
    #[must_use]
    pub fn of(error: &dyn StdError) -> Self {
        Self::with(error, clean)
    }

    /// The same with a `clean` that knows more: what a client's texts look like.
    #[must_use]
    pub fn with(error: &dyn StdError, clean: impl Fn(&str) -> String) -> Self {
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

/// The text in one line of at most 400 characters, without secrets.
///
/// A URL may hold a signature in its query or a user before its `@`, and a text may quote a file of
/// credentials. None of that may reach a log (RUSTSEC-2024-0358 was about such messages). Whole names of
/// chunks are cut to their first digits. The body of an answer is for the caller to leave out: see
/// [`code_of`].
#[must_use]
pub fn clean(text: &str) -> String {
    let text = cut_credentials(text);
    let words: Vec<_> = text.split_whitespace().map(|word| shorten_names(&clean_url(word))).collect();
    let line = words.join(" ");
    match line.char_indices().nth(MAX_LEN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
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

/// The code in the body of a service's answer, such as `NoSuchBucket`: a word, and all of a body that may
/// be repeated. A service may answer with what it was asked to sign.
#[must_use]
pub fn code_of(body: &str) -> Option<&str> {
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
    use std::io;

    use super::*;

    #[test]
    fn queries_users_and_credentials_go() {
        for (text, cleaned) in [
            ("GET https://h/b/k?sig=hunter2&x=1 in 3ms", "GET https://h/b/k?… in 3ms"),
            ("GET https://user:hunter2@h/b in 3ms", "GET https://…@h/b in 3ms"),
            ("error (https://h/b#hunter2)", "error (https://h/b?…"),
            ("/b/k?token=hunter2", "/b/k?…"),
            ("is it there?", "is it there?"),
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
    fn a_code_is_a_word() {
        assert_eq!(code_of("<Error><Code>NoSuchKey</Code><Key>k</Key>"), Some("NoSuchKey"));
        let long = format!("<Code>{}</Code>", "x".repeat(65));
        for bad in ["", "NoSuchKey", "<Code>", "<Code></Code>", "<Code>a b</Code>", "<Code>é</Code>", &long]
        {
            assert_eq!(code_of(bad), None, "{bad}");
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("while at https://h/?sig=hunter2")]
    struct While(#[source] Box<dyn StdError + Send + Sync>);

    #[test]
    fn the_chain_is_kept_in_texts() {
        let cause = Cause::of(&While(Box::new(io::Error::other("https://user:hunter2@h/"))));
        assert_eq!(cause.to_string(), "while at https://h/?…");
        assert_eq!(cause.source().unwrap().to_string(), "https://…@h/");
        assert!(cause.source().unwrap().source().is_none());
        assert!(!format!("{cause} {cause:?}").contains("hunter2"));
        let cause = Cause::with(&While("x".into()), |text| text.replace("hunter2", "?"));
        assert_eq!(cause.to_string(), "while at https://h/?sig=?");
    }

    #[test]
    fn a_long_chain_ends() {
        let bottom: Box<dyn StdError + Send + Sync> = "bottom".into();
        let long = (0..100).fold(bottom, |below, _| Box::new(While(below)));
        let cause = Cause::of(&*long);
        assert_eq!(std::iter::successors(Some(&cause), |cause| cause.source.as_deref()).count(), MAX_CAUSES);
    }
}
