//! Whether a service keeps the conditions of a write. Only trying tells: some ignore them and say 200.

use bytes::Bytes;
use selfenc_core::store::objects::{Conditions, fill_random};
use selfenc_core::store::{Error, ErrorKind, Result};

use crate::objects::Condition;
use crate::request::{Lane, Operation};
use crate::store::Inner;

/// A first write that finds its object there was sent twice, or met a stranger: then another name is tried.
const PROBES: usize = 3;

impl Inner {
    /// The conditions that the service keeps, tried now if nobody could before.
    pub(crate) async fn conditions(&self, op: &'static str) -> Result<Conditions> {
        self.conditions.get_or_try_init(|| self.probe(op)).await.copied()
    }

    /// Tries both on an object of its own: five requests.
    pub(crate) async fn probe(&self, op: &'static str) -> Result<Conditions> {
        let operation = self.begin(op, Lane::Data, 0);
        let mut refused = None;
        for _ in 0..PROBES {
            let mut digits = [0; 16];
            fill_random(op, &mut digits)?;
            let key = self.names.probe(&digits);
            let found = self.try_both(&operation, &key).await;
            if let Err(failure) = self.delete_object(&operation, &key, "remove a probe").await {
                tracing::debug!(error = %failure.error, "a probe stays");
            }
            if let Some(found) = found? {
                return Ok(found);
            }
        }
        let message = "cannot try whether the service keeps conditions: its answers contradict each other";
        Err(Error::new(ErrorKind::Other, op, message))
    }

    /// `None` if an answer was lost, so that nothing can be concluded.
    async fn try_both(&self, operation: &Operation<'_>, key: &str) -> Result<Option<Conditions>> {
        let put = async |text: &'static str, condition: Condition| {
            let doing = "try whether the service keeps conditions";
            self.put_object(operation, key, &Bytes::from_static(text.as_bytes()), &condition, doing).await
        };
        let first = match put("1", Condition::Absent).await {
            Ok(tag) => tag,
            Err(failure) if failure.is_unsupported() => return Ok(Some(Conditions::NONE)),
            Err(failure) if failure.is_refused() => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        match put("2", Condition::Absent).await {
            Ok(_) => return Ok(Some(Conditions::NONE)),
            Err(failure) if failure.is_refused() => {}
            Err(failure) => return Err(failure.into()),
        }
        let only_create = Ok(Some(Conditions { create: true, update: false }));
        match put("3", Condition::Tag(first.clone())).await {
            Ok(_) => {}
            Err(failure) if failure.is_unsupported() => return only_create,
            Err(failure) if failure.is_refused() => return Ok(None),
            Err(failure) => return Err(failure.into()),
        }
        // The first tag is an old one by now.
        match put("4", Condition::Tag(first)).await {
            Ok(_) => only_create,
            Err(failure) if failure.is_refused() => Ok(Some(Conditions { create: true, update: true })),
            Err(failure) => Err(failure.into()),
        }
    }
}
