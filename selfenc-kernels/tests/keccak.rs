//! SHA3-256 and SHAKE256 on every path, against published answers and against the crates.
#![allow(clippy::unwrap_used)]

mod common;

use common::{noise, paths};
use proptest::prelude::*;
use selfenc_kernels::{Parts, Path, sha3_256, shake256};
use sha3::{Digest as _, Sha3_256};
use shake::{ExtendableOutput, Shake256, Update, XofReader};

const COUNTS: std::ops::RangeInclusive<usize> = 1..=9;

fn sha3_256_of(prefix: &[u8], message: &[u8]) -> [u8; 32] {
    Sha3_256::new().chain_update(prefix).chain_update(message).finalize().into()
}

fn shake256_of<const OUT: usize>(prefix: &[u8], message: &[u8]) -> [u8; OUT] {
    let mut shake = Shake256::default();
    shake.update(prefix);
    shake.update(message);
    let mut output = [0; OUT];
    shake.finalize_xof().read(&mut output);
    output
}

/// The same label before each.
fn after<'a>(label: &'a [u8], messages: &[&'a [u8]]) -> Vec<Parts<'a>> {
    messages.iter().map(|message| [label, *message]).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// From NIST's examples of FIPS 202: empty, 24 bits, 448 bits, 1600 bits of 0xa3.
#[test]
fn published_answers() {
    let messages: [&[u8]; 4] =
        [b"", b"abc", b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", &[0xa3; 200]];
    let sha3 = [
        "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
        "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
        "41c0dba2a9d6240849100376a8235e2c82e1b9998a999e21db32dd97496d3376",
        "79f38adec5c20307a98ef76e8324afbfd46cfd81b22e3973c65fa1bd9de31787",
    ];
    let shake = [
        "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f",
        "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739",
        "4d8c2dd2435a0128eefbb8c36f6f87133a7911e18d979ee1ae6be5d4fd2e3329",
        "cd8a920ed141aa0407a22d59288652e9d9f1a7ee0c1e7c1ca699424da84a904d",
    ];
    for path in paths() {
        for (digest, expected) in sha3_256(path, &after(b"", &messages)).iter().zip(sha3) {
            assert_eq!(hex(digest), expected, "{path}");
        }
        for (output, expected) in shake256::<32>(path, &after(b"", &messages)).iter().zip(shake) {
            assert_eq!(hex(output), expected, "{path}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes hours")]
fn every_length_and_every_number_of_messages() {
    let bytes = noise(5000);
    for len in 0..=4096 {
        let messages: Vec<&[u8]> = COUNTS.map(|start| &bytes[start..start + len]).collect();
        let digests: Vec<_> = messages.iter().map(|message| sha3_256_of(b"", message)).collect();
        for path in paths() {
            for count in COUNTS {
                let found = sha3_256(path, &after(b"", &messages[..count]));
                assert_eq!(found, digests[..count], "{path}, {count} of {len} bytes");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes hours")]
fn every_length_and_every_number_of_keys() {
    let bytes = noise(5000);
    // One less than a block apart: every length once, each with other lengths around it.
    for len in 0..=4096 {
        let lens = COUNTS.map(|nth| (len + (nth - 1) * 135) % 4097);
        let messages: Vec<&[u8]> = lens.zip(COUNTS).map(|(len, from)| &bytes[from..from + len]).collect();
        let keys: Vec<_> = messages.iter().map(|message| shake256_of::<112>(b"", message)).collect();
        for path in paths() {
            for count in COUNTS {
                let found = shake256::<112>(path, &after(b"", &messages[..count]));
                assert_eq!(*found, keys[..count], "{path}, {count} from {len} bytes");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes hours")]
fn every_length_of_prefix() {
    let bytes = noise(1000);
    let messages: Vec<&[u8]> = [0, 1, 33, 136, 135, 700, 271, 272, 9].map(|len| &bytes[..len]).to_vec();
    for len in 0..=300 {
        let prefix = &bytes[100..100 + len];
        let digests: Vec<_> = messages.iter().map(|message| sha3_256_of(prefix, message)).collect();
        let keys: Vec<_> = messages.iter().map(|message| shake256_of::<80>(prefix, message)).collect();
        for path in paths() {
            assert_eq!(sha3_256(path, &after(prefix, &messages)), digests, "{path}, prefix of {len}");
            assert_eq!(*shake256::<80>(path, &after(prefix, &messages)), keys, "{path}, prefix of {len}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes ten minutes")]
fn outputs_of_any_length() {
    fn agree<const OUT: usize>(path: Path, messages: &[&[u8]]) {
        let expected: Vec<_> = messages.iter().map(|message| shake256_of::<OUT>(b"p", message)).collect();
        assert_eq!(*shake256::<OUT>(path, &after(b"p", messages)), expected, "{path}, {OUT} bytes");
    }
    let bytes = noise(600);
    let messages: Vec<&[u8]> = [5, 600, 136, 271, 0].map(|len| &bytes[..len]).to_vec();
    for path in paths() {
        agree::<0>(path, &messages);
        agree::<1>(path, &messages);
        agree::<135>(path, &messages);
        agree::<136>(path, &messages);
        agree::<137>(path, &messages);
        agree::<1000>(path, &messages);
    }
}

#[test]
fn no_messages() {
    for path in paths() {
        assert_eq!(sha3_256(path, &after(b"prefix", &[])), Vec::<[u8; 32]>::new());
        assert_eq!(*shake256::<8>(path, &after(b"prefix", &[])), Vec::<[u8; 8]>::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(miri, ignore = "takes hours")]
    fn lengths_in_any_mix(
        sizes in prop::collection::vec((0..=300_usize, 0..=4096_usize, 0..4096_usize), 0..=20),
    ) {
        let bytes = noise(8192);
        let parts = |&(label, len, from): &(usize, usize, usize)| [&bytes[..label], &bytes[from..from + len]];
        let messages: Vec<Parts<'_>> = sizes.iter().map(parts).collect();
        let digests: Vec<_> = messages.iter().map(|[first, second]| sha3_256_of(first, second)).collect();
        let keys: Vec<_> = messages.iter().map(|[first, second]| shake256_of::<112>(first, second)).collect();
        for path in paths() {
            prop_assert_eq!(&sha3_256(path, &messages), &digests, "{}", path);
            prop_assert_eq!(&*shake256::<112>(path, &messages), &keys, "{}", path);
        }
    }
}
