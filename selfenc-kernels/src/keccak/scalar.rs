//! One message at a time, by the crates.

use keccak::Keccak;
use sha3::{Digest as _, Sha3_256};
use shake::{ExtendableOutput, Shake256, Update, XofReader};
use zeroize::Zeroizing;

use super::{Block, Parts, RATE};

pub(super) fn sha3_256(messages: &[Parts<'_>]) -> Vec<[u8; 32]> {
    let hash = |[first, second]: &Parts<'_>| {
        Sha3_256::new().chain_update(first).chain_update(second).finalize().into()
    };
    messages.iter().map(hash).collect()
}

pub(super) fn shake256<const OUT: usize>(messages: &[Parts<'_>]) -> Zeroizing<Vec<[u8; OUT]>> {
    let mut outputs = Zeroizing::new(vec![[0; OUT]; messages.len()]);
    for (output, [first, second]) in outputs.iter_mut().zip(messages) {
        let mut shake = Shake256::default();
        shake.update(first);
        shake.update(second);
        shake.finalize_xof().read(output);
    }
    outputs
}

/// Goes on with a message that began in a vector.
pub(super) fn absorb(state: &mut [u64; 25], blocks: &[Block]) {
    Keccak::new().with_f1600(|permute| {
        for block in blocks {
            for (word, bytes) in state.iter_mut().zip(block.as_chunks().0) {
                *word ^= u64::from_le_bytes(*bytes);
            }
            permute(state);
        }
    });
}

/// The output of a state that has absorbed its last block.
pub(super) fn squeeze(state: &[u64; 25], output: &mut [u8]) {
    let mut state = Zeroizing::new(*state);
    for (nth, block) in output.chunks_mut(RATE).enumerate() {
        if nth > 0 {
            Keccak::new().with_f1600(|permute| permute(&mut state));
        }
        for (bytes, word) in block.chunks_mut(8).zip(state.iter()) {
            bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
        }
    }
}
