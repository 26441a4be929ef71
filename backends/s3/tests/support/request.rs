//! What a request asks of S3, read off its line and its headers.

use std::time::Instant;

use bytes::Bytes;
use hyper::header::{HOST, HeaderMap};
use hyper::{Method, Request};

use super::BUCKET;

/// The requests that a backend sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Without a condition.
    Put,
    /// `If-None-Match: *`.
    CreatePut,
    /// `If-Match`.
    UpdatePut,
    Get,
    Head,
    HeadBucket,
    Delete,
    DeleteMany,
    List,
    Other,
}

/// Every request.
pub const ANY: &[Kind] = &[
    Kind::Put,
    Kind::CreatePut,
    Kind::UpdatePut,
    Kind::Get,
    Kind::Head,
    Kind::HeadBucket,
    Kind::Delete,
    Kind::DeleteMany,
    Kind::List,
    Kind::Other,
];

pub const PUTS: &[Kind] = &[Kind::Put, Kind::CreatePut, Kind::UpdatePut];
pub const WRITES: &[Kind] = &[Kind::Put, Kind::CreatePut, Kind::UpdatePut, Kind::Delete, Kind::DeleteMany];
pub const DELETES: &[Kind] = &[Kind::Delete, Kind::DeleteMany];

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub kind: Kind,
    pub method: Method,
    /// The object's name, decoded; the prefix of a list; the body of a batch of deletes.
    pub key: String,
    /// As it was sent.
    pub query: String,
    pub headers: HeaderMap,
    pub len: usize,
    pub at: Instant,
}

impl Seen {
    pub fn of(request: &Request<Bytes>) -> Self {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let query = uri.query().unwrap_or("");
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
        let path = uri.path().trim_start_matches('/');
        let is_virtual = host.strip_prefix(BUCKET).is_some_and(|rest| rest.starts_with('.'));
        let name = if is_virtual { path } else { path.split_once('/').map_or("", |(_, key)| key) };
        let kind = kind_of(method, !name.is_empty(), query, headers);
        let key = match kind {
            Kind::DeleteMany => String::from_utf8_lossy(request.body()).into_owned(),
            Kind::List => parameter(query, "prefix").unwrap_or_default(),
            _ => decode(name),
        };
        let (query, len) = (query.to_owned(), request.body().len());
        let (method, headers) = (method.clone(), headers.clone());
        Self { kind, method, key, query, headers, len, at: Instant::now() }
    }

    /// A header's value; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// Decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.query, name)
    }
}

fn kind_of(method: &Method, has_key: bool, query: &str, headers: &HeaderMap) -> Kind {
    match (method.as_str(), has_key) {
        ("PUT", true) if headers.contains_key("if-none-match") => Kind::CreatePut,
        ("PUT", true) if headers.contains_key("if-match") => Kind::UpdatePut,
        ("PUT", true) => Kind::Put,
        ("GET", true) => Kind::Get,
        ("GET", false) if parameter(query, "list-type").is_some() => Kind::List,
        ("HEAD", true) => Kind::Head,
        ("HEAD", false) => Kind::HeadBucket,
        ("DELETE", true) => Kind::Delete,
        ("POST", false) if query.split('&').any(|pair| pair == "delete" || pair == "delete=") => {
            Kind::DeleteMany
        }
        _ => Kind::Other,
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| decode(value))
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
