//! What can go wrong between a store and its service, and what its caller is to see: `src/error.rs` as the
//! conformance suite asks for it. Each lasts, so that retries run out.

use selfenc_backend_tests::{Expected, Fault, Op};
use selfenc_core::store::ErrorKind;

use super::super::support::action::{Action, Alter};
use super::super::support::request::{ANY, Kind, PUTS, WRITES};
use super::super::support::script::{Rule, Times};

/// A row of the table: every one of these requests meets this.
#[derive(Clone, Debug)]
pub struct S3Fault {
    pub fault: Fault,
    pub rule: Rule,
}

/// What a request meets.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Status(u16, &'static str),
    Reset,
    Close,
    /// It is done, and the answer is lost.
    LostAnswer,
    /// The body ends before its length.
    Cut,
    ResetInBody,
}
use Trouble::*;

impl Trouble {
    fn rule(self, kinds: &'static [Kind]) -> Rule {
        let (times, action) = match self {
            Status(status, code) => (Times::Always, Action::error(status, code)),
            Reset => (Times::Always, Action::ResetBeforeHeaders),
            Close => (Times::Always, Action::CloseBeforeHeaders),
            LostAnswer => (Times::Once, Action::ResetAfterForward),
            Cut => (Times::Always, Action::Alter(Alter::CloseEarly(100))),
            ResetInBody => (Times::Always, Action::Alter(Alter::ResetBody(100))),
        };
        Rule::new(kinds, times, action)
    }
}

type Row = (Op, &'static str, &'static [Kind], Trouble, Expected);

const fn fails(kind: ErrorKind) -> Expected {
    Expected::Fails(kind, kind.is_transient())
}

const OK: Expected = Expected::Succeeds;
const THROTTLED: Expected = fails(ErrorKind::Throttled);
const UNAVAILABLE: Expected = fails(ErrorKind::Unavailable);
const DENIED: Expected = fails(ErrorKind::PermissionDenied);
const UNKNOWN: Expected = fails(ErrorKind::Unauthenticated);
const MISSING: Expected = fails(ErrorKind::ContainerMissing);
const ELSEWHERE: Expected = fails(ErrorKind::InvalidInput);
const CONFLICT: Expected = fails(ErrorKind::Conflict);
const FULL: Expected = fails(ErrorKind::Full);

const CREATE: &[Kind] = &[Kind::CreatePut];
const SWAPS: &[Kind] = &[Kind::CreatePut, Kind::UpdatePut];
const GET: &[Kind] = &[Kind::Get];
const HEAD: &[Kind] = &[Kind::Head];
const READS: &[Kind] = &[Kind::Get, Kind::Head, Kind::HeadBucket];
const LIST: &[Kind] = &[Kind::List];
const DELETE: &[Kind] = &[Kind::Delete, Kind::DeleteMany];

/// On every service.
const ROWS: &[Row] = &[
    (Op::Put, "403", PUTS, Status(403, "AccessDenied"), DENIED),
    (Op::Put, "403 of a signature", PUTS, Status(403, "SignatureDoesNotMatch"), UNKNOWN),
    (Op::Put, "401", PUTS, Status(401, ""), UNKNOWN),
    (Op::Put, "404 of the bucket", PUTS, Status(404, "NoSuchBucket"), MISSING),
    (Op::Put, "301 to another region", PUTS, Status(301, "PermanentRedirect"), ELSEWHERE),
    (Op::Put, "429", PUTS, Status(429, ""), THROTTLED),
    (Op::Put, "500", PUTS, Status(500, "InternalError"), UNAVAILABLE),
    (Op::Put, "503", PUTS, Status(503, "SlowDown"), THROTTLED),
    (Op::Put, "507", PUTS, Status(507, "XMinioStorageFull"), FULL),
    (Op::Put, "a reset", PUTS, Reset, UNAVAILABLE),
    (Op::Put, "a lost answer", PUTS, LostAnswer, OK),
    (Op::Get, "403", GET, Status(403, "AccessDenied"), DENIED),
    (Op::Get, "401", GET, Status(401, ""), UNKNOWN),
    (Op::Get, "404 of the bucket", READS, Status(404, "NoSuchBucket"), MISSING),
    (Op::Get, "500", GET, Status(500, ""), UNAVAILABLE),
    (Op::Get, "504", GET, Status(504, ""), UNAVAILABLE),
    (Op::Get, "a closed connection", GET, Close, UNAVAILABLE),
    (Op::Get, "a body that is cut", GET, Cut, UNAVAILABLE),
    (Op::Get, "a reset in the body", GET, ResetInBody, UNAVAILABLE),
    (Op::Get, "no writing", WRITES, Status(403, "AccessDenied"), OK),
    (Op::Stat, "403 without a body", HEAD, Status(403, ""), DENIED),
    (Op::Stat, "503", HEAD, Status(503, ""), THROTTLED),
    (Op::Stat, "a reset", HEAD, Reset, UNAVAILABLE),
    (Op::Delete, "403", DELETE, Status(403, "AccessDenied"), DENIED),
    (Op::Delete, "500", DELETE, Status(500, ""), UNAVAILABLE),
    (Op::Delete, "503", DELETE, Status(503, ""), THROTTLED),
    (Op::List, "403", LIST, Status(403, "AccessDenied"), DENIED),
    (Op::List, "404 of the bucket", LIST, Status(404, "NoSuchBucket"), MISSING),
    (Op::List, "503", LIST, Status(503, ""), THROTTLED),
    (Op::List, "a reset", LIST, Reset, UNAVAILABLE),
    (Op::List, "no writing", WRITES, Status(403, "AccessDenied"), OK),
    (Op::Flush, "no service at all", ANY, Reset, OK),
    (Op::Load, "403", GET, Status(403, "AccessDenied"), DENIED),
    (Op::Load, "503", GET, Status(503, ""), THROTTLED),
    (Op::Load, "a body that is cut", GET, Cut, UNAVAILABLE),
    (Op::Swap, "403", SWAPS, Status(403, "AccessDenied"), DENIED),
    (Op::Swap, "409", SWAPS, Status(409, "OperationAborted"), CONFLICT),
    (Op::Swap, "500", SWAPS, Status(500, ""), UNAVAILABLE),
    (Op::Swap, "503", SWAPS, Status(503, ""), THROTTLED),
    (Op::Swap, "a lost answer", SWAPS, LostAnswer, OK),
    (Op::Names, "403", LIST, Status(403, "AccessDenied"), DENIED),
    (Op::Names, "a reset", LIST, Reset, UNAVAILABLE),
];

/// Where puts carry a condition.
const CONDITIONAL: &[Row] = &[
    (Op::Put, "409 on create", CREATE, Status(409, "ConditionalRequestConflict"), CONFLICT),
    (Op::Put, "412 on create, of nothing", CREATE, Status(412, "PreconditionFailed"), CONFLICT),
    (Op::Put, "501 on create", CREATE, Status(501, "NotImplemented"), OK),
];

/// The table for a service that keeps conditions, or does not.
pub fn table(keeps_conditions: bool) -> Vec<S3Fault> {
    let more = if keeps_conditions { CONDITIONAL } else { &[] };
    let row = |&(op, cause, kinds, trouble, expected): &Row| S3Fault {
        fault: Fault { cause, op, expected },
        rule: trouble.rule(kinds),
    };
    ROWS.iter().chain(more).map(row).collect()
}
