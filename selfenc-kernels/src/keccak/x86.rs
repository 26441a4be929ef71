//! The words of AVX2 and AVX-512, and the proof that the CPU has them.

use std::arch::x86_64::*;

use super::lanes::Kernel;
use super::permutation::{Word, absorb};
use super::{Block, State, single};

/// Proof that this CPU has AVX2: a value comes only from [`Avx2::detect`].
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl Kernel<4> for Avx2 {
    const WORTH: usize = 2;

    fn absorb(&self, state: &mut State<4>, blocks: [&[Block]; 4]) {
        #[target_feature(enable = "avx2")]
        fn inner(state: &mut State<4>, blocks: [&[Block]; 4]) {
            absorb::<Avx2Word, 4>(state, blocks);
        }
        // SAFETY: `inner` needs AVX2, and `self` is the proof that the CPU has it.
        unsafe { inner(state, blocks) }
    }
}

/// Proof that this CPU has AVX-512F: a value comes only from [`Avx512::detect`].
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

impl Kernel<8> for Avx512 {
    // Two take 1.6 times as long as one alone (docs in lib.rs).
    const WORTH: usize = 2;

    fn absorb(&self, state: &mut State<8>, blocks: [&[Block]; 8]) {
        #[target_feature(enable = "avx512f")]
        fn inner(state: &mut State<8>, blocks: [&[Block]; 8]) {
            absorb::<Avx512Word, 8>(state, blocks);
        }
        // SAFETY: `inner` needs AVX-512F, and `self` is the proof that the CPU has it.
        unsafe { inner(state, blocks) }
    }

    fn absorb_alone(&self, state: &mut [u64; 25], blocks: &[Block]) {
        single::absorb(self, state, blocks);
    }
}

/// Proof that this CPU has AVX-512VL, and AVX-512F: a value comes only from [`Avx512Vl::detect`].
pub(super) struct Avx512Vl(Avx512);

impl Avx512Vl {
    pub(super) fn detect() -> Option<Self> {
        let avx512 = Avx512::detect()?;
        is_x86_feature_detected!("avx512vl").then_some(Self(avx512))
    }
}

/// For up to four messages, faster than whole vectors half empty (docs in lib.rs).
impl Kernel<4> for Avx512Vl {
    const WORTH: usize = 2;

    fn absorb(&self, state: &mut State<4>, blocks: [&[Block]; 4]) {
        #[target_feature(enable = "avx512f,avx512vl")]
        fn inner(state: &mut State<4>, blocks: [&[Block]; 4]) {
            absorb::<Avx512VlWord, 4>(state, blocks);
        }
        // SAFETY: `inner` needs AVX-512F and AVX-512VL, and `self` is the proof that the CPU has them.
        unsafe { inner(state, blocks) }
    }

    fn absorb_alone(&self, state: &mut [u64; 25], blocks: &[Block]) {
        single::absorb(&self.0, state, blocks);
    }
}

/// Four lanes. Private to this file, which makes one only inside the AVX2 function above: where
/// there is a value, there is AVX2. The same holds for `load`, which makes the first.
#[derive(Clone, Copy)]
struct Avx2Word(__m256i);

impl Word<4> for Avx2Word {
    #[inline(always)]
    fn load(lanes: &[u64; 4]) -> Self {
        // SAFETY: 32 readable bytes, of any alignment; AVX2 as the type says.
        Self(unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, lanes: &mut [u64; 4]) {
        // SAFETY: 32 writable bytes, of any alignment; AVX2 as the type says.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: AVX2 as the type says.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn chi(self, b: Self, c: Self) -> Self {
        // SAFETY: AVX2 as the type says.
        self.xor(Self(unsafe { _mm256_andnot_si256(b.0, c.0) }))
    }

    #[inline(always)]
    fn rotate<const LEFT: i32, const RIGHT: i32>(self) -> Self {
        // SAFETY: AVX2 as the type says.
        let left = unsafe { _mm256_slli_epi64::<LEFT>(self.0) };
        // SAFETY: AVX2 as the type says.
        let right = unsafe { _mm256_srli_epi64::<RIGHT>(self.0) };
        // SAFETY: AVX2 as the type says.
        Self(unsafe { _mm256_or_si256(left, right) })
    }
}

/// Eight lanes. Private to this file, which makes one only inside the AVX-512F function above.
#[derive(Clone, Copy)]
struct Avx512Word(__m512i);

/// The truth tables of `vpternlogq`: the wanted function of these three columns.
const A: i32 = 0xf0;
const B: i32 = 0xcc;
const C: i32 = 0xaa;

impl Word<8> for Avx512Word {
    #[inline(always)]
    fn load(lanes: &[u64; 8]) -> Self {
        // SAFETY: 64 readable bytes, of any alignment; AVX-512F as the type says.
        Self(unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, lanes: &mut [u64; 8]) {
        // SAFETY: 64 writable bytes, of any alignment; AVX-512F as the type says.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: AVX-512F as the type says.
        Self(unsafe { _mm512_xor_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        // SAFETY: AVX-512F as the type says.
        Self(unsafe { _mm512_ternarylogic_epi64::<{ A ^ B ^ C }>(self.0, b.0, c.0) })
    }

    #[inline(always)]
    fn chi(self, b: Self, c: Self) -> Self {
        // SAFETY: AVX-512F as the type says.
        Self(unsafe { _mm512_ternarylogic_epi64::<{ A ^ (!B & C) }>(self.0, b.0, c.0) })
    }

    #[inline(always)]
    fn rotate<const LEFT: i32, const RIGHT: i32>(self) -> Self {
        // SAFETY: AVX-512F as the type says.
        Self(unsafe { _mm512_rol_epi64::<LEFT>(self.0) })
    }
}

/// Four lanes. Private to this file, which makes one only inside the AVX-512VL function above.
#[derive(Clone, Copy)]
struct Avx512VlWord(__m256i);

impl Word<4> for Avx512VlWord {
    #[inline(always)]
    fn load(lanes: &[u64; 4]) -> Self {
        // SAFETY: 32 readable bytes, of any alignment; AVX-512VL as the type says.
        Self(unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, lanes: &mut [u64; 4]) {
        // SAFETY: 32 writable bytes, of any alignment; AVX-512VL as the type says.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: AVX-512VL as the type says.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        // SAFETY: AVX-512VL as the type says.
        Self(unsafe { _mm256_ternarylogic_epi64::<{ A ^ B ^ C }>(self.0, b.0, c.0) })
    }

    #[inline(always)]
    fn chi(self, b: Self, c: Self) -> Self {
        // SAFETY: AVX-512VL as the type says.
        Self(unsafe { _mm256_ternarylogic_epi64::<{ A ^ (!B & C) }>(self.0, b.0, c.0) })
    }

    #[inline(always)]
    fn rotate<const LEFT: i32, const RIGHT: i32>(self) -> Self {
        // SAFETY: AVX-512VL as the type says.
        Self(unsafe { _mm256_rol_epi64::<LEFT>(self.0) })
    }
}
