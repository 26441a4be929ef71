//! The requests that a store is made of. Each is sent as often as its operation allows.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use selfenc_core::store::objects::{Cause, clean};
use selfenc_core::store::{DEFAULT_MAX_CHUNK_LEN, Error, ErrorKind, Result};

use aws_sdk_s3::config::{Builder, RequestChecksumCalculation};
use aws_sdk_s3::primitives::ByteStream;

use crate::error::{Again, Failure, answered, failed};
use crate::guard::Form;
use crate::request::{Lane, Operation};
use crate::store::Inner;

/// Which object a write may replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Any,
    Absent,
    /// The object with this entity tag.
    Tag(String),
}

/// A whole object.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    /// Names a version for `Condition::Tag`; never a checksum.
    pub(crate) tag: String,
}

/// What a service says of an object that it has written.
#[derive(Debug)]
pub(crate) struct Written {
    tag: String,
    /// Whether it knows the CRC32 that it was sent.
    is_checked: bool,
}

impl Inner {
    /// An operation that sends `len` bytes.
    pub(crate) fn begin(&self, op: &'static str, lane: Lane, len: usize) -> Operation<'_> {
        self.requests.begin(op, lane, len as u64)
    }

    /// The object's length, if there is one. A missing bucket looks the same: see `check_bucket`.
    pub(crate) async fn head(
        &self,
        operation: &Operation<'_>,
        key: &str,
        doing: &str,
    ) -> Result<Option<u64>, Failure> {
        let place = self.requests.place();
        let send = || async {
            let request = self.client.head_object().bucket(&place.bucket).key(key);
            let answer = request.send();
            let answer = async { answer.await.map_err(|e| failed(operation.op, doing, place, &e)) };
            let found = operation.head(answer).await?;
            // Every S3 service gives both; the page of a proxy does not.
            let len = found.content_length().filter(|_| found.e_tag().is_some());
            let len = len.and_then(|len| u64::try_from(len).ok());
            len.ok_or_else(|| answered(operation.op, doing, place, 200, None, None))
        };
        match operation.send(send).await {
            Err(failure) if failure.is_absent_head() => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// The whole object, or `None`; never more than `max` bytes.
    pub(crate) async fn get_object(
        &self,
        operation: &Operation<'_>,
        key: &str,
        max: u64,
        doing: &str,
    ) -> Result<Option<Object>, Failure> {
        let place = self.requests.place();
        let op = operation.op;
        let send = || async {
            let answer = self.client.get_object().bucket(&place.bucket).key(key).send();
            let answer = async { answer.await.map_err(|e| failed(op, doing, place, &e)) };
            let found = operation.head(answer).await?;
            let len = found.content_length().and_then(|len| u64::try_from(len).ok());
            // Every S3 service gives both; the page of a proxy does not. Without a length nobody could
            // tell where the object was cut.
            // Nor is a part that nobody asked for the object.
            let (Some(len), Some(tag), None) = (len, found.e_tag().map(str::to_owned), found.content_range())
            else {
                return Err(answered(op, doing, place, 200, None, None));
            };
            if len > max {
                let message = format!("its object has {len} bytes, more than the longest allowed, {max}");
                return Err(Failure::local(Error::new(ErrorKind::Corrupt, op, message)));
            }
            let bytes = operation.body(len, read(operation, doing, found.body, len)).await?;
            Ok(Object { bytes, tag })
        };
        absent_is_none(operation.send(send).await)
    }

    /// Writes an object; the tag of what was written.
    ///
    /// What a repeated write meets may be its own first attempt, whose answer was lost.
    pub(crate) async fn put_object(
        &self,
        operation: &Operation<'_>,
        key: &str,
        data: &Bytes,
        condition: &Condition,
        doing: &str,
    ) -> Result<String, Failure> {
        // Some services look at what they got only once it is in its place. Then it is there, and damaged:
        // it is to be replaced, and not to be taken for the object.
        let is_damaged = AtomicBool::new(false);
        let send = || async {
            let condition = match condition {
                Condition::Absent if is_damaged.load(Ordering::Relaxed) => &Condition::Any,
                condition => condition,
            };
            let put = self.put_object_once(operation, key, data, condition, doing).await;
            let is_corrupt = matches!(&put, Err(failure) if failure.error.kind() == ErrorKind::Corrupt);
            is_damaged.fetch_or(is_corrupt, Ordering::Relaxed);
            put
        };
        operation.send(send).await
    }

    /// One attempt of the same.
    pub(crate) async fn put_object_once(
        &self,
        operation: &Operation<'_>,
        key: &str,
        data: &Bytes,
        condition: &Condition,
        doing: &str,
    ) -> Result<String, Failure> {
        let sent = self.guard.form();
        let mut answer = self.put_object_as(sent, operation, key, data, condition, doing).await;
        if self.guard.learn(sent, answer.as_ref().map(|written| written.is_checked)) {
            tracing::debug!(place = %self.requests.place(), ?sent, "the service does not take this form of a put");
            answer = self.put_object_as(Form::Signed, operation, key, data, condition, doing).await;
        }
        Ok(answer?.tag)
    }

    /// One attempt in this form, whatever the service has been found to take.
    pub(crate) async fn put_object_as(
        &self,
        form: Form,
        operation: &Operation<'_>,
        key: &str,
        data: &Bytes,
        condition: &Condition,
        doing: &str,
    ) -> Result<Written, Failure> {
        let place = self.requests.place();
        let request = self.client.put_object().bucket(&place.bucket).key(key);
        // In memory, so that checksums go into a header: what streams goes in a form that many services
        // do not understand.
        let request = request.body(ByteStream::from(data.clone()));
        let request = self.kept_as.applied(request);
        let request = match condition {
            Condition::Any => request,
            Condition::Absent => request.if_none_match("*"),
            Condition::Tag(tag) => request.if_match(tag),
        };
        let mut request = request.customize();
        if form != Form::Signed {
            let checksums = RequestChecksumCalculation::WhenSupported;
            request = request.config_override(Builder::new().request_checksum_calculation(checksums));
        }
        if form == Form::Checked {
            request = request.disable_payload_signing();
        }
        let answer = request.send();
        let answer = async { answer.await.map_err(|e| failed(operation.op, doing, place, &e)) };
        let written = operation.head(answer).await?;
        // A 200 may be the page of a proxy, or hold an error.
        let tag = written.e_tag().map(str::to_owned);
        let tag = tag.ok_or_else(|| answered(operation.op, doing, place, 200, None, None))?;
        Ok(Written { tag, is_checked: written.checksum_crc32().is_some() })
    }

    /// Removes an object; `Ok` if there is none.
    pub(crate) async fn delete_object(
        &self,
        operation: &Operation<'_>,
        key: &str,
        doing: &str,
    ) -> Result<(), Failure> {
        let place = self.requests.place();
        let send = || async {
            let answer = self.client.delete_object().bucket(&place.bucket).key(key).send();
            let answer = async { answer.await.map_err(|e| failed(operation.op, doing, place, &e)) };
            operation.head(answer).await.map(drop)
        };
        absent_is_none(operation.send(send).await).map(drop)
    }

    /// Tells a missing object from a missing bucket, after a HEAD that found nothing.
    pub(crate) async fn check_bucket(&self, operation: &Operation<'_>) -> Result<(), Failure> {
        let place = self.requests.place();
        let doing = "look at the bucket";
        let send = || async {
            let answer = self.client.head_bucket().bucket(&place.bucket).send();
            let answer = async { answer.await.map_err(|e| failed(operation.op, doing, place, &e)) };
            operation.head(answer).await.map(drop)
        };
        operation.send(send).await.map_err(|failure| {
            if failure.is_absent_head() {
                return answered(operation.op, doing, place, 404, Some("NoSuchBucket"), None);
            }
            failure
        })
    }
}

fn absent_is_none<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.is_absent() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The whole body, of the length that was announced.
async fn read(
    operation: &Operation<'_>,
    doing: &str,
    mut body: ByteStream,
    len: u64,
) -> Result<Bytes, Failure> {
    let op = operation.op;
    let (mut whole, mut parts, mut read) = (Bytes::new(), Vec::new(), 0);
    while let Some(part) = operation.piece(body.next()).await? {
        let part = part.map_err(|e| interrupted(op, doing, &e))?;
        read += part.len() as u64;
        if read > len {
            let message = format!("cannot {doing}: the service sends more than the {len} bytes it announced");
            return Err(Failure::local(Error::new(ErrorKind::Corrupt, op, message)));
        }
        if whole.is_empty() {
            whole = part;
        } else if !part.is_empty() {
            // Copied, not kept: a part of a few bytes may hold a large buffer.
            if parts.is_empty() {
                // All at once, unless nobody would believe that so much comes.
                parts.reserve_exact(usize::try_from(len.min(DEFAULT_MAX_CHUNK_LEN)).unwrap_or_default());
                parts.extend_from_slice(&whole);
            }
            parts.extend_from_slice(&part);
        }
    }
    if read < len {
        let message =
            format!("cannot {doing}: the answer ended after {read} of {len} bytes; check the network");
        return Err(Failure::local(Error::new(ErrorKind::Unavailable, op, message)));
    }
    Ok(if parts.is_empty() { whole } else { parts.into() })
}

/// The failure that ended a body. The SDK's type for a wrong checksum is not to be had, so its text tells.
fn interrupted(op: &'static str, doing: &str, e: &(dyn std::error::Error + 'static)) -> Failure {
    let cause = Cause::of(e);
    let mut innermost = e;
    while let Some(below) = innermost.source() {
        innermost = below;
    }
    let reason = innermost.to_string();
    let (kind, again, remedy) = if reason.contains("checksum mismatch") {
        (ErrorKind::Corrupt, Again::Once, "check the network, and whether the stored object is whole")
    } else {
        (ErrorKind::Unavailable, Again::Paced, "check the network, and that the service runs")
    };
    let message = format!("cannot {doing}: the answer broke off: {}; {remedy}", clean(&reason));
    let error = Error::new(kind, op, message).with_source(cause);
    let mut failure = Failure::local(error);
    failure.again = again;
    failure
}
