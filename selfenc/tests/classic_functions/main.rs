//! The functions of self_encryption: against the published crate, release 0.36.2, with closures of every kind,
//! and against what the originals get wrong.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // in a test, a panic is the report

mod closures;
mod defects;
mod files;
mod maps;
mod original;
mod parts;

use std::collections::HashMap;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use selfenc::classic::functions::{DataMap, EncryptedChunk, SelfEncryption, XorName, encrypt};
use selfenc::compat::Generation;
use selfenc::{Bytes, Error, Result};

type Storage = HashMap<XorName, Bytes>;

/// What is stored of many chunks, each with its index.
type Answer = Vec<(usize, Bytes)>;

/// Bytes that do not compress, the same for the same seed.
fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(len);
    bytes
}

/// Every other 10 000 bytes compress.
fn mixed(len: usize) -> Vec<u8> {
    let mut bytes = random(7, len);
    bytes.chunks_mut(10_000).step_by(2).for_each(|piece| {
        piece.iter_mut().enumerate().for_each(|(at, byte)| *byte = b"some text, again and again. "[at % 28]);
    });
    bytes
}

fn cutting(generation: Generation, max_chunk_size: usize) -> SelfEncryption {
    SelfEncryption::new(generation).with_max_chunk_size(max_chunk_size)
}

fn stored(generation: Generation, chunks: &[EncryptedChunk]) -> Storage {
    let entry = |chunk: &EncryptedChunk| (XorName(generation.hash(&chunk.content)), chunk.content.clone());
    chunks.iter().map(entry).collect()
}

/// Data of these bytes in `len / max_chunk_size` chunks and more, shrunk.
fn written(generation: Generation, data: &[u8], max_chunk_size: usize) -> (DataMap, Storage) {
    let (map, chunks) = cutting(generation, max_chunk_size).encrypt(data.to_vec().into()).unwrap();
    (map, stored(generation, &chunks))
}

/// A closure that brings one chunk.
fn one(storage: &Storage) -> impl FnMut(XorName) -> Result<Bytes> {
    |name| storage.get(&name).cloned().ok_or(Error::ChunkMissing { chunk: name.into() })
}

/// A closure that brings what there is of many chunks.
fn many(storage: &Storage) -> impl Fn(&[(usize, XorName)]) -> Result<Answer> {
    |wanted| {
        Ok(wanted.iter().filter_map(|(index, name)| Some((*index, storage.get(name)?.clone()))).collect())
    }
}

/// Three chunks of an input of three bytes.
fn small() -> (DataMap, Vec<EncryptedChunk>) {
    encrypt("abc".into()).unwrap()
}

/// What `f` returns, which must not take long: nothing ever hangs.
fn in_time<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _ = sender.send(f());
    });
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().expect_err("it sent nothing"))
        }
    }
}
