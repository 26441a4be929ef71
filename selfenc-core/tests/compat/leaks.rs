//! What `docs/migrating.md` says of the first generation, done.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, KeyInit};
use selfenc_core::compat::Generation;

use crate::model::{Model, compressed};
use crate::support::{random, text};

/// With the two chunks before, and not a byte of the chunk itself, every fourth block of its compressed content.
#[test]
fn what_se1_leaks() {
    let (first, second, secret) = (text(50_000), random(1, 50_000), random(2, 50_000));
    let mut model = Model::new(Generation::One, 50_000);
    model.chunks(&[&first[..], &second, &secret].concat(), 0);
    let stored = &model.stored[2];

    let (two_before, before) = (Generation::One.hash(&first), Generation::One.hash(&second));
    let cipher = Aes128::new(before[..16].try_into().unwrap());
    // The pad is 64 bytes: the first half is the hash that nobody knows, the second that of a known chunk.
    let block = |n: usize| -> [u8; 16] {
        let pad = &two_before[n % 4 * 16 - 32..][..16];
        std::array::from_fn(|i| stored[n * 16 + i] ^ pad[i])
    };
    let expected = compressed(&secret);
    let mut found = 0;
    for n in (3..expected.len() / 16).step_by(4) {
        let mut plain = block(n).into();
        cipher.decrypt_block(&mut plain);
        let before = block(n - 1);
        let plain: Vec<u8> = plain.iter().zip(before).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(plain, expected[n * 16..][..16], "block {n}");
        found += 16;
    }
    assert!(found * 4 > expected.len() - 64);
}
