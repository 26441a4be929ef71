//! The caller's closures as what the engine knows: a store and an input.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::channel::oneshot;
use tokio::io::{AsyncRead, ReadBuf};

use super::XorName;
use super::driver::{Caller, Request};
use crate::classic::bare::{Bare, PutGet};
use crate::store::{ChunkId, ChunkStore, Error, ErrorKind, Result, StoreInfo};
use crate::{Bytes, async_trait};

impl Caller {
    pub(super) fn store(&self) -> Arc<dyn ChunkStore> {
        Arc::new(Bare(Closures(self.clone())))
    }

    pub(super) fn input(&self) -> Input {
        Input { caller: self.clone(), asked: None, piece: Bytes::new() }
    }
}

/// Chunks that come from closures and go to them.
struct Closures(Caller);

fn unanswered(op: &'static str) -> impl FnOnce(oneshot::Canceled) -> Error {
    move |_| Error::new(ErrorKind::Closed, op, "this call gave no function for it")
}

#[async_trait]
impl PutGet for Closures {
    fn info(&self) -> StoreInfo {
        StoreInfo::backend("functions", "")
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<()> {
        let (done, stored) = oneshot::channel();
        self.0.ask(Request::Put { name: id.into(), stored: data, done });
        stored.await.map_err(unanswered("put"))
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        let (done, fetched) = oneshot::channel();
        self.0.ask(Request::Get { name: id.into(), done });
        fetched.await.map(Some).map_err(unanswered("get"))
    }
}

/// The answer to [`Request::Get`], by a function that brings one chunk.
pub(super) fn fetching(
    mut get: impl FnMut(XorName) -> crate::Result<Bytes>,
) -> impl FnMut(Request) -> crate::Result<()> {
    // The reader looks at the first chunk of a map to know the generation, and then asks for it again.
    let mut last: Option<(XorName, Bytes)> = None;
    move |request| {
        let Request::Get { name, done } = request else { return Ok(()) };
        let stored = match last.take_if(|(of, _)| *of == name) {
            Some((_, stored)) => stored,
            None => last.insert((name, get(name)?)).1.clone(),
        };
        // The engine may have given up meanwhile.
        let _ = done.send(stored);
        Ok(())
    }
}

/// The answer to [`Request::Put`], by a function that keeps one chunk.
pub(super) fn storing(
    mut store: impl FnMut(XorName, Bytes) -> crate::Result<()>,
) -> impl FnMut(Request) -> crate::Result<()> {
    move |request| {
        let Request::Put { name, stored, done } = request else { return Ok(()) };
        store(name, stored)?;
        let _ = done.send(());
        Ok(())
    }
}

/// An input that the caller's thread brings in pieces.
pub(super) struct Input {
    caller: Caller,
    asked: Option<oneshot::Receiver<Option<Bytes>>>,
    /// What is left of the last one.
    piece: Bytes,
}

impl AsyncRead for Input {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.piece.is_empty() {
            if self.asked.is_none() {
                let (done, piece) = oneshot::channel();
                self.caller.ask(Request::Input { done });
                self.asked = Some(piece);
            }
            let Some(asked) = &mut self.asked else { continue };
            let answer = ready!(asked.poll_unpin(cx));
            self.asked = None;
            match answer {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => return Poll::Ready(Ok(())),
                Err(_) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let len = self.piece.len().min(buf.remaining());
        buf.put_slice(&self.piece.split_to(len));
        Poll::Ready(Ok(()))
    }
}

/// A file or the like, read on the caller's thread.
pub(super) struct Blocking<R>(pub(super) R);

impl<R: Read + Unpin> AsyncRead for Blocking<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.0.read(buf.initialize_unfilled()) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => return Poll::Ready(read.map(|len| buf.advance(len))),
            }
        }
    }
}
