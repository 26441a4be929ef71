//! Keccak-f\[1600\] on one state, a row to a vector, for a message that has no others beside it.
//!
//! A row is the five words of one y (FIPS 202, section 3.1), x by x. θ, ρ, χ and ι are then a few instructions
//! each. π leaves the words of one x in each vector, which χ needs side by side, and the rows have to be put
//! together again: that is most of the work, and still less than the 25 words one by one.

use std::arch::x86_64::*;
use std::array;

use super::permutation::ROUND_CONSTANTS;
use super::x86::Avx512;
use super::{Block, RATE};

/// Words of a row.
const ROW: usize = 5;

/// Absorbs whole blocks.
pub(super) fn absorb(_: &Avx512, state: &mut [u64; 25], blocks: &[Block]) {
    // SAFETY: it needs AVX-512F, and the first argument is the proof that the CPU has it.
    unsafe { inner(state, blocks) }
}

/// The lanes that `lane` tells, as an index of a permutation.
#[target_feature(enable = "avx512f")]
fn lanes(lane: impl Fn(usize) -> usize) -> __m512i {
    let at: [i64; 8] = array::from_fn(|to| lane(to) as i64);
    _mm512_set_epi64(at[7], at[6], at[5], at[4], at[3], at[2], at[1], at[0])
}

/// ρ: how far to the left each word of row `y` goes (FIPS 202, table 2, modulo 64).
const OFFSETS: [[usize; ROW]; ROW] =
    [[0, 1, 62, 28, 27], [36, 44, 6, 55, 20], [3, 10, 43, 25, 39], [41, 45, 15, 21, 8], [18, 2, 61, 56, 14]];

/// The truth tables of `vpternlogq`: the wanted function of these three columns.
const A: i32 = 0xf0;
const B: i32 = 0xcc;
const C: i32 = 0xaa;

/// The five words of a row, without what lies behind them.
const WORDS: __mmask8 = 0b1_1111;

#[target_feature(enable = "avx512f")]
fn inner(state: &mut [u64; 25], blocks: &[Block]) {
    let before = lanes(|x| (x + 4) % 5);
    let after = lanes(|x| (x + 1) % 5);
    let offsets: [__m512i; ROW] = array::from_fn(|y| lanes(|x| OFFSETS[y].get(x).copied().unwrap_or(0)));
    // π: word x of row y becomes word y of row 2x + 3y, so row Y has it from x = 3Y + y. The last three lanes
    // have words 1, 0 and 2 once more, where they are wanted below.
    let spread: [__m512i; ROW] =
        array::from_fn(|y| lanes(|lane| (3 * [0, 1, 2, 3, 4, 1, 0, 2][lane] + y) % 5));
    // The first two words from one vector, the other three from another, whose lanes are numbered from 8.
    let join = |at: [usize; ROW]| lanes(|lane| at.get(lane).copied().unwrap_or(0));
    let joins = [
        join([0, 1, 8, 9, 8 + 6]),
        join([0, 1, 8, 9, 8 + 5]),
        join([2, 3, 10, 11, 8 + 7]),
        join([2, 3, 10, 11, 0]),
        join([4, 5, 12, 13, 0]),
    ];
    let third = lanes(|_| 3);

    let mut rows: [__m512i; ROW] = array::from_fn(|y| {
        let from = state[ROW * y..].as_ptr();
        // SAFETY: five words from each multiple of five below 25 are within the state; the others are not read.
        unsafe { _mm512_maskz_loadu_epi64(WORDS, from.cast()) }
    });
    for block in blocks {
        for (y, row) in rows.iter_mut().enumerate().take(RATE.div_ceil(8 * ROW)) {
            let words = (RATE / 8 - ROW * y).min(ROW);
            let from = block[8 * ROW * y..].as_ptr();
            // SAFETY: as many words from there as the block has left, at most a row; the others are not read.
            let new = unsafe { _mm512_maskz_loadu_epi64(WORDS >> (ROW - words), from.cast()) };
            *row = _mm512_xor_si512(*row, new);
        }
        for constant in &ROUND_CONSTANTS {
            // θ
            let [a, b, c, d, e] = rows;
            let parity = _mm512_ternarylogic_epi64::<{ A ^ B ^ C }>(a, b, c);
            let parity = _mm512_ternarylogic_epi64::<{ A ^ B ^ C }>(parity, d, e);
            let left = _mm512_permutexvar_epi64(before, parity);
            let right = _mm512_rol_epi64::<1>(_mm512_permutexvar_epi64(after, parity));
            // And ρ and π.
            let columns: [__m512i; ROW] = array::from_fn(|y| {
                let row = _mm512_ternarylogic_epi64::<{ A ^ B ^ C }>(rows[y], left, right);
                _mm512_permutexvar_epi64(spread[y], _mm512_rolv_epi64(row, offsets[y]))
            });
            // χ, and ι
            let [mut a, b, c, d, e] = array::from_fn(|x| {
                let (next, one_more) = (columns[(x + 1) % 5], columns[(x + 2) % 5]);
                _mm512_ternarylogic_epi64::<{ A ^ (!B & C) }>(columns[x], next, one_more)
            });
            a = _mm512_xor_si512(a, _mm512_maskz_set1_epi64(1, constant.cast_signed()));
            // Back to rows: even and odd words of two columns next to each other, then those of four, and of the
            // fifth the copies behind, which are put where the second pair has nothing.
            let (even, odd) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
            let even_2 = _mm512_mask_mov_epi64(_mm512_unpacklo_epi64(c, d), 0b1100_0000, e);
            let odd_2 = _mm512_mask_mov_epi64(_mm512_unpackhi_epi64(c, d), 0b0010_0000, e);
            let last = 0b1_0000;
            rows = [
                _mm512_permutex2var_epi64(even, joins[0], even_2),
                _mm512_permutex2var_epi64(odd, joins[1], odd_2),
                _mm512_permutex2var_epi64(even, joins[2], even_2),
                _mm512_mask_mov_epi64(
                    _mm512_permutex2var_epi64(odd, joins[3], odd_2),
                    last,
                    _mm512_permutexvar_epi64(third, e),
                ),
                _mm512_mask_mov_epi64(_mm512_permutex2var_epi64(even, joins[4], even_2), last, e),
            ];
        }
    }
    for (y, row) in rows.into_iter().enumerate() {
        let to = state[ROW * y..].as_mut_ptr();
        // SAFETY: as for reading.
        unsafe { _mm512_mask_storeu_epi64(to.cast(), WORDS, row) }
    }
}
