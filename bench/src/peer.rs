//! The crate self_encryption, through its functions for data in memory; its chunks stay in the `Vec` that
//! `encrypt` returns.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use self_encryption::hash::content_hash;
use self_encryption::{XorName, streaming_decrypt};

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
    let by_name: HashMap<_, _> =
        chunks.iter().map(|chunk| (content_hash(&chunk.content), chunk.content.clone())).collect();
    let start = Instant::now();
    let fetch = |wanted: &[(usize, XorName)]| {
        Ok(wanted.iter().map(|(index, name)| (*index, by_name[name].clone())).collect())
    };
    let mut streamed = 0;
    for piece in streaming_decrypt(&map, fetch)? {
        streamed += piece?.len();
    }
    let stream = start.elapsed();

    if streamed != data.len() {
        return Err("self_encryption: other bytes were streamed".into());
    }
    let stored = chunks.iter().map(|chunk| chunk.content.len() as u64).sum();
    Ok(Run { encrypt, decrypt, stream, stored })
}
