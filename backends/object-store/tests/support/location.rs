//! What happens to a folder, or to objects, behind a store's back.

use std::fs;
use std::io;
use std::path::{Path as FilePath, PathBuf};

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use selfenc_backend_tests::Damage;
use selfenc_core::store::ChunkId;

/// Where the chunk stands below the store's prefix.
pub fn chunk_path(prefix: &Path, id: ChunkId) -> Path {
    let digits = id.to_string();
    prefix.clone().join("chunks").join(&digits[..2]).join(&digits[2..])
}

pub fn chunk_file(dir: &FilePath, id: ChunkId) -> PathBuf {
    dir.join(chunk_path(&Path::default(), id).as_ref())
}

/// What becomes of the bytes; `None` for what does not change them.
fn changed(mut data: Vec<u8>, damage: Damage, max_chunk_len: u64) -> Option<Vec<u8>> {
    let half = data.len() / 2;
    match damage {
        Damage::Truncate => data.truncate(half),
        Damage::FlipBit => data[half] ^= 1,
        Damage::Extend => data.extend_from_slice(b"more"),
        Damage::Zero => data.fill(0),
        Damage::TooLong => data = vec![0; max_chunk_len as usize + 1],
        _ => return None,
    }
    Some(data)
}

/// Damages a chunk's object; `None` for what cannot happen to an object.
pub async fn damage_object(
    store: &dyn ObjectStore,
    prefix: &Path,
    id: ChunkId,
    damage: Damage,
    max_chunk_len: u64,
) -> Option<object_store::Result<()>> {
    let at = chunk_path(prefix, id);
    let work = async {
        let data = store.get(&at).await?.bytes().await?.to_vec();
        if let Damage::SwapWith(other) = damage {
            let other = chunk_path(prefix, other);
            let theirs = store.get(&other).await?.bytes().await?;
            store.put(&other, data.into()).await?;
            store.put(&at, theirs.into()).await?;
            return Ok(Some(()));
        }
        let Some(data) = changed(data, damage, max_chunk_len) else { return Ok(None) };
        store.put(&at, data.into()).await?;
        Ok(Some(()))
    };
    work.await.transpose()
}

/// Damages a chunk's file; `None` for what cannot happen to a file.
pub fn damage_file(
    dir: &FilePath,
    id: ChunkId,
    damage: Damage,
    max_chunk_len: u64,
) -> Option<io::Result<()>> {
    let path = chunk_file(dir, id);
    let replace =
        |with: &dyn Fn(&FilePath) -> io::Result<()>| fs::remove_file(&path).and_then(|()| with(&path));
    Some(match damage {
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
        _ => {
            let edit = |data| changed(data, damage, max_chunk_len);
            match fs::read(&path) {
                Ok(data) => fs::write(&path, edit(data)?),
                Err(e) => Err(e),
            }
        }
    })
}

/// Names that are nearly right, and some that are not.
pub fn litter() -> Vec<String> {
    let digits = "0123456789abcdef".repeat(4);
    let mut names: Vec<_> =
        [".DS_Store", "chunks/.DS_Store", "chunks/Thumbs.db", "chunks/not-a-shard/x", "roots/readme"]
            .map(str::to_owned)
            .into();
    names.extend(["roots/6d.roo", "roots/6D.root", "roots/6.root", "roots/.root"].map(str::to_owned));
    names.push("selfenc-probe-0123".to_owned());
    for shard in ["00", "5a", "ff"] {
        names.push(format!("chunks/{shard}/{}", &digits[..61]));
        names.push(format!("chunks/{shard}/{}", &digits[..63]));
        names.push(format!("chunks/{shard}/{}G", &digits[..61]));
        names.push(format!("chunks/{shard}/{}F", &digits[..61]));
        names.push(format!("chunks/{shard}/{}.tmp", &digits[..62]));
        names.push(format!("chunks/{shard}/{}/x", &digits[1..63]));
    }
    names.push(format!("chunks/5A/{}", &digits[..62]));
    names.push(format!("selfenc-test-0123456789abcdef/chunks/5a/{}", &digits[..62]));
    names
}

/// The same as files; with staged ones of a process that died.
pub fn litter_folder(dir: &FilePath) -> io::Result<()> {
    let digits = "0123456789abcdef".repeat(4);
    let mut names = litter();
    names.push(format!("chunks/5a/{}#1", &digits[..62]));
    for name in names {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap())?;
        fs::write(path, "not ours")?;
    }
    Ok(())
}

/// What a process that is killed at this moment leaves.
pub fn copy(from: &FilePath, to: &FilePath) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        let copied = if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)
        } else {
            fs::copy(entry.path(), &to).map(drop)
        };
        match copied {
            // Staged, and placed since.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            copied => copied?,
        }
    }
    Ok(())
}
