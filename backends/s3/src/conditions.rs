//! Whether a service keeps the conditions of a write. Only trying tells: some ignore them and say 200.

use bytes::Bytes;
use selfenc_core::store::Result;
use selfenc_core::store::objects::{Conditions, fill_random};

use crate::objects::Condition;
use crate::request::{Lane, Operation};
use crate::store::Inner;

/// A write that is refused though its condition holds may have been sent twice: then another name is tried.
const PROBES: usize = 3;

impl Inner {
    /// The conditions that the service keeps, tried now if nobody could before.
    pub(crate) async fn conditions(&self, op: &'static str) -> Result<Conditions> {
        self.conditions.get_or_try_init(|| self.probe(op)).await.copied()
    }

    /// Tries both on an object of its own: five requests.
    pub(crate) async fn probe(&self, op: &'static str) -> Result<Conditions> {
        let operation = self.begin(op, Lane::Data, 0);
        // These writes are small, and nothing is lost if the service does not know what it is asked.
        self.guard.ask();
        let mut least = Conditions { create: true, update: true };
        for _ in 0..PROBES {
            let mut digits = [0; 16];
            fill_random(op, &mut digits)?;
            let key = self.names.probe(&digits);
            let found = self.try_both(&operation, &key).await;
            if let Err(failure) = self.delete_object(&operation, &key, "remove a probe").await {
                tracing::debug!(error = %failure.error, "a probe stays");
            }
            match found? {
                Tried::Found(found) => return Ok(found),
                Tried::Refused(rest) => {
                    least.create &= rest.create;
                    least.update &= rest.update;
                }
            }
        }
        // Answers are not lost each time. Such are weak tags, as of a proxy that compresses: they match none.
        tracing::debug!(place = %self.requests.place(), ?least, "the service refuses writes whose conditions hold");
        Ok(least)
    }

    async fn try_both(&self, operation: &Operation<'_>, key: &str) -> Result<Tried> {
        let put = async |text: &'static str, condition: Condition| {
            let doing = "try whether the service keeps conditions";
            let data = Bytes::from_static(text.as_bytes());
            // With the same condition each time, also after one that arrived damaged.
            operation.send(|| self.put_object_once(operation, key, &data, &condition, doing)).await
        };
        let none = Conditions::NONE;
        let first = match put("1", Condition::Absent).await {
            Ok(tag) => tag,
            Err(failure) if failure.is_unsupported() => return Ok(Tried::Found(none)),
            Err(failure) if failure.is_refused() => return Ok(Tried::Refused(none)),
            Err(failure) => return Err(failure.into()),
        };
        match put("2", Condition::Absent).await {
            Ok(_) => return Ok(Tried::Found(none)),
            Err(failure) if failure.is_refused() => {}
            Err(failure) => return Err(failure.into()),
        }
        let only_create = Conditions { create: true, update: false };
        match put("3", Condition::Tag(first.clone())).await {
            Ok(_) => {}
            Err(failure) if failure.is_unsupported() => return Ok(Tried::Found(only_create)),
            Err(failure) if failure.is_refused() => return Ok(Tried::Refused(only_create)),
            Err(failure) => return Err(failure.into()),
        }
        // The first tag is an old one by now.
        match put("4", Condition::Tag(first)).await {
            Ok(_) => Ok(Tried::Found(only_create)),
            Err(failure) if failure.is_refused() => {
                Ok(Tried::Found(Conditions { create: true, update: true }))
            }
            Err(failure) => Err(failure.into()),
        }
    }
}

/// How a trial ended.
enum Tried {
    Found(Conditions),
    /// A write was refused whose condition holds, unless an answer was lost and it was sent twice. If this
    /// is always so, these are the conditions that are of use.
    Refused(Conditions),
}
