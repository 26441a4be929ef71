//! Probe P1: whether compressing a chunk is worth trying, in integers only, so that every machine agrees.

/// Chunks shorter than this are always tried.
const ALWAYS: usize = 64 << 10;
const WINDOWS: usize = 16;
const WINDOW: usize = 4096;
/// T. Uniformly random bytes give 65 536²/256 + 65 536 · 255/256 ≈ 16 842 500 with a deviation of about
/// 5 800. What is at or below T is taken for random: gzip, zstd, WOFF2 and PDF files measured 1.004 to
/// 1.022 times 2^24, JPEG 1.12, text and machine code far more. A chunk that mixes random bytes with text
/// passes T where about a fifteenth of it is text, before compressing it would pay. Frozen by the vectors.
const T: u64 = (1 << 24) + (1 << 20);

pub(super) fn worth_trying(plain: &[u8]) -> bool {
    plain.len() < ALWAYS || sum_of_squares(plain) > T
}

/// Counts byte values in sixteen windows spread evenly over the chunk: Σ count².
fn sum_of_squares(plain: &[u8]) -> u64 {
    let mut counts = [0u64; 256];
    for j in 0..WINDOWS {
        let start = j * (plain.len() - WINDOW) / (WINDOWS - 1);
        for &byte in &plain[start..start + WINDOW] {
            counts[usize::from(byte)] += 1;
        }
    }
    counts.iter().map(|count| count * count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn random_bytes_are_not_worth_it_and_base64_is() {
        let random = random(1 << 20);
        assert!(!worth_trying(&random));
        assert!(worth_trying(&random[..ALWAYS - 1]));
        let base64: Vec<u8> = random.iter().map(|byte| b'A' + byte % 64).collect();
        assert!(worth_trying(&base64));
    }

    #[test]
    fn a_quarter_of_text_among_random_bytes_is_worth_it() {
        let mut mixed = random(1 << 20);
        mixed[..1 << 18].fill(b' ');
        assert!(worth_trying(&mixed));
    }
}
