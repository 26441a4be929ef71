//! sled, with the cache that our store gives it.

use std::path::Path;

use bytes::Bytes;
use selfenc::store::ChunkId;
use selfenc_bench::Result;
use sled::Db;

use crate::raw::Raw;

/// As much as `SledConfig` has by default.
const CACHE: u64 = 16 << 20;

pub(crate) struct Sled(Db);

impl Sled {
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        Ok(Self(sled::Config::new().path(dir.join("raw")).cache_capacity(CACHE).open()?))
    }
}

impl Raw for Sled {
    fn put(&self, id: ChunkId, data: &Bytes) -> Result<()> {
        self.0.insert(id.as_bytes(), data.as_ref())?;
        Ok(())
    }

    fn get(&self, id: ChunkId) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(&self.0.get(id.as_bytes())?.ok_or("missing")?))
    }

    fn list(&self) -> Result<usize> {
        let all: Vec<_> =
            self.0.iter().map(|entry| entry.map(|(id, data)| (id, data.len()))).collect::<Result<_, _>>()?;
        Ok(all.len())
    }

    fn flush(&self) -> Result<()> {
        self.0.flush()?;
        Ok(())
    }
}
