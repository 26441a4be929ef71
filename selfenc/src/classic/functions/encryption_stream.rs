use std::fmt;

use super::driver::{Driver, Request, Step};
use super::{DataMap, XorName};
use crate::compat::{self, Written};
use crate::{Bytes, Error, Result};

/// Encrypts what an iterator gives, chunk by chunk. Made by [`stream_encrypt`](super::stream_encrypt).
pub struct EncryptionStream<I> {
    input: Announced<I>,
    /// Until it is done or has failed.
    driver: Option<Driver<'static, Written>>,
    map: Option<DataMap>,
}

/// The chunks of an [`EncryptionStream`], with their names: the third first, the first two when the input has
/// ended, then those of maps. Ends after an error.
#[derive(Debug)]
pub struct ChunkStream<'a, I> {
    stream: &'a mut EncryptionStream<I>,
}

impl<I: Iterator<Item = Bytes>> EncryptionStream<I> {
    pub(super) fn new(engine: compat::Engine, announced: u64, pieces: I) -> Result<Self> {
        let least = super::MIN_ENCRYPTABLE_BYTES as u64;
        if announced < least {
            return Err(Error::TooShort { len: announced, least });
        }
        let driver = Driver::new(|caller| async move { engine.write(caller.store(), caller.input()).await });
        Ok(Self { input: Announced { pieces, announced, given: 0 }, driver: Some(driver), map: None })
    }

    fn next(&mut self) -> Option<Result<(XorName, Bytes)>> {
        // Put back with every chunk: after a failure, or a panic of the iterator, there is nothing more.
        let mut driver = self.driver.take()?;
        loop {
            match driver.next() {
                Step::Asked(Request::Put { name, stored, done }) => {
                    let _ = done.send(());
                    self.driver = Some(driver);
                    return Some(Ok((name, stored)));
                }
                Step::Asked(Request::Input { done }) => match self.input.next() {
                    Ok(piece) => drop(done.send(piece)),
                    Err(e) => return Some(Err(e)),
                },
                Step::Asked(Request::Get { .. }) => {}
                Step::Done(Ok(written)) => {
                    self.map = Some(written.map.into());
                    return None;
                }
                Step::Done(Err(e)) => return Some(Err(e)),
            }
        }
    }
}

impl<I> EncryptionStream<I> {
    /// The chunks. May be dropped and called again, and goes on where it was.
    pub fn chunks(&mut self) -> ChunkStream<'_, I> {
        ChunkStream { stream: self }
    }

    /// The map, once [`chunks`](Self::chunks) came to its end without an error.
    #[must_use]
    pub fn datamap(&self) -> Option<&DataMap> {
        self.map.as_ref()
    }

    /// The map, once [`chunks`](Self::chunks) came to its end without an error.
    #[must_use]
    pub fn into_datamap(self) -> Option<DataMap> {
        self.map
    }
}

impl<I: Iterator<Item = Bytes>> Iterator for ChunkStream<'_, I> {
    type Item = Result<(XorName, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.stream.next()
    }
}

/// An input that must be as long as was said.
struct Announced<I> {
    pieces: I,
    announced: u64,
    given: u64,
}

impl<I: Iterator<Item = Bytes>> Announced<I> {
    /// The next piece that is not empty; `None` at the end.
    fn next(&mut self) -> Result<Option<Bytes>> {
        let (piece, announced) = (self.pieces.find(|piece| !piece.is_empty()), self.announced);
        self.given += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        let wrong = match &piece {
            Some(_) if self.given > announced => "is longer".to_owned(),
            None if self.given < announced => format!("has only {}", self.given),
            _ => return Ok(piece),
        };
        Err(Error::InvalidConfig(format!(
            "data_size: {announced} bytes were announced, but the input {wrong}"
        )))
    }
}

impl<I> fmt::Debug for EncryptionStream<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionStream")
            .field("announced", &self.input.announced)
            .field("given", &self.input.given)
            .field("map", &self.map)
            .finish_non_exhaustive()
    }
}
