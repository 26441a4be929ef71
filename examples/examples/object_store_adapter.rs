//! A program that speaks `object_store`, on an encrypted and deduplicated folder.
//!
//! `cargo run -p selfenc-examples --example object_store_adapter [FILE]`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;

use bytes::BytesMut;
use futures::stream::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use selfenc::store::OpenMode;
use selfenc::{EncryptionConfig, Engine, FsConfig, GroupSecret, ObjectStoreAdapter, Scope, SealKey};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file =
        std::env::args().nth(1).unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into());
    let folder = tempfile::tempdir()?;
    let store = Arc::new(FsConfig::new(folder.path()).open(OpenMode::Create).await?);

    // Keep both: the secret lets later objects share chunks with these, the key opens them.
    let scope = Scope::Group(GroupSecret::generate()?);
    let key = SealKey::generate()?;
    let engine = Engine::new(EncryptionConfig::new())?;
    let objects: Arc<dyn ObjectStore> = Arc::new(ObjectStoreAdapter::new(store, engine, scope, key)?);

    // In parts, so that a file of any size takes constant memory.
    let path = Path::from("inbox/file");
    let mut upload = objects.put_multipart(&path).await?;
    let mut input = File::open(&file).await?;
    loop {
        let mut part = BytesMut::with_capacity(1 << 20);
        if input.read_buf(&mut part).await? == 0 {
            break;
        }
        upload.put_part(part.freeze().into()).await?;
    }
    upload.complete().await?;

    objects.copy(&path, &Path::from("archive/file")).await?;
    let again = objects.put_opts(&path, "no".into(), PutMode::Create.into()).await;
    println!("create what is there: {}", again.err().ok_or("it was overwritten")?);

    for meta in objects.list(None).try_collect::<Vec<_>>().await? {
        println!("{:>10}  {}", meta.size, meta.location);
    }
    let body = objects.get(&Path::from("archive/file")).await?.bytes().await?;
    println!("the copy is whole: {}", body == std::fs::read(&file)?);
    Ok(())
}
