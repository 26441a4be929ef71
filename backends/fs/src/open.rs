//! Finding out what a folder is, and making it a store.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;

use selfenc_core::store::{Durability, Error, ErrorKind, OpenMode, Result};

use crate::FsEngine;
use crate::error::failed;
use crate::layout::{
    FOLDERS, FsLayout, LAYOUT, Layout, MARKER, MARKER_TEXT, SHARDS, parse_flat, parse_marker,
};
use crate::os::Os;
use crate::session::sweep;

/// Longer than any marker.
pub(crate) const MAX_MARKER_LEN: u64 = 256;

impl FsEngine {
    pub(crate) fn open(
        os: &Arc<dyn Os>,
        dir: &Path,
        form: Option<FsLayout>,
        mode: OpenMode,
        durability: Durability,
        max_chunk_len: u64,
    ) -> Result<Self> {
        let engine_in = |form| {
            let layout = Layout::new(dir.to_owned(), form);
            Self::new(Arc::clone(os), layout, durability, max_chunk_len)
        };
        let engine = engine_in(FsLayout::Sharded);
        match engine.find()? {
            Found::Store if form == Some(FsLayout::Flat) => {
                let message =
                    format!("{}: it is a store that is not flat; leave out the layout", dir.display());
                return Err(Error::new(ErrorKind::InvalidInput, "open", message));
            }
            Found::Store => sweep(&*engine.os, &engine.layout),
            found
                if form == Some(FsLayout::Flat)
                    || (form.is_none() && mode == OpenMode::Existing && engine.looks_flat(&found)) =>
            {
                let engine = engine_in(FsLayout::Flat);
                engine.open_flat(&found, mode)?;
                return Ok(engine);
            }
            found => engine.create(&found, mode)?,
        }
        Ok(engine)
    }

