use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueHint};
use serde_json::json;

use super::reading::{Source, pour};
use crate::exit::{Failure, Result};
use crate::output::{Mode, Output, is_dash, refuse_to_replace};
use crate::progress::Meter;
use crate::text::size;
use crate::ui::{Ui, print_json};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc decrypt photo.jpg.selfenc                         writes photo.jpg
  selfenc decrypt docs.selfenc -o - | tar x
  selfenc decrypt --name report --key-file key -o report.pdf

Every byte is checked before it is written; a run that fails leaves no output file.")]
pub(crate) struct Decrypt {
    #[command(flatten)]
    source: Source,

    /// Where the file goes [default: MAP without .selfenc]; '-' is standard output
    #[arg(short, long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,

    /// Replace a file that exists already
    #[arg(long)]
    force: bool,

    /// Print one JSON object instead of the closing line
    #[arg(long)]
    json: bool,
}

impl Decrypt {
    fn output_path(&self) -> Result<PathBuf> {
        match (&self.output, &self.source.map.map) {
            (Some(path), _) if is_dash(path) && self.json => {
                Err(Failure::usage("--json and '-o -' both want standard output").hint("write to a file"))
            }
            (Some(path), _) => Ok(path.clone()),
            (None, Some(map)) => without_suffix(map).ok_or_else(|| {
                Failure::usage(format!(
                    "'{}' does not end in .selfenc, so the file has no name",
                    map.display()
                ))
                .hint("say where it goes: -o FILE, or -o - for standard output")
            }),
            (None, None) => Err(Failure::usage("a map from the store does not tell the file's name")
                .hint("say where it goes: -o FILE, or -o - for standard output")),
        }
    }
}

fn without_suffix(map: &Path) -> Option<PathBuf> {
    // ".selfenc" alone is a name without a suffix, and so has none.
    (map.extension()? == "selfenc").then(|| map.with_extension(""))
}

pub(crate) async fn run(args: Decrypt, ui: Ui) -> Result<()> {
    let path = args.output_path()?;
    let needed = [args.source.map.map.as_ref(), args.source.map.key_file.as_ref()];
    refuse_to_replace(&path, needed.into_iter().flatten().map(PathBuf::as_path))?;
    let opened = args.source.open().await?;
    let output = Output::create(&path, args.force, Mode::Plain)?;

    let start = Instant::now();
    let meter = Meter::new(ui, "decrypting", None);
    let reader = opened.reader(&meter, ui).await?;
    let len = reader.len();
    pour(&reader, 0..len, output).await?.finish()?;
    meter.done();

    #[allow(clippy::cast_precision_loss)] // a rate for people
    let rate = len as f64 / f64::from(1 << 20) / start.elapsed().as_secs_f64().max(1e-6);
    if args.json {
        return print_json(&json!({
            "file": path.to_string_lossy(),
            "bytes": len,
            "seconds": start.elapsed().as_secs_f64(),
            "mib_per_second": rate,
        }));
    }
    ui.say(&format!("{} checked and written to {}, {rate:.1} MiB/s", size(len), path.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_comes_off_and_nothing_else() {
        let name = |map: &str| without_suffix(Path::new(map)).map(|p| p.to_str().unwrap().to_owned());
        assert_eq!(name("a/photo.jpg.selfenc").as_deref(), Some("a/photo.jpg"));
        assert_eq!(name("x.selfenc").as_deref(), Some("x"));
        for bad in ["photo.jpg", ".selfenc", "-", "selfenc", "a.selfenc/b"] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }
}
