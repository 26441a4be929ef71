//! By the crates, one chunk at a time. For opening they interleave its blocks, with VAES where it is.

use cbc::cipher::array::Array;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};

use super::{AesKey, Block, Job};

/// The blocks that are ciphered before they meet the pad: 16 KiB, still in the nearest cache. A
/// multiple of the pad's four.
const AT_ONCE: usize = 1024;

pub(super) fn seal<K: AesKey>(job: &mut Job<'_, K>) {
    let cipher = K::Cipher::new(job.key.cipher_key());
    let mut cbc = cbc::Encryptor::inner_iv_init(cipher, job.iv.into());
    for blocks in job.blocks.chunks_mut(AT_ONCE) {
        cbc.encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
        xor(blocks, job.pad);
    }
}

pub(super) fn open<K: AesKey>(job: &mut Job<'_, K>) {
    let cipher = K::Cipher::new(job.key.cipher_key());
    let mut cbc = cbc::Decryptor::inner_iv_init(cipher, job.iv.into());
    for blocks in job.blocks.chunks_mut(AT_ONCE) {
        xor(blocks, job.pad);
        cbc.decrypt_blocks(Array::cast_slice_from_core_mut(blocks));
    }
}

fn xor(blocks: &mut [Block], pad: &[u8; 64]) {
    for run in blocks.as_flattened_mut().chunks_mut(pad.len()) {
        run.iter_mut().zip(pad).for_each(|(byte, mask)| *byte ^= mask);
    }
}
