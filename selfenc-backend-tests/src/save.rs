use std::path::{Path, PathBuf};

use crate::{Harness, Options, Report, run};

/// The folder that [`write_report`] writes to.
const FOLDER: &str = "SELFENC_REPORTS";

/// Runs the suite and writes its report to `NAME.json` in the folder `$SELFENC_REPORTS`: the body of an
/// ignored `#[test]`, one for each backend, from which a table of compatibility is made.
///
/// The scale and the seed come from the environment; see [`Options::from_env`]. The report calls the store
/// `name`, since where it stood is of no interest later.
///
/// # Panics
/// If the suite finds a failure (the report is written all the same), and if it cannot be written.
pub fn write_report(name: &str, harness: &dyn Harness) {
    let folder = folder().unwrap_or_else(|e| panic!("{e}"));
    let options = Options::from_env().unwrap_or_else(|e| panic!("{name}: {e}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let mut report = runtime.expect("a runtime").block_on(run(harness, &options));
    name.clone_into(&mut report.store);
    for row in &mut report.rows {
        row.seconds = (row.seconds * 1000.0).round() / 1000.0;
    }
    save(&folder, &report).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.is_ok(), "{report}");
}

fn folder() -> Result<PathBuf, String> {
    let help = format!("set {FOLDER} to the absolute path of the folder for reports");
    let folder = PathBuf::from(std::env::var_os(FOLDER).ok_or(&help)?);
    // Tests run in their own package's folder, which nobody means by a relative path.
    if folder.is_absolute() && folder.is_dir() { Ok(folder) } else { Err(help) }
}

fn save(folder: &Path, report: &Report) -> Result<(), String> {
    let path = folder.join(format!("{}.json", report.store));
    std::fs::write(&path, report.to_json() + "\n")
        .map_err(|e| format!("cannot write {}: {e}", path.display()))
}
