//! The crate self_encryption, through its functions for data in memory; its chunks stay in the `Vec` that
//! `encrypt` returns.

use std::time::Instant;

use bytes::Bytes;

use crate::Result;
use crate::report::Run;

/// Encrypts `data` and decrypts it again, timing both.
pub(crate) fn round_trip(data: &Bytes) -> Result<Run> {
    let start = Instant::now();
    let (map, chunks) = self_encryption::encrypt(data.clone())?;
    let encrypt = start.elapsed();

    let start = Instant::now();
    let back = self_encryption::decrypt(&map, &chunks)?;
    let decrypt = start.elapsed();

    if back != *data {
        return Err("self_encryption: other bytes came back".into());
    }
    let stored = chunks.iter().map(|chunk| chunk.content.len() as u64).sum();
    Ok(Run { encrypt, decrypt, stored })
}
