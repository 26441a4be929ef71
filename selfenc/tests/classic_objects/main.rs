//! The object style: what each object gives, what it refuses, and how it fails.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // in a test, a panic is the report

mod settings;
mod stores;
mod streams;
mod whole;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use selfenc::classic::error::{Error, Result};
use selfenc::classic::{ChunkInfo, ChunkStore};
use selfenc::{EncryptionConfig, Reader, Scope};

/// Bytes that do not compress, the same for the same seed.
fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(len);
    bytes
}

/// Chunks of 1 KiB.
fn small() -> EncryptionConfig {
    EncryptionConfig::new().with_chunk_size(1024).with_threads(2)
}

/// A store of one's own, of which a test keeps a clone, and what it does wrong.
#[derive(Clone, Default)]
struct Shelf {
    chunks: Arc<Mutex<HashMap<ChunkInfo, Vec<u8>>>>,
    stored: Arc<AtomicUsize>,
    retrieved: Arc<AtomicUsize>,
    wrong: Wrong,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Wrong {
    #[default]
    Nothing,
    NamesAnotherHash,
    BringsOtherBytes,
    Fails,
}

impl Shelf {
    fn but(wrong: Wrong) -> Self {
        Self { wrong, ..Self::default() }
    }

    fn len(&self) -> usize {
        self.chunks.lock().unwrap().len()
    }
}

impl ChunkStore for Shelf {
    fn store(&mut self, data: &[u8]) -> Result<ChunkInfo> {
        self.stored.fetch_add(1, Ordering::SeqCst);
        match self.wrong {
            Wrong::Fails => return Err(Error::chunk_store("the shelf is full")),
            Wrong::NamesAnotherHash => return Ok(ChunkInfo::of(b"something else")),
            Wrong::Nothing | Wrong::BringsOtherBytes => {}
        }
        let info = ChunkInfo::of(data);
        self.chunks.lock().unwrap().insert(info, data.to_vec());
        Ok(info)
    }

    fn retrieve(&self, info: &ChunkInfo) -> Result<Vec<u8>> {
        self.retrieved.fetch_add(1, Ordering::SeqCst);
        if self.wrong == Wrong::Fails {
            return Err(Error::chunk_store("the shelf is locked"));
        }
        let found = self.chunks.lock().unwrap().get(info).cloned();
        let mut data = found.ok_or_else(|| Error::InvalidData("not on the shelf".into()))?;
        if self.wrong == Wrong::BringsOtherBytes {
            data[0] ^= 1;
        }
        Ok(data)
    }
}

/// The names of the data's chunks as the engine sees them, each once.
async fn data_names(reader: &Reader) -> Vec<selfenc::store::ChunkId> {
    use futures::TryStreamExt;
    let mut names: Vec<_> = reader.chunks().map_ok(|info| info.name).try_collect().await.unwrap();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    names
}

const PUBLIC: Scope = Scope::Public;
