//! Engines that block, as a program of threads would use them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use selfenc::store::ChunkId;
use selfenc_bench::Result;

use crate::IN_FLIGHT;
use crate::chunks::Chunks;
use crate::report::Run;

/// An engine without anything around it.
pub(crate) trait Raw: Sync {
    fn put(&self, id: ChunkId, data: &Bytes) -> Result<()>;
    fn get(&self, id: ChunkId) -> Result<Bytes>;
    /// Ids and lengths of everything; how many.
    fn list(&self) -> Result<usize>;
    /// Makes durable what `put` did not.
    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// The same work as that of `ours`, by as many threads as it has requests in flight.
pub(crate) fn run(engine: &impl Raw, chunks: &Chunks) -> Result<Run> {
    let start = Instant::now();
    on_threads(chunks, |id, data| engine.put(id, data))?;
    engine.flush()?;
    let put = start.elapsed();

    let get = on_threads(chunks, |id, data| {
        assert_eq!(&engine.get(id)?, data, "it reads back");
        Ok(())
    })?;

    let start = Instant::now();
    assert_eq!(engine.list()?, chunks.items.len());
    Ok(Run { put, get, list: start.elapsed() })
}

fn on_threads(chunks: &Chunks, work: impl Fn(ChunkId, &Bytes) -> Result<()> + Sync) -> Result<Duration> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let thread = || {
            while let Some((id, data)) = chunks.items.get(next.fetch_add(1, Ordering::Relaxed)) {
                work(*id, data)?;
            }
            Ok(())
        };
        let threads: Vec<_> = (0..IN_FLIGHT).map(|_| scope.spawn(thread)).collect();
        threads.into_iter().try_for_each(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
    })
    .map(|()| start.elapsed())
}

/// A map behind a lock.
#[derive(Default)]
pub(crate) struct Memory(Mutex<BTreeMap<ChunkId, Bytes>>);

impl Raw for Memory {
    fn put(&self, id: ChunkId, data: &Bytes) -> Result<()> {
        self.0.lock().map_err(|_| "poisoned")?.insert(id, data.clone());
        Ok(())
    }

    fn get(&self, id: ChunkId) -> Result<Bytes> {
        Ok(self.0.lock().map_err(|_| "poisoned")?.get(&id).ok_or("missing")?.clone())
    }

    fn list(&self) -> Result<usize> {
        let all: Vec<_> =
            self.0.lock().map_err(|_| "poisoned")?.iter().map(|(id, d)| (*id, d.len())).collect();
        Ok(all.len())
    }
}

/// A file each, in one folder, synced; the folder is not, so this promises less than our store.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        Ok(Self(dir.to_owned()))
    }
}

impl Raw for Files {
    fn put(&self, id: ChunkId, data: &Bytes) -> Result<()> {
        let mut file = File::create_new(self.0.join(id.to_string()))?;
        file.write_all(data)?;
        Ok(file.sync_all()?)
    }

    fn get(&self, id: ChunkId) -> Result<Bytes> {
        Ok(fs::read(self.0.join(id.to_string()))?.into())
    }

    fn list(&self) -> Result<usize> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            all.push((entry.file_name(), entry.metadata()?.len()));
        }
        all.sort_unstable();
        Ok(all.len())
    }
}
