//! What can go wrong below a filesystem store, and what its caller is to see: `src/error.rs` as the
//! conformance suite asks for it.

use selfenc_backend_tests::{Expected, Fault, Op};
use selfenc_core::store::{Durability, ErrorKind};

use super::fault_os::Call;
use super::machine::WRITING;

/// The calls that need space.
const GROWING: &[Call] = &[Call::CreateNew, Call::Write, Call::SyncFile, Call::CreateDir, Call::Rename];

/// A row of the table: every one of these calls fails with this errno (of Linux).
#[derive(Clone, Debug)]
pub struct FsFault {
    pub fault: Fault,
    pub calls: &'static [Call],
    pub errno: i32,
}

const EPERM: i32 = 1;
const EIO: i32 = 5;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const EISDIR: i32 = 21;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const ESTALE: i32 = 116;
const EDQUOT: i32 = 122;

const fn fails(errno: i32) -> Expected {
    match errno {
        ENOSPC | EDQUOT | EFBIG => Expected::Fails(ErrorKind::Full, false),
        EACCES | EPERM => Expected::Fails(ErrorKind::PermissionDenied, false),
        EROFS => Expected::Fails(ErrorKind::ReadOnly, false),
        EISDIR => Expected::Fails(ErrorKind::Corrupt, false),
        EMFILE | ENFILE | ENOMEM | EBUSY | ESTALE => Expected::Fails(ErrorKind::Unavailable, true),
        _ => Expected::Fails(ErrorKind::Other, false),
    }
}

type Row = (Op, &'static str, &'static [Call], i32);

const ROWS: &[Row] = &[
    (Op::Put, "ENOSPC on every call that needs space", GROWING, ENOSPC),
    (Op::Put, "ENOSPC on write", &[Call::Write], ENOSPC),
    (Op::Put, "ENOSPC on fsync", &[Call::SyncFile], ENOSPC),
    (Op::Put, "ENOSPC on rename", &[Call::Rename], ENOSPC),
    (Op::Put, "EDQUOT on write", &[Call::Write], EDQUOT),
    (Op::Put, "EFBIG on write", &[Call::Write], EFBIG),
    (Op::Put, "EIO on write", &[Call::Write], EIO),
    (Op::Put, "EIO on fsync", &[Call::SyncFile], EIO),
    (Op::Put, "EIO on rename", &[Call::Rename], EIO),
    (Op::Put, "EIO on lstat", &[Call::Metadata], EIO),
    (Op::Put, "EACCES on open", &[Call::CreateNew], EACCES),
    (Op::Put, "EPERM on rename", &[Call::Rename], EPERM),
    (Op::Put, "EISDIR on rename", &[Call::Rename], EISDIR),
    (Op::Put, "EROFS on every call that writes", WRITING, EROFS),
    (Op::Put, "EMFILE on open", &[Call::CreateNew], EMFILE),
    (Op::Put, "ENOMEM on write", &[Call::Write], ENOMEM),
    (Op::Get, "EIO on read", &[Call::Read], EIO),
    (Op::Get, "EIO on lstat", &[Call::Metadata], EIO),
    (Op::Get, "EACCES on open", &[Call::Read], EACCES),
    (Op::Get, "EMFILE on open", &[Call::Read], EMFILE),
    (Op::Get, "ENFILE on open", &[Call::Read], ENFILE),
    (Op::Get, "ENOMEM on read", &[Call::Read], ENOMEM),
    (Op::Get, "ESTALE on read", &[Call::Read], ESTALE),
    (Op::Get, "EISDIR on read", &[Call::Read], EISDIR),
    (Op::Stat, "EIO on lstat", &[Call::Metadata], EIO),
    (Op::Stat, "EACCES on lstat", &[Call::Metadata], EACCES),
    (Op::Stat, "ESTALE on lstat", &[Call::Metadata], ESTALE),
    (Op::Delete, "EIO on unlink", &[Call::RemoveFile], EIO),
    (Op::Delete, "EACCES on unlink", &[Call::RemoveFile], EACCES),
    (Op::Delete, "EBUSY on unlink", &[Call::RemoveFile], EBUSY),
    (Op::Delete, "EROFS on every call that writes", WRITING, EROFS),
    (Op::List, "EIO on readdir", &[Call::ReadDir], EIO),
    (Op::List, "EACCES on readdir", &[Call::ReadDir], EACCES),
    (Op::List, "EMFILE on readdir", &[Call::ReadDir], EMFILE),
    (Op::List, "EIO on lstat", &[Call::Metadata], EIO),
    (Op::Flush, "EIO on fsync of a folder", &[Call::SyncDir], EIO),
    (Op::Flush, "ENOSPC on fsync of a folder", &[Call::SyncDir], ENOSPC),
    (Op::Load, "EIO on read", &[Call::Read], EIO),
    (Op::Load, "EACCES on open", &[Call::Read], EACCES),
    (Op::Swap, "ENOSPC on every call that needs space", GROWING, ENOSPC),
    (Op::Swap, "EIO on fsync", &[Call::SyncFile], EIO),
    (Op::Swap, "EIO on rename", &[Call::Rename], EIO),
    (Op::Swap, "EIO on fsync of a folder", &[Call::SyncDir], EIO),
    (Op::Swap, "EACCES on the lock", &[Call::Lock], EACCES),
    (Op::Swap, "EROFS on every call that writes", WRITING, EROFS),
    (Op::Names, "EIO on readdir", &[Call::ReadDir], EIO),
];

/// What is no trouble at all.
const HARMLESS: &[Row] = &[
    (Op::Get, "ENOSPC on every call that needs space", GROWING, ENOSPC),
    (Op::Stat, "EROFS on every call that writes", WRITING, EROFS),
    (Op::List, "EROFS on every call that writes", WRITING, EROFS),
    (Op::Delete, "ENOSPC on every call that needs space", GROWING, ENOSPC),
    (Op::Flush, "ENOSPC on every call that needs space", GROWING, ENOSPC),
    (Op::Load, "EROFS on every call that writes", WRITING, EROFS),
    (Op::Names, "ENOSPC on every call that needs space", GROWING, ENOSPC),
];

/// The table for a store of this durability.
pub fn table(durability: Durability) -> Vec<FsFault> {
    let row = |&(op, cause, calls, errno): &Row, expected| {
        let fault = Fault { cause, op, expected };
        FsFault { fault, calls, errno }
    };
    // A put or delete that does not wait for its folder's sync does not meet its failure either.
    let at_once = match durability {
        Durability::OnPut => fails(EIO),
        _ => Expected::Succeeds,
    };
    let folder: Row = (Op::Put, "EIO on fsync of a folder", &[Call::SyncDir], EIO);
    let on_delete: Row = (Op::Delete, "EIO on fsync of a folder", &[Call::SyncDir], EIO);
    let failing = ROWS.iter().map(|r| row(r, fails(r.3)));
    let harmless = HARMLESS.iter().map(|r| row(r, Expected::Succeeds));
    failing.chain(harmless).chain([row(&folder, at_once), row(&on_delete, at_once)]).collect()
}
