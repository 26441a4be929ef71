use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, StreamExt};

use crate::classic::chunk::Chunk;
use crate::classic::chunk_store::AnyStore;
use crate::classic::error::{Error, Result};
use crate::classic::held::Held;
use crate::classic::setup::Setup;
use crate::{Bytes, DataMap, EncryptionConfig};

/// The data behind a map, piece by piece and in order, fetched ahead within the memory budget.
///
/// It is a stream too. After an error it ends.
pub struct StreamDecryptor {
    map: DataMap,
    setup: Setup,
    source: Option<Source>,
    pieces: Option<BoxStream<'static, crate::Result<Bytes>>>,
    ended: bool,
}

enum Source {
    Store(AnyStore),
    Chunks(Held),
}

impl StreamDecryptor {
    /// The data of this map. Where its chunks are is said by [`with_store`](Self::with_store) or
    /// [`with_chunks`](Self::with_chunks).
    ///
    /// # Errors
    /// [`Error::Encryption`] without threads.
    pub fn from_data_map(data_map: DataMap) -> Result<Self> {
        let setup = Setup::new(EncryptionConfig::new())?;
        Ok(Self { map: data_map, setup, source: None, pieces: None, ended: false })
    }

    /// With this configuration: its memory, its threads, and its cache in front of the store.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] naming the setting and its range; [`Error::Unsupported`] for keys, since the map is
    /// open already, and once reading has begun.
    pub fn with_config(mut self, config: EncryptionConfig) -> Result<Self> {
        self.check_not_begun()?;
        self.setup = Setup::new(config)?;
        self.setup.check_keys(None)?;
        Ok(self)
    }

    /// Reads chunks from this store.
    ///
    /// # Errors
    /// [`Error::Unsupported`] once reading has begun.
    pub fn with_store(mut self, store: impl Into<AnyStore>) -> Result<Self> {
        self.check_not_begun()?;
        self.source = Some(Source::Store(store.into()));
        Ok(self)
    }

    /// Reads these chunks, in any order; others may be among them.
    ///
    /// # Errors
    /// [`Error::Unsupported`] once reading has begun.
    pub fn with_chunks(mut self, chunks: impl IntoIterator<Item = Chunk>) -> Result<Self> {
        self.check_not_begun()?;
        self.source = Some(Source::Chunks(Held::of(chunks)));
        Ok(self)
    }

    fn check_not_begun(&self) -> Result<()> {
        match self.pieces {
            Some(_) => Err(Error::Unsupported("reading has begun; settings come before it".into())),
            None => Ok(()),
        }
    }

    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::NoSource`] if nothing says where the chunks are; [`Error::InvalidData`] naming the chunk that is
    /// missing or damaged; [`Error::ChunkStore`] as the store fails; [`Error::Unsupported`] for a cache without a
    /// store.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        StreamExt::next(self).await
    }

    fn pieces(&mut self) -> Result<&mut BoxStream<'static, crate::Result<Bytes>>> {
        if self.pieces.is_none() {
            let store = match &self.source {
                Some(Source::Store(store)) => self.setup.reading(store.clone().into_store()),
                held => {
                    self.setup.refuse_cache("there is no store to put it in front of")?;
                    match held {
                        Some(Source::Chunks(held)) => held.before(None),
                        _ if self.map.is_inline() => Held::of([]).before(None),
                        _ => return Err(Error::NoSource),
                    }
                }
            };
            let reader = self.setup.engine.open(store, self.map.clone());
            self.pieces = Some(reader.stream(0..reader.len()));
        }
        self.pieces.as_mut().ok_or(Error::NoSource)
    }
}

impl Stream for StreamDecryptor {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = match self.pieces() {
            Ok(pieces) => match pieces.poll_next_unpin(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(piece) => piece.map(|piece| piece.map_err(Error::from)),
            },
            Err(e) => Some(Err(e)),
        };
        self.ended = !matches!(piece, Some(Ok(_)));
        Poll::Ready(piece)
    }
}

impl fmt::Debug for StreamDecryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamDecryptor").field("map", &self.map).finish_non_exhaustive()
    }
}
