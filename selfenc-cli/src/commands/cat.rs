use std::path::Path;

use clap::Args;

use super::reading::{Source, pour};
use crate::exit::Result;
use crate::output::{Mode, Output};
use crate::progress::Meter;
use crate::sizes::ByteRange;
use crate::ui::Ui;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc cat notes.txt.selfenc
  selfenc cat big.iso.selfenc --range 1G..1025M > part      the end is excluded
  selfenc cat log.selfenc --range 100M..                    from there to the end

Only the chunks that the range touches are fetched. What lies beyond the file's
end is left out.")]
pub(crate) struct Cat {
    #[command(flatten)]
    source: Source,

    /// The bytes from START up to, and without, END; either may be left out
    #[arg(long, value_name = "START..END")]
    range: Option<ByteRange>,
}

pub(crate) async fn run(args: Cat, ui: Ui) -> Result<()> {
    let opened = args.source.open().await?;
    let meter = Meter::new(ui, "reading", None);
    let reader = opened.reader(&meter, ui).await?;
    let range = args.range.map_or(0..reader.len(), |range| range.within(reader.len()));
    meter.expect(range.end - range.start);
    let output = Output::create(Path::new("-"), false, Mode::Plain)?;
    let output = pour(&reader, range, output).await?;
    meter.done();
    output.finish()
}
