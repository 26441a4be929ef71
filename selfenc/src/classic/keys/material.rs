//! Whether bytes from elsewhere can be a key.

use std::collections::HashMap;

use selfenc_core::engine::SealKey;
use sha3::{Digest, Sha3_256};
use zeroize::Zeroizing;

use super::super::error::{Error, Result};

/// What a key is hashed with that is not 32 bytes long.
const LABEL: &[u8] = b"selfenc v1 key material\0";
/// More says nothing more of 256 bits.
const LONGEST: usize = 1024;

/// The key of `material`: itself if it is 32 bytes, else its hash.
///
/// The checks find passwords and patterns. No check can tell the hash of a password from random bytes.
pub(super) fn key(material: &[u8], min_entropy: u32) -> Result<SealKey> {
    check(material, min_entropy).map_err(Error::KeyMaterial)?;
    if let Ok(bytes) = <[u8; 32]>::try_from(material) {
        return Ok(SealKey::from_bytes(bytes));
    }
    let mut key = Zeroizing::new([0; 32]);
    Sha3_256::new().chain_update(LABEL).chain_update(material).finalize_into((&mut *key).into());
    Ok(SealKey::from_bytes(*key))
}

fn check(material: &[u8], min_entropy: u32) -> Result<(), String> {
    if material.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let least = min_entropy.div_ceil(8) as usize;
    if material.len() < least {
        return Err(format!("{} bytes are too few for min_entropy, which takes {least}", material.len()));
    }
    if is_text(material) {
        return Err("it is text; take random bytes, and decode hexadecimal or Base64 first".into());
    }
    let once = without_repeats(material);
    if once.len() < least {
        return Err(format!("it repeats itself every {} bytes; take random bytes", once.len()));
    }
    let steps: Vec<_> = once.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    if !is_varied(once) || !is_varied(&Zeroizing::new(steps)) {
        return Err("its bytes follow a pattern or are too few different ones; take random bytes".into());
    }
    Ok(())
}

/// Whether it is what people type, in any language.
fn is_text(material: &[u8]) -> bool {
    let is_typed = |c: char| !c.is_control() || c.is_whitespace();
    std::str::from_utf8(material).is_ok_and(|text| text.chars().all(is_typed))
}

/// The part that the whole is made of by repeating it. Of the second time, eight bytes must be seen: that a
/// last byte is the first one again means nothing.
fn without_repeats(material: &[u8]) -> &[u8] {
    const SEEN: usize = 8;
    let repeats = |period: &usize| material[*period..] == material[..material.len() - period];
    let period = (1..=material.len().saturating_sub(SEEN)).find(repeats);
    &material[..period.unwrap_or(material.len())]
}

/// Whether half of the bytes or more are different ones, and none is much more than a quarter of all. Of keys of
/// 16 random bytes one in a million fails; of 32, none that anybody will see.
fn is_varied(bytes: &[u8]) -> bool {
    let mut counts = HashMap::new();
    for byte in bytes {
        *counts.entry(byte).or_insert(0_usize) += 1;
    }
    let most = counts.values().copied().max().unwrap_or(0);
    counts.len() >= bytes.len().min(256) / 2 && most <= bytes.len() / 4 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that look random and are the same in every run.
    fn noise(len: usize, seed: u8) -> Vec<u8> {
        let block = |n: usize| -> [u8; 32] { Sha3_256::digest([seed, u8::try_from(n).unwrap()]).into() };
        (0..len.div_ceil(32)).flat_map(block).take(len).collect()
    }

    fn refusal(material: &[u8], bits: u32) -> String {
        check(material, bits).expect_err("it is taken")
    }

    #[test]
    fn random_bytes_are_taken() {
        for seed in 0..=255 {
            for (len, bits) in [(16, 128), (17, 128), (25, 200), (32, 256), (33, 256), (64, 256), (1024, 256)]
            {
                assert_eq!(check(&noise(len, seed), bits), Ok(()), "{len} bytes, seed {seed}");
            }
        }
    }

    #[test]
    fn length_is_counted_in_bits_and_repeats_once() {
        for (len, bits) in [(0, 128), (15, 128), (16, 129), (31, 256), (25, 201)] {
            assert!(refusal(&noise(len, 1), bits).contains("too few for min_entropy"));
        }
        assert!(refusal(&noise(1025, 1), 256).contains("longer than 1024"));
        let twice = noise(16, 1).repeat(2);
        assert!(refusal(&twice, 256).contains("every 16 bytes"));
        assert_eq!(check(&twice, 128), Ok(()));
        // Some that are cut off in the middle.
        assert!(refusal(&noise(16, 1).repeat(3)[..40], 256).contains("every 16 bytes"));
        assert!(refusal(&noise(24, 1).repeat(2)[..32], 256).contains("every 24 bytes"));
    }

    #[test]
    fn obvious_passwords_are_refused() {
        let counting: Vec<u8> = (100..=163).collect();
        let wide: Vec<u8> = b"A password!*abc^".iter().flat_map(|byte| [*byte, 0]).collect();
        let few: Vec<u8> = noise(64, 3).iter().map(|byte| byte % 8 + 128).collect();
        let mostly: Vec<u8> = noise(12, 4).into_iter().chain([0x80; 20]).collect();
        for (material, reason) in [
            (&[0; 32][..], "repeats itself every 1 "),
            (&[0xA5; 100], "repeats"),
            (&b"\x01\xFF".repeat(20), "repeats"),
            (&counting, "pattern"),
            (&counting.iter().rev().copied().collect::<Vec<_>>(), "pattern"),
            (&few, "pattern"),
            (&wide, "pattern"),
            (&mostly, "pattern"),
            (b"correct horse battery staple, and a bit more", "text"),
            ("пароль, который никто не знает".as_bytes(), "text"),
            (b"8f3a9c07d15be246f0817c3be59ad42608f3a9c07d15be246f0817c3be59ad42", "text"),
            (b"j9mX2rQkz0VwN5tYbH8uLcA1sGf7DePo/T+iUE4RhZ0=\n", "text"),
        ] {
            assert!(refusal(material, 256).contains(reason), "{material:?}: {}", refusal(material, 256));
        }
    }

    #[test]
    fn a_key_is_itself_and_others_are_hashed() {
        let own = noise(32, 5);
        assert_eq!(key(&own, 256).unwrap().expose(), &own[..]);
        let long = noise(33, 5);
        assert_eq!(key(&long, 256).unwrap().expose()[..], Sha3_256::digest([LABEL, &long].concat())[..]);
        let short = key(&noise(16, 5), 128).unwrap();
        assert_ne!(short.expose(), key(&noise(17, 5), 128).unwrap().expose());
    }
}
