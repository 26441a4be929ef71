//! The same program over any store, chosen by URL: a file is encrypted into each store that this machine
//! can have, and read back.
//!
//! `cargo run -p selfenc-examples --example any_store [URL]…`
#![allow(clippy::print_stdout)]

use std::error::Error;

use futures::TryStreamExt;
use selfenc::store::{ChunkStore, ChunkStoreExt, OpenMode};
use selfenc::{EncryptionConfig, Engine, Scope, open_store};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().display();
    let mut urls: Vec<String> = std::env::args().skip(1).collect();
    if urls.is_empty() {
        urls = vec![
            "memory:".to_owned(),
            format!("file:{dir}/files"),
            format!("sqlite:{dir}/one-file.db"),
            format!("sled:{dir}/sled"),
            format!("objects:{dir}/objects"), // the crate object_store, on a folder
        ];
    }

    let engine = Engine::new(EncryptionConfig::new())?;
    let data: Vec<u8> = (0..1_250_000_u32).flat_map(|i| (i ^ i >> 11).to_le_bytes()).collect();
    for url in &urls {
        let store = open_store(url, OpenMode::Create).await?;
        let written = engine.write_bytes(store.clone(), &Scope::Public, &data).await?;
        store.flush().await?; // from here on the chunks are as durable as this store makes anything
        let len = written.map.len();
        let back: Vec<_> = engine.open(store.clone(), written.map).stream(0..len).try_collect().await?;
        assert_eq!(back.concat(), data);
        println!(
            "{:<24} {} chunks, durable {:?}",
            store.info().to_string(),
            store.count().await?,
            store.capabilities().durability
        );
    }
    Ok(())
}
