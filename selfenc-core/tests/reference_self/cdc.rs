//! Section 9.2: the algorithm as the document has it makes the cuts of the crate that it names.

use fastcdc::v2020::{FastCDC, MASKS, Normalization};

use super::random;

/// `docs/gear.txt`.
fn gear() -> Vec<u64> {
    let text = include_str!("../../../docs/gear.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).map(|word| u64::from_str_radix(word, 16).expect("hex")).collect()
}

/// `k` of section 9.2, in integers.
fn k(avg: u64) -> usize {
    let b = avg.ilog2();
    let up = avg * avg > 1 << (2 * b + 1);
    b as usize + usize::from(up)
}

/// `cut` of section 9.2.
fn cut(gear: &[u64], seed: u64, [min, avg, max]: [usize; 3], input: &[u8]) -> usize {
    let (strict, loose) = (MASKS[k(avg as u64) + 1], MASKS[k(avg as u64) - 1]);
    let w = &input[..input.len().min(max)];
    let n = w.len();
    if n <= min {
        return n;
    }
    let c = avg.min(n);
    let mut h = 0_u64;
    for i in min..2 * (n / 2) {
        let mask = if i < 2 * (c / 2) { strict } else { loose };
        h = (h << 1).wrapping_add(gear[w[i] as usize] ^ seed);
        if h & mask == 0 {
            return i;
        }
    }
    n
}

#[test]
fn gear_table_is_the_published_one() {
    assert_eq!(gear(), fastcdc::v2020::get_gear_with_seed(0).0.as_ref());
}

#[test]
fn cuts_are_those_of_the_crate() {
    let gear = gear();
    let zeros = vec![0; 100_001];
    let inputs = [random(300_001), random(299_998), zeros, random(63), random(65), vec![]];
    let sizes = [
        [64, 256, 1024],
        [64, 256, 1026],
        [256, 362, 1024],
        [256, 364, 2048],
        [64, 724, 1024],
        [64, 726, 1024],
        [1024, 1024, 1024],
        [2048, 8192, 16_384],
        [4096, 50_000, 120_000],
    ];
    for seed in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
        for [min, avg, max] in sizes {
            for input in &inputs {
                let level = Normalization::Level1;
                let theirs: Vec<usize> = FastCDC::with_level_and_seed(input, min, avg, max, level, seed)
                    .map(|chunk| chunk.length)
                    .collect();
                let mut ours = Vec::new();
                let mut rest = input.as_slice();
                while !rest.is_empty() {
                    let len = cut(&gear, seed, [min, avg, max], rest);
                    ours.push(len);
                    rest = &rest[len..];
                }
                assert_eq!(ours, theirs, "{min} {avg} {max} seed {seed}");
            }
        }
    }
}

/// The masks in the document's table, and the rounding of log2 over the whole range of averages.
#[test]
fn masks_and_rounding() {
    let document = include_str!("../../../docs/format.md");
    for (k, mask) in MASKS.iter().enumerate().take(24).skip(7) {
        assert!(document.contains(&format!("| {k} | `{mask:016x}` |")), "MASK[{k}]");
    }
    for avg in (256..=4_194_304_u32).step_by(2) {
        let (strict, loose) = fastcdc::v2020::select_masks(avg as usize, Normalization::Level1);
        let k = k(u64::from(avg));
        assert!(strict == MASKS[k + 1] && loose == MASKS[k - 1], "average {avg}");
    }
}
