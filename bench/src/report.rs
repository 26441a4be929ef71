//! From pairs of runs to medians, ratios and a table.

use std::time::Duration;

use selfenc_bench::stats::Summary;

/// How long one round trip took: to encrypt, to decrypt into one buffer, to decrypt in pieces that are dropped; and what
/// it stored, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) encrypt: Duration,
    pub(crate) decrypt: Duration,
    pub(crate) stream: Duration,
    pub(crate) stored: u64,
}

/// Two runs, one right after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) ours: Run,
    pub(crate) theirs: Run,
}

/// All pairs of one configuration.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) pairs: Vec<Pair>,
}

/// Prints one table; `len` is the length of the plaintext in bytes.
pub(crate) fn print(title: &str, len: usize, rows: &[Row]) {
    println!("{title}, {} MiB", len >> 20);
    println!(
        "| {:<36} | {:<7} | {:>8} | {:>8} | {:>6} | {:>15} | {:>13} |",
        "selfenc configuration", "", "ours", "theirs", "ratio", "least – most", "stored ours/theirs"
    );
    println!("|---|---|--:|--:|--:|--:|--:|");
    for row in rows {
        let stored =
            |run: fn(&Pair) -> Run| row.pairs.first().map_or(0.0, |p| run(p).stored as f64 / len as f64);
        let sizes = format!("{:.3} / {:.3}", stored(|p| p.ours), stored(|p| p.theirs));
        print_line(row, "encrypt", len, &sizes, |run| run.encrypt);
        print_line(row, "decrypt", len, "", |run| run.decrypt);
        print_line(row, "stream", len, "", |run| run.stream);
    }
    println!();
}

fn print_line(row: &Row, what: &str, len: usize, sizes: &str, time: fn(&Run) -> Duration) {
    let speed = |run: &Run| len as f64 / f64::from(1 << 20) / time(run).as_secs_f64();
    let ours = row.pairs.iter().map(|pair| speed(&pair.ours));
    let theirs = row.pairs.iter().map(|pair| speed(&pair.theirs));
    let ratio = Summary::of(row.pairs.iter().map(|pair| speed(&pair.ours) / speed(&pair.theirs)));
    let (Some(ours), Some(theirs), Some(ratio)) = (Summary::of(ours), Summary::of(theirs), ratio) else {
        return;
    };
    let range = format!("{:.2} – {:.2}", ratio.min, ratio.max);
    println!(
        "| {:<36} | {what:<7} | {:>8.1} | {:>8.1} | {:>6.2} | {range:>15} | {sizes:>13} |",
        row.name, ours.median, theirs.median, ratio.median,
    );
}
