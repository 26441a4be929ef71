//! AES-CBC under a repeated XOR pad: several chunks sealed at once, one opened.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

#[cfg(target_arch = "x86_64")]
mod aesni;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod portable;
#[cfg(target_arch = "x86_64")]
mod schedule;

use std::fmt;

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, Key, KeyInit, consts::U16};
use aes::{Aes128, Aes256};

use crate::Path;

/// AES's block, and CBC's initialisation vector.
type Block = [u8; 16];

/// One chunk to seal or open, in place.
///
/// `blocks` are whole, hence already padded when sealing, still padded when opened: PKCS#7 stays with
/// the caller, who gets the type from `<[u8]>::as_chunks_mut` and thereby sees what is not whole.
pub struct Job<'a, K: AesKey = [u8; 32]> {
    /// 32 bytes for AES-256, 16 for AES-128.
    pub key: &'a K,
    /// CBC's initialisation vector.
    pub iv: &'a [u8; 16],
    /// XORed over the whole ciphertext, again and again.
    pub pad: &'a [u8; 64],
    /// The chunk.
    pub blocks: &'a mut [[u8; 16]],
}

/// Nothing of a key.
impl<K: AesKey> fmt::Debug for Job<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

/// A key of AES: `[u8; 16]` or `[u8; 32]`.
pub trait AesKey: sealed::Sealed {}

impl AesKey for [u8; 16] {}
impl AesKey for [u8; 32] {}

mod sealed {
    use super::*;

    pub trait Sealed: AsRef<[u8]> {
        type Cipher: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + KeyInit;
        /// FIPS 197, section 5.
        const ROUNDS: usize;

        fn cipher_key(&self) -> &Key<Self::Cipher>;
    }

    impl Sealed for [u8; 16] {
        type Cipher = Aes128;
        const ROUNDS: usize = 10;

        fn cipher_key(&self) -> &Key<Aes128> {
            self.into()
        }
    }

    impl Sealed for [u8; 32] {
        type Cipher = Aes256;
        const ROUNDS: usize = 14;

        fn cipher_key(&self) -> &Key<Aes256> {
            self.into()
        }
    }
}

/// Makes each job's blocks `AES-CBC(blocks) ^ pad`.
///
/// The gain is in the number: CBC leaves most of an AES unit idle, unless it has several chunks.
pub fn seal<K: AesKey>(path: Path, jobs: &mut [Job<'_, K>]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(aes) = aesni::AesNi::of(path) {
        return lanes::seal(&aes, jobs);
    }
    let _ = path;
    jobs.iter_mut().for_each(portable::seal);
}

/// Makes the job's blocks what [`seal`] was given. Any blocks open to something: nothing is checked.
///
/// It takes no path: opening fills an AES unit with one chunk, which the crates do everywhere.
pub fn open<K: AesKey>(job: &mut Job<'_, K>) {
    portable::open(job);
}
