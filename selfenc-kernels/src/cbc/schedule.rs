//! AES's round keys.

use zeroize::Zeroizing;

use super::{AesKey, Block};

/// The round keys, in the order of use; AES-128 leaves the last four unused.
///
/// Boxed, so that they are never moved and leave no copy behind.
pub(super) type Schedule = Box<Zeroizing<[Block; MAX_ROUNDS + 1]>>;

pub(super) const MAX_ROUNDS: usize = 14;

/// FIPS 197, section 5.2, with `sub_word` to apply the S-box to each byte of a little-endian word.
#[inline(always)]
pub(super) fn expand<K: AesKey>(key: &K, sub_word: impl Fn(u32) -> u32) -> Schedule {
    let mut schedule: Schedule = Box::new(Zeroizing::new([[0; 16]; MAX_ROUNDS + 1]));
    let words = schedule.as_flattened_mut().as_chunks_mut::<4>().0;
    let key = key.as_ref().as_chunks::<4>().0;
    words[..key.len()].copy_from_slice(key);
    let mut constant = 1_u8;
    for at in key.len()..4 * (K::ROUNDS + 1) {
        let mut word = u32::from_le_bytes(words[at - 1]);
        if at % key.len() == 0 {
            // Rotating to the left in the standard's order of bytes.
            word = sub_word(word.rotate_right(8)) ^ u32::from(constant);
            constant = constant << 1 ^ if constant & 0x80 == 0 { 0 } else { 0x1b };
        } else if key.len() == 8 && at % 8 == 4 {
            word = sub_word(word);
        }
        words[at] = (word ^ u32::from_le_bytes(words[at - key.len()])).to_le_bytes();
    }
    schedule
}
