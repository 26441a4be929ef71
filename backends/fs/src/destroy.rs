//! Removing a store: what the layout names, and nothing else.
//!
//! Not through the seam of [`os`](crate::os): nothing here has to survive a crash, since what is left is
//! still a store whose making was interrupted, and can be destroyed again.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use selfenc_core::store::{Error, ErrorKind, Result};

use crate::error::failed;
use crate::layout::{FOLDERS, Layout, is_root_file, parse_chunk, parse_flat, parse_shard};
use crate::open::{MAX_MARKER_LEN, check_marker, not_a_folder};
use crate::os::{Os, RealOs};

/// How many of the things that were left are named.
const NAMED: usize = 3;

/// Removes the store, and its folder if nothing else is in it.
pub(crate) fn destroy(layout: &Layout) -> Result<()> {
    let dir = &layout.dir;
    match fs::symlink_metadata(dir) {
        Ok(found) if found.is_symlink() => {
            let message = format!("{} is a symbolic link; name the folder that it leads to", dir.display());
            return Err(Error::new(ErrorKind::InvalidInput, "destroy", message));
        }
        Ok(found) if !found.is_dir() => return Err(not_a_folder("destroy", dir)),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed("destroy", "look at", dir, e)),
    }
    let mut left = Left::default();
    if layout.is_flat() {
        left.clear(dir, |name| parse_flat(name).is_some() || layout.parse_tmp(name).is_some())?;
        return left.outcome(dir);
    }
    check_is_store(layout)?;
    // First, so that whoever still has the store open finds that it is gone, and makes no folder anew.
    remove_file(&layout.marker)?;
    left.clear(&layout.tmp, |name| layout.parse_tmp(name).is_some())?;
    left.clear(&layout.roots, |name| name == ".lock" || is_root_file(name))?;
    for entry in if is_folder(&layout.chunks) { read_dir(&layout.chunks)? } else { Vec::new() } {
        if let Some(shard) = parse_shard(&entry.name) {
            left.clear(&entry.path, |name| parse_chunk(shard, name).is_some())?;
        }
    }
    left.clear(&layout.chunks, |_| false)?;
    left.clear(dir, |_| false)?;
    left.outcome(dir)
}

/// Refuses a folder that holds neither a marker nor what an interrupted making leaves.
fn check_is_store(layout: &Layout) -> Result<()> {
    let marker = &layout.marker;
    match fs::symlink_metadata(marker) {
        Ok(found) if found.is_file() => {
            let text =
                RealOs.read(marker, MAX_MARKER_LEN).map_err(|e| failed("destroy", "read", marker, e))?;
            return check_marker("destroy", marker, &text);
        }
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed("destroy", "look at", marker, e)),
    }
    let is_ours = |entry: &Entry| {
        entry.is_held_open() || (entry.is_dir && FOLDERS.iter().any(|ours| entry.name == *ours))
    };
    if read_dir(&layout.dir)?.iter().all(is_ours) {
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
                return Err(failed("destroy", "remove the folder", folder, e));
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
    let cannot = |e| failed("destroy", "read the folder", folder, e);
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
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("destroy", "remove", path, e)),
        _ => Ok(()),
    }
}
