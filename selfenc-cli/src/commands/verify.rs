use clap::Args;
use futures::StreamExt;
use selfenc::Error;
use selfenc::store::ChunkId;
use serde_json::json;

use super::reading::Source;
use crate::exit::{Failure, Result};
use crate::progress::Meter;
use crate::text::{count, size};
use crate::ui::{Ui, print, print_json};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc verify photo.jpg.selfenc
  selfenc verify docs.selfenc --store file:/mnt/backup/chunks --json

Fetches, decrypts and checks every chunk and every page of the map. Names each
one that is damaged or missing, and then exits with 3; what is under a page that
cannot be read is not looked at.")]
pub(crate) struct Verify {
    #[command(flatten)]
    source: Source,

    /// Print one JSON object instead of the closing line
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Verify, ui: Ui) -> Result<()> {
    let opened = args.source.open().await?;
    let meter = Meter::new(ui, "verifying", None);
    let reader = opened.reader(&meter, ui).await?;
    let mut checks = reader.check();
    let (mut chunks, mut bytes, mut damaged) = (0u64, 0u64, Vec::new());
    while let Some(check) = checks.next().await {
        match check {
            Ok(len) => (chunks, bytes) = (chunks + 1, bytes + len),
            Err(e @ (Error::Corrupt { chunk } | Error::ChunkMissing { chunk })) => {
                if !args.json {
                    meter.suspend(|| print(&[format!("{chunk} {}", problem(&e))]))?;
                }
                damaged.push((chunk, problem(&e)));
            }
            Err(e) => return Err(e.into()),
        }
    }
    meter.done();
    let bytes = if reader.is_inline() { reader.len() } else { bytes };
    finish(&args, ui, chunks, bytes, &damaged)
}

fn problem(error: &Error) -> &'static str {
    if matches!(error, Error::ChunkMissing { .. }) { "missing" } else { "damaged" }
}

fn finish(args: &Verify, ui: Ui, chunks: u64, bytes: u64, damaged: &[(ChunkId, &str)]) -> Result<()> {
    if args.json {
        let damaged: Vec<_> = damaged
            .iter()
            .map(|(id, problem)| json!({ "chunk": id.to_string(), "problem": problem }))
            .collect();
        print_json(&json!({
            "map": args.source.map.shown(),
            "bytes": bytes,
            "chunks": chunks,
            "damaged": damaged,
        }))?;
    }
    let shown = args.source.map.shown();
    if !damaged.is_empty() {
        // A map page is a chunk too.
        let bad = count(damaged.len() as u64, "chunk");
        let missing = damaged.iter().all(|(_, problem)| *problem == "missing");
        return Err(Failure::damaged(format!("{shown}: damaged or missing: {bad}")).hint(if missing {
            "probably the wrong --store: give the one the file was encrypted into"
        } else {
            "remove what is damaged from the store, then encrypt the same file again or copy from a good store"
        }));
    }
    if !args.json {
        let chunks = count(chunks, "chunk");
        ui.say(&format!("{shown}: {} in {chunks}, all as they should be", size(bytes)));
    }
    Ok(())
}
