//! Reading parts of a large input: by offset, by seeking, and as a stream.
#![allow(clippy::print_stdout)]

use std::io::SeekFrom;
use std::sync::Arc;

use futures::TryStreamExt;
use selfenc::{EncryptionConfig, Engine, MemoryStore, Scope};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data: Vec<u8> = (0..20_000_000u32).map(|i| i.to_le_bytes()[1]).collect();
    // A read fetches whole chunks, for only whole chunks can be checked: small chunks, small reads.
    let config = EncryptionConfig::new().with_chunk_size(256 << 10);
    let engine = Engine::new(config)?;
    let store = Arc::new(MemoryStore::new());
    let reader = engine.open(store.clone(), engine.write_bytes(store, &Scope::Private, &data).await?.map);
    println!("{} bytes, {} entries in the map's root", reader.len(), reader.map().entries().count());

    let middle = reader.read_at(12_345_678, 4096).await?;
    assert_eq!(middle, data[12_345_678..][..4096]);
    println!("read_at: {} bytes from the middle", middle.len());

    let mut file = reader.clone().into_async_read();
    file.seek(SeekFrom::End(-100)).await?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).await?;
    assert_eq!(tail, data[data.len() - 100..]);
    println!("seek and read: the last {} bytes", tail.len());

    let streamed: u64 = reader
        .stream(1_000_000..3_000_000)
        .try_fold(0, async |sum, piece| Ok(sum + piece.len() as u64))
        .await?;
    assert_eq!(streamed, 2_000_000);
    println!("stream: {streamed} bytes in order");
    Ok(())
}
