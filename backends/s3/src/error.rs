//! The table from S3's answers to [`ErrorKind`]: by code first, by status where there is none (an answer to
//! HEAD has no body).

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use http_body_util::LengthLimitError;
use selfenc_core::store::objects::{Cause, clean};
use selfenc_core::store::{Error, ErrorKind};

/// No service is believed when it asks for a longer pause: MinIO asks for 60 s while it starts, and is there
/// after one.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A code is shown and compared up to this length; those of S3 are shorter.
const MAX_CODE_LEN: usize = 64;

/// What is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    /// It may be cured by what the first answer taught: a new token, the service's time.
    Once,
    /// As often as the policy says.
    Paced,
}

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) again: Again,
    /// How long the service asks to wait.
    pub(crate) pause: Duration,
    status: Option<u16>,
    code: Option<String>,
}

impl Failure {
    /// A failure that no answer of the service is the reason of.
    pub(crate) fn local(error: Error) -> Self {
        let again = if error.is_transient() { Again::Paced } else { Again::Never };
        Self { error, again, pause: Duration::ZERO, status: None, code: None }
    }

    /// The object is not there, as the service says. A 404 that does not say so may be anybody's: that of a
    /// proxy, for one.
    pub(crate) fn is_absent(&self) -> bool {
        self.code() == Some("NoSuchKey")
    }

    /// What was asked for by HEAD, whose answers say nothing but their status, is not there.
    pub(crate) fn is_absent_head(&self) -> bool {
        self.status == Some(404) && matches!(self.code(), None | Some("NoSuchKey" | "NotFound"))
    }

    /// The condition of a write does not hold. Some old services say 304.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.status, Some(412 | 304)) || self.code() == Some("PreconditionFailed")
    }

    /// The service does not know what was asked for.
    pub(crate) fn is_unsupported(&self) -> bool {
        self.error.kind() == ErrorKind::Unsupported
    }

    /// The credentials are out of date.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self.code(), Some("ExpiredToken" | "TokenRefreshRequired"))
    }

    /// The body of the answer ended too soon. Its status will do, but of those that say next to nothing.
    fn broke_off(&mut self, op: &'static str, doing: &str) {
        if let (Again::Never, Some(status @ (400 | 404))) = (self.again, self.status) {
            let help = "check the network, and that the service runs";
            let message = format!("cannot {doing}: the answer broke off after its status {status}; {help}");
            let cause = Answer { status, code: None, request: None };
            self.error = Error::new(ErrorKind::Unavailable, op, message).with_source(cause);
            self.again = Again::Paced;
        }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.status
    }

    pub(crate) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Where requests go, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    /// Without user and query; "AWS" if none was set.
    pub(crate) endpoint: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bucket '{}' at {}", self.bucket, self.endpoint)
    }
}

/// The table: what an answer means, and whether asking again can help.
pub(crate) fn classify(status: u16, code: Option<&str>) -> (ErrorKind, Again) {
    use Again::{Never, Once, Paced};
    let by_code = match code.unwrap_or_default() {
        // Whoever asks for what may be absent finds out before.
        "NoSuchBucket" | "NoSuchKey" | "NotFound" => Some((ErrorKind::ContainerMissing, Never)),
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException"
        | "InvalidBucketName" => Some((ErrorKind::InvalidInput, Never)),
        "PreconditionFailed" => Some((ErrorKind::Conflict, Never)),
        "ConditionalRequestConflict" | "OperationAborted" => Some((ErrorKind::Conflict, Paced)),
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "InvalidObjectState" => {
            Some((ErrorKind::PermissionDenied, Never))
        }
        "InvalidAccessKeyId"
        | "NotSignedUp"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "InvalidTokenId"
        | "InvalidSecurity" => Some((ErrorKind::Unauthenticated, Never)),
        "ExpiredToken" | "TokenRefreshRequired" | "RequestTimeTooSkewed" => {
            Some((ErrorKind::Unauthenticated, Once))
        }
        "SlowDown"
        | "SlowDownRead"
        | "SlowDownWrite"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "TooManyRequests"
        | "TooManyRequestsException" => Some((ErrorKind::Throttled, Paced)),
        "InternalError" | "RequestTimeout" | "ServiceUnavailable" => Some((ErrorKind::Unavailable, Paced)),
        // Damaged on the way, or else the same bytes would not fail a second time.
        "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" => {
            Some((ErrorKind::Corrupt, Once))
        }
        "EntityTooLarge" => Some((ErrorKind::ChunkTooLarge, Never)),
        "QuotaExceeded" | "InsufficientCapacity" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" => {
            Some((ErrorKind::Full, Never))
        }
        "NotImplemented" | "MethodNotAllowed" => Some((ErrorKind::Unsupported, Never)),
        _ => None,
    };
    by_code.unwrap_or(match status {
        301 | 302 | 307 | 308 => (ErrorKind::InvalidInput, Never),
        304 | 412 => (ErrorKind::Conflict, Never),
        401 => (ErrorKind::Unauthenticated, Never),
        403 => (ErrorKind::PermissionDenied, Never),
        404 => (ErrorKind::ContainerMissing, Never),
        405 | 501 => (ErrorKind::Unsupported, Never),
        409 => (ErrorKind::Conflict, Paced),
        413 => (ErrorKind::ChunkTooLarge, Never),
        429 | 503 => (ErrorKind::Throttled, Paced),
        507 => (ErrorKind::Full, Never),
        // 499: a proxy's own. 2xx: an answer that cannot be read, such as the page of a proxy.
        408 | 499 | 500.. | 200..=299 => (ErrorKind::Unavailable, Paced),
        _ => (ErrorKind::Other, Never),
    })
}

