//! Few pieces in one buffer.

use bytes::Bytes;
use futures::stream::{Stream, TryStreamExt};

use crate::engine::error::Result;
use crate::engine::pool::CpuPool;

/// The pieces one after another, of which a single one is not copied. No more than a few chunks' worth: more are
/// gathered in one [`Room`](crate::engine::room::Room).
pub(crate) async fn join(pieces: impl Stream<Item = Result<Bytes>> + Send, pool: &CpuPool) -> Result<Bytes> {
    let mut pieces: Vec<_> = pieces.try_collect().await?;
    match pieces.len() {
        0 | 1 => Ok(pieces.pop().unwrap_or_default()),
        // The pages are new: to get them from the system takes longer than the copy.
        _ => Ok(pool.run(move || Bytes::from(pieces.concat())).await),
    }
}

#[cfg(test)]
mod tests {
    use futures::stream::{self, StreamExt};

    use super::*;
    use crate::engine::Error;

    #[tokio::test]
    async fn pieces_are_joined_in_order_and_one_is_not_copied() {
        let pool = CpuPool::new(1).unwrap();
        let join = |pieces: &[Bytes]| {
            let pieces = stream::iter(pieces.to_vec()).map(Ok);
            let pool = pool.clone();
            async move { join(pieces, &pool).await.unwrap() }
        };
        let (one, two) = (Bytes::from(vec![7; 100]), Bytes::from_static(b"two"));
        assert_eq!(join(&[]).await, "");
        assert_eq!(join(std::slice::from_ref(&one)).await.as_ptr(), one.as_ptr());
        assert_eq!(join(&[one.clone(), Bytes::new(), two.clone()]).await, [one, two].concat());
    }

    #[tokio::test]
    async fn an_error_ends_it() {
        let pool = CpuPool::new(1).unwrap();
        let pieces = [Ok(Bytes::from("a")), Err(Error::Cancelled), Ok(Bytes::from("c"))];
        let e = join(stream::iter(pieces), &pool).await.unwrap_err();
        assert!(matches!(e, Error::Cancelled));
    }
}
