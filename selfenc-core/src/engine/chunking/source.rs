use std::collections::VecDeque;
use std::pin::Pin;

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

use super::Chunking;
use super::cutter::Cutter;
use crate::engine::budget::{Budget, Permit};
use crate::engine::buffers::{Buffer, Buffers};
use crate::engine::codec;
use crate::engine::error::{Error, Result};

/// One chunk's plaintext, after room for the encoded header, and the memory it was admitted with.
pub(crate) struct Chunk {
    pub(crate) buffer: Buffer,
    pub(crate) permit: Permit,
}

/// Cuts an input of unknown length into chunks, each admitted by the budget before it is read.
pub(crate) struct ChunkSource<R> {
    input: Pin<Box<R>>,
    chunking: Chunking,
    cutter: Cutter,
    budget: Budget,
    buffers: Buffers,
    /// Read ahead of the cutter, where the data decides: what is from `start` on is not yet a chunk.
    window: Zeroizing<Vec<u8>>,
    start: usize,
    /// Chunks that are ready because the start of the input had to be read to know its length.
    ready: Option<VecDeque<Chunk>>,
    failed: Option<Error>,
    /// The input said once that it has ended: a file may grow meanwhile, and is not asked again.
    ended: bool,
}

impl<R: AsyncRead> ChunkSource<R> {
    pub(crate) fn new(
        input: R,
        chunking: Chunking,
        cutter: Cutter,
        budget: Budget,
        buffers: Buffers,
    ) -> Self {
        Self {
            input: Box::pin(input),
            chunking,
            cutter,
            budget,
            buffers,
            window: Zeroizing::default(),
            start: 0,
            ready: None,
            failed: None,
            ended: false,
        }
    }

    /// Up to `count` chunks; empty at the end. Chunks before a failure come first, then the failure.
    pub(crate) async fn batch(&mut self, count: usize) -> Result<Vec<Chunk>> {
        let mut batch = Vec::with_capacity(count);
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        while batch.len() < count {
            match self.next().await {
                Ok(Some(chunk)) => batch.push(chunk),
                Ok(None) => break,
                Err(failure) if batch.is_empty() => return Err(failure),
                Err(failure) => {
                    self.failed = Some(failure);
                    break;
                }
            }
        }
        Ok(batch)
    }

    async fn next(&mut self) -> Result<Option<Chunk>> {
        if let Chunking::Fixed { size, min_chunks: 3 } = self.chunking
            && self.ready.is_none()
        {
            self.ready = Some(self.three_chunks(size as usize).await?);
        }
        if let Some(chunk) = self.ready.as_mut().and_then(VecDeque::pop_front) {
            return Ok(Some(chunk));
        }
        let permit = self.budget.admit().await;
        let chunk = match self.chunking {
            Chunking::Fixed { size, .. } => self.read_chunk(size as usize, permit).await?,
            Chunking::ContentDefined { max, .. } => self.cut_chunk(max as usize, permit).await?,
        };
        Ok((chunk.buffer.len() > codec::HEADER).then_some(chunk))
    }

    /// Fixed sizes: straight from the input into the chunk's own buffer.
    async fn read_chunk(&mut self, size: usize, permit: Permit) -> Result<Chunk> {
        let mut buffer = codec::buffer_of(&self.buffers, size);
        while buffer.len() < codec::HEADER + size {
            let room = codec::HEADER + size - buffer.len();
            if self.read(buffer.vec().limit(room)).await? == 0 {
                // The last chunk may be far shorter than the room that was made for it.
                let len = buffer.len();
                buffer.vec().shrink_to(len + codec::CIPHER_ROOM);
                break;
            }
        }
        Ok(Chunk { buffer, permit })
    }

    /// Content-defined sizes: the window holds a longest chunk or the rest, the cutter decides.
    async fn cut_chunk(&mut self, max: usize, mut permit: Permit) -> Result<Chunk> {
        if self.start >= max {
            self.window.drain(..self.start);
            self.start = 0;
        }
        let held = self.window.len();
        self.window.reserve_exact((2 * max).saturating_sub(held));
        while !self.ended && self.window.len() - self.start < max {
            let room = 2 * max - self.window.len();
            let input = &mut self.input;
            let read = input.read_buf(&mut (&mut *self.window).limit(room)).await;
            self.ended = read.map_err(Error::Source)? == 0;
        }
        let rest = &self.window[self.start..];
        let len = if rest.is_empty() { 0 } else { self.cutter.cut(rest) };
        let mut buffer = codec::buffer(len);
        buffer.extend_from_slice(&rest[..len]);
        self.start += len;
        permit.shrink_to(len);
        Ok(Chunk { buffer: buffer.into(), permit })
    }

    /// The first three chunks, cut into equal thirds if that is all there is.
    async fn three_chunks(&mut self, size: usize) -> Result<VecDeque<Chunk>> {
        let mut chunks = VecDeque::with_capacity(3);
        for permit in self.budget.admit_three().await {
            chunks.push_back(self.read_chunk(size, permit).await?);
        }
        let total: usize = chunks.iter().map(|chunk| chunk.buffer.len() - codec::HEADER).sum();
        if total < 3 * size {
            let whole: Zeroizing<Vec<u8>> = Zeroizing::new(
                chunks.iter().flat_map(|chunk| &chunk.buffer[codec::HEADER..]).copied().collect(),
            );
            let thirds = [0..total / 3, total / 3..total / 3 * 2, total / 3 * 2..total];
            for (chunk, third) in chunks.iter_mut().zip(thirds) {
                let mut buffer = codec::buffer(third.len());
                buffer.extend_from_slice(&whole[third]);
                chunk.buffer = buffer.into();
            }
        }
        chunks.retain(|chunk| chunk.buffer.len() > codec::HEADER);
        Ok(chunks)
    }

    async fn read(&mut self, mut into: impl BufMut) -> Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let read = self.input.read_buf(&mut into).await.map_err(Error::Source)?;
        self.ended = read == 0;
        Ok(read)
    }
}