/// The failure that an error of the SDK is; `doing` says what was tried.
pub(crate) fn failed<E>(
    op: &'static str,
    doing: &str,
    place: &Place,
    e: &SdkError<E, HttpResponse>,
) -> Failure
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    match e.raw_response() {
        Some(answer) => {
            let code = e.as_service_error().and_then(ProvideErrorMetadata::code);
            let region = answer.headers().get("x-amz-bucket-region");
            let mut failure = answered(op, doing, place, answer.status().as_u16(), code, region);
            failure.pause = pause(answer);
            let request = answer.headers().get("x-amz-request-id").filter(is_word).map(str::to_owned);
            let cause = Answer { status: answer.status().as_u16(), code: failure.code.clone(), request };
            failure.error = failure.error.with_source(cause);
            // What it would have said, such as that there is no such object, nobody knows.
            if matches!(e, SdkError::ResponseError(_)) && find::<LengthLimitError>(e).is_none() {
                failure.broke_off(op, doing);
            }
            failure
        }
        None => Failure::local(unanswered(op, doing, place, e)),
    }
}

/// The failure that this answer is.
pub(crate) fn answered(
    op: &'static str,
    doing: &str,
    place: &Place,
    status: u16,
    code: Option<&str>,
    region: Option<&str>,
) -> Failure {
    let code = code.filter(is_word);
    let (kind, again) = classify(status, code);
    let said = match code {
        Some(code) => format!("{code}, status {status}"),
        None => format!("status {status}"),
    };
    let remedy = remedy(kind, status, code, place, region);
    let message = format!("cannot {doing}: {said}{remedy}");
    let code = code.map(str::to_owned);
    let cause = Answer { status, code: code.clone(), request: None };
    let error = Error::new(kind, op, message).with_transient(again == Again::Paced).with_source(cause);
    Failure { error, again, pause: Duration::ZERO, status: Some(status), code }
}

/// A code or a number of the service's: no more of what it says is repeated.
fn is_word(text: &&str) -> bool {
    let is_short = !text.is_empty() && text.len() <= MAX_CODE_LEN;
    // KMS.DisabledException, for one.
    is_short && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}

/// An answer as the cause of an error. Its body may repeat what it was asked to sign, so it stays out.
#[derive(Debug)]
struct Answer {
    status: u16,
    code: Option<String>,
    /// What the service's operators find it by.
    request: Option<String>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the service answered with status {}", self.status)?;
        self.code.iter().try_for_each(|code| write!(f, ", {code}"))?;
        self.request.iter().try_for_each(|request| write!(f, ", to request {request}"))
    }
}

impl StdError for Answer {}

