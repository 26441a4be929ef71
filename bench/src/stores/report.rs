//! From pairs of runs to medians, ratios and a table.

use std::time::Duration;

use selfenc_bench::stats::Summary;

use crate::chunks::Chunks;

/// How long it took to put all chunks, to get them all, and to list them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) put: Duration,
    pub(crate) get: Duration,
    pub(crate) list: Duration,
}

/// Two runs, one right after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) ours: Run,
    pub(crate) theirs: Run,
}

/// The head of a table.
pub(crate) fn head(title: &str) {
    println!("{title}");
    println!("| chunks         | work | ours           | the engine     |  ratio |   least – most |");
    println!("|---|---|--:|--:|--:|--:|");
}

/// The lines of one length.
pub(crate) fn rows(chunks: &Chunks, pairs: &[Pair]) {
    row(chunks, "put", pairs, |run| run.put);
    row(chunks, "get", pairs, |run| run.get);
    row(chunks, "list", pairs, |run| run.list);
}

fn row(chunks: &Chunks, work: &str, pairs: &[Pair], time: fn(&Run) -> Duration) {
    let ours = pairs.iter().map(|pair| time(&pair.ours).as_secs_f64());
    let theirs = pairs.iter().map(|pair| time(&pair.theirs).as_secs_f64());
    let ratio = Summary::of_ratios(theirs.clone(), ours.clone());
    let (Some(ours), Some(theirs), Some(ratio)) = (Summary::of(ours), Summary::of(theirs), ratio) else {
        return;
    };
    println!(
        "| {:<14} | {work:<4} | {:>14} | {:>14} | {:>6.2} | {:>14} |",
        name(chunks),
        speed(chunks, work, ours.median),
        speed(chunks, work, theirs.median),
        ratio.median,
        format!("{:.2} – {:.2}", ratio.min, ratio.max),
    );
}

/// Such as "4096 of 4 KiB".
pub(crate) fn name(chunks: &Chunks) -> String {
    let kib = chunks.len >> 10;
    let len = if kib < 1024 { format!("{kib} KiB") } else { format!("{} MiB", kib >> 10) };
    format!("{} of {len}", chunks.items.len())
}

/// Chunks a second for short chunks and for listings, where the bytes do not count; else MiB a second.
pub(crate) fn speed(chunks: &Chunks, work: &str, seconds: f64) -> String {
    if work == "list" || chunks.len < 1 << 16 {
        format!("{:.0} /s", chunks.items.len() as f64 / seconds)
    } else {
        format!("{:.0} MiB/s", chunks.mib() / seconds)
    }
}
