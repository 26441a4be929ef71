//! What a run is meant to show, and what it shows.

use selfenc_bench::stats::Summary;

use super::tables::ranged;
use crate::results::{Results, Work};

/// What is measured in memory is compared with.
pub(super) const PEER: &str = "self_encryption";

const SHA3: &str = "selfenc 0x10";
const BLAKE3: &str = "selfenc 0x11";

/// A row of the table: our work against somebody's.
struct Goal {
    work: Work,
    what: &'static str,
    data: &'static str,
    ours: &'static str,
    /// Another program at the same work.
    theirs: &'static str,
    at_least: f64,
}

const fn goal(
    work: Work,
    what: &'static str,
    data: &'static str,
    ours: &'static str,
    theirs: &'static str,
    at_least: f64,
) -> Goal {
    Goal { work, what, data, ours, theirs, at_least }
}

static GOALS: [Goal; 12] = [
    goal(Work::Encrypt, "encrypt in memory", "random", SHA3, PEER, 15.0),
    goal(Work::Encrypt, "encrypt in memory", "files", SHA3, PEER, 15.0),
    goal(Work::Decrypt, "decrypt in memory", "random", SHA3, PEER, 3.0),
    goal(Work::Decrypt, "decrypt in memory", "files", SHA3, PEER, 3.0),
    goal(Work::Store, "file to a durable store", "random", SHA3, "age", 1.0),
    goal(Work::Store, "file to a durable store", "files", SHA3, "zstd -3, age", 2.0),
    goal(Work::Store, "file to a durable store", "files", SHA3, "restic", 3.0),
    goal(Work::Restore, "store to a file", "random", SHA3, "rclone crypt", 1.0),
    goal(Work::Restore, "store to a file", "random", SHA3, "restic", 3.0),
    goal(Work::Restore, "store to a file", "files", SHA3, "restic", 3.0),
    goal(Work::ReadCold, "4 KiB, cold", "random", SHA3, PEER, 5.0),
    goal(Work::ReadCold, "4 KiB, cold", "random", BLAKE3, PEER, 10.0),
];

/// Goals beside what was measured; those of which nothing was measured are left out.
fn rows(results: &Results) -> impl Iterator<Item = String> {
    let ratios = GOALS.iter().filter_map(move |goal| {
        let ours = results.find(goal.work, goal.data, goal.ours)?;
        let (name, theirs) = (goal.theirs, results.find(goal.work, goal.data, goal.theirs)?);
        let measured = ours.faster_than(theirs)?;
        let met = measured.median >= goal.at_least;
        Some(row(goal.what, goal.data, goal.ours, name, &format!("{:.1}", goal.at_least), measured, met))
    });
    let fractions = results.stages.iter().map(|stages| {
        let (ours, met) = (format!("selfenc {}", stages.suite), stages.fraction.median >= 0.7);
        row("encrypt in memory", &stages.data, &ours, "the stages' ceiling", "0.7", stages.fraction, met)
    });
    let sizes = results.find(Work::Encrypt, "files", SHA3).into_iter().filter_map(move |ours| {
        let theirs = results.find(Work::Encrypt, "files", PEER)?;
        let ratio = ours.stored? as f64 / theirs.stored? as f64;
        let measured = Summary { median: ratio, min: ratio, max: ratio };
        Some(row("stored bytes", "files", SHA3, PEER, "at most 1.12", measured, ratio <= 1.12))
    });
    let cached = results.of(Work::ReadCached).filter(|m| m.program != PEER).map(|m| {
        let measured = m.seconds.map(|seconds| seconds * 1e6);
        row("4 KiB, cached, µs", &m.data, &m.program, "", "under 20", measured, measured.median < 20.0)
    });
    ratios.chain(fractions).chain(again(results)).chain(sizes).chain(cached).chain(growth(results))
}

/// What is stored already is encrypted 1.5 times as fast, or as fast as its stages allow: nothing can be left out,
/// since a chunk's name comes last.
fn again(results: &Results) -> impl Iterator<Item = String> {
    results.stages.iter().filter_map(|stages| {
        let ours = format!("selfenc {}", stages.suite);
        let again = results.find(Work::EncryptAgain, &stages.data, &ours)?;
        let first = results.find(Work::EncryptFirst, &stages.data, &ours)?;
        let measured = again.seconds.map(|seconds| stages.ceiling.median / seconds);
        let met = measured.median >= 0.9 || again.faster_than(first)?.median >= 1.5;
        let (what, goal) = ("encrypt what is stored", "0.9, or 1.5 of the first");
        Some(row(what, &stages.data, &ours, "the stages' ceiling", goal, measured, met))
    })
}

/// Twice as many chunks, and a stream far longer than memory.
fn growth(results: &Results) -> Vec<String> {
    const MIB: f64 = (1 << 20) as f64;
    let mut rows = Vec::new();
    if let [some, twice] = results.of(Work::ManyChunks).collect::<Vec<_>>()[..] {
        if let Some(time) = some.faster_than(twice) {
            let met = (1.7..=2.3).contains(&time.median);
            rows.push(row("twice as many chunks, time", &some.data, SHA3, "as many", "2 ± 15 %", time, met));
        }
        if let (Some(before), Some(after)) = (some.peak_rss, twice.peak_rss) {
            let grown = after.map(|peak| (peak - before.median) / MIB);
            let (what, met) = ("twice as many chunks, more memory, MiB", grown.median < 8.0);
            rows.push(row(what, &some.data, SHA3, "as many", "flat", grown, met));
        }
    }
    for m in results.of(Work::LongStream) {
        if let (Some(peak), Some(budget)) = (m.peak_rss, m.budget) {
            let what = format!("a stream of {} GiB, memory over the budget, MiB", m.bytes >> 30);
            let over = peak.map(|peak| (peak - budget as f64) / MIB);
            rows.push(row(&what, &m.data, SHA3, "", "at most 64", over, over.median <= 64.0));
        }
    }
    rows
}

fn row(what: &str, data: &str, ours: &str, theirs: &str, goal: &str, measured: Summary, met: bool) -> String {
    let met = if met { "yes" } else { "no" };
    format!("| {what} | {data} | {ours} | {theirs} | {goal} | {} | {met} |", ranged(measured, 2))
}

/// The table.
pub(super) fn table(results: &Results) -> String {
    super::tables::table(
        "| work | data | ours | against | goal | measured | least – most | met |",
        "|---|---|---|---|--:|--:|--:|---|",
        rows(results),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tables::tests::complete;
    use super::*;

    #[test]
    fn a_goal_is_met_or_not() {
        let text = table(&complete());
        for line in [
            "| encrypt in memory | random | selfenc 0x10 | self_encryption | 15.0 | 20.00 | 20.00 – 20.00 | yes |",
            "| file to a durable store | random | selfenc 0x10 | age | 1.0 | 3.00 | 3.00 – 3.00 | yes |",
            "| encrypt in memory | random | selfenc 0x10 | the stages' ceiling | 0.7 | 0.80 | 0.80 – 0.80 | yes |",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let cached = text.lines().find(|line| line.contains("cached")).unwrap();
        assert!(cached.ends_with("| no |"), "a second is more than 20 µs: {cached}");
        assert!(!text.contains("restic"), "nothing was measured of it");
    }
}
