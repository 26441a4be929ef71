//! From the JSON of a run to the tables and plots of the documentation.

mod chart;
mod goals;
mod markers;
mod plots;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use selfenc_bench::Result;

use crate::results::Results;

/// Writes what a run found into the documentation.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc-bench render bench.json
  selfenc-bench render bench.json --check

In performance.md only what is between '<!-- bench: begin NAME -->' and '<!-- bench: end NAME -->' is replaced,
each on a line of its own. Plots go into the folder plots.")]
pub(crate) struct Render {
    /// What end-to-end wrote
    #[arg(value_name = "FILE")]
    json: PathBuf,
    /// The folder that holds performance.md
    #[arg(long, value_name = "DIR", default_value = "docs")]
    docs: PathBuf,
    /// Write nothing; fail if anything is not as this file says
    #[arg(long)]
    check: bool,
}

/// Writes or checks the document and the plots.
pub(crate) fn run(args: &Render) -> Result<()> {
    let results = Results::read(&args.json)?;
    let document = args.docs.join("performance.md");
    let text = fs::read_to_string(&document)
        .map_err(|e| format!("cannot read {}: {e}; name its folder with --docs", document.display()))?;
    let rendered = markers::replace(&text, &tables::all(&results)?)
        .map_err(|e| format!("{}: {e}", document.display()))?;
    let plots = args.docs.join("plots");
    let mut files = vec![(document, rendered)];
    files.extend(plots::all(&results)?.into_iter().map(|(name, svg)| (plots.join(name), svg)));

    let stale: Vec<_> = files.iter().filter(|(path, text)| !is(path, text)).collect();
    if args.check {
        let names: Vec<_> = stale.iter().map(|(path, _)| path.display().to_string()).collect();
        if !names.is_empty() {
            return Err(format!("not as {} says: {}", args.json.display(), names.join(", ")).into());
        }
        println!("up to date");
        return Ok(());
    }
    fs::create_dir_all(&plots)?;
    for (path, text) in stale {
        fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn is(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|found| found == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_fails_until_everything_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let json = dir.path().join("bench.json");
        let results = tables::tests::complete();
        results.write(&json).unwrap();
        let document = dir.path().join("performance.md");
        let names = tables::all(&results).unwrap();
        let marked: String = names
            .iter()
            .map(|(name, _)| format!("<!-- bench: begin {name} -->\n<!-- bench: end {name} -->\n"))
            .collect();
        fs::write(&document, marked).unwrap();

        let render = |check| run(&Render { json: json.clone(), docs: dir.path().into(), check });
        assert!(render(true).unwrap_err().to_string().contains("performance.md"));
        render(false).unwrap();
        render(true).unwrap();
        let plot = fs::read_dir(dir.path().join("plots")).unwrap().next().unwrap().unwrap().path();
        fs::write(&plot, "other").unwrap();
        let error = render(true).unwrap_err().to_string();
        assert!(error.contains("plots") && !error.contains("performance.md"), "{error}");
    }
}
