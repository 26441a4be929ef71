//! The C side. SQLite promises what the blocks below rely on: a VFS is called with the pointer that was
//! registered, a file with the memory that `xOpen` was given, from its opening to its closing, and one
//! connection's files by one thread at a time.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, NulError, c_char, c_int, c_void};
use std::ptr;
use std::slice;
use std::str;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::ffi;

use crate::disk::{Code, Disk, DiskFile, Level, Region, ShmLock};

/// The longest path, with its zero.
const MAX_PATH: c_int = 1024;

/// Days from noon in 4714 BC to 1970, in milliseconds.
const JULIAN_EPOCH: i64 = 210_866_760_000_000;

/// What `pAppData` points to. It is never freed: a connection may keep its VFS for ever.
struct AppData {
    disk: Mutex<Option<Arc<dyn Disk>>>,
}

/// A registered disk. Dropping it takes the name away and gives the disk back; what is still open works on.
#[derive(Debug)]
pub struct Registered {
    name: String,
    vfs: *mut ffi::sqlite3_vfs,
}

// SAFETY: the pointer is only handed to SQLite's own thread-safe functions, and to `AppData`, which is `Sync`.
unsafe impl Send for Registered {}
// SAFETY: as above.
unsafe impl Sync for Registered {}

impl Registered {
    /// The name that connections are to be opened with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: `register` registered it, and only this unregisters it.
        unsafe { ffi::sqlite3_vfs_unregister(self.vfs) };
        // SAFETY: a registered VFS and its data are never freed.
        let app = unsafe { &*(*self.vfs).pAppData.cast::<AppData>() };
        app.disk.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Makes `disk` a file system of SQLite's by this name.
///
/// # Errors
/// A name with a zero byte.
///
/// # Panics
/// If SQLite cannot start.
pub fn register(name: &str, disk: Arc<dyn Disk>) -> Result<Registered, NulError> {
    let c_name = CString::new(name)?;
    let app = Box::new(AppData { disk: Mutex::new(Some(disk)) });
    let vfs = Box::into_raw(Box::new(ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: c_int::try_from(size_of::<FileCell>()).unwrap_or(c_int::MAX),
        mxPathname: MAX_PATH,
        pNext: ptr::null_mut(),
        zName: c_name.into_raw(),
        pAppData: Box::into_raw(app).cast(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: None,
        xCurrentTimeInt64: Some(current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }));
    // SAFETY: all that `vfs` points to lives for ever and is changed by SQLite only.
    let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
    assert_eq!(code, ffi::SQLITE_OK, "SQLite cannot start");
    Ok(Registered { name: name.to_owned(), vfs })
}

/// What stands in the memory that SQLite gives to a file. First what SQLite knows of it.
#[repr(C)]
struct FileCell {
    base: ffi::sqlite3_file,
    state: *mut State,
}

struct State {
    file: Box<dyn DiskFile>,
    /// What SQLite has pointers into.
    regions: Vec<Option<Region>>,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

fn code(result: Result<(), Code>) -> c_int {
    result.err().unwrap_or(ffi::SQLITE_OK)
}

/// The disk of a VFS, unless its registration has ended.
///
/// # Safety
/// `vfs` is one that `register` made.
unsafe fn disk(vfs: *mut ffi::sqlite3_vfs) -> Result<Arc<dyn Disk>, Code> {
    // SAFETY: the caller's promise; neither is ever freed.
    let app = unsafe { &*(*vfs).pAppData.cast::<AppData>() };
    app.disk.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(ffi::SQLITE_CANTOPEN)
}

/// A path from SQLite; `None` for a null pointer.
///
/// # Safety
/// `path` is null, or ends with a zero and lives for `'a`.
unsafe fn path<'a>(path: *const c_char) -> Result<Option<&'a str>, Code> {
    if path.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { CStr::from_ptr(path) };
    bytes.to_str().map(Some).map_err(|_| ffi::SQLITE_CANTOPEN)
}

/// The state of an open file.
///
/// # Safety
/// `file` was opened by `open` and not yet closed, and nobody else uses its state meanwhile.
unsafe fn state<'a>(file: *mut ffi::sqlite3_file) -> &'a mut State {
    // SAFETY: the caller's promise: `open` made a `FileCell` of it, whose state lives until `close`.
    unsafe { &mut *(*file.cast::<FileCell>()).state }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let cell = file.cast::<FileCell>();
    // SAFETY: SQLite gives `szOsFile` aligned bytes, which are a `FileCell`'s. Without methods it is closed.
    unsafe {
        cell.write(FileCell { base: ffi::sqlite3_file { pMethods: ptr::null() }, state: ptr::null_mut() });
    }
    // SAFETY: as SQLite promises (see the file's head).
    let opened = unsafe { disk(vfs).and_then(|disk| disk.open(path(name)?, flags)) };
    let opened = match opened {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let state = Box::new(State { file: opened.file, regions: Vec::new() });
    // SAFETY: `cell` as above; `out_flags` is null or an integer of SQLite's.
    unsafe {
        cell.write(FileCell { base: ffi::sqlite3_file { pMethods: &METHODS }, state: Box::into_raw(state) });
        if !out_flags.is_null() {
            let cleared = flags & !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_READONLY);
            let is_readonly = opened.readonly || flags & ffi::SQLITE_OPEN_READONLY != 0;
            let access = if is_readonly { ffi::SQLITE_OPEN_READONLY } else { ffi::SQLITE_OPEN_READWRITE };
            *out_flags = cleared | access;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: as SQLite promises.
    let done = unsafe {
        disk(vfs).and_then(|disk| disk.delete(path(name)?.ok_or(ffi::SQLITE_IOERR_DELETE)?, sync & 1 != 0))
    };
    code(done)
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: as SQLite promises.
    let found = unsafe { disk(vfs).and_then(|disk| path(name)?.map_or(Ok(false), |path| disk.exists(path))) };
    // SAFETY: `out` is an integer of SQLite's.
    code(found.map(|found| unsafe { *out = c_int::from(found) }))
}

unsafe extern "C" fn full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    len: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: as SQLite promises.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    if bytes.len() > usize::try_from(len).unwrap_or(0) {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: `out` has room for `len` bytes, which are SQLite's own and not those of `name`.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), out.cast(), bytes.len()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(_vfs: *mut ffi::sqlite3_vfs, len: c_int, out: *mut c_char) -> c_int {
    // SAFETY: a name of null asks for the default VFS, which is never unregistered; it is not this one.
    unsafe {
        let base = ffi::sqlite3_vfs_find(ptr::null());
        (*base).xRandomness.map_or(0, |randomness| randomness(base, len, out))
    }
}

unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, micros: c_int) -> c_int {
    thread::sleep(Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
    micros
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    JULIAN_EPOCH + i64::try_from(since.as_millis()).unwrap_or(0)
}

unsafe extern "C" fn current_time(_vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    #[allow(clippy::cast_precision_loss)] // days, as SQLite wants them
    let days = now() as f64 / 86_400_000.0;
    // SAFETY: `out` is a number of SQLite's.
    unsafe { *out = days };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_int64(_vfs: *mut ffi::sqlite3_vfs, out: *mut i64) -> c_int {
    // SAFETY: `out` is a number of SQLite's.
    unsafe { *out = now() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let cell = file.cast::<FileCell>();
    // SAFETY: `open` made the state with `Box`, and SQLite closes a file once.
    unsafe {
        (*cell).base.pMethods = ptr::null();
        drop(Box::from_raw((*cell).state));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, buf: *mut c_void, len: c_int, at: i64) -> c_int {
    let (Ok(len), Ok(at)) = (usize::try_from(len), u64::try_from(at)) else { return ffi::SQLITE_IOERR_READ };
    // SAFETY: as SQLite promises; `buf` has `len` bytes. They may be uninitialised, so they are zeroed first.
    let (state, buf) = unsafe {
        ptr::write_bytes(buf.cast::<u8>(), 0, len);
        (state(file), slice::from_raw_parts_mut(buf.cast::<u8>(), len))
    };
    match state.file.read(at, buf) {
        Ok(read) if read == len => ffi::SQLITE_OK,
        // What was not read must be zeroes, which it is.
        Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(code) => code,
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, buf: *const c_void, len: c_int, at: i64) -> c_int {
    let (Ok(len), Ok(at)) = (usize::try_from(len), u64::try_from(at)) else { return ffi::SQLITE_IOERR_WRITE };
    // SAFETY: as SQLite promises; `buf` has `len` bytes.
    let (state, data) = unsafe { (state(file), slice::from_raw_parts(buf.cast::<u8>(), len)) };
    code(state.file.write(at, data))
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    let Ok(len) = u64::try_from(len) else { return ffi::SQLITE_IOERR_TRUNCATE };
    // SAFETY: as SQLite promises.
    code(unsafe { state(file) }.file.truncate(len))
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: as SQLite promises.
    code(unsafe { state(file) }.file.sync())
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: as SQLite promises.
    let size = unsafe { state(file) }.file.size();
    let size = size.and_then(|size| i64::try_from(size).map_err(|_| ffi::SQLITE_IOERR_FSTAT));
    // SAFETY: `out` is a number of SQLite's.
    code(size.map(|size| unsafe { *out = size }))
}

fn level(raw: c_int) -> Level {
    match raw {
        ffi::SQLITE_LOCK_NONE => Level::None,
        ffi::SQLITE_LOCK_SHARED => Level::Shared,
        ffi::SQLITE_LOCK_RESERVED => Level::Reserved,
        ffi::SQLITE_LOCK_PENDING => Level::Pending,
        _ => Level::Exclusive,
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, raw: c_int) -> c_int {
    // SAFETY: as SQLite promises.
    code(unsafe { state(file) }.file.lock(level(raw)))
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, raw: c_int) -> c_int {
    // SAFETY: as SQLite promises.
    code(unsafe { state(file) }.file.unlock(level(raw)))
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: as SQLite promises.
    let is_reserved = unsafe { state(file) }.file.is_reserved();
    // SAFETY: `out` is an integer of SQLite's.
    code(is_reserved.map(|is| unsafe { *out = c_int::from(is) }))
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, op: c_int, arg: *mut c_void) -> c_int {
    if op != ffi::SQLITE_FCNTL_HAS_MOVED {
        return ffi::SQLITE_NOTFOUND;
    }
    // SAFETY: as SQLite promises; for this operation `arg` is an integer.
    unsafe { *arg.cast::<c_int>() = c_int::from(state(file).file.has_moved()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as SQLite promises.
    unsafe { state(file) }.file.sector_size()
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as SQLite promises.
    unsafe { state(file) }.file.characteristics()
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    index: c_int,
    len: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: as SQLite promises; `out` is a pointer of its own.
    let state = unsafe {
        *out = ptr::null_mut();
        state(file)
    };
    let (Ok(index), Ok(len)) = (usize::try_from(index), usize::try_from(len)) else {
        return ffi::SQLITE_IOERR_SHMMAP;
    };
    let region = match state.file.shm_map(index, len, extend != 0) {
        Ok(Some(region)) if region.len() >= len => region,
        Ok(Some(_)) => return ffi::SQLITE_IOERR_SHMMAP,
        Ok(None) => return ffi::SQLITE_OK,
        Err(code) => return code,
    };
    let pointer = region.pointer();
    if state.regions.len() <= index {
        state.regions.resize(index + 1, None);
    }
    // One index is one region as long as it is mapped; a first one stays, since SQLite has pointers into it.
    let kept = state.regions[index].get_or_insert(region);
    if kept.pointer() != pointer {
        return ffi::SQLITE_IOERR_SHMMAP;
    }
    // SAFETY: `out` as above. The memory lives until SQLite unmaps it or closes the file.
    unsafe { *out = pointer.cast() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let (Ok(first), Ok(count)) = (usize::try_from(first), usize::try_from(count)) else {
        return ffi::SQLITE_IOERR_SHMLOCK;
    };
    let (take, exclusive) = (flags & ffi::SQLITE_SHM_LOCK != 0, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0);
    // SAFETY: as SQLite promises.
    code(unsafe { state(file) }.file.shm_lock(ShmLock { first, count, take, exclusive }))
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: as SQLite promises.
    let state = unsafe { state(file) };
    let done = state.file.shm_unmap(delete != 0);
    // SQLite uses none of its pointers from here on.
    state.regions.clear();
    code(done)
}