/// What a user can do, after a semicolon; a part of a sentence of ours, nothing of the service's.
fn remedy(kind: ErrorKind, status: u16, code: Option<&str>, place: &Place, region: Option<&str>) -> String {
    let text = match (code.unwrap_or_default(), kind) {
        ("InvalidAccessKeyId" | "NotSignedUp", _) => {
            "the service does not know this access key; check AWS_ACCESS_KEY_ID and the endpoint"
        }
        ("SignatureDoesNotMatch", _) => "the secret key is wrong; check AWS_SECRET_ACCESS_KEY",
        ("ExpiredToken" | "TokenRefreshRequired", _) => {
            "the session has expired; get new credentials and set AWS_SESSION_TOKEN anew"
        }
        ("InvalidToken" | "InvalidTokenId", _) => {
            "the session token is not valid; check AWS_SESSION_TOKEN, or unset it"
        }
        ("RequestTimeTooSkewed", _) => {
            "the clocks of this machine and of the service are too far apart; set this machine's clock"
        }
        ("InvalidObjectState", _) => "the object is archived; restore it, and keep chunks out of archives",
        (code, ErrorKind::ContainerMissing) if code != "NoSuchBucket" => {
            "that is not there; check the name of the bucket, and that the endpoint is an S3 service"
        }
        (_, ErrorKind::ContainerMissing) => {
            return format!("; there is no {place}; check the name and the endpoint, or create the bucket");
        }
        (_, ErrorKind::InvalidInput) => return wrong_region(place, region),
        (_, ErrorKind::Unauthenticated) => "the service does not accept the credentials; check them",
        (_, ErrorKind::PermissionDenied) => {
            "allow s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket for it (without ListBucket, \
             what is missing looks denied)"
        }
        (_, ErrorKind::Full) => "make room, or raise the quota",
        (_, ErrorKind::Conflict) => "others change it at the same time; try again later",
        (_, ErrorKind::Throttled) => "the service asks to slow down; lower in_flight, or try again later",
        (_, ErrorKind::Corrupt) => "the bytes change on their way to the service; check the network",
        (_, ErrorKind::Unsupported) => "the service does not do this; is the endpoint an S3 service?",
        (_, ErrorKind::Unavailable) if (200..300).contains(&status) => {
            "the answer is none of S3; check that the endpoint is an S3 service and not a proxy"
        }
        (_, ErrorKind::Unavailable) => "the service has trouble; try again later",
        _ => return String::new(),
    };
    format!("; {text}")
}

fn wrong_region(place: &Place, region: Option<&str>) -> String {
    let is_word =
        |region: &&str| region.len() <= 32 && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match region.filter(is_word).filter(|region| !region.is_empty()) {
        Some(region) => format!("; {place} is in region {region}: set region={region}, or AWS_REGION"),
        None => format!("; {place} is elsewhere: check region= and endpoint="),
    }
}

/// How long the answer asks to wait: `retry-after` in seconds, or `x-amz-retry-after` in milliseconds.
fn pause(answer: &HttpResponse) -> Duration {
    let number = |name: &str| answer.headers().get(name)?.trim().parse().ok();
    let asked = number("x-amz-retry-after")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs));
    asked.unwrap_or_default().min(LONGEST_PAUSE)
}

/// The error for a request that no answer came to.
fn unanswered<E>(op: &'static str, doing: &str, place: &Place, e: &SdkError<E, HttpResponse>) -> Error
where
    E: StdError + Send + Sync + 'static,
{
    let error = |kind, what: String| {
        Error::new(kind, op, format!("cannot {doing}: {what}")).with_source(Cause::of(e))
    };
    if let Some(e) = find::<CredentialsError>(e) {
        let (kind, what) = no_credentials(e);
        // Its causes would only repeat that, and name what was asked.
        return Error::new(kind, op, format!("cannot {doing}: {what}"));
    }
    let reason = reason(e);
    if reason.contains("certificate") {
        let help = "check the endpoint, or name the authority's certificate by ca=";
        return error(
            ErrorKind::InvalidInput,
            format!("{} is not trusted: {reason}; {help}", place.endpoint),
        );
    }
    match e {
        SdkError::TimeoutError(_) => error(ErrorKind::Timeout, slow(place)),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            let help = "check the endpoint and the network";
            error(ErrorKind::Timeout, format!("{} does not answer in time; {help}", place.endpoint))
        }
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            error(ErrorKind::InvalidInput, format!("the request cannot be sent: {reason}"))
        }
        SdkError::DispatchFailure(_) => {
            let help = "check the endpoint, and that the service runs";
            error(ErrorKind::Unavailable, format!("cannot reach {}: {reason}; {help}", place.endpoint))
        }
        SdkError::ConstructionFailure(_) => {
            error(ErrorKind::InvalidInput, format!("the request cannot be made: {reason}"))
        }
        _ => error(ErrorKind::Other, reason),
    }
}

pub(crate) fn slow(place: &Place) -> String {
    format!("no answer from {} in time; check the network, or raise the time-outs", place.endpoint)
}

