//! One buffer whose parts are filled on many threads, each chunk's data where it is to be in the end.

use std::ops::{Deref, DerefMut, Range};
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures::stream::{Stream, TryStreamExt};

use super::buffers::{Buffer, Buffers};
use super::error::Result;

/// Gives parts of one buffer away, from its start to its end.
pub(crate) struct Room {
    free: BytesMut,
    left: u64,
    most: u64,
}

/// Where the data of a chunk is wanted, and which of it.
pub(crate) struct Place {
    part: BytesMut,
    within: Range<usize>,
}

/// Memory that all data of a chunk is written to: in its place, if all of it belongs there.
pub(crate) enum Target {
    Placed(BytesMut),
    Own(Buffer, Option<Place>),
}

/// The data of a chunk: in memory of its own, or what was wanted of it in its place.
pub(crate) enum Data {
    Own(Bytes),
    Placed(BytesMut),
}

impl Room {
    /// Of about `len` bytes, of which memory is asked for `most` at a time, since lengths are what a map says.
    pub(crate) fn new(len: u64, most: u64) -> Self {
        Self { free: BytesMut::new(), left: len, most }
    }

    /// The place for what lies in `range` of a chunk of `len` bytes that begins at `offset`: chunks ask in order.
    pub(crate) fn place(&mut self, offset: u64, len: usize, range: &Range<u64>) -> Place {
        let within = within(offset, len, range);
        Place { part: self.part(within.len()), within }
    }

    fn part(&mut self, len: usize) -> BytesMut {
        if self.free.len() < len {
            let next = usize::try_from(self.left.min(self.most)).unwrap_or_default();
            // Zeros, as the system gives them: no page is touched.
            self.free = BytesMut::zeroed(next.max(len));
        }
        self.left = self.left.saturating_sub(len as u64);
        self.free.split_to(len)
    }
}

impl Place {
    /// Copies from all data of the chunk.
    pub(crate) fn put(mut self, data: &[u8]) -> Data {
        self.part.copy_from_slice(&data[self.within]);
        Data::Placed(self.part)
    }
}

impl Target {
    /// For the `len` bytes of a chunk.
    pub(crate) fn new(place: Option<Place>, len: usize, buffers: &Buffers) -> Self {
        match place {
            Some(Place { part, within }) if within == (0..len) => Self::Placed(part),
            place => Self::Own(buffers.take(len), place),
        }
    }

    /// All was written.
    pub(crate) fn finish(self) -> Data {
        match self {
            Self::Placed(part) => Data::Placed(part),
            Self::Own(data, None) => Data::Own(data.into()),
            Self::Own(data, Some(place)) => place.put(&data),
        }
    }
}

impl Deref for Target {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Placed(part) => part,
            Self::Own(data, _) => data,
        }
    }
}

impl DerefMut for Target {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Placed(part) => part,
            Self::Own(data, _) => data,
        }
    }
}

impl From<Data> for Bytes {
    fn from(data: Data) -> Self {
        match data {
            Data::Own(data) => data,
            Data::Placed(part) => part.freeze(),
        }
    }
}

/// What of a chunk of `len` bytes that begins at `offset` lies in `range`.
pub(crate) fn within(offset: u64, len: usize, range: &Range<u64>) -> Range<usize> {
    let clamp = |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX).min(len);
    clamp(range.start)..clamp(range.end)
}

/// The data in `range`, of chunks in order with their offsets, which asked one room for their places.
pub(crate) async fn gather(
    chunks: impl Stream<Item = Result<(u64, Data)>>,
    range: &Range<u64>,
) -> Result<Bytes> {
    let (mut chunks, mut whole) = (pin!(chunks), BytesMut::new());
    while let Some((offset, data)) = chunks.try_next().await? {
        match data {
            // Neighbours of one buffer: nothing is copied.
            Data::Placed(part) => whole.unsplit(part),
            Data::Own(data) => whole.extend_from_slice(&data[within(offset, data.len(), range)]),
        }
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::engine::Error;

    /// Chunks of these lengths, each of its own bytes, with their offsets.
    fn chunks(lens: &[usize]) -> Vec<(u64, Vec<u8>)> {
        let mut end = 0;
        let chunk = |(n, len): (usize, &usize)| {
            end += *len as u64;
            (end - *len as u64, vec![u8::try_from(n % 251).unwrap(); *len])
        };
        lens.iter().enumerate().map(chunk).collect()
    }

    fn placed(room: &mut Room, offset: u64, content: &[u8], range: &Range<u64>) -> Data {
        let place = room.place(offset, content.len(), range);
        let mut target = Target::new(Some(place), content.len(), &Buffers::default());
        target.copy_from_slice(content);
        assert_eq!(&target[..], content);
        target.finish()
    }

    #[tokio::test]
    async fn chunks_are_gathered_in_order_whatever_was_said_of_their_length() {
        let lens = [&[][..], &[7], &[1, 3], &[1000, 5, 1, 70_000, 1], &[100; 100]];
        for lens in lens {
            let (chunks, len) = (chunks(lens), lens.iter().sum::<usize>() as u64);
            let all: Vec<u8> = chunks.iter().flat_map(|(_, content)| content.clone()).collect();
            for (said, most) in [(len, u64::MAX), (len, 64), (0, 1 << 20), (1 << 40, 5000), (len / 2, len)] {
                for range in [0..len, 0..len.min(3), len / 3..len, len / 3..len - len / 4] {
                    let mut room = Room::new(said, most);
                    let data = chunks
                        .iter()
                        .map(|(offset, content)| Ok((*offset, placed(&mut room, *offset, content, &range))));
                    let data: Vec<_> = data.collect();
                    let gathered = gather(stream::iter(data), &range).await.unwrap();
                    let at = |at: u64| usize::try_from(at).unwrap();
                    assert!(gathered == all[at(range.start)..at(range.end)], "{lens:?}, {range:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn what_is_in_its_place_is_not_copied() {
        let chunks = chunks(&[100, 200, 300]);
        let mut room = Room::new(600, 600);
        let data: Vec<_> =
            chunks.iter().map(|(offset, content)| placed(&mut room, *offset, content, &(0..600))).collect();
        let Data::Placed(first) = &data[0] else { panic!("it has a place") };
        let at = first.as_ptr();
        let data = chunks.iter().zip(data).map(|((offset, _), data)| Ok((*offset, data)));
        let gathered = gather(stream::iter(data), &(0..600)).await.unwrap();
        assert_eq!((gathered.as_ptr(), gathered.len()), (at, 600));
    }

    /// As after a second read of a chunk that was damaged on its way.
    #[tokio::test]
    async fn a_chunk_without_its_place_is_copied() {
        let chunks = chunks(&[100, 200, 300]);
        for own in 0..chunks.len() {
            let (range, mut room) = (50..550, Room::new(500, 500));
            let data = chunks.iter().enumerate().map(|(n, (offset, content))| {
                let data = placed(&mut room, *offset, content, &range);
                Ok((*offset, if n == own { Data::Own(content.clone().into()) } else { data }))
            });
            let data: Vec<_> = data.collect();
            let gathered = gather(stream::iter(data), &range).await.unwrap();
            assert_eq!(gathered, [vec![0; 50], vec![1; 200], vec![2; 250]].concat());
        }
    }

    #[tokio::test]
    async fn an_error_ends_it() {
        let data = |n: usize| Ok((0, Data::Own(Bytes::from(vec![0; n]))));
        let chunks = [data(1), Err(Error::Cancelled), data(2)];
        let e = gather(stream::iter(chunks), &(0..3)).await.unwrap_err();
        assert!(matches!(e, Error::Cancelled));
    }
}
