use std::collections::VecDeque;

use crate::engine::keys::Binding;
use crate::engine::sealing::Prepared;
use crate::engine::suite::Digest;

/// Gives each chunk its neighbours' content hashes, holding back two chunks at most.
pub(super) struct Lag {
    binding: Binding,
    /// e\[0\] and e\[1\], the neighbours of the last two chunks.
    first: Vec<Digest>,
    held: VecDeque<Prepared>,
}

/// A chunk and the content hashes of the next two.
pub(super) type Bound = (Prepared, [Digest; 2]);

const NONE: [Digest; 2] = [[0; 32]; 2];

impl Lag {
    pub(super) fn new(binding: Binding) -> Self {
        Self { binding, first: Vec::with_capacity(2), held: VecDeque::new() }
    }

    /// Takes the next chunks and gives those whose neighbours are known.
    pub(super) fn push(&mut self, chunks: Vec<Prepared>) -> Vec<Bound> {
        if self.binding == Binding::Own {
            return chunks.into_iter().map(|chunk| (chunk, NONE)).collect();
        }
        let missing = 2 - self.first.len();
        self.first.extend(chunks.iter().take(missing).map(|chunk| chunk.content));
        self.held.extend(chunks);
        self.release(&[])
    }

    /// After the last chunk: the first two follow it.
    pub(super) fn finish(&mut self) -> Vec<Bound> {
        // An input of one chunk is its own neighbour on both sides.
        let first = match *self.first.as_slice() {
            [] => return Vec::new(),
            [only] => [only; 2],
            [zero, one, ..] => [zero, one],
        };
        self.release(&first)
    }

    fn release(&mut self, after: &[Digest]) -> Vec<Bound> {
        let contents: Vec<_> =
            self.held.iter().map(|chunk| chunk.content).chain(after.iter().copied()).collect();
        let known = contents.windows(3).map(|window| [window[1], window[2]]);
        known.map_while(|next| Some((self.held.pop_front()?, next))).collect()
    }
}
