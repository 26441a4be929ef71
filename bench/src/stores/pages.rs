//! SQLite's page sizes, and puts in one transaction against a transaction each.

use std::path::Path;
use std::sync::Arc;

use selfenc::store::OpenMode;
use selfenc_bench::Result;
use selfenc_bench::stats::Summary;
use selfenc_sqlite::SqliteConfig;

use crate::chunks::Chunks;
use crate::ours;
use crate::report::{Run, name, speed};

const PAGES: [u32; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];

/// Prints a table over page sizes, with grouped puts and without.
pub(crate) async fn measure(dir: &Path, rounds: u32) -> Result<()> {
    println!(
        "| chunks         | page   | puts     | put            | get            | list           | file, MiB |"
    );
    println!("|---|---|---|--:|--:|--:|--:|");
    for chunks in Chunks::sizes(128) {
        // Round by round over all settings, so that a slow minute slows them all.
        let settings: Vec<_> = PAGES.iter().flat_map(|page| [(*page, true), (*page, false)]).collect();
        let mut runs = vec![Vec::new(); settings.len()];
        let mut sizes = vec![0; settings.len()];
        for round in 0..=rounds {
            for (i, (page, grouped)) in settings.iter().enumerate() {
                let (run, size) = one(dir, &chunks, *page, *grouped).await?;
                sizes[i] = size;
                if round > 0 {
                    runs[i].push(run);
                }
            }
        }
        for (i, (page, grouped)) in settings.iter().enumerate() {
            let of = |time: fn(&Run) -> f64| {
                Summary::of(runs[i].iter().map(time)).map_or(f64::NAN, |all| all.median)
            };
            println!(
                "| {:<14} | {:>2} KiB | {:<8} | {:>14} | {:>14} | {:>14} | {:>9} |",
                name(&chunks),
                page >> 10,
                if *grouped { "grouped" } else { "one each" },
                speed(&chunks, "put", of(|run| run.put.as_secs_f64())),
                speed(&chunks, "get", of(|run| run.get.as_secs_f64())),
                speed(&chunks, "list", of(|run| run.list.as_secs_f64())),
                sizes[i] >> 20,
            );
        }
    }
    Ok(())
}

/// One run, and the length of the file after it.
async fn one(dir: &Path, chunks: &Chunks, page: u32, grouped: bool) -> Result<(Run, u64)> {
    let dir = tempfile::tempdir_in(dir)?;
    let file = dir.path().join("store.db");
    let config = SqliteConfig::new(&file).with_page_size(page);
    let config = if grouped { config } else { config.with_group_bytes(0) };
    let run = ours::measure(Arc::new(config.open(OpenMode::Create).await?), chunks).await?;
    Ok((run, std::fs::metadata(&file)?.len()))
}
