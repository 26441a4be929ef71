use futures::future::try_join_all;
use futures::stream::{self, BoxStream, Fuse, StreamExt};

use crate::store::{ChunkMeta, Error, Result};

/// One ascending list out of several: each id once, with the length of the first list that has it.
///
/// An error of one list, which `blame` gives its number, ends the whole: a collector must not take a
/// replica that failed for an empty one.
pub(super) fn merge(
    lists: Vec<BoxStream<'static, Result<ChunkMeta>>>,
    blame: impl Fn(usize, Error) -> Error + Clone + Send + 'static,
) -> BoxStream<'static, Result<ChunkMeta>> {
    let heads: Vec<_> = lists.into_iter().map(|list| Head { list: list.fuse(), next: None }).collect();
    let step = move |heads: Option<Vec<Head>>| {
        let blame = blame.clone();
        async move {
            let mut heads = heads?;
            let filled = heads
                .iter_mut()
                .enumerate()
                .map(|(i, head)| async move { head.fill().await.map_err(|e| (i, e)) });
            if let Err((i, e)) = try_join_all(filled).await {
                return Some((Err(blame(i, e)), None));
            }
            let next = heads.iter().filter_map(|head| head.next).map(|meta| meta.id).min()?;
            let same = heads.iter_mut().filter_map(|head| head.next.take_if(|meta| meta.id == next));
            // All of them are taken, the first one counts.
            let first = same.reduce(|first, _| first)?;
            Some((Ok(first), Some(heads)))
        }
    };
    stream::unfold(Some(heads), step).fuse().boxed()
}

struct Head {
    list: Fuse<BoxStream<'static, Result<ChunkMeta>>>,
    next: Option<ChunkMeta>,
}

impl Head {
    async fn fill(&mut self) -> Result<()> {
        if self.next.is_none() {
            self.next = self.list.next().await.transpose()?;
        }
        Ok(())
    }
}
