//! Values cut into pieces of 2 KiB, each an entry of a tree.
//!
//! Whatever is longer than a quarter of a segment (64 KiB), be it a value or a page with the values of
//! its up to 16 entries and those that wait to be merged, sled puts into a file of its own: it is never
//! synced, seldom removed, and does not count for the size of the cache. Pieces of 2 KiB keep every page
//! below that.
//!
//! ```text
//! key:   name of the value ‖ index u32 be
//! value: 2048 bytes, the last piece less
//! ```

use sled::Tree;

/// The length of every piece but the last. 26 of them, and their keys, are below 64 KiB.
pub(crate) const PIECE: usize = 2048;

/// Writes `data` under `name`, where nothing stands yet.
pub(crate) fn write(tree: &Tree, name: &[u8], data: &[u8]) -> sled::Result<()> {
    for (index, piece) in (0..).zip(data.chunks(PIECE)) {
        tree.insert(key(name, index), piece)?;
    }
    Ok(())
}

/// Appends the value of `len` bytes under `name` to `data`; whether it is whole.
pub(crate) fn read(tree: &Tree, name: &[u8], len: usize, data: &mut Vec<u8>) -> sled::Result<bool> {
    walk(tree, name, len, |piece| data.extend_from_slice(piece))
}

/// Whether [`read`] would find it whole.
pub(crate) fn is_whole(tree: &Tree, name: &[u8], len: usize) -> sled::Result<bool> {
    walk(tree, name, len, |_| {})
}

/// Removes everything under names that start with `name`.
pub(crate) fn clear(tree: &Tree, name: &[u8]) -> sled::Result<()> {
    for key in tree.scan_prefix(name).keys() {
        tree.remove(key?)?;
    }
    Ok(())
}

/// Shows every piece; whether they are those of a value of `len` bytes and no more.
fn walk(tree: &Tree, name: &[u8], len: usize, mut see: impl FnMut(&[u8])) -> sled::Result<bool> {
    let (mut index, mut left) = (0, len);
    while left > 0 {
        // Not by an iterator: sled keeps the pages that it walks over.
        match tree.get(key(name, index))? {
            Some(piece) if piece.len() == left.min(PIECE) => see(&piece),
            _ => return Ok(false),
        }
        left -= left.min(PIECE);
        index += 1;
    }
    Ok(!tree.contains_key(key(name, index))?)
}

fn key(name: &[u8], index: u32) -> Vec<u8> {
    [name, &index.to_be_bytes()].concat()
}
