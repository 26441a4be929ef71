//! Section 3: from a sealed map to the root.

use super::check;
use super::suite::{open_chacha, shake256};

/// The root inside a sealed map. Checks S1 to S5; the root itself is checked when it is read.
pub(crate) fn unseal(key: &[u8; 32], bytes: &[u8]) -> Result<Vec<u8>, String> {
    check((152..=55_448).contains(&bytes.len()), "S1: not as long as a sealed map")?;
    check(&bytes[..4] == b"SESL", "S2: not a sealed map")?;
    check(bytes[4] == 1, "S3: unknown version")?;
    let (head, ct) = bytes.split_at(69);
    let (salt, commit) = head[5..].split_at(32);

    let secrets: [u8; 76] = shake256(&[b"selfenc v1 seal\0", key, salt]);
    let mut nonce = [0; 12];
    let mut cipher_key = [0; 32];
    cipher_key.copy_from_slice(&secrets[..32]);
    nonce.copy_from_slice(&secrets[32..44]);
    // A reader in earnest compares in constant time; this one only runs in tests.
    check(commit == &secrets[44..], "S4: wrong key, or damaged")?;
    open_chacha(&cipher_key, &nonce, head, ct).ok_or_else(|| "S5: damaged".to_owned())
}
