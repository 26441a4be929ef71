//! What `object_store` leaves open about a folder on a disk.
//!
//! `LocalFileSystem` syncs a file, links it and syncs its folder before it answers. It does not sync a
//! folder that another task has just made, nor an entry that another task has just linked, nor deletes.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use selfenc_core::store::{ChunkId, ChunkMeta, Error, ErrorKind, Result, off_the_executor};

use crate::error::io_failed;
use crate::layout::{SHARDS, parse_digits, parse_shard};

/// Above this many chunks in doubt, every chunk is.
const MAX_DOUBTFUL: usize = 10_000;

/// The folder of a store.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Shards with deletes that no sync has covered, and the number of the last of them.
    deleted_in: HashMap<u8, u64>,
    deletes: u64,
    /// Chunks whose last put failed: they may be linked and not be durable.
    doubtful: HashSet<ChunkId>,
    all_doubtful: bool,
}

impl Folder {
    pub(crate) fn new(dir: PathBuf) -> Arc<Self> {
        Arc::new(Self { dir, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, shard: u8) -> PathBuf {
        self.dir.join("chunks").join(format!("{shard:02x}"))
    }

    /// Makes the folders of all shards, durably: a put into a folder that is not durable would not be.
    pub(crate) async fn make_shards(self: &Arc<Self>) -> Result<()> {
        let dir = self.dir.clone();
        off_the_executor("open", move || {
            let chunks = dir.join("chunks");
            let made = make_dir(&chunks)
                .and_then(|()| {
                    (0..=SHARDS).try_for_each(|shard| make_dir(&chunks.join(format!("{shard:02x}"))))
                })
                .and_then(|()| sync_dir(&chunks))
                .and_then(|()| sync_dir(&dir));
            made.map_err(|e| io_failed("open", &format!("make the folders in {}", dir.display()), e))
        })
        .await
    }

    /// The same where some may be missing, as in a copy by a program that leaves out empty folders. A
    /// folder that cannot be written can be read.
    pub(crate) async fn mend_shards(self: &Arc<Self>) -> Result<()> {
        let chunks = self.dir.join("chunks");
        let complete = off_the_executor("open", move || {
            Ok(fs::read_dir(chunks).is_ok_and(|found| shards_in(found).count() > usize::from(SHARDS)))
        });
        if complete.await? {
            return Ok(());
        }
        if let Err(error) = self.make_shards().await {
            tracing::debug!(%error, "folders are missing and cannot be made");
        }
        Ok(())
    }

    /// The shards that there are, whatever stands beside them.
    pub(crate) async fn shards(self: &Arc<Self>) -> Result<Vec<u8>> {
        let chunks = self.dir.join("chunks");
        off_the_executor("list", move || {
            let found = fs::read_dir(&chunks).map_err(|e| cannot_list(&chunks, e))?;
            Ok(shards_in(found).collect())
        })
        .await
    }

    /// The chunks of one shard, in no order, whatever stands beside them.
    pub(crate) async fn page(self: &Arc<Self>, shard: u8) -> Result<Vec<ChunkMeta>> {
        let dir = self.shard(shard);
        off_the_executor("list", move || {
            let mut page = Vec::new();
            for entry in fs::read_dir(&dir).map_err(|e| cannot_list(&dir, e))? {
                let name = entry.map_err(|e| cannot_list(&dir, e))?.file_name();
                let Some(id) = name.to_str().and_then(|rest| parse_digits(shard, rest)) else { continue };
                match fs::metadata(dir.join(name)) {
                    Ok(found) if found.is_file() => page.push(ChunkMeta { id, len: found.len() }),
                    Ok(_) => {}
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(cannot_list(&dir, e)),
                }
            }
            Ok(page)
        })
        .await
    }

    /// Makes what another handle linked durable before it counts as present.
    pub(crate) async fn settle(self: &Arc<Self>, id: ChunkId) -> Result<()> {
        let shard = self.shard(id.as_bytes()[0]);
        off_the_executor("put", move || {
            sync_dir(&shard).map_err(|e| io_failed("put", &format!("sync {}", shard.display()), e))
        })
        .await
    }

    /// Whether a put of it failed half-way. Then it is written anew: a second sync of the same entry may
    /// succeed without having written anything.
    pub(crate) fn doubts(&self, id: ChunkId) -> bool {
        let state = self.state();
        state.all_doubtful || state.doubtful.contains(&id)
    }

    /// A write whose end nobody hears of has failed.
    pub(crate) fn writing(self: &Arc<Self>, id: ChunkId) -> Writing {
        Writing { folder: Arc::clone(self), id, has_ended: false }
    }

    pub(crate) fn note_failed(&self, id: ChunkId) {
        let mut state = self.state();
        state.doubtful.insert(id);
        if state.doubtful.len() > MAX_DOUBTFUL {
            state.doubtful = HashSet::new();
            state.all_doubtful = true;
        }
    }

    pub(crate) fn note_written(&self, id: ChunkId) {
        self.state().doubtful.remove(&id);
    }

    pub(crate) fn note_deleted(&self, id: ChunkId) {
        let mut state = self.state();
        state.deletes += 1;
        let number = state.deletes;
        state.deleted_in.insert(id.as_bytes()[0], number);
    }

    /// Makes deletes durable.
    pub(crate) async fn flush(self: &Arc<Self>) -> Result<()> {
        // They stay until they are synced: another flush at the same time, or after this one was dropped,
        // must not take them for done.
        let shards = self.state().deleted_in.clone();
        let mut failed = None;
        for (shard, last) in shards {
            let path = self.shard(shard);
            let synced = off_the_executor("flush", move || {
                sync_dir(&path).map_err(|e| io_failed("flush", &format!("sync {}", path.display()), e))
            });
            match synced.await {
                Err(e) => drop(failed.get_or_insert(e)),
                Ok(()) => {
                    let mut state = self.state();
                    if state.deleted_in.get(&shard) == Some(&last) {
                        state.deleted_in.remove(&shard);
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether something that is no file stands in the chunk's place; to `object_store` it is not there.
    pub(crate) async fn check_vacant(self: &Arc<Self>, op: &'static str, id: ChunkId) -> Result<()> {
        let path = self.shard(id.as_bytes()[0]).join(&id.to_string()[2..]);
        off_the_executor(op, move || match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => Ok(()),
            Ok(_) => {
                let message = "what stands in its place is not a regular file; move it away";
                Err(Error::new(ErrorKind::Corrupt, op, message))
            }
            Err(_) => Ok(()),
        })
        .await
    }
}

/// A write or a sync, in doubt unless it is ended: the chunk may be linked, and its sync may have failed.
pub(crate) struct Writing {
    folder: Arc<Folder>,
    id: ChunkId,
    has_ended: bool,
}

impl Writing {
    pub(crate) fn end(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.has_ended {
            self.folder.note_failed(self.id);
        }
    }
}

/// Makes the folder and its missing parents, durably.
pub(crate) async fn make_with_parents(dir: PathBuf) -> Result<()> {
    off_the_executor("open", move || {
        let missing = dir.ancestors().take_while(|path| !path.exists()).count();
        let made = fs::create_dir_all(&dir).and_then(|()| {
            let parents = dir.ancestors().skip(1).take(missing);
            parents.filter(|parent| !parent.as_os_str().is_empty()).try_for_each(sync_dir)
        });
        made.map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => not_a_folder("open", &dir),
            _ => io_failed("open", &format!("make the folder {}", dir.display()), e),
        })
    })
    .await
}

/// Whether there is a folder at `dir`.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if something else is there.
pub(crate) async fn is_folder(op: &'static str, dir: PathBuf) -> Result<bool> {
    off_the_executor(op, move || match fs::metadata(&dir) {
        Ok(found) if found.is_dir() => Ok(true),
        Ok(_) => Err(not_a_folder(op, &dir)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Err(not_a_folder(op, &dir)),
        Err(e) => Err(io_failed(op, &format!("look at {}", dir.display()), e)),
    })
    .await
}

/// Removes what a store leaves in its folder besides objects: staged files of writers that died, and
/// folders. Folders with anything else in them stay.
pub(crate) async fn remove_leavings(dir: PathBuf) -> Result<()> {
    off_the_executor("destroy", move || {
        for top in ["chunks", "roots"] {
            let top = dir.join(top);
            for below in folders(&top) {
                remove_staged(&below);
                let _ = fs::remove_dir(below); // stays if something is in it
            }
            remove_staged(&top);
            let _ = fs::remove_dir(top);
        }
        remove_staged(&dir);
        match fs::remove_dir(&dir).map_err(|e| (e.kind(), e)) {
            // A link to a folder is not ours to remove.
            Ok(())
            | Err((
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory,
                _,
            )) => Ok(()),
            Err((_, e)) => Err(io_failed("destroy", &format!("remove the folder {}", dir.display()), e)),
        }
    })
    .await
}

fn shards_in(entries: fs::ReadDir) -> impl Iterator<Item = u8> {
    entries.flatten().filter_map(|entry| parse_shard(entry.file_name().to_str()?))
}

fn cannot_list(dir: &Path, e: io::Error) -> Error {
    io_failed("list", &format!("list {}", dir.display()), e)
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let real = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    real.map(|entry| entry.path()).collect()
}

/// `object_store` stages an object as its name, `#` and a number.
fn remove_staged(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_staged = name.to_str().and_then(|name| name.rsplit_once('#')).is_some_and(|(base, number)| {
            let is_ours = base == "selfenc-store"
                || base.starts_with("selfenc-probe-")
                || (base.len() == 62 && base.bytes().all(|b| b.is_ascii_hexdigit()));
            is_ours && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        });
        if is_staged && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = fs::remove_file(entry.path()); // then its folder stays, too
        }
    }
}

pub(crate) fn not_a_folder(op: &'static str, dir: &Path) -> Error {
    Error::new(ErrorKind::InvalidInput, op, format!("{} is not a folder; give one", dir.display()))
}

fn make_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Not on Windows, where folders cannot be synced.
fn sync_dir(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_in_doubt_until_it_is_written() {
        let (folder, id) = (Folder::new("x".into()), ChunkId::from_bytes([1; 32]));
        assert!(!folder.doubts(id));
        folder.note_failed(id);
        assert!(folder.doubts(id));
        folder.note_written(id);
        assert!(!folder.doubts(id));
        for n in 0..=MAX_DOUBTFUL {
            let n = n.to_le_bytes();
            folder.note_failed(ChunkId::from_bytes(std::array::from_fn(|i| n[i % n.len()])));
        }
        assert!(folder.doubts(id), "too many to remember");
    }

    #[tokio::test]
    async fn flush_tries_again_what_it_could_not_sync() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().to_owned());
        folder.note_deleted(ChunkId::from_bytes([7; 32]));
        for _ in 0..2 {
            let e = folder.flush().await.unwrap_err();
            assert!(e.op() == "flush" && e.to_string().contains("chunks/07"), "{e}");
        }
        folder.make_shards().await.unwrap();
        folder.flush().await.unwrap();
    }

    #[test]
    fn a_flush_does_not_count_on_one_that_has_not_ended() {
        // One thread for files, which is taken: what the first flush asks of it cannot end before it is
        // looked at.
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (release, taken) = std::sync::mpsc::channel::<()>();
            let blocker = tokio::task::spawn_blocking(move || taken.recv());
            let dir = tempfile::tempdir().unwrap();
            let folder = Folder::new(dir.path().to_owned());
            folder.note_deleted(ChunkId::from_bytes([7; 32]));
            {
                let mut first = std::pin::pin!(folder.flush());
                assert!(futures::poll!(first.as_mut()).is_pending());
                release.send(()).unwrap();
                folder.flush().await.unwrap_err();
            }
            // And the first was dropped.
            folder.flush().await.unwrap_err();
            blocker.await.unwrap().unwrap();
        });
    }
}