fn no_credentials(e: &CredentialsError) -> (ErrorKind, String) {
    let give = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    match e {
        CredentialsError::CredentialsNotLoaded(_) => {
            (ErrorKind::Unauthenticated, format!("there are no credentials; {give}"))
        }
        CredentialsError::ProviderTimedOut(_) => {
            (ErrorKind::Timeout, "what provides credentials does not answer in time".to_owned())
        }
        CredentialsError::InvalidConfiguration(_) => {
            let help = "look for line breaks in AWS_ACCESS_KEY_ID and the others, or into the profile";
            (ErrorKind::Unauthenticated, format!("the credentials are not well-formed; {help}"))
        }
        _ => (ErrorKind::Unauthenticated, format!("credentials cannot be had; {give}")),
    }
}

/// The innermost cause, which is the one that tells.
fn reason(e: &(dyn StdError + 'static)) -> String {
    let mut innermost = e;
    while let Some(below) = innermost.source() {
        innermost = below;
    }
    clean(&innermost.to_string())
}

fn find<'a, T: StdError + 'static>(e: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(e);
    while let Some(e) = next {
        if let Some(found) = e.downcast_ref() {
            return Some(found);
        }
        next = e.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { bucket: "b".into(), endpoint: "http://h:9000".into() }
    }

    #[test]
    fn the_table() {
        use Again::{Never, Once, Paced};
        use ErrorKind as K;
        for (status, code, kind, again) in [
            (404, "NoSuchBucket", K::ContainerMissing, Never),
            (404, "NoSuchKey", K::ContainerMissing, Never),
            (404, "", K::ContainerMissing, Never),
            (301, "PermanentRedirect", K::InvalidInput, Never),
            (307, "", K::InvalidInput, Never),
            (400, "AuthorizationHeaderMalformed", K::InvalidInput, Never),
            (412, "PreconditionFailed", K::Conflict, Never),
            (304, "", K::Conflict, Never),
            (409, "ConditionalRequestConflict", K::Conflict, Paced),
            (409, "OperationAborted", K::Conflict, Paced),
            (409, "", K::Conflict, Paced),
            (403, "AccessDenied", K::PermissionDenied, Never),
            (403, "", K::PermissionDenied, Never),
            (403, "InvalidObjectState", K::PermissionDenied, Never),
            (403, "InvalidAccessKeyId", K::Unauthenticated, Never),
            (403, "NotSignedUp", K::Unauthenticated, Never),
            (403, "SignatureDoesNotMatch", K::Unauthenticated, Never),
            (400, "ExpiredToken", K::Unauthenticated, Once),
            (403, "RequestTimeTooSkewed", K::Unauthenticated, Once),
            (401, "", K::Unauthenticated, Never),
            (503, "SlowDown", K::Throttled, Paced),
            (503, "", K::Throttled, Paced),
            (429, "TooManyRequests", K::Throttled, Paced),
            (429, "Anything", K::Throttled, Paced),
            (500, "InternalError", K::Unavailable, Paced),
            (502, "", K::Unavailable, Paced),
            (504, "", K::Unavailable, Paced),
            (408, "", K::Unavailable, Paced),
            (400, "RequestTimeout", K::Unavailable, Paced),
            (499, "", K::Unavailable, Paced),
            (200, "", K::Unavailable, Paced),
            (400, "BadDigest", K::Corrupt, Once),
            (400, "XAmzContentSHA256Mismatch", K::Corrupt, Once),
            (400, "EntityTooLarge", K::ChunkTooLarge, Never),
            (507, "XMinioStorageFull", K::Full, Never),
            (501, "NotImplemented", K::Unsupported, Never),
            (405, "MethodNotAllowed", K::Unsupported, Never),
            (418, "Teapot", K::Other, Never),
        ] {
            let code = Some(code).filter(|code| !code.is_empty());
            assert_eq!(classify(status, code), (kind, again), "{status} {code:?}");
            let failure = answered("get", "read it", &place(), status, code, None);
            assert_eq!(failure.error.is_transient(), again == Paced, "{status} {code:?}");
            assert!(failure.error.to_string().contains(&status.to_string()), "{}", failure.error);
        }
    }

    #[test]
    fn a_region_is_named_and_nothing_else_of_the_answer() {
        let of =
            |code, region| answered("get", "read it", &place(), 301, Some(code), region).error.to_string();
        assert!(of("PermanentRedirect", Some("eu-west-1")).contains("set region=eu-west-1"));
        let text = of("hunter2!<b>", Some("hunter2 hunter2"));
        assert!(!text.contains("hunter2") && text.contains("elsewhere"), "{text}");
    }
}
