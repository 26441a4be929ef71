//! Messages of different lengths in the lanes of one vector.

use zeroize::{Zeroize, Zeroizing};

use super::{Block, Parts, RATE, Sponge, State, scalar};

/// Absorbs into `N` states at once.
pub(super) trait Kernel<const N: usize> {
    /// The fewest lanes in use that are worth it; fewer are faster one after another. Measured.
    const WORTH: usize;

    /// Absorbs as many blocks as the shortest lane has, into each state.
    fn absorb(&self, state: &mut State<N>, blocks: [&[Block]; N]);

    /// Absorbs blocks of one message into its state.
    fn absorb_alone(&self, state: &mut [u64; 25], blocks: &[Block]) {
        scalar::absorb(state, blocks);
    }
}

/// The sponge's output for each message.
///
/// A lane that ends takes the next message; the longest go first, so that the last ones end together.
pub(super) fn hash<K: Kernel<N>, const N: usize, const OUT: usize>(
    kernel: &K,
    sponge: Sponge,
    messages: &[Parts<'_>],
) -> Vec<[u8; OUT]> {
    let mut outputs = vec![[0; OUT]; messages.len()];
    let mut queue: Vec<usize> = (0..messages.len()).collect();
    queue.sort_by_key(|&index| messages[index].iter().map(|part| part.len()).sum::<usize>());
    let mut state = Zeroizing::new([[0; N]; 25]);
    let mut lanes = [const { None }; N];
    loop {
        for lane in lanes.iter_mut().filter(|lane| lane.is_none()) {
            *lane = queue.pop().map(|index| Lane::new(index, sponge, messages[index]));
        }
        if lanes.iter().flatten().count() < K::WORTH {
            break;
        }
        let count = absorb(kernel, &mut state, &lanes);
        for (at, slot) in lanes.iter_mut().enumerate() {
            if let Some(lane) = slot
                && lane.advance(count)
            {
                scalar::squeeze(&take(&mut state, at), &mut outputs[lane.index]);
                // In its place, so that its buffer is wiped there.
                *slot = None;
            }
        }
    }
    for (at, slot) in lanes.iter_mut().enumerate() {
        if let Some(lane) = slot {
            let mut state = take(&mut state, at);
            loop {
                let blocks = lane.pending();
                let count = blocks.len();
                kernel.absorb_alone(&mut state, blocks);
                if lane.advance(count) {
                    break;
                }
            }
            scalar::squeeze(&state, &mut outputs[lane.index]);
            *slot = None;
        }
    }
    outputs
}

/// Absorbs as many blocks as each lane in use has, and says how many. A lane without a message
/// absorbs another's: there are such only when no message is left that could come into it.
fn absorb<K: Kernel<N>, const N: usize>(
    kernel: &K,
    state: &mut State<N>,
    lanes: &[Option<Lane<'_>>; N],
) -> usize {
    let Some(shortest) = lanes.iter().flatten().map(Lane::pending).min_by_key(|blocks| blocks.len()) else {
        return 0;
    };
    let blocks = lanes.each_ref().map(|lane| match lane {
        Some(lane) => &lane.pending()[..shortest.len()],
        None => shortest,
    });
    kernel.absorb(state, blocks);
    shortest.len()
}

/// The state of one lane, which is left empty.
fn take<const N: usize>(state: &mut State<N>, lane: usize) -> Zeroizing<[u64; 25]> {
    let mut taken = Zeroizing::new([0; 25]);
    for (word, lanes) in taken.iter_mut().zip(state.iter_mut()) {
        *word = std::mem::take(&mut lanes[lane]);
    }
    taken
}

/// One message on its way through the sponge.
struct Lane<'a> {
    /// Of the message among all.
    index: usize,
    sponge: Sponge,
    first: &'a [u8],
    second: &'a [u8],
    /// Whole blocks where they lie; none when the next one is in `buffer`.
    whole: &'a [Block],
    /// A block that is made of two parts, or padded.
    buffer: Block,
    /// `buffer` is padded, hence the last.
    last: bool,
}

impl<'a> Lane<'a> {
    fn new(index: usize, sponge: Sponge, [first, second]: Parts<'a>) -> Self {
        let mut lane = Self { index, sponge, first, second, whole: &[], buffer: [0; RATE], last: false };
        lane.next();
        lane
    }

    /// The blocks to absorb next: one or more.
    fn pending(&self) -> &[Block] {
        if self.whole.is_empty() { std::slice::from_ref(&self.buffer) } else { self.whole }
    }

    /// Goes past `count` of the pending blocks. Whether they were the last.
    fn advance(&mut self, count: usize) -> bool {
        if self.whole.is_empty() && self.last {
            return true;
        }
        self.whole = self.whole.get(count..).unwrap_or_default();
        if self.whole.is_empty() {
            self.next();
        }
        false
    }

    /// Takes the next blocks off the two parts.
    fn next(&mut self) {
        let segment = if self.first.is_empty() { &mut self.second } else { &mut self.first };
        let (whole, rest) = segment.as_chunks();
        if !whole.is_empty() {
            (self.whole, *segment) = (whole, rest);
            return;
        }
        let from_first = self.first.len();
        self.buffer[..from_first].copy_from_slice(self.first);
        self.first = &[];
        let room = &mut self.buffer[from_first..];
        let (now, later) = self.second.split_at(room.len().min(self.second.len()));
        room[..now.len()].copy_from_slice(now);
        self.second = later;
        let len = from_first + now.len();
        if len < RATE {
            self.buffer[len..].fill(0);
            self.buffer[len] = self.sponge.suffix();
            self.buffer[RATE - 1] |= 0x80;
            self.last = true;
        }
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::super::permutation;
    use super::*;

    /// The word of a machine without vectors: it brings the eight lanes' bookkeeping to every CPU.
    #[derive(Clone, Copy)]
    struct Array<const N: usize>([u64; N]);

    impl<const N: usize> permutation::Word<N> for Array<N> {
        fn load(lanes: &[u64; N]) -> Self {
            Self(*lanes)
        }

        fn store(self, lanes: &mut [u64; N]) {
            *lanes = self.0;
        }

        fn xor(self, other: Self) -> Self {
            Self(std::array::from_fn(|lane| self.0[lane] ^ other.0[lane]))
        }

        fn chi(self, b: Self, c: Self) -> Self {
            Self(std::array::from_fn(|lane| self.0[lane] ^ (!b.0[lane] & c.0[lane])))
        }

        fn rotate<const LEFT: i32, const RIGHT: i32>(self) -> Self {
            Self(self.0.map(|word| word.rotate_left(LEFT.unsigned_abs())))
        }
    }

    struct Arrays;

    impl<const N: usize> Kernel<N> for Arrays {
        const WORTH: usize = 1;

        fn absorb(&self, state: &mut State<N>, blocks: [&[Block]; N]) {
            permutation::absorb::<Array<N>, N>(state, blocks);
        }
    }

    fn agree<const N: usize>(messages: &[Parts<'_>]) {
        let found: Vec<[u8; 32]> = hash::<_, N, 32>(&Arrays, Sponge::Sha3, messages);
        assert_eq!(found, scalar::sha3_256(messages), "{N} lanes");
        let found: Vec<[u8; 300]> = hash::<_, N, 300>(&Arrays, Sponge::Shake, messages);
        assert_eq!(found, *scalar::shake256::<300>(messages), "{N} lanes");
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes hours")]
    fn lanes_of_any_number_take_messages_of_any_length() {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(1000).collect();
        let lens = [0, 1, 135, 136, 137, 271, 272, 273, 500, 7, 64];
        for count in 0..=lens.len() {
            for label in [0, 5, 135, 136, 137, 300] {
                let messages: Vec<Parts<'_>> =
                    lens[..count].iter().map(|&len| [&bytes[..label], &bytes[..len]]).collect();
                agree::<1>(&messages);
                agree::<4>(&messages);
                agree::<8>(&messages);
            }
        }
    }

    /// Little enough for Miri: a lane that is refilled, and one that ends alone.
    #[test]
    fn two_lanes_take_three_messages() {
        agree::<2>(&[[&[7; 5], &[]], [&[], &[1; 136]], [&[7; 5], &[2; 3]]]);
    }
}
