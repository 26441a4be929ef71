use std::fmt;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::stream::{BoxStream, StreamExt};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

use super::Reader;
use crate::engine::error::Result;

/// A reader with a position. Reads ahead from there; a seek anywhere else starts over.
pub struct ReadHandle {
    reader: Reader,
    position: u64,
    piece: Bytes,
    ahead: Option<BoxStream<'static, Result<Bytes>>>,
}

impl ReadHandle {
    pub(super) fn new(reader: Reader) -> Self {
        Self { reader, position: 0, piece: Bytes::new(), ahead: None }
    }

    /// The reader below.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The reader, without the position.
    #[must_use]
    pub fn into_inner(self) -> Reader {
        self.reader
    }

    fn seek_to(&mut self, position: u64) {
        let forward = position.checked_sub(self.position).and_then(|by| usize::try_from(by).ok());
        match forward {
            Some(by) if by <= self.piece.len() => self.piece.advance(by),
            _ => {
                self.piece = Bytes::new();
                self.ahead = None;
            }
        }
        self.position = position;
    }
}

impl AsyncRead for ReadHandle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.piece.is_empty() && this.position < this.reader.len() {
            let range = this.position..this.reader.len();
            let ahead = this.ahead.get_or_insert_with(|| this.reader.stream(range));
            match ready!(ahead.poll_next_unpin(cx)) {
                Some(Ok(piece)) => this.piece = piece,
                Some(Err(e)) => {
                    this.ahead = None;
                    return Poll::Ready(Err(e.into()));
                }
                None => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            }
        }
        let len = this.piece.len().min(buf.remaining());
        buf.put_slice(&this.piece.split_to(len));
        this.position += len as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for ReadHandle {
    fn start_seek(mut self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.reader.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        let position = position.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a seek to before the start of the data")
        })?;
        self.seek_to(position);
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.position))
    }
}

impl fmt::Debug for ReadHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadHandle").field("position", &self.position).finish_non_exhaustive()
    }
}
