//! Removing a store: what the layout and sled name, and nothing else.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use selfenc_core::store::{Error, ErrorKind, Result};

use crate::error::io_failed;
use crate::layout::{DATABASE, Layout, is_blob, is_own_file, is_sled_file};
use crate::open::{not_a_folder, read_marker};

/// How many of the things that were left are named.
const NAMED: usize = 3;

/// Removes the store in `dir`, and `dir` itself if nothing else is in it.
pub(crate) fn destroy(dir: PathBuf) -> Result<()> {
    let layout = Layout::new(dir);
    let dir = &layout.dir;
    match fs::symlink_metadata(dir) {
        Ok(found) if found.is_symlink() => {
            let message = format!("{} is a symbolic link; name the folder that it leads to", dir.display());
            return Err(Error::new(ErrorKind::InvalidInput, "destroy", message));
        }
        Ok(found) if !found.is_dir() => return Err(not_a_folder("destroy", dir)),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io_failed("destroy", "look at", dir, e)),
    }
    check_is_store(&layout)?;
    let mut left = Left::default();
    // First, so that whoever still has the store open finds that it is gone.
    remove_file(&layout.marker)?;
    // Not through a link in the place of sled's folder.
    if is_folder(&layout.database) {
        left.clear(&layout.blobs, is_blob)?;
    }
    left.clear(&layout.database, is_sled_file)?;
    left.clear(dir, is_own_file)?;
    left.outcome(dir)
}

/// Refuses a folder that holds neither a marker nor what an interrupted making, or destroying, leaves: the
/// lock, and perhaps sled's folder.
fn check_is_store(layout: &Layout) -> Result<()> {
    if read_marker("destroy", &layout.marker)? {
        return Ok(());
    }
    let entries = read_dir(&layout.dir)?;
    let is_begun = entries.iter().any(|entry| entry.path == layout.lock);
    let is_ours = |entry: &Entry| {
        entry.is_held_open() || is_own_file(&entry.name) || (entry.is_dir && entry.name == DATABASE)
    };
    if entries.is_empty() || (is_begun && entries.iter().all(is_ours)) {
        return Ok(());
    }
    let message =
        format!("{} is not a store (no file selfenc-store in it); check the path", layout.dir.display());
    Err(Error::new(ErrorKind::InvalidInput, "destroy", message))
}

/// What could not be removed.
#[derive(Default)]
struct Left {
    foreign: Vec<PathBuf>,
    /// A folder of ours is not empty, although everything in it was removed; or a removed file is still open.
    busy: bool,
}

impl Left {
    /// Removes the files of `folder` that are ours, and then the folder if it is empty.
    fn clear(&mut self, folder: &Path, ours: impl Fn(&OsStr) -> bool) -> Result<()> {
        if !is_folder(folder) {
            return Ok(()); // gone, or something foreign that the folder above names
        }
        let mut empty = true;
        for entry in read_dir(folder)? {
            if entry.is_file && ours(&entry.name) {
                remove_file(&entry.path)?;
            } else if entry.is_held_open() {
                self.busy = true;
            } else {
                empty = false;
                self.note(entry);
            }
        }
        match fs::remove_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => self.busy |= empty,
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(io_failed("destroy", "remove the folder", folder, e));
            }
            _ => {}
        }
        Ok(())
    }

    fn note(&mut self, entry: Entry) {
        // A folder that stays because of what is in it: that is named, or still being written.
        let explained = self.busy || self.foreign.iter().any(|path| path.starts_with(&entry.path));
        if !(entry.is_dir && explained) {
            self.foreign.push(entry.path);
        }
    }

    fn outcome(self, dir: &Path) -> Result<()> {
        if !self.foreign.is_empty() {
            let mut named: Vec<_> =
                self.foreign.iter().take(NAMED).map(|path| path.display().to_string()).collect();
            if self.foreign.len() > NAMED {
                named.push(format!("and {} more", self.foreign.len() - NAMED));
            }
            let message =
                format!("left alone, for no store made it: {}; move it away and try again", named.join(", "));
            return Err(Error::new(ErrorKind::InvalidInput, "destroy", message));
        }
        if self.busy {
            let message = format!("something still writes to {}; try again", dir.display());
            return Err(Error::new(ErrorKind::Conflict, "destroy", message));
        }
        Ok(())
    }
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

struct Entry {
    name: OsString,
    path: PathBuf,
    is_file: bool,
    is_dir: bool,
}

impl Entry {
    /// Whether NFS renamed a file to this when it was removed while open. It goes when it is closed.
    fn is_held_open(&self) -> bool {
        self.is_file && self.name.as_encoded_bytes().starts_with(b".nfs")
    }
}

/// What is in a folder, symbolic links not followed; nothing if the folder is gone.
fn read_dir(folder: &Path) -> Result<Vec<Entry>> {
    let cannot = |e| io_failed("destroy", "read the folder", folder, e);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(cannot(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(cannot)?;
        match entry.file_type() {
            Ok(kind) => found.push(Entry {
                name: entry.file_name(),
                path: entry.path(),
                is_file: kind.is_file(),
                is_dir: kind.is_dir(),
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(cannot(e)),
        }
    }
    Ok(found)
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_failed("destroy", "remove", path, e)),
        _ => Ok(()),
    }
}
