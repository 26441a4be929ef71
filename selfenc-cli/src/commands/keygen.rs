use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::exit::Result;
use crate::secrets::make_key_file;
use crate::ui::Ui;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc keygen -o key           for --key-file, which seals data maps
  selfenc keygen -o team-secret   for --secret-file, with which a team deduplicates

The file holds 32 random bytes as 64 hex digits, has mode 0600, and never
replaces another.")]
pub(crate) struct Keygen {
    /// The new file
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,
}

pub(crate) fn run(args: &Keygen, ui: Ui) -> Result<()> {
    make_key_file(&args.output)?;
    ui.say(&format!(
        "made {}; keep a copy: what it sealed cannot be opened without it",
        args.output.display()
    ));
    Ok(())
}
