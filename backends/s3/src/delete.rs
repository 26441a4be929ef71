//! Batches of deletes: in one request where the service takes that, in whichever form it takes it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use aws_smithy_types::base64;
use futures::stream::{self, StreamExt};
use md5::{Digest, Md5};
use selfenc_core::store::{ChunkId, Error, ErrorKind, Result, attended};

use crate::error::{Again, Failure, answered, failed};
use crate::request::{Lane, Operation};
use crate::store::Inner;
use crate::whole::Whole;

/// Keys that S3 takes in one request.
const BATCH: usize = 1000;

/// Requests of one batch at a time.
const REQUESTS: usize = 4;

const DOING: &str = "remove the objects of chunks";

/// How a batch is sent. A service that does not take one form is sent the next from then on.
#[derive(Debug, Default)]
pub(crate) struct Rung(AtomicU8);

impl Rung {
    /// With a `Content-MD5`, which older services want. Below is what the SDK sends: a CRC32.
    const MD5: u8 = 1;
    /// Not at all: one by one.
    const SINGLE: u8 = 2;

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// The service does not take what stands on `rung`.
    fn leave(&self, rung: u8, place: &impl std::fmt::Display) {
        tracing::debug!(%place, rung, "the service does not take this form of a batch of deletes");
        self.0.fetch_max(rung + 1, Ordering::Relaxed);
    }
}

/// Removes the chunks; the answers are in the order of the input.
pub(crate) async fn many(inner: &Arc<Inner>, ids: Vec<ChunkId>) -> Vec<Result<()>> {
    // Each name once: what a service answers to a repeated one is its own affair.
    let mut keys: Vec<_> = ids.iter().map(|id| inner.names.chunk(*id)).collect();
    keys.sort_unstable();
    keys.dedup();
    let removed = remove(inner, "delete_many", keys).await;
    let answer = |id: ChunkId| match removed.get(&inner.names.chunk(id)) {
        None => Ok(()),
        Some(e) => Err(e.repeat().with_chunk(id)),
    };
    ids.into_iter().map(answer).collect()
}

/// Removes the objects, which need not be there; those that could not be, and why.
pub(crate) async fn remove(
    inner: &Arc<Inner>,
    op: &'static str,
    keys: Vec<String>,
) -> HashMap<String, Error> {
    let groups: Vec<_> = keys.chunks(BATCH).map(<[_]>::to_vec).collect();
    let group = |keys: Vec<String>| {
        let inner = Arc::clone(inner);
        async move {
            let all = keys.clone();
            let removed = attended(op, async move { Ok(inner.remove_group(op, keys).await) }).await;
            // The runtime shuts down: nothing is known.
            removed.unwrap_or_else(|e| all.into_iter().map(|key| (key, e.repeat())).collect())
        }
    };
    stream::iter(groups).map(group).buffer_unordered(REQUESTS).concat().await
}

impl Inner {
    async fn remove_group(&self, op: &'static str, keys: Vec<String>) -> HashMap<String, Error> {
        let operation = self.begin(op, Lane::Maintenance, 0);
        let mut open = keys;
        let mut failed = HashMap::new();
        let mut attempts = self.requests.pacer().start(op);
        while !open.is_empty() {
            let rung = self.rung.get();
            if rung >= Rung::SINGLE || open.len() == 1 {
                failed.extend(self.remove_each(op, open).await);
                break;
            }
            match operation.send(|| self.delete_objects(&operation, &open, rung)).await {
                Ok(answers) => {
                    let (again, lost): (Vec<_>, Vec<_>) =
                        answers.into_iter().partition(|(_, failure)| failure.again == Again::Paced);
                    failed.extend(lost.into_iter().map(|(key, f)| (key, f.error)));
                    if !again.is_empty() && !operation.again(&mut attempts, Duration::ZERO).await {
                        failed.extend(again.into_iter().map(|(key, f)| (key, attempts.give_up(f.error))));
                        break;
                    }
                    open = again.into_iter().map(|(key, _)| key).collect();
                }
                Err(failure) if is_form(&failure) => self.rung.leave(rung, self.requests.place()),
                Err(failure) => {
                    failed.extend(open.into_iter().map(|key| (key, failure.error.repeat())));
                    break;
                }
            }
        }
        failed
    }

    /// One by one; in one operation each, since they are many. Once one has waited in vain, the rest, which
    /// would as well, are given up.
    async fn remove_each(&self, op: &'static str, keys: Vec<String>) -> HashMap<String, Error> {
        let silence = &OnceLock::<Error>::new();
        let each = stream::iter(keys).map(|key| async move {
            if let Some(e) = silence.get() {
                return Some((key, e.repeat()));
            }
            let operation = self.begin(op, Lane::Maintenance, 0);
            let removed = self.delete_object(&operation, &key, "remove the object of a chunk").await;
            let e = removed.err()?.error;
            if e.kind() == ErrorKind::Timeout {
                let _ = silence.set(e.repeat());
            }
            Some((key, e))
        });
        each.buffer_unordered(REQUESTS).filter_map(std::future::ready).collect().await
    }

    /// One request for all of them; those that it says were not removed.
    async fn delete_objects(
        &self,
        operation: &Operation<'_>,
        keys: &[String],
        rung: u8,
    ) -> Result<Vec<(String, Failure)>, Failure> {
        let (op, place) = (operation.op, self.requests.place());
        let object = |key: &String| ObjectIdentifier::builder().key(key).build();
        let delete = keys.iter().map(object).collect::<Result<_, _>>().and_then(|objects| {
            // Quiet: only what failed is answered.
            Delete::builder().quiet(true).set_objects(Some(objects)).build()
        });
        let delete = delete.map_err(|e| {
            Failure::local(Error::new(ErrorKind::Other, op, "cannot make a batch of deletes").with_source(e))
        })?;
        let request = self.client.delete_objects().bucket(&place.bucket).delete(delete);
        let answer = async {
            let request = request.customize().interceptor(Whole("DeleteResult"));
            let request = if rung == Rung::MD5 { request.mutate_request(use_md5) } else { request };
            let answer = request.send().await;
            answer.map_err(|e| failed(op, DOING, place, &e))
        };
        let answer = operation.head(answer).await?;
        let mut problems = Vec::new();
        for problem in answer.errors() {
            // Each has a code and no status: 400 is what no code of a retry comes with.
            let failure = answered(op, DOING, place, 400, problem.code(), None);
            if failure.is_absent() {
                continue;
            }
            match problem.key().and_then(|named| keys.iter().find(|key| *key == named)) {
                Some(key) => problems.push((key.clone(), failure)),
                // It may be about any of them.
                None => return Err(failure),
            }
        }
        Ok(problems)
    }
}

/// Whether the service refuses the form, not the deletes: then another form may do.
fn is_form(failure: &Failure) -> bool {
    let by_code = matches!(failure.code(), Some("MissingContentMD5" | "InvalidRequest" | "InvalidArgument"));
    by_code || failure.is_unsupported() || (failure.status() == Some(400) && failure.code().is_none())
}

/// Puts a `Content-MD5` in the place of the SDK's checksum.
fn use_md5(request: &mut HttpRequest) {
    let Some(digest) = request.body().bytes().map(Md5::digest) else { return };
    let headers = request.headers_mut();
    let checksums: Vec<_> = headers
        .iter()
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("x-amz-checksum-") || name == "x-amz-sdk-checksum-algorithm")
        .collect();
    for name in checksums {
        headers.remove(name);
    }
    headers.insert("content-md5", base64::encode(digest));
}
