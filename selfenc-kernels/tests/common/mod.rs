//! What the tests of all kernels need.

use std::io::Write as _;
use std::sync::Once;

use selfenc_kernels::Path;

/// The paths to test: all that this CPU has. Says once, past the capture of output, which those are.
pub(crate) fn paths() -> Vec<Path> {
    static SAID: Once = Once::new();
    let available = Path::available();
    SAID.call_once(|| {
        let mut line = String::new();
        for path in [Path::Portable, Path::Avx2, Path::Avx512] {
            let verdict = if available.contains(&path) { "tested" } else { "NOT TESTED, this CPU lacks it" };
            line += &format!("path {path}: {verdict}\n");
        }
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    });
    available
}

/// Bytes without a pattern that a wrong kernel could share (a xorshift generator).
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        word.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}
