//! Locks on a database and on its shared memory, and the memory itself.

use std::collections::BTreeMap;

use selfenc_sqlite_vfs::{Code, Level, Region, ShmLock, ffi};

/// Who asks: an open file.
pub type Handle = u64;

/// Locks on a database file.
#[derive(Clone, Debug, Default)]
pub struct FileLocks(BTreeMap<Handle, Level>);

impl FileLocks {
    fn others(&self, handle: Handle) -> Level {
        let others = self.0.iter().filter(|(other, _)| **other != handle);
        others.map(|(_, level)| *level).max().unwrap_or(Level::None)
    }

    pub fn lock(&mut self, handle: Handle, level: Level) -> Result<(), Code> {
        let held = self.0.get(&handle).copied().unwrap_or(Level::None);
        if held >= level {
            return Ok(());
        }
        let others = self.others(handle);
        let is_free = match level {
            Level::None => true,
            Level::Shared => others < Level::Pending,
            _ => others < Level::Reserved,
        };
        if !is_free {
            return Err(ffi::SQLITE_BUSY);
        }
        if level == Level::Exclusive && others >= Level::Shared {
            // Nobody new may read, so that it gets its turn.
            self.0.insert(handle, Level::Pending);
            return Err(ffi::SQLITE_BUSY);
        }
        self.0.insert(handle, level);
        Ok(())
    }

    pub fn unlock(&mut self, handle: Handle, level: Level) {
        if level == Level::None {
            self.0.remove(&handle);
        } else if self.0.get(&handle).is_some_and(|held| *held > level) {
            self.0.insert(handle, level);
        }
    }

    pub fn is_reserved(&self) -> bool {
        self.0.values().any(|level| *level >= Level::Reserved)
    }
}

/// What the connections to one database share.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    regions: Vec<Region>,
    /// For each handle that uses it, the locks it holds, as bits: shared and exclusive ones.
    users: BTreeMap<Handle, (u32, u32)>,
}

impl Shared {
    pub fn map(&mut self, handle: Handle, index: usize, len: usize, extend: bool) -> Option<Region> {
        self.users.entry(handle).or_default();
        while extend && self.regions.len() <= index {
            self.regions.push(Region::new(len));
        }
        self.regions.get(index).cloned()
    }

    pub fn lock(&mut self, handle: Handle, lock: ShmLock) -> Result<(), Code> {
        let mask = ((1_u32 << lock.count) - 1) << lock.first;
        let is_free = |&(other, (shared, exclusive)): &(&Handle, &(u32, u32))| {
            *other == handle || (exclusive & mask == 0 && (!lock.exclusive || shared & mask == 0))
        };
        if lock.take && !self.users.iter().all(|user| is_free(&user)) {
            return Err(ffi::SQLITE_BUSY);
        }
        let (shared, exclusive) = self.users.get_mut(&handle).ok_or(ffi::SQLITE_IOERR_SHMLOCK)?;
        match (lock.take, lock.exclusive) {
            (true, true) => *exclusive |= mask,
            (true, false) => *shared |= mask,
            (false, _) => (*shared, *exclusive) = (*shared & !mask, *exclusive & !mask),
        }
        Ok(())
    }

    pub fn unmap(&mut self, handle: Handle) {
        self.users.remove(&handle);
        if self.users.is_empty() {
            self.regions.clear();
        }
    }
}
