use super::map::DataMap;
use crate::engine::{self, Error, MapError, Result};

/// A data map of any kind, as it lies in a file.
#[derive(Clone, Debug)]
pub enum AnyMap {
    /// One of selfenc.
    Native(engine::DataMap),
    /// One of self_encryption.
    Compat(DataMap),
}

impl AnyMap {
    /// The map of these bytes, whatever wrote it.
    ///
    /// # Errors
    /// [`Error::BadMap`]; of a sealed map, [`MapError::Sealed`].
    pub fn detect(bytes: &[u8]) -> Result<Self> {
        match engine::DataMap::from_bytes(bytes) {
            Err(Error::BadMap(MapError::NotADataMap)) => Ok(Self::Compat(DataMap::from_bytes(bytes)?)),
            native => Ok(Self::Native(native?)),
        }
    }
}
