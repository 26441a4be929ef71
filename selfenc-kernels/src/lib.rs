//! SHA3-256, SHAKE256 and AES-CBC over several messages at once.
//!
//! A SHA-3 hash of one message leaves most of a vector unit idle, and CBC encryption of one message
//! most of an AES unit: each step needs the one before. An engine that has many chunks in hand can fill
//! both. The functions here take several, of any lengths: a lane that ends takes the next one.
//!
//! ```
//! use selfenc_kernels::{Path, cbc, sha3_256, shake256};
//!
//! let path = Path::current();
//! let chunks: [&[u8]; 3] = [b"one", b"two", b"another"];
//! let digests = sha3_256(path, &chunks.map(|chunk| [b"label", chunk]));
//!
//! // A key, an initialisation vector and a pad of each.
//! let keys: Vec<[&[u8]; 2]> = digests.iter().map(|digest| [b"expand".as_slice(), digest]).collect();
//! let expanded = shake256::<112>(path, &keys);
//!
//! // Whole blocks, padded by the caller.
//! let mut data = [[0; 16]; 4];
//! let (key, rest) = expanded[0].split_first_chunk::<32>().unwrap();
//! let (iv, rest) = rest.split_first_chunk::<16>().unwrap();
//! let pad = rest.first_chunk::<64>().unwrap();
//! cbc::seal(path, &mut [cbc::Job { key, iv, pad, blocks: &mut data }]);
//! cbc::open(&mut cbc::Job { key, iv, pad, blocks: &mut data });
//! assert_eq!(data, [[0; 16]; 4]);
//! ```
//!
//! # Paths
//!
//! | [`Path`] | SHA3-256, SHAKE256 | sealing with AES-CBC | where |
//! |---|---|---|---|
//! | `portable` | the crates `sha3` and `shake`, one message after another | the crates `aes` and `cbc`, likewise | everywhere, and all there is on aarch64, where the crates use that CPU's SHA-3 and AES instructions |
//! | `avx2` | 4 messages to a vector | 8 chunks interleaved, if the CPU has AES-NI | x86-64 |
//! | `avx512` | 8 messages to a vector, up to 4 to half of one (AVX-512VL), or a row of one (AVX-512F) | the same | x86-64 |
//!
//! All paths give the same bytes. The best one is found when the program runs. `SELFENC_KERNELS`, set to
//! a name in the first column, forces another: see [`Path::current`] and [`Path::forced`]. Opening needs
//! no path: one chunk fills an AES unit, and the crates see to that, with VAES where it is.
//!
//! # Speed
//!
//! MiB/s of one core of an AMD EPYC of the Zen 3 generation at 1 MiB a message: the best of 75 runs, since
//! a neighbour on the same machine took up to half from SHA3-256 for seconds, on either path.
//!
//! | messages | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 |
//! |---|---|---|---|---|---|---|---|---|---|
//! | SHA3-256, `portable` | 325 | 331 | 329 | 327 | 329 | 329 | 327 | 326 | 324 |
//! | SHA3-256, `avx2` | 333 | 618 | 925 | 1229 | 796 | 915 | 1062 | 1211 | 927 |
//! | AES-256-CBC and pad, `portable` | 719 | 719 | 704 | 702 | 703 | 695 | 700 | 703 | 703 |
//! | AES-256-CBC and pad, `avx2` | 844 | 1680 | 2491 | 3306 | 4011 | 4558 | 5167 | 5080 | 3160 |
//!
//! Opening runs at 5400. The medians of 21 runs on a Xeon with AVX-512:
//!
//! | messages | 1 | 2 | 3 | 4 | 8 |
//! |---|---|---|---|---|---|
//! | SHA3-256, `portable` | 300 | 290 | 316 | 283 | 268 |
//! | SHA3-256, `avx2` | 308 | 388 | 570 | 773 | 706 |
//! | SHA3-256, `avx512` | 463 | 755 | 1127 | 1514 | 1972 |
//!
//! The last row's 2 to 4 are of another hour, in which 1 and 8 ran at 471 and 2342; in whole vectors they had run at
//! 589, 787 and 969.
//!
//! `cargo bench -p selfenc-bench --bench kernels` measures every path that the CPU has. A scalar
//! permutation of two states interleaved was slower than the crate's own of one, hence is not here.
//!
//! # What is safe
//!
//! The one crate of selfenc with `unsafe`. It is of two kinds: instructions that a CPU may lack, called
//! where a value proves that it was asked, and loads and stores of whole arrays by pointer. Scheduling,
//! padding and the order of the rounds are ordinary code. The tests hold each path that the CPU has against
//! the crates, and say which they could not run. Under Miri they run the portable path:
//!
//! ```sh
//! MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p selfenc-kernels --tests
//! ```
//!
//! and the vectors too, on any CPU, with `RUSTFLAGS=-Ctarget-feature=+avx2,+avx512f,+aes`.
//!
//! Messages may be secret: no branch and no address depends on their bytes, only on their lengths. States
//! and round keys in memory are wiped. What the compiler spilled to the stack is not.
//!
//! # Why not a crate
//!
//! Looked at on 2026-11-21 for SHA-3 over several messages on stable Rust: `purecrypto`, `lib-q-keccak` and
//! `asmcrypto` are young, whole toolkits of which this would be a corner, or have AVX-512 only. RustCrypto's
//! `keccak` 0.2, which the portable path stands on, has it behind portable SIMD, on nightly only. Once that
//! is stable, half of this crate can go.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod cbc;
mod keccak;
mod path;

pub use keccak::{Parts, sha3_256, shake256};
pub use path::{ForcedError, Path, VARIABLE};
