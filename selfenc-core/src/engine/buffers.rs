//! Memory of chunks, used again: fresh pages have to be made and cleared for each.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Shorter ones come from the allocator, which is fast with them.
const LEAST: usize = 64 << 10;
/// What is kept at most, in bytes.
const MOST: usize = 32 << 20;

/// Buffers that were used and are free. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer on loan: dropped, also as [`Bytes`], it goes back. One made of a `Vec` is freed instead.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Option<Buffers>,
}

impl Buffers {
    /// A buffer of `len` bytes, of any values.
    pub(crate) fn take(&self, len: usize) -> Buffer {
        let mut bytes = self.find(len).unwrap_or_else(|| vec![0; len]);
        bytes.resize(len, 0);
        self.lend(bytes)
    }

    /// An empty buffer with room for `len` bytes.
    pub(crate) fn take_empty(&self, len: usize) -> Buffer {
        let mut bytes = self.find(len).unwrap_or_else(|| Vec::with_capacity(len));
        bytes.clear();
        self.lend(bytes)
    }

    /// A buffer with these bytes; copied only if somebody else has them too.
    pub(crate) fn take_bytes(&self, bytes: Bytes) -> Buffer {
        if bytes.is_unique() {
            return Buffer::from(Vec::from(bytes));
        }
        let mut buffer = self.take_empty(bytes.len());
        buffer.vec().extend_from_slice(&bytes);
        buffer
    }

    fn lend(&self, bytes: Vec<u8>) -> Buffer {
        Buffer { bytes, home: Some(self.clone()) }
    }

    /// The smallest that is large enough, and not more than twice as large.
    fn find(&self, len: usize) -> Option<Vec<u8>> {
        if len < LEAST {
            return None;
        }
        let mut free = self.lock();
        let fits = |bytes: &Vec<u8>| bytes.capacity() >= len && bytes.capacity() / 2 <= len;
        let fitting = free.iter().enumerate().filter(|(_, bytes)| fits(bytes));
        let (index, _) = fitting.min_by_key(|(_, bytes)| bytes.capacity())?;
        Some(free.swap_remove(index))
    }

    fn give_back(&self, bytes: Vec<u8>) {
        let mut free = self.lock();
        let kept: usize = free.iter().map(Vec::capacity).sum();
        if bytes.capacity() >= LEAST && kept + bytes.capacity() <= MOST {
            free.push(bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// To be filled, or cut.
    pub(crate) fn vec(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, home: None }
    }
}

impl From<Buffer> for Bytes {
    fn from(mut buffer: Buffer) -> Self {
        match buffer.home {
            Some(_) => Self::from_owner(buffer),
            None => Self::from(std::mem::take(&mut buffer.bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_comes_back_and_a_small_one_does_not() {
        let buffers = Buffers::default();
        for (len, back) in [(LEAST - 1, 0), (LEAST, 1), (2 * LEAST, 2)] {
            let bytes = Bytes::from(buffers.take(len));
            let part = bytes.slice(1..);
            drop(bytes);
            drop(part);
            assert_eq!(buffers.lock().len(), back, "{len}");
        }
        assert_eq!(buffers.take(LEAST + 1).len(), LEAST + 1);
    }

    #[test]
    fn what_is_taken_is_as_long_as_asked_and_not_of_one_far_larger() {
        let buffers = Buffers::default();
        drop(buffers.take(8 * LEAST));
        assert_eq!(buffers.take(LEAST).len(), LEAST);
        assert_eq!(buffers.lock().len(), 2, "it was too large, and another was made");
        let taken = buffers.take(7 * LEAST);
        assert_eq!((taken.len(), buffers.lock().len()), (7 * LEAST, 1));
    }

    #[test]
    fn bytes_are_copied_only_if_they_are_shared() {
        let buffers = Buffers::default();
        let bytes = Bytes::from(vec![7; LEAST]);
        let (shared, at) = (bytes.clone(), bytes.as_ptr());
        let copy = buffers.take_bytes(shared);
        assert!(copy.as_ptr() != at && copy[..] == bytes);
        let same = buffers.take_bytes(bytes);
        assert_eq!(same.as_ptr(), at);
        assert_eq!(Bytes::from(same).as_ptr(), at);
        assert_eq!(buffers.lock().len(), 0, "it was nobody's");
        drop(copy);
        assert_eq!(buffers.lock().len(), 1);
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let buffers = Buffers::default();
        let many: Vec<_> = (0..100).map(|_| buffers.take(1 << 20)).collect();
        drop(many);
        assert_eq!(buffers.lock().len(), MOST >> 20);
    }
}
