//! The conformance suite over the filesystem store, in both durabilities.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use selfenc_backend_tests::{Damage, Harness, async_trait};
use selfenc_core::store::{Backend, ChunkId, Durability, Error, ErrorKind, OpenMode, Result};
use selfenc_fs::FsConfig;
use tempfile::TempDir;

selfenc_backend_tests::conformance!(mod fs_on_put = FsHarness::new(Durability::OnPut, 72 << 20));
selfenc_backend_tests::conformance!(mod fs_on_flush = FsHarness::new(Durability::OnFlush, (1 << 20) + 1));

#[derive(Debug)]
struct FsHarness {
    /// The location that was opened last.
    folder: Mutex<TempDir>,
    durability: Durability,
    max_chunk_len: u64,
}

impl FsHarness {
    fn new(durability: Durability, max_chunk_len: u64) -> Self {
        Self { folder: Mutex::new(tempfile::tempdir().unwrap()), durability, max_chunk_len }
    }

    fn dir(&self) -> PathBuf {
        self.folder.lock().unwrap().path().join("store")
    }

    async fn open(&self, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        let config = FsConfig::new(self.dir()).with_durability(self.durability);
        Ok(Arc::new(config.with_max_chunk_len(self.max_chunk_len).open(mode).await?))
    }

    fn chunk(&self, id: ChunkId) -> PathBuf {
        let digits = id.to_string();
        self.dir().join("chunks").join(&digits[..2]).join(&digits[2..])
    }
}

fn broken_hook(e: &std::io::Error) -> Error {
    Error::new(ErrorKind::Other, "harness", e.to_string())
}

#[async_trait]
impl Harness for FsHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        *self.folder.lock().unwrap() = tempfile::tempdir().map_err(|e| broken_hook(&e))?;
        self.open(OpenMode::Create).await
    }

    async fn reopen(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing).await)
    }

    async fn second(&self) -> Option<Result<Arc<dyn Backend>>> {
        Some(self.open(OpenMode::Existing).await)
    }

    async fn corrupt(&self, id: ChunkId, damage: Damage) -> Option<Result<()>> {
        let path = self.chunk(id);
        let edit = || {
            let mut data = fs::read(&path)?;
            let half = data.len() / 2;
            match damage {
                Damage::Truncate => data.truncate(half),
                Damage::FlipBit => data[half] ^= 1,
                Damage::Extend => data.extend_from_slice(b"more"),
                Damage::Zero => data.fill(0),
                // Sparse: reading it would show.
                Damage::TooLong => {
                    return fs::OpenOptions::new().write(true).open(&path)?.set_len(self.max_chunk_len + 1);
                }
                _ => {}
            }
            fs::write(&path, data)
        };
        if matches!(damage, Damage::SwapWith(_) | Damage::Directory | Damage::Symlink | Damage::Page) {
            return None;
        }
        Some(edit().map_err(|e| broken_hook(&e)))
    }

    async fn litter(&self) -> Option<Result<()>> {
        let (dir, digits) = (self.dir(), "0123456789abcdef".repeat(4));
        let make = || {
            for file in [".DS_Store", "chunks/.DS_Store", "chunks/Thumbs.db", "roots/.DS_Store", "tmp/junk"] {
                fs::write(dir.join(file), "not ours")?;
            }
            fs::write(dir.join("roots").join(&digits[..63]), "too short a name")?;
            fs::create_dir(dir.join("roots").join("a"))?;
            fs::write(dir.join("tmp/0123456789abcdef-0"), "a temporary without a session")?;
            fs::create_dir(dir.join("chunks/not-a-shard"))?;
            for shard in [0_u8, 0x5a, 0xff] {
                let shard = dir.join("chunks").join(format!("{shard:02x}"));
                fs::write(shard.join(&digits[..61]), "too short a name")?;
                fs::write(shard.join(&digits[..63]), "too long a name")?;
                fs::write(shard.join(format!("{}G", &digits[..61])), "no hex")?;
                fs::write(shard.join(format!("{}F", &digits[..61])), "upper case")?;
                fs::write(shard.join(format!("{}.tmp", &digits[..62])), "a temporary")?;
                fs::create_dir(shard.join(&digits[1..63]))?;
                #[cfg(unix)]
                std::os::unix::fs::symlink("/etc/hostname", shard.join(&digits[2..64]))?;
            }
            Ok(())
        };
        Some(make().map_err(|e| broken_hook(&e)))
    }
}
