//! A reader of the selfenc format, written from `docs/format.md` alone.
//!
//! The oracle that the engine is held against: short, plain, slow, and without a line in common with it.
//! Section and rule numbers (4, M5, K2 …) are those of `docs/format.md`. Errors start with the rule that was
//! broken, so that a test can tell one rejection from another.

// Each test file that says `mod reference;` uses a part of this.
#![allow(dead_code, unused_imports)]

mod chunk;
mod codec;
mod map;
mod sealed;
mod suite;

pub(crate) use map::{read, read_with};
pub(crate) use sealed::unseal;

/// Where the chunks are: the bytes stored under a name, or nothing.
pub(crate) type Store<'a> = dyn Fn(&[u8; 32]) -> Option<Vec<u8>> + 'a;

// Section 1.
const MAX_LEN: u64 = 64 << 20;
const MAX_STORED: u32 = 68 << 20;
const FAN: usize = 512;
const MAX_LEVEL: u8 = 7;
const INLINE: u64 = 4096;
const ENTRY: usize = 108;

/// Rejects unless `ok`. `what` starts with the number of the rule.
fn check(ok: bool, what: &str) -> Result<(), String> {
    if ok { Ok(()) } else { Err(what.to_owned()) }
}

/// Reads fields from the left of a byte string. Running out of bytes is an error, never a panic.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (field, rest) = self.0.split_at_checked(n).ok_or("too short")?;
        self.0 = rest;
        Ok(field)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.bytes(N)?.try_into().map_err(|_| "too short".to_owned())
    }

    fn u8(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
