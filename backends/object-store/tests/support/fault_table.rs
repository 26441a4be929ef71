//! What can go wrong below a store of objects, and what its caller is to see: `src/error.rs` as the
//! conformance suite asks for it.

use selfenc_backend_tests::{Expected, Fault, Op};
use selfenc_core::store::ErrorKind;

use super::double::{ALL, Call, WRITING};
use super::trouble::Trouble::{self, *};

/// A row of the table: every one of these calls meets this trouble.
#[derive(Clone, Debug)]
pub struct ObjectFault {
    pub fault: Fault,
    pub calls: &'static [Call],
    pub trouble: Trouble,
}

type Row = (Op, &'static str, &'static [Call], Trouble, Expected);

const fn fails(kind: ErrorKind) -> Expected {
    Expected::Fails(kind, kind.is_transient())
}

const OK: Expected = Expected::Succeeds;
const THROTTLED: Expected = fails(ErrorKind::Throttled);
const UNAVAILABLE: Expected = fails(ErrorKind::Unavailable);
const TIMEOUT: Expected = fails(ErrorKind::Timeout);
const DENIED: Expected = fails(ErrorKind::PermissionDenied);
const UNKNOWN: Expected = fails(ErrorKind::Unauthenticated);
const MISSING: Expected = fails(ErrorKind::ContainerMissing);
const CONFLICT: Expected = fails(ErrorKind::Conflict);
const FULL: Expected = fails(ErrorKind::Full);
const OTHER: Expected = fails(ErrorKind::Other);
const CORRUPT: Expected = fails(ErrorKind::Corrupt);
const READ_ONLY: Expected = fails(ErrorKind::ReadOnly);

/// A new chunk, or one that is written anew.
const PUTTING: &[Call] = &[Call::Create, Call::Put];
const CREATING: &[Call] = &[Call::Create];
const SWAPPING: &[Call] = &[Call::Create, Call::Update];
const LISTING: &[Call] = &[Call::List, Call::Folders];
const READING: &[Call] = &[Call::Get, Call::Head];
const GET: &[Call] = &[Call::Get];
const HEAD: &[Call] = &[Call::Head];
const DELETE: &[Call] = &[Call::Delete];

const SERVICE: &[Row] = &[
    (Op::Put, "409 on create, as AlreadyExists", CREATING, Status(409, "OperationAborted"), CONFLICT),
    (Op::Put, "412 on create, of nothing", CREATING, Status(412, "PreconditionFailed"), CONFLICT),
    (Op::Put, "429", PUTTING, Status(429, ""), THROTTLED),
    (Op::Put, "500", PUTTING, Status(500, "InternalError"), UNAVAILABLE),
    (Op::Put, "501 on create", CREATING, Status(501, "NotImplemented"), OK),
    (Op::Put, "503", PUTTING, Status(503, "SlowDown"), THROTTLED),
    (Op::Put, "504", PUTTING, Status(504, ""), TIMEOUT),
    (Op::Put, "400 RequestTimeout", PUTTING, Status(400, "RequestTimeout"), TIMEOUT),
    (Op::Put, "507", PUTTING, Status(507, ""), FULL),
    (Op::Put, "413", PUTTING, Status(413, ""), OTHER),
    (Op::Put, "401", PUTTING, Status(401, ""), UNKNOWN),
    (Op::Put, "403", PUTTING, Status(403, "AccessDenied"), DENIED),
    (Op::Put, "403 of a signature", PUTTING, Status(403, "SignatureDoesNotMatch"), UNKNOWN),
    (Op::Put, "404 of the bucket", PUTTING, Status(404, "NoSuchBucket"), MISSING),
    (Op::Put, "a reset", PUTTING, Reset, UNAVAILABLE),
    (Op::Put, "silence", PUTTING, Silence, TIMEOUT),
    (Op::Put, "a lost answer to a create", CREATING, LostAnswer, OK),
    (Op::Get, "429", GET, Status(429, ""), THROTTLED),
    (Op::Get, "500", GET, Status(500, ""), UNAVAILABLE),
    (Op::Get, "401", GET, Status(401, ""), UNKNOWN),
    (Op::Get, "403", GET, Status(403, "AccessDenied"), DENIED),
    (Op::Get, "404 of the bucket", READING, Status(404, "NoSuchBucket"), MISSING),
    (Op::Get, "a reset in the body", GET, CutBody, UNAVAILABLE),
    (Op::Get, "a body that is cut", GET, ShortBody, UNAVAILABLE),
    (Op::Get, "a body that is too long", GET, LongBody, CORRUPT),
    (Op::Get, "silence", GET, Silence, TIMEOUT),
    (Op::Get, "no writing", WRITING, Status(403, ""), OK),
    (Op::Stat, "403 without a body", HEAD, Status(403, ""), DENIED),
    (Op::Stat, "404 without a body", HEAD, Status(404, ""), MISSING),
    (Op::Stat, "503", HEAD, Status(503, ""), THROTTLED),
    (Op::Stat, "a reset", HEAD, Reset, UNAVAILABLE),
    (Op::Delete, "403", DELETE, Status(403, "AccessDenied"), DENIED),
    (Op::Delete, "500", DELETE, Status(500, ""), UNAVAILABLE),
    (Op::Delete, "503", DELETE, Status(503, ""), THROTTLED),
    (Op::List, "403", LISTING, Status(403, "AccessDenied"), DENIED),
    (Op::List, "503", LISTING, Status(503, ""), THROTTLED),
    (Op::List, "404 of the bucket", LISTING, Status(404, "NoSuchBucket"), MISSING),
    (Op::List, "a reset", LISTING, Reset, UNAVAILABLE),
    (Op::List, "no writing", WRITING, Status(403, ""), OK),
    (Op::Flush, "no service at all", ALL, Reset, OK),
    (Op::Load, "403", GET, Status(403, "AccessDenied"), DENIED),
    (Op::Load, "503", GET, Status(503, ""), THROTTLED),
    (Op::Load, "a body that is cut", GET, ShortBody, UNAVAILABLE),
    (Op::Swap, "409", SWAPPING, Status(409, "OperationAborted"), CONFLICT),
    (Op::Swap, "412 of what has not changed", SWAPPING, Status(412, ""), CONFLICT),
    (Op::Swap, "403", SWAPPING, Status(403, "AccessDenied"), DENIED),
    (Op::Swap, "500", SWAPPING, Status(500, ""), UNAVAILABLE),
    (Op::Swap, "503", SWAPPING, Status(503, ""), THROTTLED),
    (Op::Swap, "a lost answer", SWAPPING, LostAnswer, OK),
    (Op::Names, "403", LISTING, Status(403, "AccessDenied"), DENIED),
    (Op::Names, "a reset", LISTING, Reset, UNAVAILABLE),
];

