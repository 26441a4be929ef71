//! A file into a store in a folder, its map sealed and published there under a name, and back.
//!
//! `cargo run -p selfenc-examples --example encrypt_file [FILE]`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;

use selfenc::store::{BackendExt, Expect, OpenMode, RootName, RootStore};
use selfenc::{DataMap, EncryptionConfig, Engine, FsConfig, GroupSecret, Scope, SealKey};
use tokio::fs::File;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../LICENSE-APACHE").into());
    let folder = tempfile::tempdir()?;
    let store = Arc::new(FsConfig::new(folder.path()).open(OpenMode::Create).await?);

    // Keep both: the secret lets later files share chunks with this one, the key opens the sealed map.
    let secret = GroupSecret::generate()?;
    let key = SealKey::generate()?;

    let engine = Engine::new(EncryptionConfig::new())?;
    let written = engine.write(store.clone(), &Scope::Group(secret), File::open(&path).await?).await?;
    let name = RootName::new("latest")?;
    store.publish(&name, Expect::Absent, written.map.seal(&key)?.into()).await?;
    println!("{path}: {} bytes in, {} stored", written.stats.bytes_in, written.stats.bytes_stored);

    let root = store.load(&name).await?.ok_or("the root is gone")?;
    let map = DataMap::unseal(&key, &root.value)?;
    let mut back = Vec::new();
    tokio::io::copy(&mut engine.open(store, map).into_async_read(), &mut back).await?;
    assert_eq!(back, tokio::fs::read(&path).await?);
    println!("and back, byte for byte");
    Ok(())
}
