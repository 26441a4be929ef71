use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};

use crate::store::{Error, Result};

/// One request that many wait for. It lives as long as one of them does, and any of them that is polled
/// drives it, so nobody depends on who asked first.
#[derive(Clone)]
pub(super) struct Flight(Shared<BoxFuture<'static, Answer>>);

/// What a flight brings, for each of its passengers.
pub(super) type Answer = Result<Option<Bytes>, Arc<Error>>;

/// A flight that one may still get on.
pub(super) struct Landing(WeakShared<BoxFuture<'static, Answer>>);

impl Flight {
    pub(super) fn new(request: impl Future<Output = Answer> + Send + 'static) -> Self {
        Self(request.boxed().shared())
    }

    pub(super) fn downgrade(&self) -> Option<Landing> {
        self.0.downgrade().map(Landing)
    }

    pub(super) async fn answer(self) -> Result<Option<Bytes>> {
        self.0.await.map_err(|shared| match Arc::try_unwrap(shared) {
            Ok(own) => own,
            Err(shared) => copy(&shared),
        })
    }
}

impl Landing {
    pub(super) fn upgrade(&self) -> Option<Flight> {
        self.0.upgrade().map(Flight)
    }
}

/// An error that says the same, for another passenger.
fn copy(shared: &Arc<Error>) -> Error {
    let error = shared.repeat();
    if shared.source().is_some() { error.with_source(Cause(Arc::clone(shared))) } else { error }
}

/// The source of a shared error.
struct Cause(Arc<Error>);

impl Cause {
    fn get(&self) -> &(dyn StdError + 'static) {
        self.0.source().unwrap_or(&*self.0)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.get(), f)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.get(), f)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.get().source()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::store::{ChunkId, ErrorKind};

    #[test]
    fn a_copied_error_says_what_the_first_says() {
        let io = || io::Error::from(io::ErrorKind::TimedOut);
        let id = ChunkId::from_bytes([7; 32]);
        for error in [
            Error::new(ErrorKind::Timeout, "get", "no answer").with_chunk(id).with_attempts(3),
            Error::new(ErrorKind::Other, "get", "").with_source(io()),
            Error::from_io("get", "reading: it broke", io()).with_transient(false).with_chunk(id),
        ] {
            let shared = Arc::new(error);
            let other = copy(&shared);
            assert_eq!(other.to_string(), shared.to_string());
            assert_eq!(other.source().map(ToString::to_string), shared.source().map(ToString::to_string));
            assert_eq!((other.kind(), other.chunk()), (shared.kind(), shared.chunk()));
            assert_eq!((other.is_transient(), other.attempts()), (shared.is_transient(), shared.attempts()));
        }
    }
}
