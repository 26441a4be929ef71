//! Whether the file is still where it was.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use selfenc_core::store::{Error, ErrorKind, Result};

/// The file that was opened. SQLite goes on happily with one that was moved or unlinked, and would say of
/// every chunk in the new one that it is absent.
#[derive(Debug)]
pub(crate) struct Identity {
    path: PathBuf,
    /// `None` where files have no numbers, or are not real.
    file: Option<FileNumber>,
}

type FileNumber = (u64, u64);

impl Identity {
    /// The file at `path` as it is now.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let found = fs::metadata(path)
            .map_err(|e| Error::from_io("open", format!("cannot look at {}: {e}", path.display()), e))?;
        Ok(Self { path: path.to_owned(), file: number(&found) })
    }

    /// A file that is not one of the operating system's.
    pub(crate) fn unknown(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None }
    }

    /// # Errors
    /// [`ErrorKind::ContainerMissing`] if it is gone, or another stands in its place.
    pub(crate) fn check(&self, op: &'static str) -> Result<()> {
        let Some(file) = self.file else { return Ok(()) };
        let path = self.path.display();
        match fs::metadata(&self.path) {
            Ok(found) if number(&found) == Some(file) => Ok(()),
            Ok(_) => {
                let message = format!("another file stands at {path} since it was opened; open it again");
                Err(Error::new(ErrorKind::ContainerMissing, op, message))
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                let message = format!("the store {path} is gone; was it moved, or a disk unmounted?");
                Err(Error::new(ErrorKind::ContainerMissing, op, message).with_source(e))
            }
            Err(e) => Err(Error::from_io(op, format!("cannot look at {path}: {e}"), e)),
        }
    }
}

#[cfg(unix)]
fn number(found: &fs::Metadata) -> Option<FileNumber> {
    use std::os::unix::fs::MetadataExt;
    Some((found.dev(), found.ino()))
}

/// Elsewhere an open file cannot be moved.
#[cfg(not(unix))]
fn number(_found: &fs::Metadata) -> Option<FileNumber> {
    None
}

/// Makes the names in the file's folder durable: the file's own, and that a journal is gone.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = fs::canonicalize(path)?.parent() {
        return fs::File::open(folder)?.sync_all();
    }
    let _ = path;
    Ok(())
}
