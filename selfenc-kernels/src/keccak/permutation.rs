//! Keccak-f\[1600\] on vectors: each word of the state holds that word of several states.

use super::{Block, RATE, State};

/// One word of `N` states.
pub(super) trait Word<const N: usize>: Copy {
    fn load(lanes: &[u64; N]) -> Self;
    fn store(self, lanes: &mut [u64; N]);

    fn xor(self, other: Self) -> Self;

    /// `self ^ b ^ c`
    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        self.xor(b).xor(c)
    }

    /// `self ^ (!b & c)`
    fn chi(self, b: Self, c: Self) -> Self;

    /// To the left by `LEFT`. `RIGHT` is `64 - LEFT`, which a constant cannot yet say for itself.
    fn rotate<const LEFT: i32, const RIGHT: i32>(self) -> Self;
}

/// FIPS 202, section 3.2.5.
pub(super) static ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Absorbs as many blocks as the shortest lane has, into each of the `N` states.
///
/// Inlined whole, so that it is compiled with the instructions of the caller.
#[inline(always)]
pub(super) fn absorb<W: Word<N>, const N: usize>(state: &mut State<N>, blocks: [&[Block]; N]) {
    let count = blocks.iter().map(|lane| lane.len()).min().unwrap_or(0);
    let mut words = [W::load(&state[0]); 25];
    for (word, lanes) in words.iter_mut().zip(state.iter()) {
        *word = W::load(lanes);
    }
    for at in 0..count {
        let block = blocks.map(|lane| &lane[at]);
        for (index, word) in words[..RATE / 8].iter_mut().enumerate() {
            *word = word.xor(W::load(&std::array::from_fn(|lane| little_endian(block[lane], index))));
        }
        words = permute(words);
    }
    for (word, lanes) in words.iter().zip(state.iter_mut()) {
        word.store(lanes);
    }
}

#[inline(always)]
fn little_endian(block: &Block, index: usize) -> u64 {
    u64::from_le_bytes(block.as_chunks().0[index])
}

#[inline(always)]
fn permute<W: Word<N>, const N: usize>(mut a: [W; 25]) -> [W; 25] {
    for &constant in &ROUND_CONSTANTS {
        a = round(&a, W::load(&[constant; N]));
    }
    a
}

/// One round. Word `5y + x` of the state is FIPS 202's lane (x, y).
#[inline(always)]
fn round<W: Word<N>, const N: usize>(a: &[W; 25], constant: W) -> [W; 25] {
    macro_rules! column {
        ($x:literal) => {
            a[$x].xor3(a[$x + 5], a[$x + 10]).xor3(a[$x + 15], a[$x + 20])
        };
    }
    let c = [column!(0), column!(1), column!(2), column!(3), column!(4)];
    let d = [
        c[4].xor(c[1].rotate::<1, 63>()),
        c[0].xor(c[2].rotate::<1, 63>()),
        c[1].xor(c[3].rotate::<1, 63>()),
        c[2].xor(c[4].rotate::<1, 63>()),
        c[3].xor(c[0].rotate::<1, 63>()),
    ];
    // Theta's last step and rho; the order in which the rows below name the words is pi.
    macro_rules! turned {
        ($from:literal, $by:literal) => {
            a[$from].xor(d[$from % 5]).rotate::<$by, { 64 - $by }>()
        };
    }
    let row = |b: [W; 5]| {
        [
            b[0].chi(b[1], b[2]),
            b[1].chi(b[2], b[3]),
            b[2].chi(b[3], b[4]),
            b[3].chi(b[4], b[0]),
            b[4].chi(b[0], b[1]),
        ]
    };
    let mut first = row([a[0].xor(d[0]), turned!(6, 44), turned!(12, 43), turned!(18, 21), turned!(24, 14)]);
    first[0] = first[0].xor(constant);
    let rows = [
        first,
        row([turned!(3, 28), turned!(9, 20), turned!(10, 3), turned!(16, 45), turned!(22, 61)]),
        row([turned!(1, 1), turned!(7, 6), turned!(13, 25), turned!(19, 8), turned!(20, 18)]),
        row([turned!(4, 27), turned!(5, 36), turned!(11, 10), turned!(17, 15), turned!(23, 56)]),
        row([turned!(2, 62), turned!(8, 55), turned!(14, 39), turned!(15, 41), turned!(21, 2)]),
    ];
    let mut next = *a;
    for (to, from) in next.iter_mut().zip(rows.as_flattened()) {
        *to = *from;
    }
    next
}
