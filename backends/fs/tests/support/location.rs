//! What happens to a store's folder behind its back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use selfenc_backend_tests::Damage;
use selfenc_core::store::ChunkId;
use selfenc_fs::os::{Os, RealOs};

/// Whether the folder is a store of nothing but chunks.
fn is_flat(dir: &Path) -> bool {
    !dir.join("selfenc-store").exists()
}

/// Where the chunk stands.
pub fn chunk_file(dir: &Path, id: ChunkId) -> PathBuf {
    let digits = id.to_string();
    if is_flat(dir) {
        return dir.join(digits);
    }
    dir.join("chunks").join(&digits[..2]).join(&digits[2..])
}

/// Damages a chunk's file; `None` for what cannot happen to a file.
pub fn damage(dir: &Path, id: ChunkId, damage: Damage, max_chunk_len: u64) -> Option<io::Result<()>> {
    let path = chunk_file(dir, id);
    let edit = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut data = fs::read(&path)?;
        change(&mut data);
        fs::write(&path, data)
    };
    let replace = |with: &dyn Fn(&Path) -> io::Result<()>| fs::remove_file(&path).and_then(|()| with(&path));
    Some(match damage {
        Damage::Truncate => edit(&|data| data.truncate(data.len() / 2)),
        Damage::FlipBit => edit(&|data| {
            let half = data.len() / 2;
            data[half] ^= 1;
        }),
        Damage::Extend => edit(&|data| data.extend_from_slice(b"more")),
        Damage::Zero => edit(&|data| data.fill(0)),
        // Sparse: reading it would show.
        Damage::TooLong => {
            fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(max_chunk_len + 1))
        }
        Damage::SwapWith(other) => {
            let (other, aside) = (chunk_file(dir, other), path.with_extension("aside"));
            fs::rename(&path, &aside)
                .and_then(|()| fs::rename(&other, &path))
                .and_then(|()| fs::rename(&aside, &other))
        }
        Damage::Directory => replace(&|path| fs::create_dir(path)),
        #[cfg(unix)]
        Damage::Symlink => replace(&|path| std::os::unix::fs::symlink("/nowhere/at/all", path)),
        _ => return None,
    })
}

/// Leaves things in the folder that are no chunks or roots, and what crashed processes leave.
pub fn litter(dir: &Path) -> io::Result<()> {
    if is_flat(dir) {
        return litter_among_chunks(dir);
    }
    let digits = "0123456789abcdef".repeat(4);
    for file in [".DS_Store", "chunks/.DS_Store", "chunks/Thumbs.db", "roots/.DS_Store", "tmp/junk"] {
        fs::write(dir.join(file), "not ours")?;
    }
    fs::write(dir.join("roots").join(&digits[..63]), "too short a name")?;
    fs::create_dir(dir.join("roots").join("a"))?;
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
    // Of a session that died, and of one whose lock somebody removed more than a day ago.
    fs::write(dir.join("tmp/00000000deadbeef.lock"), "")?;
    fs::write(dir.join("tmp/00000000deadbeef-0"), "half a chunk")?;
    fs::write(dir.join("tmp/00000000deadbeef-1"), "")?;
    let stray = dir.join("tmp/0123456789abcdef-0");
    fs::write(&stray, "a temporary without a session")?;
    let long_ago = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
    fs::File::options().write(true).open(&stray)?.set_modified(long_ago)
}

/// The same in a flat store.
fn litter_among_chunks(dir: &Path) -> io::Result<()> {
    let digits = "0123456789abcdef".repeat(4);
    for file in [".DS_Store", "DATAMAP", &digits[..63], &format!("{}F", &digits[..63])] {
        fs::write(dir.join(file), "not ours")?;
    }
    fs::write(dir.join(format!("{digits}.tmp")), "a temporary")?;
    fs::create_dir(dir.join(&digits))?;
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/hostname", dir.join("ab".repeat(32)))?;
    fs::write(dir.join(".selfenc-00000000deadbeef.lock"), "")?;
    fs::write(dir.join(".selfenc-00000000deadbeef-0"), "half a chunk")
}

/// What stands in `tmp` and belongs there: temporaries, and the locks of sessions that are dead.
pub fn temporaries(dir: &Path) -> io::Result<u64> {
    let (tmp, prefix) = if is_flat(dir) { (dir.to_owned(), ".selfenc-") } else { (dir.join("tmp"), "") };
    let mut count = 0;
    for name in RealOs.read_dir(&tmp)? {
        let path = tmp.join(&name);
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else { continue };
        count += match name.split_at_checked(16) {
            Some((_, ".lock")) => u64::from(matches!(RealOs.try_lock(&path), Ok(Some(_)))),
            Some((_, number)) => u64::from(number.starts_with('-')),
            None => 0,
        };
    }
    Ok(count)
}
