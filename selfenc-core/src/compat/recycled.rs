//! Memory for the compressor and the decompressor that is used again: a tenth of the time or more went into fresh pages
//! and zeros.

use std::cell::RefCell;
use std::marker::PhantomData;

use brotli8::enc::{BrotliAlloc, StandardAlloc};
use brotli8::{Allocator, CombiningAllocator, SliceWrapper, SliceWrapperMut};

/// In items. What is smaller is fresh.
const LARGE: usize = 16 << 10;
/// In items. What is larger is not kept: the compressor's own window is a little above 8 MiB.
const LARGEST: usize = 9 << 20;
/// Buffers of one kind that a thread keeps: a window, and the output as it grows.
const KEPT: usize = 2;

/// Whose content the memory sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Data: the memory may be used again.
    Data,
    /// A data map, which is keys: the memory is fresh, and freed.
    Map,
}

impl Of {
    /// Of the chunks of a map that was shrunk so often; 0 is data.
    pub(super) fn level(level: u64) -> Self {
        if level == 0 { Self::Data } else { Self::Map }
    }
}

/// The compressor's memory. Its window, its hash table and its output are of buffers that this thread has used
/// before, with what was in them: like the original in C, whose memory is not cleared either, it reads nothing that
/// it has not written.
pub(super) fn allocator(of: Of) -> impl BrotliAlloc {
    let fresh = StandardAlloc::default;
    CombiningAllocator::new(
        bytes(of),
        fresh(),
        fresh(),
        words(of),
        fresh(),
        fresh(),
        fresh(),
        fresh(),
        fresh(),
        fresh(),
        fresh(),
        fresh(),
        fresh(),
        fresh(),
        fresh(),
        fresh(),
        fresh(),
        fresh(),
    )
}

/// For windows and output.
fn bytes(of: Of) -> Recycled<u8> {
    Recycled { of, items: PhantomData }
}

/// For tables.
fn words(of: Of) -> Recycled<u32> {
    Recycled { of, items: PhantomData }
}

struct Recycled<T> {
    of: Of,
    items: PhantomData<T>,
}

/// A buffer, of which the first `len` items are in use.
struct Buffer<T: Kept> {
    items: Vec<T>,
    len: usize,
    of: Of,
}

/// What there are kept buffers of.
trait Kept: Copy + Default + 'static {
    fn kept<R>(with: impl FnOnce(&mut Vec<Vec<Self>>) -> R) -> R;
}

macro_rules! kept {
    ($item:ty) => {
        impl Kept for $item {
            fn kept<R>(with: impl FnOnce(&mut Vec<Vec<Self>>) -> R) -> R {
                thread_local!(static KEPT: RefCell<Vec<Vec<$item>>> = const { RefCell::new(Vec::new()) });
                KEPT.with_borrow_mut(with)
            }
        }
    };
}
kept!(u8);
kept!(u32);

impl<T: Kept> Allocator<T> for Recycled<T> {
    type AllocatedMemory = Buffer<T>;

    fn alloc_cell(&mut self, len: usize) -> Buffer<T> {
        let may_be_used = self.of == Of::Data && len >= LARGE;
        let used = may_be_used.then(|| T::kept(|kept| take(kept, len))).flatten();
        Buffer { items: used.unwrap_or_else(|| vec![T::default(); len]), len, of: self.of }
    }

    fn free_cell(&mut self, buffer: Buffer<T>) {
        drop(buffer);
    }
}

/// The smallest that is large enough.
fn take<T>(kept: &mut Vec<Vec<T>>, len: usize) -> Option<Vec<T>> {
    let fitting = kept.iter().enumerate().filter(|(_, items)| items.len() >= len);
    let (index, _) = fitting.min_by_key(|(_, items)| items.len())?;
    Some(kept.swap_remove(index))
}

impl<T: Kept> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.of == Of::Map || !(LARGE..=LARGEST).contains(&self.items.len()) {
            return;
        }
        let items = std::mem::take(&mut self.items);
        let too_many = T::kept(|kept| {
            kept.push(items);
            kept.sort_unstable_by_key(|items| std::cmp::Reverse(items.len()));
            if kept.len() > KEPT { kept.pop() } else { None }
        });
        drop(too_many);
    }
}

impl<T: Kept> Default for Buffer<T> {
    fn default() -> Self {
        Self { items: Vec::new(), len: 0, of: Of::Data }
    }
}

impl<T: Kept> SliceWrapper<T> for Buffer<T> {
    fn slice(&self) -> &[T] {
        &self.items[..self.len]
    }
}

impl<T: Kept> SliceWrapperMut<T> for Buffer<T> {
    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.items[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_comes_back_as_it_was_and_only_the_largest_are_kept() {
        let mut recycled = words(Of::Data);
        let mut first = recycled.alloc_cell(LARGE);
        first.slice_mut().fill(7);
        recycled.free_cell(first);
        let again = recycled.alloc_cell(LARGE);
        assert_eq!((again.slice().len(), again.slice()[5]), (LARGE, 7));
        let small = recycled.alloc_cell(LARGE - 1);
        assert_eq!((small.slice().len(), small.slice()[5]), (LARGE - 1, 0));
        drop((again, small));

        let many: Vec<_> = (1..=10).map(|n| recycled.alloc_cell(n * LARGE)).collect();
        drop(many);
        drop(words(Of::Map).alloc_cell(20 * LARGE));
        drop(recycled.alloc_cell(LARGEST + 1));
        let lens = u32::kept(|kept| kept.iter().map(Vec::len).collect::<Vec<_>>());
        assert_eq!(lens, [10 * LARGE, 9 * LARGE]);
    }
}
