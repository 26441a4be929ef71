use clap::Args;
use serde_json::json;

use super::reading::Source;
use crate::exit::Result;
use crate::progress::Meter;
use crate::text::{count, size};
use crate::ui::{Ui, print_json};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc verify photo.jpg.selfenc
  selfenc verify docs.selfenc --store file:/mnt/backup/chunks --json

Fetches, decrypts and checks every chunk and every page of the map. Exits with 3
at the first one that is damaged or missing, naming it.")]
pub(crate) struct Verify {
    #[command(flatten)]
    source: Source,

    /// Print one JSON object instead of the closing line
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Verify, ui: Ui) -> Result<()> {
    let opened = args.source.open().await?;
    let meter = Meter::new(ui, "verifying", Some(opened.map.len()));
    let verified = opened.reader(&meter).verify().await?;
    meter.done();
    if args.json {
        return print_json(&json!({
            "map": args.source.map.shown(),
            "bytes": verified.bytes,
            "chunks": verified.chunks,
            "pages": verified.pages,
        }));
    }
    ui.say(&format!(
        "{}: {} in {} and {}, all as they should be",
        args.source.map.shown(),
        size(verified.bytes),
        count(verified.chunks, "chunk"),
        count(verified.pages, "map page")
    ));
    Ok(())
}