    fn find(&self) -> Result<Found> {
        let (dir, marker) = (&self.layout.dir, &self.layout.marker);
        match self.os.read(marker, MAX_MARKER_LEN) {
            Ok(text) => return check_marker("open", marker, &text).map(|()| Found::Store),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Err(not_a_folder("open", dir)),
            Err(e) => return Err(failed("open", "read", marker, e)),
        }
        match self.os.read_dir(dir) {
            // Made by somebody else since the marker was looked for.
            Ok(names) if names.iter().any(|name| name == MARKER) => {
                match self.os.read(marker, MAX_MARKER_LEN) {
                    Ok(text) => check_marker("open", marker, &text).map(|()| Found::Store),
                    Err(e) => Err(failed("open", "read", marker, e)),
                }
            }
            Ok(names) => Ok(Found::Folder(names)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => Err(not_a_folder("open", dir)),
            Err(e) => Err(failed("open", "read the folder", dir, e)),
        }
    }

    /// Whether there are chunks as self_encryption leaves them. Whatever else is there is left alone.
    fn looks_flat(&self, found: &Found) -> bool {
        let Found::Folder(names) = found else { return false };
        let is_file =
            |name: &&OsString| self.os.metadata(&self.layout.dir.join(name)).is_ok_and(|found| found.is_file);
        names.iter().filter(|name| parse_flat(name).is_some()).any(|name| is_file(&name))
    }

    fn open_flat(&self, found: &Found, mode: OpenMode) -> Result<()> {
        match (found, mode) {
            (Found::Nothing, OpenMode::Existing) => {
                let message = "there is no such folder; check the path, or create the store";
                let message = format!("{}: {message}", self.layout.dir.display());
                Err(Error::new(ErrorKind::ContainerMissing, "open", message))
            }
            (Found::Nothing, OpenMode::Create) => self.make_with_parents(&self.layout.dir),
            (_, OpenMode::Create) => {
                // An earlier making may have been interrupted before its folder was durable.
                self.make_with_parents(&self.layout.dir)?;
                sweep(&*self.os, &self.layout);
                Ok(())
            }
            _ => {
                sweep(&*self.os, &self.layout);
                Ok(())
            }
        }
    }

    /// Makes the store, or completes one whose making was interrupted.
    fn create(&self, found: &Found, mode: OpenMode) -> Result<()> {
        let dir = &self.layout.dir;
        let foreign = match found {
            Found::Folder(names) => names.iter().find(|name| !self.may_stand_in_a_new_store(name)),
            _ => None,
        };
        let problem = match (found, mode, foreign) {
            (Found::Nothing, OpenMode::Existing, _) => {
                "there is no such folder; check the path, or create the store"
            }
            (_, OpenMode::Existing, None) => "no store was made in it; check the path, or create the store",
            (_, OpenMode::Existing, _) => "it is not a store (no file selfenc-store in it); check the path",
            (_, OpenMode::Create, Some(_)) => {
                "it is neither empty nor a store; give a new or an empty folder"
            }
            (_, OpenMode::Create, None) => return self.build(),
        };
        let kind = match mode {
            OpenMode::Existing => ErrorKind::ContainerMissing,
            OpenMode::Create => ErrorKind::InvalidInput,
        };
        Err(Error::new(kind, "open", format!("{}: {problem}", dir.display())))
    }

    /// What an interrupted making left, or a test that was killed: its corner is in nobody's way.
    fn may_stand_in_a_new_store(&self, name: &OsStr) -> bool {
        let is_folder = || self.os.metadata(&self.layout.dir.join(name)).is_ok_and(|found| !found.is_file);
        FOLDERS.iter().any(|ours| name == *ours) || (is_corner(name) && is_folder())
    }

    fn build(&self) -> Result<()> {
        let Layout { dir, chunks, marker, .. } = &self.layout;
        self.make_with_parents(dir)?;
        for folder in FOLDERS {
            self.make(&dir.join(folder))?;
        }
        for shard in 0..=SHARDS {
            self.make(&self.layout.shard(shard))?;
        }
        self.sync(chunks)?;
        self.sync(dir)?;
        // Last, so that an interrupted making is no store. Completing it does the above again.
        let mut temporary = self.write("open", format!("{MARKER_TEXT}{LAYOUT}\n").as_bytes())?;
        temporary.rename(marker).map_err(|e| failed("open", "write", marker, e))?;
        self.sync(dir).inspect_err(|_| {
            if let Err(error) = self.os.remove_file(marker) {
                tracing::debug!(%error, "a marker that may not be durable stays");
            }
        })
    }

    fn make_with_parents(&self, dir: &Path) -> Result<()> {
        let is_missing = |path: &Path| match self.os.metadata(path) {
            Ok(_) => Ok(false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(e) => Err(failed("open", "look at", path, e)),
        };
        let mut made = Vec::new();
        for path in dir.ancestors() {
            if !is_missing(path)? {
                break;
            }
            made.push(path);
        }
        for path in made.iter().rev() {
            self.make(path)?;
        }
        for (n, parent) in dir.ancestors().skip(1).enumerate() {
            match self.sync(parent) {
                Err(e) if n < made.len() => return Err(e),
                // An earlier making, interrupted, may have left folders without this. If a parent belongs
                // to somebody else, who may not let us, then what stands in it was not made here.
                _ => {}
            }
        }
        Ok(())
    }

    fn make(&self, path: &Path) -> Result<()> {
        match self.os.create_dir(path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                Err(failed("open", "make the folder", path, e))
            }
            _ => Ok(()),
        }
    }

    fn sync(&self, path: &Path) -> Result<()> {
        self.os.sync_dir(path).map_err(|e| failed("open", "sync", path, e))
    }
}

/// Whether this is a name that `Registry::corner` gives: `selfenc-test-` and 16 hex digits.
fn is_corner(name: &OsStr) -> bool {
    let digits = name.to_str().and_then(|name| name.strip_prefix("selfenc-test-"));
    digits.is_some_and(|digits| {
        digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// What stands where a store is to be opened.
enum Found {
    Store,
    /// A folder without a marker, and the names in it.
    Folder(Vec<OsString>),
    Nothing,
}

pub(crate) fn check_marker(op: &'static str, path: &Path, text: &[u8]) -> Result<()> {
    let problem = |kind, what: String| Err(Error::new(kind, op, format!("{}: {what}", path.display())));
    match parse_marker(text) {
        Some(LAYOUT) => Ok(()),
        Some(newer) => problem(
            ErrorKind::Unsupported,
            format!(
                "this store has layout {newer}, this version knows {LAYOUT}; use a newer version of selfenc"
            ),
        ),
        None => problem(ErrorKind::Corrupt, format!("this is not the marker of a store; restore {MARKER}")),
    }
}

pub(crate) fn not_a_folder(op: &'static str, dir: &Path) -> Error {
    Error::new(ErrorKind::InvalidInput, op, format!("{} is not a folder; give one", dir.display()))
}
