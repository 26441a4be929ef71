//! A process's view of the disk: what SQLite is given.

use std::ffi::c_int;
use std::io;
use std::path::Path;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};

use selfenc_sqlite_vfs::{Code, Disk, DiskFile, Level, Opened, Region, ShmLock, ffi};

use super::locks::Handle;
use super::world::{Call, Done, Node, SimDisk, World};

#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) disk: SimDisk,
    pub(super) life: u64,
    pub(super) readonly: bool,
}

impl Process {
    /// Fails if the process is dead, the power is off, or the call is to fail.
    fn enter(&self, call: Call) -> Result<MutexGuard<'_, World>, Code> {
        let mut world = self.alive(call)?;
        match world.fault(call) {
            Some(code) => Err(code),
            None => Ok(world),
        }
    }

    fn alive(&self, call: Call) -> Result<MutexGuard<'_, World>, Code> {
        let world = self.disk.world();
        if world.life == self.life && !world.is_cut { Ok(world) } else { Err(call.failure()) }
    }
}

impl SimDisk {
    /// What a process does that starts now, and writes a file anew where it stands and syncs it.
    ///
    /// Nothing on a disk where a cut may damage what stands beside the bytes that are written: there this
    /// would put at risk what is durable. So no test has syncs fail on such a disk. (SQLite takes every
    /// disk on Unix for one that is powersafe.)
    pub fn rewriter(&self) -> impl Fn(&Path) -> io::Result<()> + Send + Sync + 'static {
        let process = Process { disk: self.clone(), life: self.world().life, readonly: false };
        move |path| {
            let name = path.to_str().unwrap_or_default();
            if !process.disk.world().geometry.powersafe {
                return Ok(());
            }
            let node = process.disk.world().folder.seen.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
            let file =
                File { process: process.clone(), name: None, node, handle: 0, syncs_folder: false.into() };
            let bytes = process.disk.read(name).unwrap_or_default();
            let written = file.write(0, &bytes).and_then(|()| file.sync());
            written.map_err(|code| match code {
                ffi::SQLITE_FULL => io::ErrorKind::StorageFull.into(),
                code => io::Error::other(format!("code {code}")),
            })
        }
    }
}

impl Disk for Process {
    fn open(&self, path: Option<&str>, flags: c_int) -> Result<Opened, Code> {
        let mut world = self.enter(Call::Open)?;
        let found = path.and_then(|path| world.folder.seen.get(path).copied());
        let creates = flags & ffi::SQLITE_OPEN_CREATE != 0;
        let is_temporary = path.is_none() || flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0;
        let node = match (found, path) {
            (Some(node), _) => node,
            (None, Some(path)) if !is_temporary => {
                if !creates || self.readonly {
                    return Err(ffi::SQLITE_CANTOPEN);
                }
                world.create(path)
            }
            _ => {
                // Without a name, it is gone after the next crash.
                world.next += 1;
                let node = world.next;
                world.nodes.insert(node, Node::default());
                node
            }
        };
        world.next += 1;
        let is_journal = flags & (ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL) != 0;
        let file = File {
            process: self.clone(),
            name: path.filter(|_| !is_temporary).map(str::to_owned),
            node,
            handle: world.next,
            syncs_folder: AtomicBool::new(creates && is_journal),
        };
        Ok(Opened { file: Box::new(file), readonly: self.readonly })
    }

    fn delete(&self, path: &str, sync_folder: bool) -> Result<(), Code> {
        let mut world = self.enter(Call::Delete)?;
        if self.readonly {
            return Err(ffi::SQLITE_IOERR_DELETE);
        }
        if !world.folder.seen.contains_key(path) {
            return Err(ffi::SQLITE_IOERR_DELETE_NOENT);
        }
        world.folder.set(path, None);
        if world.step(Call::Delete) {
            return Err(Call::Delete.failure());
        }
        if sync_folder && !world.ignore_syncs {
            world.folder.sync();
        }
        Ok(())
    }

    fn exists(&self, path: &str) -> Result<bool, Code> {
        let world = self.enter(Call::Access)?;
        let node = world.folder.seen.get(path).and_then(|node| world.nodes.get(node));
        // As on Unix: an empty file is none.
        Ok(node.is_some_and(|node| !node.content.seen().is_empty()))
    }
}

#[derive(Debug)]
struct File {
    process: Process,
    name: Option<String>,
    node: u64,
    handle: Handle,
    /// Whether the next sync is to sync the folder too.
    syncs_folder: AtomicBool,
}

impl File {
    /// Does something with the file, unless it fails.
    fn with<T>(&self, call: Call, work: impl FnOnce(&mut Node) -> Result<T, Code>) -> Result<T, Code> {
        let mut world = self.process.enter(call)?;
        work(self.node(&mut world))
    }

