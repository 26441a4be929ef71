//! What is encrypted: random bytes, and a run of real files.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::Result;

/// A header's length, and the multiple to which files are padded, as in a tar.
const BLOCK: usize = 512;

/// `len` bytes that do not compress, the same in every run (splitmix64).
#[must_use]
pub fn random(len: usize) -> Bytes {
    let mut state = 0u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    };
    let mut data: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| next().to_le_bytes()).collect();
    data.truncate(len);
    data.into()
}

/// `len` bytes of the files below `folder`, in order of their paths, each behind a block with its path.
///
/// # Errors
/// If the folder cannot be read or holds too little.
pub fn real(folder: &Path, len: usize) -> Result<Bytes> {
    let mut data = Vec::with_capacity(len);
    append(folder, len, &mut data)?;
    if data.len() < len {
        return Err(format!(
            "{} holds only {} bytes; give a larger --real or a smaller --size",
            folder.display(),
            data.len()
        )
        .into());
    }
    data.truncate(len);
    Ok(data.into())
}

/// Where cargo unpacks the packages it downloads.
///
/// # Errors
/// If there is no such folder.
pub fn cargo_sources() -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let sources = home.ok_or("no home folder; give --real DIR")?.join("registry/src");
    if sources.is_dir() {
        Ok(sources)
    } else {
        Err(format!("no {}; give --real DIR", sources.display()).into())
    }
}

fn append(folder: &Path, len: usize, data: &mut Vec<u8>) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        if data.len() >= len {
            break;
        }
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            append(&path, len, data)?;
        } else if kind.is_file() {
            let name = path.to_string_lossy();
            data.extend_from_slice(&name.as_bytes()[..name.len().min(BLOCK)]);
            data.resize(data.len().next_multiple_of(BLOCK), 0);
            data.extend_from_slice(&fs::read(&path)?);
            data.resize(data.len().next_multiple_of(BLOCK), 0);
        }
    }
    Ok(())
}
