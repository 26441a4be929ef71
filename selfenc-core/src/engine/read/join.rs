//! Pieces in one buffer.

use std::mem;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use crate::engine::error::{Error, Result};
use crate::engine::pool::CpuPool;

/// The pieces one after another: about `len` bytes, for which room is made up to `most` bytes at a time, since lengths
/// are what a map says.
///
/// The threads of `pool` copy, as the pages are new: to get them from the system takes longer than the copy.
pub(crate) async fn join(
    pieces: impl Stream<Item = Result<Bytes>> + Send,
    len: u64,
    most: u64,
    pool: &CpuPool,
) -> Result<Bytes> {
    let mut pieces = pin!(pieces);
    let Some(first) = pieces.try_next().await? else { return Ok(Bytes::new()) };
    let Some(second) = pieces.try_next().await? else { return Ok(first) };

    let (mut room, mut left) = (BytesMut::new(), len);
    let copies = stream::iter([Ok(first), Ok(second)]).chain(pieces).map(|piece| {
        let part = piece.map(|piece| {
            if room.capacity() < piece.len() {
                let next = usize::try_from(left.min(most)).unwrap_or_default();
                room = BytesMut::with_capacity(next.max(piece.len()));
            }
            left = left.saturating_sub(piece.len() as u64);
            let rest = room.split_off(piece.len());
            (mem::replace(&mut room, rest), piece)
        });
        async move {
            let (mut part, piece) = part?;
            let copy = move || {
                part.extend_from_slice(&piece);
                part
            };
            Ok::<_, Error>(pool.run(copy).await)
        }
    });
    let whole = copies.buffered(pool.threads() + 1).try_fold(BytesMut::new(), |mut whole, part| async {
        // Neighbours of one buffer: nothing is copied.
        whole.unsplit(part);
        Ok(whole)
    });
    Ok(whole.await?.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(lens: &[usize]) -> Vec<Bytes> {
        let piece = |(n, len): (usize, &usize)| Bytes::from(vec![u8::try_from(n % 251).unwrap(); *len]);
        lens.iter().enumerate().map(piece).collect()
    }

    #[tokio::test]
    async fn pieces_are_joined_in_order_whatever_was_said_of_their_length() {
        let pool = CpuPool::new(2).unwrap();
        let lens = [&[][..], &[7], &[0, 3], &[1000, 5, 0, 70_000, 1], &[100; 100]];
        for lens in lens {
            let (pieces, len) = (pieces(lens), lens.iter().sum::<usize>() as u64);
            for (said, most) in [(len, u64::MAX), (len, 64), (0, 1 << 20), (u64::MAX, 5000), (len / 2, len)] {
                let joined = join(stream::iter(pieces.clone()).map(Ok), said, most, &pool).await.unwrap();
                assert!(joined == pieces.concat(), "{lens:?}, {said} said, {most} at most");
            }
        }
    }

    #[tokio::test]
    async fn one_piece_is_not_copied() {
        let piece = Bytes::from(vec![7; 100]);
        let pool = CpuPool::new(1).unwrap();
        let joined = join(stream::iter([Ok(piece.clone())]), 100, 100, &pool).await.unwrap();
        assert_eq!(joined.as_ptr(), piece.as_ptr());
    }

    #[tokio::test]
    async fn an_error_ends_it() {
        let pool = CpuPool::new(1).unwrap();
        let pieces =
            [Ok(Bytes::from("a")), Ok(Bytes::from("b")), Err(Error::Cancelled), Ok(Bytes::from("c"))];
        let e = join(stream::iter(pieces), 4, 4, &pool).await.unwrap_err();
        assert!(matches!(e, Error::Cancelled));
    }
}
