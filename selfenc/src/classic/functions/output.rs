//! Files that are written: under a temporary name beside their own, then renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::store::Error as StoreError;
use crate::{Error, Result};

/// A file that is there as a whole, or as it was before. Dropped unfinished, it leaves nothing behind.
pub(super) struct Output {
    sink: Sink,
    to: PathBuf,
}

enum Sink {
    File(NamedTempFile),
    /// What exists and is no regular file, such as a pipe, is written to as it is.
    Device(File),
}

/// What failed, at which path, and why, in one line.
pub(super) fn failed(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |e| StoreError::from_io(op, format!("'{}': {e}", path.display()), e).into()
}

impl Output {
    pub(super) fn create(path: &Path) -> Result<Self> {
        // What a link leads to is replaced, not the link.
        let to = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let sink = match fs::metadata(&to) {
            Ok(meta) if !meta.is_file() => {
                Sink::Device(OpenOptions::new().write(true).open(&to).map_err(failed("open", path))?)
            }
            found => {
                let temp = temporary(folder_of(&to)).map_err(failed("create", path))?;
                if let Ok(meta) = found {
                    // Who may read the old file may read the new one.
                    temp.as_file().set_permissions(meta.permissions()).map_err(failed("create", path))?;
                }
                Sink::File(temp)
            }
        };
        Ok(Self { sink, to })
    }

    pub(super) fn write(&mut self, data: &[u8]) -> Result<()> {
        let written = match &mut self.sink {
            Sink::File(temp) => temp.as_file_mut().write_all(data),
            Sink::Device(file) => file.write_all(data),
        };
        written.map_err(failed("write", &self.to))
    }

    /// Makes what was written durable, once, and gives the file its name.
    pub(super) fn finish(self) -> Result<()> {
        let to = self.rename()?;
        sync(folder_of(&to))
    }

    /// The same, but for the name's own durability: for one of many files, whose folder is
    /// [synced](sync) at the end.
    pub(super) fn rename(self) -> Result<PathBuf> {
        let to = self.to;
        let renamed = match self.sink {
            Sink::Device(mut file) => file.flush(),
            Sink::File(temp) => {
                temp.as_file().sync_all().and_then(|()| temp.persist(&to).map(drop).map_err(|e| e.error))
            }
        };
        renamed.map_err(failed("write", &to))?;
        Ok(to)
    }
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".selfenc-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666)); // the umask applies to it
    }
    builder.tempfile_in(folder)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in a folder durable, as far as this user may: one that can be written and not read cannot be
/// synced.
#[cfg(unix)]
pub(super) fn sync(folder: &Path) -> Result<()> {
    let synced = match File::open(folder) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        opened => opened.and_then(|folder| folder.sync_all()),
    };
    synced.map_err(failed("sync", folder))
}

/// Elsewhere a folder cannot be opened as a file, and the rename must do.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)]
pub(super) fn sync(_folder: &Path) -> Result<()> {
    Ok(())
}
