use crate::store::retry::worth_it;
use crate::store::{ChunkId, Error, ErrorKind, Pacer, Result};

/// Runs a batch, then again and again its members that failed and may yet succeed; the answers are in the
/// order of the input.
pub(super) async fn batch<I, T, W>(
    pacer: &Pacer,
    op: &'static str,
    items: &[I],
    id: impl Fn(&I) -> ChunkId,
    call: impl Fn(Vec<I>) -> W,
) -> Vec<Result<T>>
where
    I: Clone,
    W: Future<Output = Vec<Result<T>>>,
{
    let mut attempts = pacer.start(op);
    let mut results: Vec<Option<Result<T>>> = items.iter().map(|_| None).collect();
    let mut open: Vec<usize> = (0..items.len()).collect();
    loop {
        let round = open.iter().map(|i| items[*i].clone()).collect();
        for (i, answer) in open.iter().zip(call(round).await) {
            results[*i] = Some(answer);
        }
        open.retain(|i| matches!(&results[*i], Some(Err(e)) if worth_it(e)));
        if open.is_empty() || !attempts.again().await {
            break;
        }
    }
    for i in open {
        results[i] = results[i].take().map(|last| last.map_err(|e| attempts.give_up(e)));
    }
    let unanswered = |item| {
        let message = "the store gave fewer answers than the batch has members";
        Err(Error::new(ErrorKind::Other, op, message).with_chunk(id(item)))
    };
    results.into_iter().zip(items).map(|(result, item)| result.unwrap_or_else(|| unanswered(item))).collect()
}