    fn node<'a>(&self, world: &'a mut World) -> &'a mut Node {
        world.nodes.entry(self.node).or_default()
    }
}

impl DiskFile for File {
    fn read(&self, at: u64, buf: &mut [u8]) -> Result<usize, Code> {
        self.with(Call::Read, |node| {
            let seen = node.content.seen();
            let rest = &seen[seen.len().min(at as usize)..];
            let len = rest.len().min(buf.len());
            buf[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        })
    }

    fn write(&self, at: u64, data: &[u8]) -> Result<(), Code> {
        let mut world = self.process.alive(Call::Write)?;
        if self.process.readonly {
            return Err(Call::Write.failure());
        }
        if let Some(code) = world.fault(Call::Write) {
            // Some of it may have been written.
            let len = world.rng.below(2 * data.len() as u64) as usize;
            if let Some(part) = data.get(..len) {
                self.node(&mut world).content.write(at as usize, part);
            }
            return Err(code);
        }
        self.node(&mut world).content.write(at as usize, data);
        world.trace.push(Done::Write);
        if world.step(Call::Write) {
            return Err(Call::Write.failure());
        }
        drop(self.process.disk.wait(world));
        Ok(())
    }

    fn truncate(&self, len: u64) -> Result<(), Code> {
        let mut world = self.process.enter(Call::Truncate)?;
        if self.process.readonly {
            return Err(Call::Truncate.failure());
        }
        self.node(&mut world).content.truncate(len as usize);
        if world.step(Call::Truncate) { Err(Call::Truncate.failure()) } else { Ok(()) }
    }

    fn sync(&self) -> Result<(), Code> {
        let mut world = self.process.alive(Call::Sync)?;
        if let Some(code) = world.fault(Call::Sync) {
            let World { nodes, rng, geometry, .. } = &mut *world;
            let node = nodes.entry(self.node).or_default();
            node.content.fail_sync(*geometry, &mut |n| rng.below(n));
            return Err(code);
        }
        if world.step(Call::Sync) {
            return Err(Call::Sync.failure());
        }
        if world.ignore_syncs {
            return Ok(());
        }
        self.node(&mut world).content.sync();
        world.trace.push(Done::Sync);
        if self.syncs_folder.swap(false, Ordering::Relaxed) {
            world.folder.sync();
            world.trace.push(Done::SyncFolder);
        }
        Ok(())
    }

    fn size(&self) -> Result<u64, Code> {
        self.with(Call::Size, |node| Ok(node.content.seen().len() as u64))
    }

    fn lock(&self, level: Level) -> Result<(), Code> {
        self.with(Call::Lock, |node| node.locks.lock(self.handle, level))
    }

    fn unlock(&self, level: Level) -> Result<(), Code> {
        let mut world = self.process.alive(Call::Lock)?;
        self.node(&mut world).locks.unlock(self.handle, level);
        Ok(())
    }

    fn is_reserved(&self) -> Result<bool, Code> {
        self.with(Call::Lock, |node| Ok(node.locks.is_reserved()))
    }

    fn sector_size(&self) -> c_int {
        self.process.disk.world().geometry.sector as c_int
    }

    fn characteristics(&self) -> c_int {
        let powersafe = self.process.disk.world().geometry.powersafe;
        if powersafe { ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE } else { 0 }
    }

    fn has_moved(&self) -> bool {
        let world = self.process.disk.world();
        self.name.as_ref().is_some_and(|name| world.folder.seen.get(name) != Some(&self.node))
    }

    fn shm_map(&self, index: usize, len: usize, extend: bool) -> Result<Option<Region>, Code> {
        if self.process.readonly {
            return Err(ffi::SQLITE_READONLY_CANTINIT);
        }
        self.with(Call::ShmMap, |node| Ok(node.shared.map(self.handle, index, len, extend)))
    }

    fn shm_lock(&self, lock: ShmLock) -> Result<(), Code> {
        if !lock.take {
            // A lock can always be released, also by the dead.
            let mut world = self.process.alive(Call::ShmLock)?;
            return self.node(&mut world).shared.lock(self.handle, lock);
        }
        self.with(Call::ShmLock, |node| node.shared.lock(self.handle, lock))
    }

    fn shm_unmap(&self, _delete: bool) -> Result<(), Code> {
        let mut world = self.process.alive(Call::ShmMap)?;
        self.node(&mut world).shared.unmap(self.handle);
        Ok(())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if let Ok(mut world) = self.process.alive(Call::Lock) {
            let node = self.node(&mut world);
            node.locks.unlock(self.handle, Level::None);
            node.shared.unmap(self.handle);
        }
    }
}
