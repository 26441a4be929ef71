//! AES-NI: the round keys, and the rounds.

use std::arch::x86_64::*;

use zeroize::Zeroizing;

use super::lanes::Lane;
use super::schedule::{self, MAX_ROUNDS, Schedule};
use super::{AesKey, Block};
use crate::Path;

/// Proof that this CPU has AES-NI, and AVX for operands that are not aligned: a value comes only from
/// [`AesNi::of`].
pub(super) struct AesNi(());

impl AesNi {
    /// Unless the path is the portable one, or the CPU lacks it: AVX2 does not imply AES.
    pub(super) fn of(path: Path) -> Option<Self> {
        (path != Path::Portable && is_x86_feature_detected!("aes") && is_x86_feature_detected!("avx"))
            .then_some(Self(()))
    }

    /// The round keys to encrypt with.
    pub(super) fn expand<K: AesKey>(&self, key: &K) -> Schedule {
        // SAFETY: it needs AES-NI and AVX, and `self` is the proof that the CPU has both.
        unsafe { expand(key) }
    }

    /// Seals the next `count` blocks of each lane. No lane has fewer.
    pub(super) fn seal<K: AesKey, const N: usize>(&self, lanes: &mut [Lane<'_>; N], count: usize) {
        // SAFETY: it needs AES-NI and AVX, and `self` is the proof that the CPU has both.
        unsafe { seal::<K, N>(lanes, count) }
    }
}

#[target_feature(enable = "aes,avx")]
fn expand<K: AesKey>(key: &K) -> Schedule {
    schedule::expand(key, |word| {
        // The instruction's lowest word is the S-box over the second lowest, of which all are `word`.
        let words = _mm_aeskeygenassist_si128::<0>(_mm_set1_epi32(word.cast_signed()));
        _mm_cvtsi128_si32(words).cast_unsigned()
    })
}

#[target_feature(enable = "aes,avx")]
fn seal<K: AesKey, const N: usize>(lanes: &mut [Lane<'_>; N], count: usize) {
    let keys = Zeroizing::new(round_by_round(lanes));
    let pads = Zeroizing::new(pads_in_step(lanes));
    let blocks = lanes.each_mut().map(|lane| lane.take(count));
    let mut chain = lanes.each_ref().map(|lane| load(&lane.chain));
    for at in 0..count {
        for lane in 0..N {
            let input = _mm_xor_si128(load(&blocks[lane][at]), load(&keys[0][lane]));
            chain[lane] = _mm_xor_si128(chain[lane], input);
        }
        for keys in &keys[1..K::ROUNDS] {
            for lane in 0..N {
                chain[lane] = _mm_aesenc_si128(chain[lane], load(&keys[lane]));
            }
        }
        for lane in 0..N {
            chain[lane] = _mm_aesenclast_si128(chain[lane], load(&keys[K::ROUNDS][lane]));
            store(&mut blocks[lane][at], _mm_xor_si128(chain[lane], load(&pads[at % 4][lane])));
        }
    }
    for (lane, chain) in lanes.iter_mut().zip(chain) {
        store(&mut lane.chain, chain);
        lane.sealed += count;
    }
}

/// The lanes' round keys side by side: with a pointer to each lane's the registers run out.
fn round_by_round<const N: usize>(lanes: &[Lane<'_>; N]) -> [[Block; N]; MAX_ROUNDS + 1] {
    std::array::from_fn(|round| lanes.each_ref().map(|lane| lane.keys[round]))
}

/// The lanes' pads side by side, from where each lane is in its own.
fn pads_in_step<const N: usize>(lanes: &[Lane<'_>; N]) -> [[Block; N]; 4] {
    std::array::from_fn(|at| lanes.each_ref().map(|lane| lane.pad[(lane.sealed + at) % 4]))
}

#[inline(always)]
fn load(block: &Block) -> __m128i {
    // SAFETY: 16 readable bytes, of any alignment; SSE2 is part of x86-64.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

#[inline(always)]
fn store(block: &mut Block, value: __m128i) {
    // SAFETY: 16 writable bytes, of any alignment; SSE2 is part of x86-64.
    unsafe { _mm_storeu_si128(block.as_mut_ptr().cast(), value) }
}
