//! Output files: written to a temporary name in the same folder, then renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use tempfile::NamedTempFile;
use tokio::task::block_in_place;

use crate::exit::{Context, Failure, Result};

/// Bytes in one write to a file. For more the kernel takes pages of its cache 2 MiB at once, which in a virtual
/// machine may have gone back to the host and are slow to come again: 1 GiB then took `dd` 2.5 s in writes of 1 MiB
/// and 0.5 in writes of this length, which is as fast as any where they had not.
const AT_ONCE: usize = 256 << 10;

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Its owner alone: 0600.
    Secret,
    /// As the user's umask says.
    Plain,
}

/// Where bytes go. Dropped without [`Output::finish`] it leaves nothing behind.
pub(crate) struct Output {
    sink: Sink,
    shown: String,
}

enum Sink {
    Stdout,
    /// What exists and is no regular file, such as a pipe, is written to as it is.
    Device(File),
    File {
        temp: NamedTempFile,
        early: EarlySync,
        to: PathBuf,
        replace: bool,
    },
}

/// Syncs of a file while it is still written, so that the disk works from the start and not only at the end.
#[derive(Default)]
struct EarlySync {
    /// Bytes written since the last one began.
    unsynced: usize,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl EarlySync {
    /// One begins after so many bytes. 1 GiB came back in 1.3 s, where one sync at the end took 1.7.
    const AFTER: usize = 32 << 20;

    /// Notes that `len` bytes more were written to `file`. Fails if a sync did, for the next one may not.
    fn wrote(&mut self, file: &File, len: usize) -> io::Result<()> {
        self.unsynced += len;
        if self.unsynced < Self::AFTER || self.running.as_ref().is_some_and(|sync| !sync.is_finished()) {
            return Ok(());
        }
        self.end()?;
        self.unsynced = 0;
        let begun = file.try_clone().and_then(|file| thread::Builder::new().spawn(move || file.sync_data()));
        // Without another handle or a thread it is synced at the end.
        self.running = begun.ok();
        Ok(())
    }

    /// Waits for the one that runs.
    fn end(&mut self) -> io::Result<()> {
        let sync = self.running.take();
        sync.map_or(Ok(()), |sync| sync.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
    }
}

impl Output {
    /// Prepares to write to `path`; `-` is standard output. Without `replace` an existing file is refused.
    pub(crate) fn create(path: &Path, replace: bool, mode: Mode) -> Result<Self> {
        if is_dash(path) {
            return Ok(Self { sink: Sink::Stdout, shown: "standard output".to_owned() });
        }
        let shown = format!("'{}'", path.display());
        let sink = match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                return Err(Failure::new(format!("{shown} is a folder")).hint("name a file with -o"));
            }
            Ok(meta) if !meta.is_file() => {
                let file = OpenOptions::new().write(true).open(path);
                Sink::Device(file.context(format_args!("cannot open {shown}"))?)
            }
            _ => temporary(path, replace, mode, &shown)?,
        };
        Ok(Self { sink, shown })
    }

    /// Writes all of `data`.
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<()> {
        let written = block_in_place(|| match &mut self.sink {
            Sink::Stdout => io::stdout().lock().write_all(data),
            Sink::Device(file) => file.write_all(data),
            Sink::File { temp, early, .. } => {
                data.chunks(AT_ONCE).try_for_each(|part| temp.as_file_mut().write_all(part))?;
                early.wrote(temp.as_file(), data.len())
            }
        });
        written.context(format_args!("cannot write {}", self.shown))
    }

    /// Makes what was written durable, and gives the file its name.
    pub(crate) fn finish(self) -> Result<()> {
        let shown = self.shown;
        let finished = block_in_place(|| match self.sink {
            Sink::Stdout => io::stdout().lock().flush(),
            Sink::Device(mut file) => file.flush(),
            Sink::File { temp, mut early, to, replace } => {
                early.end()?;
                temp.as_file().sync_all()?;
                if replace {
                    temp.persist(&to)?;
                } else {
                    temp.persist_noclobber(&to)?;
                }
                sync_dir(folder_of(&to))
            }
        });
        finished.map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => exists(&shown),
            _ => Failure::io(format_args!("cannot write {shown}"), &e),
        })
    }
}

fn temporary(path: &Path, replace: bool, mode: Mode, shown: &str) -> Result<Sink> {
    // A symbolic link counts as a file that exists, wherever it leads.
    let found = fs::symlink_metadata(path).is_ok();
    if found && !replace {
        return Err(exists(shown));
    }
    // What a link leads to is replaced, not the link.
    let to = if found { fs::canonicalize(path).unwrap_or_else(|_| path.into()) } else { path.into() };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".selfenc-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let bits = if mode == Mode::Secret { 0o600 } else { 0o666 };
        builder.permissions(fs::Permissions::from_mode(bits)); // the umask applies to it
    }
    #[cfg(not(unix))]
    let _ = mode;
    let temp = builder.tempfile_in(folder_of(&to)).map_err(|e| {
        let missing = e.kind() == io::ErrorKind::NotFound;
        let failure = Failure::io(format_args!("cannot write {shown}"), &e);
        if missing {
            failure.hint("its folder is not there; make it, or choose another with -o")
        } else {
            failure
        }
    })?;
    Ok(Sink::File { temp, early: EarlySync::default(), to, replace })
}

fn exists(shown: &str) -> Failure {
    Failure::new(format!("{shown} exists already"))
        .hint("choose another name with -o, or replace it with --force")
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in a folder durable, as far as this user may: a folder that can be written and not read
/// cannot be synced.
#[cfg(unix)]
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    match File::open(dir) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        folder => folder?.sync_all(),
    }
}

/// Elsewhere a folder cannot be opened as a file, and the rename must do.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Even with --force an output must not take the place of what the same run reads or keeps.
pub(crate) fn refuse_to_replace<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let Ok(to) = fs::canonicalize(output) else { return Ok(()) };
    let same = |input: &&Path| !is_dash(input) && fs::canonicalize(input).is_ok_and(|from| from == to);
    match inputs.into_iter().find(same) {
        Some(input) if to.is_file() && !is_dash(output) => {
            let line = format!("the output would replace '{}', which this run needs", input.display());
            Err(Failure::usage(line).hint("give it another name with -o"))
        }
        _ => Ok(()),
    }
}

/// Whether a path stands for standard input or output.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_failed_early_sync_is_told() {
        // It takes every byte, and cannot be synced.
        let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
        let mut early = EarlySync::default();
        early.wrote(&null, EarlySync::AFTER - 1).unwrap();
        early.end().unwrap();
        early.wrote(&null, 1).unwrap();
        while !early.running.as_ref().unwrap().is_finished() {
            thread::yield_now();
        }
        early.wrote(&null, EarlySync::AFTER).unwrap_err();
        early.wrote(&null, EarlySync::AFTER).unwrap();
        early.end().unwrap_err();
    }
}
