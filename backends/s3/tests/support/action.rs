//! What the proxy does with a request instead of plain forwarding.

use std::time::Duration;

use bytes::Bytes;

use super::answer::Answer;

#[derive(Clone, Debug)]
pub enum Action {
    /// Answers this; the service hears nothing.
    Answer(Answer),
    /// The service does it, and then this is the answer.
    AnswerAfterForward(Answer),
    /// A TCP reset; the service hears nothing.
    ResetBeforeHeaders,
    /// The connection is closed in order; the service hears nothing.
    CloseBeforeHeaders,
    /// The service does it; the answer is lost to a TCP reset.
    ResetAfterForward,
    /// The service hears nothing, and nobody ever answers.
    Hang,
    /// The service does it, and nobody ever answers.
    HangAfterForward,
    /// Forwards it after a while.
    Delay(Duration),
    /// Forwards it as it is. For rules that let the first ones pass.
    Forward,
    /// One bit of the n-th byte of its body is flipped on the way to the service.
    Damage(usize),
    /// Forwards it and does this to the service's answer.
    Alter(Alter),
    /// The same to an answer by script.
    AlterAnswer(Answer, Alter),
}

/// What becomes of an answer on its way.
#[derive(Clone, Debug)]
pub enum Alter {
    /// Only the first n bytes, and the length says so: a shorter object.
    Truncate(usize),
    /// More bytes, and the length says so: a longer object.
    Extend(Bytes),
    /// Another body of its own length.
    Replace(Bytes),
    /// One bit of the n-th byte is flipped.
    Corrupt(usize),
    /// The text of the body, rewritten.
    Rewrite(fn(&str) -> String),
    /// This header, with this value.
    Header(&'static str, &'static str),
    /// Without this header.
    Without(&'static str),
    /// The first n bytes of the body, then the end of the connection, though the length says more.
    CloseEarly(usize),
    /// The first n bytes of the body, then a TCP reset.
    ResetBody(usize),
    /// Chunked: the first n bytes and a clean end.
    ChunkedTooShort(usize),
    /// Chunked: the first n bytes, then the end of the connection without the last chunk.
    ChunkedCut(usize),
    /// More bytes on the wire than the length says.
    ExtraBytes(Bytes),
    /// The head byte by byte, one each `.0`, never the whole.
    DripHead(Duration),
    /// The first n bytes of the body, then nothing for ever.
    StallBody(usize),
    /// The body of a GET in pieces of so many bytes, each after a while.
    Slow(usize, Duration),
    /// The length says nothing (chunked), and the body never ends.
    Endless,
}

impl Action {
    /// An error in S3's form; see [`Answer::error`].
    pub fn error(status: u16, code: &str) -> Self {
        Self::Answer(Answer::error(status, code))
    }
}
