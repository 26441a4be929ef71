//! HTTP/1.1 by hand, so that an answer can be wrong on the wire in every way.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

fn bad(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The next request of a connection; `None` at its end. `rest` holds what was read too far.
pub async fn read_request(stream: &mut TcpStream, rest: &mut BytesMut) -> io::Result<Option<Request<Bytes>>> {
    let end = loop {
        if let Some(at) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(rest).await? == 0 {
            return Ok(None);
        }
    };
    let head = rest.split_to(end);
    rest.advance(4);
    let head = std::str::from_utf8(&head).map_err(|_| bad("a head that is no text"))?;
    let mut request = parse_head(head).ok_or_else(|| bad("a head that is none"))?;
    // The SDK sends bodies that it holds whole in one piece. Anything else would be news.
    if request.headers().contains_key(TRANSFER_ENCODING) {
        return Err(bad("a body in chunks"));
    }
    let len = request.headers().get(CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
    let len = len.unwrap_or(0);
    rest.reserve(len);
    while rest.len() < len {
        if stream.read_buf(rest).await? == 0 {
            return Ok(None);
        }
    }
    *request.body_mut() = rest.split_to(len).freeze();
    Ok(Some(request))
}

fn parse_head(head: &str) -> Option<Request<Bytes>> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let method = Method::from_bytes(words.next()?.as_bytes()).ok()?;
    let mut request = Request::builder().method(method).uri(words.next()?).body(Bytes::new()).ok()?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request.headers_mut().append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some(request)
}

/// What an answer says of the length of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Of(u64),
    Chunked,
}

/// Whether a body may follow the head at all.
pub fn has_body(method: &Method, status: StatusCode) -> bool {
    *method != Method::HEAD && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// The head of an answer as bytes, with the empty line.
pub fn head(response: &Response<Bytes>, length: Length) -> Vec<u8> {
    let status = response.status();
    let mut head = format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or("-"));
    for (name, value) in response.headers() {
        if ![CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(name) {
            head += &format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
        }
    }
    match length {
        Length::Of(_) if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED => {}
        Length::Of(len) => head += &format!("content-length: {len}\r\n"),
        Length::Chunked => head += "transfer-encoding: chunked\r\n",
    }
    (head + "\r\n").into_bytes()
}

/// A piece of a chunked body.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
