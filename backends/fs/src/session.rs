//! Temporaries, and who they belong to.
//!
//! A session is one opening of the store that writes. Its lock file is locked for as long as it lives, so
//! whoever can lock it knows that the session is dead and its temporaries are litter.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::layout::{Layout, TmpEntry};
use crate::os::{Os, OsFile, OsLock};

/// Temporaries that belong to no session are left alone for this long: their lock file may have been
/// removed by hand while they are still being written.
const STRAY_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The random names tried before giving up. A second one is needed if a sweep took the fresh lock file
/// for a dead session's.
const NAME_ATTEMPTS: usize = 16;

/// One opening of a store that writes.
#[derive(Debug)]
pub(crate) struct Session {
    os: Arc<dyn Os>,
    layout: Layout,
    name: String,
    lock_path: PathBuf,
    /// `Some` until drop.
    lock: Option<Box<dyn OsLock>>,
    next: AtomicU64,
}

impl Session {
    /// Starts a session: makes and locks its lock file.
    pub(crate) fn start(os: &Arc<dyn Os>, layout: &Layout) -> io::Result<Self> {
        for _ in 0..NAME_ATTEMPTS {
            let mut bytes = [0; 8];
            os.random(&mut bytes)?;
            let name = format!("{:016x}", u64::from_be_bytes(bytes));
            let lock_path = layout.session_lock(&name);
            match os.create_new(&lock_path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                file => drop(file?),
            }
            if let Some(lock) =
                lock_if_there(&**os, &lock_path).inspect_err(|_| discard(&**os, &lock_path))?
            {
                return Ok(Self {
                    os: Arc::clone(os),
                    layout: layout.clone(),
                    name,
                    lock_path,
                    lock: Some(lock),
                    next: AtomicU64::new(0),
                });
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "others keep removing this session's lock file"))
    }

    /// Makes an empty temporary.
    pub(crate) fn temporary(self: &Arc<Self>) -> io::Result<(Temporary, Box<dyn OsFile>)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.layout.temporary(&self.name, number);
        let file = self.os.create_new(&path)?;
        Ok((Temporary { session: Arc::clone(self), path, placed: false }, file))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The file goes first: nobody may find it unlocked and think that the session crashed.
        discard(&*self.os, &self.lock_path);
        self.lock = None;
    }
}

/// Locks the file unless a sweep has it, or has removed it in the meantime.
fn lock_if_there(os: &dyn Os, path: &Path) -> io::Result<Option<Box<dyn OsLock>>> {
    let absent = |e: io::Error| if e.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(e) };
    match os.try_lock(path) {
        Ok(Some(lock)) => os.metadata(path).map(|_| Some(lock)).or_else(absent),
        Ok(None) => Ok(None),
        Err(e) => absent(e),
    }
}

/// A file in `tmp`. Removed on drop, unless it was renamed to its place.
pub(crate) struct Temporary {
    session: Arc<Session>,
    path: PathBuf,
    placed: bool,
}

impl Temporary {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Renames it to its place. May be called again after an error.
    pub(crate) fn rename(&mut self, to: &Path) -> io::Result<()> {
        self.session.os.rename(&self.path, to)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed {
            discard(&*self.session.os, &self.path);
        }
    }
}

impl fmt::Debug for Temporary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Temporary").field("path", &self.path).field("placed", &self.placed).finish()
    }
}

/// Bytes in one write. For more the kernel takes pages of its cache 2 MiB at once, which in a virtual machine may
/// have gone back to the host and are slow to come again.
const AT_ONCE: usize = 256 << 10;

/// Writes everything, however short the single writes are.
pub(crate) fn write_all(file: &mut dyn OsFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(&bytes[..bytes.len().min(AT_ONCE)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Removes what dead sessions left in `tmp`. A folder that cannot be read or written is left as it is.
pub(crate) fn sweep(os: &dyn Os, layout: &Layout) {
    match try_sweep(os, layout) {
        Ok(0) => {}
        Ok(removed) => tracing::debug!(removed, "removed temporaries of earlier runs"),
        Err(error) => tracing::debug!(%error, "temporaries of earlier runs are left alone"),
    }
}

fn try_sweep(os: &dyn Os, layout: &Layout) -> io::Result<usize> {
    let mut names = os.read_dir(&layout.tmp)?;
    let mut dead = Vec::new();
    for name in &names {
        if let Some(TmpEntry::Lock(session)) = layout.parse_tmp(name)
            && let Ok(Some(lock)) = lock_if_there(os, &layout.session_lock(session))
        {
            dead.push((session.to_owned(), lock));
        }
    }
    if !dead.is_empty() {
        // What a session made just before it died may be missing in the first look.
        names = os.read_dir(&layout.tmp)?;
    }
    let mut removed = 0;
    for name in &names {
        let Some(TmpEntry::Temporary(session)) = layout.parse_tmp(name) else { continue };
        let path = layout.tmp.join(name);
        if dead.iter().any(|(name, _)| name == session) || is_old_stray(os, layout, session, &path) {
            remove_if_there(os, &path)?;
            removed += 1;
        }
    }
    for (session, lock) in dead {
        // Last, and while it is locked: until then the next sweep finds the rest.
        remove_if_there(os, &layout.session_lock(&session))?;
        drop(lock);
    }
    Ok(removed)
}

fn is_old_stray(os: &dyn Os, layout: &Layout, session: &str, path: &Path) -> bool {
    let lock = os.metadata(&layout.session_lock(session));
    let no_lock = lock.is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
    let modified = os.metadata(path).ok().and_then(|found| found.modified);
    no_lock && modified.and_then(|then| os.now().duration_since(then).ok()).is_some_and(|age| age > STRAY_AGE)
}

fn remove_if_there(os: &dyn Os, path: &Path) -> io::Result<()> {
    os.remove_file(path).or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

/// Removes a file that nobody needs; if it cannot be, the next sweep can.
fn discard(os: &dyn Os, path: &Path) {
    if let Err(error) = remove_if_there(os, path) {
        tracing::debug!(path = %path.display(), %error, "a temporary stays until the next opening");
    }
}
