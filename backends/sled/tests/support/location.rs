//! What happens to a store's folder behind its back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use selfenc_backend_tests::Damage;
use selfenc_core::store::ChunkId;
use sled::Tree;

/// What a piece of a chunk holds.
const PIECE: usize = 2048;

/// Damages a chunk in the trees of lengths and pieces, as sled would give it back if its checksums held;
/// `None` for what cannot happen to an entry of a database.
pub fn damage(trees: &(Tree, Tree), id: ChunkId, damage: Damage, max: u64) -> Option<sled::Result<()>> {
    Some(match damage {
        Damage::Truncate => edit(trees, id, |data| data.truncate(data.len() / 2)),
        Damage::FlipBit => edit(trees, id, |data| {
            let half = data.len() / 2;
            data[half] ^= 1;
        }),
        Damage::Extend => edit(trees, id, |data| data.extend_from_slice(b"more")),
        Damage::Zero => edit(trees, id, |data| data.fill(0)),
        Damage::TooLong => lengthen(&trees.0, id, max + 1),
        Damage::SwapWith(other) => swap(trees, id, other),
        _ => return None,
    })
}

/// The pieces of the chunk's generation.
fn keys(trees: &(Tree, Tree), id: ChunkId) -> sled::Result<Vec<sled::IVec>> {
    trees.1.scan_prefix(id.as_bytes()).keys().collect()
}

/// Changes the pieces, and leaves the entry as it was.
fn edit(trees: &(Tree, Tree), id: ChunkId, change: impl Fn(&mut Vec<u8>)) -> sled::Result<()> {
    let (mut data, keys) = (Vec::new(), keys(trees, id)?);
    for key in &keys {
        data.extend_from_slice(&trees.1.remove(key)?.unwrap_or_default());
    }
    change(&mut data);
    for (index, piece) in (0_u32..).zip(data.chunks(PIECE)) {
        trees.1.insert([&keys[0][..40], &index.to_be_bytes()].concat(), piece)?;
    }
    Ok(())
}

fn lengthen(lengths: &Tree, id: ChunkId, len: u64) -> sled::Result<()> {
    let entry = lengths.get(id.as_bytes())?.unwrap_or_default();
    lengths.insert(id.as_bytes(), [&len.to_le_bytes()[..], &entry[8..]].concat()).map(drop)
}

fn swap(trees: &(Tree, Tree), a: ChunkId, b: ChunkId) -> sled::Result<()> {
    let (of_a, of_b) = (keys(trees, a)?, keys(trees, b)?);
    for (a, b) in of_a.iter().zip(&of_b) {
        let (in_a, in_b) = (trees.1.get(a)?.unwrap_or_default(), trees.1.get(b)?.unwrap_or_default());
        trees.1.insert(a, in_b)?;
        trees.1.insert(b, in_a)?;
    }
    Ok(())
}

/// Leaves files of other programs, and what a crash leaves: a snapshot that sled was writing.
pub fn litter(dir: &Path) -> io::Result<()> {
    for file in [".DS_Store", "Thumbs.db", "sled/.DS_Store", "sled/blobs/.DS_Store", "sled/conf.bak"] {
        fs::write(dir.join(file), "not ours")?;
    }
    fs::create_dir(dir.join("sled/blobs/folder"))?;
    fs::write(dir.join("sled/snap.FFFFFFFFFFFFFFF0.generating"), "half a snapshot")?;
    fs::write(dir.join("sled/snap.0000000000000001.generating"), "")
}

/// Snapshots that are being written.
pub fn temporaries(dir: &Path) -> io::Result<u64> {
    let names = fs::read_dir(dir.join("sled"))?.collect::<io::Result<Vec<_>>>()?;
    Ok(names.iter().filter(|entry| entry.file_name().to_string_lossy().ends_with(".generating")).count()
        as u64)
}

/// Copies the store's files as they are now. Nobody calls the store; its threads may still write, so it is
/// copied until two copies are the same.
pub fn image(from: &Path, to: &Path) -> io::Result<()> {
    let mut last = copy(from, to)?;
    loop {
        std::thread::sleep(Duration::from_millis(2));
        let next = copy(from, to)?;
        if next == last {
            return Ok(());
        }
        last = next;
    }
}

/// Every file with its bytes, the copy included.
fn copy(from: &Path, to: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to)?;
    let mut all = Vec::new();
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            all.extend(copy(&path, &target)?);
        } else {
            let bytes = fs::read(&path)?;
            fs::write(target, &bytes)?;
            all.push((path, bytes));
        }
    }
    all.sort();
    Ok(all)
}