const EIO: Trouble = Errno(5);
const ENOMEM: Trouble = Errno(12);
const EACCES: Trouble = Errno(13);
const EBUSY: Trouble = Errno(16);
const EISDIR: Trouble = Errno(21);
const EMFILE: Trouble = Errno(24);
const ENOSPC: Trouble = Errno(28);
const EROFS: Trouble = Errno(30);
const ESTALE: Trouble = Errno(116);

const LOCAL: &[Row] = &[
    (Op::Put, "ENOSPC", PUTTING, ENOSPC, FULL),
    (Op::Put, "EIO", PUTTING, EIO, OTHER),
    (Op::Put, "EACCES", PUTTING, EACCES, DENIED),
    (Op::Put, "EROFS", PUTTING, EROFS, READ_ONLY),
    (Op::Put, "EMFILE", PUTTING, EMFILE, UNAVAILABLE),
    (Op::Put, "ENOMEM", PUTTING, ENOMEM, UNAVAILABLE),
    (Op::Put, "EISDIR", PUTTING, EISDIR, CORRUPT),
    (Op::Put, "EIO on a look", HEAD, EIO, OTHER),
    (Op::Get, "EIO", GET, EIO, OTHER),
    (Op::Get, "EACCES", GET, EACCES, DENIED),
    (Op::Get, "ESTALE", GET, ESTALE, UNAVAILABLE),
    (Op::Get, "a file that shrinks", GET, ShortBody, UNAVAILABLE),
    (Op::Get, "ENOSPC on every call that writes", WRITING, ENOSPC, OK),
    (Op::Stat, "EIO", HEAD, EIO, OTHER),
    (Op::Stat, "EACCES", HEAD, EACCES, DENIED),
    (Op::Delete, "EIO", DELETE, EIO, OTHER),
    (Op::Delete, "EBUSY", DELETE, EBUSY, UNAVAILABLE),
    (Op::Delete, "EROFS", DELETE, EROFS, READ_ONLY),
    (Op::List, "EIO", LISTING, EIO, OTHER),
    (Op::List, "EACCES", LISTING, EACCES, DENIED),
    (Op::List, "EROFS on every call that writes", WRITING, EROFS, OK),
    (Op::Flush, "ENOSPC on every call that writes", WRITING, ENOSPC, OK),
];

/// The table for a service, or for a folder.
pub fn table(is_local: bool) -> Vec<ObjectFault> {
    let rows = if is_local { LOCAL } else { SERVICE };
    let row = |&(op, cause, calls, trouble, expected): &Row| ObjectFault {
        fault: Fault { cause, op, expected },
        calls,
        trouble,
    };
    rows.iter().map(row).collect()
}
