//! SHA3-256 and SHAKE256 over many messages at once.
// Elsewhere the lanes are only tested.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

mod lanes;
mod permutation;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod single;
#[cfg(target_arch = "x86_64")]
mod x86;

use zeroize::Zeroizing;

use crate::Path;

/// What SHA3-256 and SHAKE256 absorb at a time, in bytes: 200 less twice the 32 of their security.
const RATE: usize = 136;

type Block = [u8; RATE];

/// A message in two parts, one after the other: a label and what it stands before, or nothing.
pub type Parts<'a> = [&'a [u8]; 2];

/// Word by word, that word of `N` states.
type State<const N: usize> = [[u64; N]; 25];

/// The two functions differ in the bits that follow the message (FIPS 202, section 6).
#[derive(Clone, Copy)]
enum Sponge {
    Sha3,
    Shake,
}

impl Sponge {
    /// These bits and the first of the padding.
    const fn suffix(self) -> u8 {
        match self {
            Self::Sha3 => 0x06,
            Self::Shake => 0x1f,
        }
    }
}

/// The SHA3-256 of each message, in their order.
///
/// Lengths may differ. The gain needs as many messages as the path has lanes, or more.
#[must_use]
pub fn sha3_256(path: Path, messages: &[Parts<'_>]) -> Vec<[u8; 32]> {
    vectors(path, Sponge::Sha3, messages).unwrap_or_else(|| scalar::sha3_256(messages))
}

/// The first `OUT` bytes of the SHAKE256 of each message, in their order.
///
/// Made for deriving keys: the outputs are wiped when dropped, and the states before it returns.
#[must_use]
pub fn shake256<const OUT: usize>(path: Path, messages: &[Parts<'_>]) -> Zeroizing<Vec<[u8; OUT]>> {
    vectors(path, Sponge::Shake, messages).map_or_else(|| scalar::shake256(messages), Zeroizing::new)
}

/// `None` where the path has no vectors, or this CPU lacks it.
#[cfg(target_arch = "x86_64")]
fn vectors<const OUT: usize>(path: Path, sponge: Sponge, messages: &[Parts<'_>]) -> Option<Vec<[u8; OUT]>> {
    match path {
        Path::Portable => None,
        Path::Avx2 => x86::Avx2::detect().map(|avx2| lanes::hash(&avx2, sponge, messages)),
        Path::Avx512
            if messages.len() <= 4
                && let Some(half) = x86::Avx512Vl::detect() =>
        {
            Some(lanes::hash(&half, sponge, messages))
        }
        Path::Avx512 => x86::Avx512::detect().map(|avx512| lanes::hash(&avx512, sponge, messages)),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn vectors<const OUT: usize>(_: Path, _: Sponge, _: &[Parts<'_>]) -> Option<Vec<[u8; OUT]>> {
    None
}
