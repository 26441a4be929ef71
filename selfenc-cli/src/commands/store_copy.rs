use std::sync::Arc;

use clap::Args;
use futures::stream::BoxStream;
use selfenc::Bytes;
use selfenc::async_trait;
use selfenc::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, ChunkStoreExt, OpenMode, PutOutcome, Result as StoreResult,
    StoreInfo,
};
use serde_json::json;

use crate::exit::Result;
use crate::progress::Meter;
use crate::stores::open;
use crate::text::size;
use crate::ui::{Ui, print_json};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc store copy file:/mnt/backup/chunks file:/mnt/second/chunks

Copies chunks alone: published names are not copied. What the target has already
is not sent, so a copy that was interrupted goes on where it stopped when it is
run again. The target is made if it is not there.")]
pub(crate) struct StoreCopy {
    /// The store to read
    #[arg(value_name = "SRC")]
    source: String,

    /// The store to copy into
    #[arg(value_name = "DST")]
    target: String,

    /// Print one JSON object instead of the closing line
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: StoreCopy, ui: Ui) -> Result<()> {
    let source = open(&args.source, OpenMode::Existing).await?;
    let target = open(&args.target, OpenMode::Create).await?;
    let meter = Meter::new(ui, "copying", None);
    let counted = Counted { inner: Arc::clone(&target) as _, meter: meter.clone() };
    let report = source.copy_to(&counted, None).await?;
    meter.done();
    if args.json {
        return print_json(&json!({
            "source": source.info().to_string(),
            "target": target.info().to_string(),
            "copied": report.copied,
            "present": report.present,
            "bytes": report.bytes,
        }));
    }
    ui.say(&format!(
        "{} chunks ({}) copied to {}, {} were there already; names are not copied",
        report.copied,
        size(report.bytes),
        target.info(),
        report.present
    ));
    Ok(())
}

/// The target of a copy, telling the meter of each chunk it has or gets.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn ChunkStore>,
    meter: Meter,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for Counted {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> StoreResult<PutOutcome> {
        let len = data.len() as u64;
        let outcome = self.inner.put(id, data).await?;
        self.meter.add(len);
        Ok(outcome)
    }

    async fn get(&self, id: ChunkId) -> StoreResult<Option<Bytes>> {
        self.inner.get(id).await
    }

    async fn delete(&self, id: ChunkId) -> StoreResult<()> {
        self.inner.delete(id).await
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, StoreResult<ChunkMeta>> {
        self.inner.list(after)
    }

    fn info(&self) -> StoreInfo {
        self.inner.info()
    }

    async fn stat(&self, id: ChunkId) -> StoreResult<Option<ChunkMeta>> {
        let found = self.inner.stat(id).await?;
        self.meter.add(found.map_or(0, |meta| meta.len));
        Ok(found)
    }

    async fn flush(&self) -> StoreResult<()> {
        self.inner.flush().await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<StoreResult<PutOutcome>> {
        self.inner.put_many(chunks).await
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<StoreResult<()>> {
        self.inner.delete_many(ids).await
    }
}
