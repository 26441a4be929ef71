use std::sync::Arc;

use clap::Args;
use futures::{StreamExt, TryStreamExt};
use selfenc::store::{Backend, ChunkId, ChunkMeta, Error};
use serde_json::json;
use tokio::sync::Semaphore;

use super::chunk_check::{Content, IN_FLIGHT, MEMORY_KIB, kib, read};
use crate::exit::{Failure, Result};
use crate::progress::Meter;
use crate::stores::UrlArg;
use crate::text::{count, size};
use crate::ui::{Ui, print, print_json};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc store scrub
  selfenc store scrub file:/mnt/backup/chunks --json

Prints the name of each damaged chunk and exits with 3 if there is one.
Published names are not read. Some 64 MiB of memory are enough for any store.")]
pub(crate) struct Scrub {
    #[command(flatten)]
    store: UrlArg,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What became of one chunk.
enum Verdict {
    Good(ChunkMeta),
    Damaged(ChunkMeta, String),
    /// Deleted since it was listed.
    Gone,
}

pub(crate) async fn run(args: Scrub, ui: Ui) -> Result<()> {
    let store = args.store.open().await?;
    let meter = Meter::new(ui, "scrubbing", None);
    let memory = Arc::new(Semaphore::new(MEMORY_KIB as usize));
    let mut verdicts = store
        .list(None)
        .map(|meta| check(Arc::clone(&store), Arc::clone(&memory), meta))
        .buffer_unordered(IN_FLIGHT);
    let (mut chunks, mut bytes) = (0u64, 0u64);
    let mut damaged: Vec<ChunkId> = Vec::new();
    while let Some(verdict) = verdicts.try_next().await? {
        let (Verdict::Good(meta) | Verdict::Damaged(meta, _)) = &verdict else { continue };
        chunks += 1;
        bytes = bytes.saturating_add(meta.len);
        meter.add(meta.len);
        if let Verdict::Damaged(meta, why) = verdict {
            damaged.push(meta.id);
            if !args.json {
                meter.suspend(|| print(&[format!("{} damaged: {why}", meta.id)]))?;
            }
        }
    }
    meter.done();
    finish(&args, &*store, ui, chunks, bytes, &damaged)
}

fn finish(
    args: &Scrub,
    store: &dyn Backend,
    ui: Ui,
    chunks: u64,
    bytes: u64,
    damaged: &[ChunkId],
) -> Result<()> {
    if args.json {
        print_json(&json!({
            "store": store.info().to_string(),
            "chunks": chunks,
            "bytes": bytes,
            "damaged": damaged.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))?;
    }
    if damaged.is_empty() {
        if !args.json {
            ui.say(&format!("{}, {} checked, all as their names say", count(chunks, "chunk"), size(bytes)));
        }
        return Ok(());
    }
    Err(Failure::damaged(format!("{} of {chunks} chunks in {} are damaged", damaged.len(), store.info())).hint(
        "remove them from the store, then encrypt the same files again or 'selfenc store copy' from a good store",
    ))
}

async fn check(
    store: Arc<dyn Backend>,
    memory: Arc<Semaphore>,
    meta: Result<ChunkMeta, Error>,
) -> Result<Verdict> {
    let meta = meta?;
    // It is never closed; were it, reading on without a limit would still be right.
    let _permit = memory.acquire_many(kib(meta.len)).await.ok();
    Ok(match read(&*store, meta.id).await? {
        Content::Good(_) => Verdict::Good(meta),
        Content::Damaged(why) => Verdict::Damaged(meta, why),
        Content::Gone => Verdict::Gone,
    })
}
