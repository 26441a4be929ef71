//! The broken stores' roots: records of `version u64le ‖ value`, each swap safe when it is `Ok`.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use selfenc_backend_tests::{Op, async_trait};
use selfenc_core::store::{ChunkId, ErrorKind, Expect, Result, Root, RootName, RootStore, RootVersion, Swap};

use crate::disk::{Disk, Name, Thing};
use crate::faults::Fault;
use crate::store::{Broken, LATE};

impl Broken {
    fn record(&self, name: &RootName) -> Name {
        match self.fault {
            Fault::RootsAmongChunks => name.as_str().parse().map_or(Name::Root(name.clone()), Name::Chunk),
            Fault::FoldsRootNames => {
                let folded = name.as_str().to_lowercase();
                Name::Root(RootName::new(folded).unwrap_or_else(|_| name.clone()))
            }
            _ => Name::Root(name.clone()),
        }
    }

    fn read_root(&self, disk: &Disk, name: &RootName) -> Option<Root> {
        let Some(Thing::File(bytes)) = disk.get(&self.record(name)) else { return None };
        let (version, value) = (bytes.slice(..8), bytes.slice(8..));
        let version = if self.has(Fault::VersionIsHash) { value.clone() } else { version };
        Some(Root { value, version: RootVersion::new(version) })
    }

    fn write_root(&self, disk: &mut Disk, name: &RootName, new: Option<Bytes>) -> Option<RootVersion> {
        let record = self.record(name);
        let Some(value) = new else {
            disk.remove(&record);
            disk.sync_folder(&record);
            return None;
        };
        disk.swaps += 1;
        let number = match disk.get(&record) {
            _ if self.has(Fault::VersionStays) => 1,
            Some(Thing::File(old)) if self.has(Fault::VersionsStartAgain) => u64::from(old[0]) + 1,
            _ if self.has(Fault::VersionsStartAgain) => 1,
            _ => disk.swaps,
        };
        let version = Bytes::copy_from_slice(&number.to_le_bytes());
        let temporary = disk.new_temporary(ChunkId::from_bytes([0; 32]));
        disk.write(&temporary, [&version[..], &value[..]].concat().into());
        disk.sync_file(&temporary);
        disk.rename(&temporary, &record);
        match self.fault {
            Fault::SwapNotDurable => disk.buffer(&record),
            _ => disk.sync_folder(&record),
        }
        Some(RootVersion::new(if self.has(Fault::VersionIsHash) { value } else { version }))
    }

    /// Looks and writes under one lock.
    fn compare_and_swap(&self, name: &RootName, expect: &Expect, new: Option<Bytes>) -> Swap {
        let mut disk = self.at.disk();
        let current = self.read_root(&disk, name);
        if expect.matches(current.as_ref()) {
            return Swap::Done(self.write_root(&mut disk, name, new));
        }
        let stale = |root: Root| Root { value: Bytes::from_static(b"of before"), ..root };
        Swap::Conflict(if self.has(Fault::ConflictIsStale) { current.map(stale) } else { current })
    }

    /// Looks, is interrupted (maybe after half of the work), and writes.
    async fn compare_then_swap(&self, name: &RootName, expect: &Expect, new: Option<Bytes>) -> Swap {
        let current = self.read_root(&self.at.disk(), name);
        if !expect.matches(current.as_ref()) {
            return Swap::Conflict(current);
        }
        if self.has(Fault::SwapTears) {
            let half = new.as_ref().map(|value| value.slice(..value.len() / 2));
            self.write_root(&mut self.at.disk(), name, half);
        }
        tokio::task::yield_now().await;
        Swap::Done(self.write_root(&mut self.at.disk(), name, new))
    }

    fn without_roots(&self, op: Op, name: &'static str) -> Result<()> {
        if self.capabilities.roots || self.has(Fault::RootsFaked) && op == Op::Load {
            return Ok(());
        }
        Err(self.error(ErrorKind::Unsupported, name, None, "this store keeps no roots"))
    }
}

/// A swap that lands some time after it was dropped.
struct Request<'a> {
    store: &'a Broken,
    name: &'a RootName,
    new: Option<Option<Bytes>>,
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if let Some(new) = self.new.take() {
            let (store, name) = (self.store.clone(), self.name.clone());
            tokio::spawn(async move {
                tokio::time::sleep(LATE).await;
                store.write_root(&mut store.at.disk(), &name, new);
            });
        }
    }
}

#[async_trait]
impl RootStore for Broken {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.without_roots(Op::Load, "load")?;
        self.enter(Op::Load, None).await?;
        Ok(self.read_root(&self.at.disk(), name))
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.without_roots(Op::Swap, "swap")?;
        self.enter(Op::Swap, None).await?;
        match self.fault {
            Fault::SwapRaces | Fault::SwapTears => Ok(self.compare_then_swap(name, &expect, new).await),
            Fault::LateSwaps => {
                // The request is out: dropping the call does not take it back.
                let mut request = Request { store: self, name, new: Some(new.clone()) };
                tokio::time::sleep(LATE - Duration::from_millis(1)).await;
                request.new = None;
                Ok(self.compare_and_swap(name, &expect, new))
            }
            _ => Ok(self.compare_and_swap(name, &expect, new)),
        }
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        let met = self.without_roots(Op::Names, "names").and_then(|()| self.check(Op::Names, None));
        if let Err(e) = met {
            return stream::iter([Err(e)]).boxed();
        }
        let mut names = self.at.disk().root_names();
        if self.has(Fault::NamesDropsOne) {
            names.truncate(49);
        }
        stream::iter(names.into_iter().map(Ok)).boxed()
    }
}
