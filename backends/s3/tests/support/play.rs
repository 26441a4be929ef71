//! Writes an answer to a connection, right or wrong.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::{Method, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::action::Alter;
use super::wire::{Length, chunk, has_body, head};

/// What becomes of the connection afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Keep,
    Close,
    Reset,
}

/// Writes it as it is. `done` is called before the last byte, so that nobody who has the whole answer is
/// still counted as being served.
pub async fn plain(
    stream: &mut TcpStream,
    method: &Method,
    answer: &Response<Bytes>,
    done: impl FnOnce(),
) -> io::Result<Then> {
    let mut bytes = head(answer, Length::Of(claimed_len(answer)));
    if has_body(method, answer.status()) {
        bytes.extend_from_slice(answer.body());
    }
    let last = bytes.split_off(bytes.len() - 1);
    stream.write_all(&bytes).await?;
    done();
    stream.write_all(&last).await?;
    // A body that is not as long as it says ends with the connection.
    let is_whole = !has_body(method, answer.status()) || claimed_len(answer) == answer.body().len() as u64;
    Ok(if is_whole { Then::Keep } else { Then::Close })
}

/// Writes it altered.
pub async fn altered(
    stream: &mut TcpStream,
    method: &Method,
    mut answer: Response<Bytes>,
    alter: &Alter,
    done: impl FnOnce(),
) -> io::Result<Then> {
    match alter {
        Alter::Truncate(_)
        | Alter::Extend(_)
        | Alter::Replace(_)
        | Alter::Corrupt(_)
        | Alter::Rewrite(_)
        | Alter::Header(..)
        | Alter::Without(_) => {
            change(&mut answer, method, alter);
            return plain(stream, method, &answer, done).await;
        }
        _ => {}
    }
    if let Alter::Slow(bytes, every) = alter {
        return slow(stream, &answer, *bytes, *every, done).await;
    }
    let outcome = broken(stream, method, &answer, alter).await;
    done();
    outcome
}

/// Another answer, right on the wire.
fn change(answer: &mut Response<Bytes>, method: &Method, alter: &Alter) {
    let body = answer.body().clone();
    let changed = match alter {
        Alter::Truncate(n) => body.slice(..body.len().min(*n)),
        Alter::Extend(more) => [&body[..], more].concat().into(),
        Alter::Replace(other) => other.clone(),
        Alter::Corrupt(n) => {
            let mut body = body.to_vec();
            body[*n] ^= 1;
            body.into()
        }
        Alter::Rewrite(rewrite) => rewrite(&String::from_utf8_lossy(&body)).into(),
        Alter::Header(name, value) => {
            let value = HeaderValue::from_static(value);
            answer.headers_mut().insert(HeaderName::from_static(name), value);
            return;
        }
        Alter::Without(name) => {
            answer.headers_mut().remove(*name);
            return;
        }
        other => unreachable!("{other:?} breaks the wire"),
    };
    if *method != Method::HEAD {
        answer.headers_mut().remove(CONTENT_LENGTH);
    }
    *answer.body_mut() = changed;
}

/// An answer that is wrong on the wire.
async fn broken(
    stream: &mut TcpStream,
    method: &Method,
    answer: &Response<Bytes>,
    alter: &Alter,
) -> io::Result<Then> {
    let body = if has_body(method, answer.status()) { answer.body().clone() } else { Bytes::new() };
    let whole = head(answer, Length::Of(claimed_len(answer)));
    let chunked = head(answer, Length::Chunked);
    let first = |n: usize| &body[..body.len().min(n)];
    match alter {
        Alter::CloseEarly(n) | Alter::ResetBody(n) | Alter::StallBody(n) => {
            stream.write_all(&whole).await?;
            stream.write_all(first(*n)).await?;
        }
        Alter::ChunkedTooShort(n) => {
            stream.write_all(&chunked).await?;
            stream.write_all(&chunk(first(*n))).await?;
            stream.write_all(b"0\r\n\r\n").await?;
        }
        Alter::ChunkedCut(n) => {
            stream.write_all(&chunked).await?;
            stream.write_all(&chunk(first(*n))).await?;
        }
        Alter::ExtraBytes(more) => stream.write_all(&[&whole[..], &body, more].concat()).await?,
        Alter::DripHead(every) => {
            // All but the empty line at its end, then one more header, for ever.
            let lines = whole[..whole.len() - 2].iter().copied();
            for byte in lines.chain(b"x-drip: ".iter().copied()).chain(std::iter::repeat(b'.')) {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(*every).await;
            }
        }
        Alter::Endless => {
            stream.write_all(&chunked).await?;
            let piece = chunk(&vec![b'x'; 64 << 10]);
            loop {
                stream.write_all(&piece).await?;
            }
        }
        other => unreachable!("{other:?} is right on the wire"),
    }
    stream.flush().await?;
    match alter {
        Alter::ChunkedTooShort(_) | Alter::ExtraBytes(_) => Ok(Then::Keep),
        Alter::StallBody(_) => until_closed(stream).await.map(|()| Then::Close),
        Alter::ResetBody(_) => {
            // A reset overtakes what the other end has not read yet.
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Then::Reset)
        }
        _ => Ok(Then::Close),
    }
}

/// In pieces of so many bytes.
async fn slow(
    stream: &mut TcpStream,
    answer: &Response<Bytes>,
    bytes: usize,
    every: Duration,
    done: impl FnOnce(),
) -> io::Result<Then> {
    stream.write_all(&head(answer, Length::Of(claimed_len(answer)))).await?;
    let mut rest = answer.body().clone();
    while rest.len() > bytes {
        tokio::time::sleep(every).await;
        stream.write_all(&rest.split_to(bytes)).await?;
    }
    tokio::time::sleep(every).await;
    done();
    stream.write_all(&rest).await?;
    Ok(Then::Keep)
}

/// Waits until the other end gives up.
pub async fn until_closed(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

fn claimed_len(answer: &Response<Bytes>) -> u64 {
    let claimed = answer.headers().get(CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
    claimed.unwrap_or(answer.body().len() as u64)
}
