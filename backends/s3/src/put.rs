//! Puts: create if absent, looking first where that is cheaper.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use selfenc_core::store::{ChunkId, Error, ErrorKind, PutOutcome, Result};

use crate::objects::Condition;
use crate::request::{Lane, Operation};
use crate::store::Inner;

/// How often a put starts again because others put and deleted the same chunk in between.
const PUT_ATTEMPTS: usize = 5;

/// How a put finds out that the chunk is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PutStrategy {
    /// By a conditional PUT, and by looking first while at least 8 % of the last 128 chunks were there: a
    /// refused PUT has sent the whole chunk and costs as much as twelve looks.
    #[default]
    Auto,
    /// By a conditional PUT, always: one request for each new chunk.
    ConditionalPut,
    /// By looking first, always: two requests for each new chunk, one small one for each old.
    HeadThenPut,
}

impl Inner {
    pub(crate) async fn put_chunk(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        let operation = self.begin("put", Lane::Data, data.len());
        let (key, len) = (self.names.chunk(id), data.len() as u64);
        let looks_first = match self.strategy {
            PutStrategy::Auto => self.duplicates.is_likely(),
            PutStrategy::ConditionalPut => false,
            PutStrategy::HeadThenPut => true,
        };
        let mut seen = if looks_first { Some(self.look(&operation, &key).await?) } else { None };
        let mut refusal = None;
        for _ in 0..PUT_ATTEMPTS {
            let creates = self.creates.load(Ordering::Relaxed);
            let condition = match seen {
                Some(Some(found)) if found == len => {
                    self.duplicates.note(true);
                    return Ok(PutOutcome::Present);
                }
                // Of another length: a damaged one, which is replaced.
                Some(Some(_)) => Condition::Any,
                _ if creates => Condition::Absent,
                Some(None) => Condition::Any,
                None => {
                    seen = Some(self.look(&operation, &key).await?);
                    continue;
                }
            };
            let doing = "write the object of the chunk";
            match self.put_object(&operation, &key, &data, &condition, doing).await {
                Ok(_) => {
                    self.duplicates.note(false);
                    return Ok(PutOutcome::Inserted);
                }
                // By whom, does not matter: its bytes follow from its name.
                Err(failure) if failure.is_refused() => {
                    refusal = Some(failure.error);
                    seen = Some(self.look(&operation, &key).await?);
                }
                Err(failure) if condition == Condition::Absent && failure.is_unsupported() => {
                    tracing::debug!(place = %self.requests.place(), "the service has no conditional writes");
                    self.creates.store(false, Ordering::Relaxed);
                    seen = None;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        let message = "others put and delete this chunk all the time; try again later";
        let error = Error::new(ErrorKind::Conflict, "put", message);
        Err(match refusal {
            Some(refusal) => error.with_source(refusal),
            None => error,
        })
    }

    /// The length of the chunk's object, if there is one.
    pub(crate) async fn look(&self, operation: &Operation<'_>, key: &str) -> Result<Option<u64>> {
        Ok(self.head(operation, key, "look at the object of the chunk").await?)
    }
}
