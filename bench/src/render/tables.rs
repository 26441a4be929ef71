//! Tables, in Markdown.

use std::fmt::Write;

use selfenc_bench::Result;
use selfenc_bench::stats::Summary;

use super::goals;
use crate::results::{DataSet, Measurement, Results, Work};

const MIB: f64 = (1 << 20) as f64;
/// With whom everybody is compared.
const OURS: &str = "selfenc 0x10";

/// Every table by the name of its markers.
///
/// # Errors
/// If the results lack one of them.
pub(crate) fn all(results: &Results) -> Result<Vec<(&'static str, String)>> {
    let tables = [
        ("machine", machine(results)),
        ("goals", goals::table(results)),
        ("store", files(results, Work::Store)),
        ("restore", files(results, Work::Restore)),
        ("again", again(results)),
        ("sizes", sizes(results)),
        ("budgets", budgets(results)),
        ("memory", memory(results)),
        ("reads", reads(results)),
        ("stages", stages(results)),
        ("scale", scale(results)),
    ];
    for (name, text) in &tables {
        if text.lines().count() < 3 {
            return Err(format!("there are no results for '{name}': measure without --only").into());
        }
    }
    Ok(tables.into())
}

/// A head, how its columns are aligned, and rows.
pub(super) fn table(head: &str, aligned: &str, rows: impl IntoIterator<Item = String>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    format!("{head}\n{aligned}\n{}", rows.join("\n")).trim_end().to_owned()
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "{}: {} cores of {}, {:.0} GiB of memory, {}, {}; kernels {}. Medians over {} rounds{}.\n\n",
        machine.date,
        machine.cores,
        machine.cpu,
        machine.memory_bytes as f64 / MIB / 1024.0,
        machine.kernel,
        machine.filesystem,
        machine.kernels,
        results.rounds,
        if results.quick { ", with an eighth of the data" } else { "" },
    );
    let versions: Vec<_> =
        machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let _ = writeln!(text, "{}.\n", versions.join(", "));
    let row = |data: &DataSet| format!("| {} | {:.0} | {} |", data.name, data.bytes as f64 / MIB, data.kind);
    text + &table("| data | MiB | |", "|---|--:|---|", results.data.iter().map(row))
}

/// "2.10 | 1.90 – 2.40"
pub(super) fn ranged(summary: Summary, digits: usize) -> String {
    let Summary { median, min, max } = summary;
    format!("{median:.digits$} | {min:.digits$} – {max:.digits$}")
}

fn files(results: &Results, work: Work) -> String {
    let row = |m: &Measurement| {
        let ours = results.find(work, &m.data, OURS);
        let times = ours.and_then(|ours| ours.faster_than(m)).filter(|_| m.program != OURS);
        let stored =
            m.stored.map_or(String::new(), |stored| format!("{:.3}", stored as f64 / m.bytes as f64));
        format!(
            "| {} | {} | {} | {} | {} | {stored} | {} |",
            m.data,
            m.program,
            ranged(m.speed(), 0),
            m.cpu_seconds.map_or(String::new(), |cpu| format!("{:.1}", cpu.median)),
            m.peak_rss.map_or(String::new(), |peak| format!("{:.0}", peak.max / MIB)),
            times.map_or(String::from(" | "), |times| ranged(times, 2)),
        )
    };
    table(
        "| data | program | MiB/s | least – most | CPU s | peak MiB | stored | time / 0x10's | least – most |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
        results.of(work).map(row),
    )
}

fn again(results: &Results) -> String {
    let pair = |again: &Measurement, work| {
        let first = results.find(work, &again.data, &again.program)?;
        let place = if work == Work::Store { "folder" } else { "memory" };
        let (first_speed, again_speed) = (first.speed().median, again.speed().median);
        let times = ranged(again.faster_than(first)?, 2);
        let (data, program) = (&again.data, &again.program);
        Some(format!("| {place} | {data} | {program} | {first_speed:.0} | {again_speed:.0} | {times} |"))
    };
    let folder = results.of(Work::StoreAgain).filter_map(|m| pair(m, Work::Store));
    let memory = results.of(Work::EncryptAgain).filter_map(|m| pair(m, Work::EncryptFirst));
    table(
        "| store | data | program | first, MiB/s | again, MiB/s | times as fast | least – most |",
        "|---|---|---|--:|--:|--:|--:|",
        folder.chain(memory),
    )
}

fn scale(results: &Results) -> String {
    let row = |m: &Measurement| {
        format!(
            "| {:.1} | {} | {} | {} | {} |",
            m.bytes as f64 / MIB / 1024.0,
            if m.work == Work::ManyChunks { "64 KiB" } else { "1 MiB" },
            ranged(m.seconds, 2),
            ranged(m.speed(), 0),
            m.peak_rss.map_or(String::from(" | "), |peak| ranged(peak.map(|bytes| bytes / MIB), 0)),
        )
    };
    table(
        "| GiB | chunks of | seconds | least – most | MiB/s | least – most | peak MiB | least – most |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|",
        results.of(Work::ManyChunks).chain(results.of(Work::LongStream)).map(row),
    )
}

fn sizes(results: &Results) -> String {
    let row = |m: &Measurement| {
        let peak = m.peak_rss.map_or(String::new(), |peak| format!("{:.0}", peak.max / MIB));
        let (mib, program) = (m.bytes as f64 / MIB, &m.program);
        let milliseconds = m.seconds.map(|seconds| seconds * 1e3);
        format!("| {mib:.0} | {program} | {:.0} | {} | {peak} |", m.speed().median, ranged(milliseconds, 0))
    };
    table(
        "| file, MiB | program | MiB/s | ms | least – most | peak MiB |",
        "|--:|---|--:|--:|--:|--:|",
        results.of(Work::StoreBySize).map(row),
    )
}

fn budgets(results: &Results) -> String {
    let row = |m: &Measurement| {
        let peak = m.peak_rss.map(|peak| peak.max / MIB);
        let budget = m.budget.unwrap_or_default() as f64 / MIB;
        format!(
            "| {budget:.0} | {:.0} | {} | {:.0} |",
            m.bytes as f64 / MIB,
            peak.map_or(String::new(), |peak| format!("{peak:.0}")),
            m.speed().median,
        )
    };
    table(
        "| `--memory`, MiB | file, MiB | peak MiB | MiB/s |",
        "|--:|--:|--:|--:|",
        results.of(Work::StoreByBudget).map(row),
    )
}

fn memory(results: &Results) -> String {
    let works = [(Work::Encrypt, "encrypt"), (Work::Decrypt, "decrypt"), (Work::Stream, "stream")];
    let rows = works.into_iter().flat_map(|(work, name)| {
        results.of(work).filter(|m| m.program != goals::PEER).map(move |ours| {
            let theirs = results.find(work, &ours.data, goals::PEER);
            let share = |m: &Measurement| m.stored.map(|stored| stored as f64 / m.bytes as f64);
            let stored = theirs.and_then(|theirs| Some((share(ours)?, share(theirs)?)));
            format!(
                "| {} | {} | {name} | {:.0} | {} | {} | {} |",
                ours.data,
                ours.program,
                ours.speed().median,
                theirs.map_or(String::new(), |theirs| format!("{:.0}", theirs.speed().median)),
                theirs
                    .and_then(|theirs| ours.faster_than(theirs))
                    .map_or(String::from(" | "), |ratio| ranged(ratio, 2)),
                stored.map_or(String::new(), |(ours, theirs)| format!("{ours:.3} / {theirs:.3}")),
            )
        })
    });
    table(
        "| data | program | | ours, MiB/s | theirs, MiB/s | ratio | least – most | stored, ours / theirs |",
        "|---|---|---|--:|--:|--:|--:|--:|",
        rows,
    )
}

fn reads(results: &Results) -> String {
    let works = [(Work::ReadCold, "not read before"), (Work::ReadCached, "read before")];
    let rows = works.into_iter().flat_map(|(work, name)| {
        results.of(work).map(move |m| {
            let theirs = results.find(work, &m.data, goals::PEER).filter(|_| m.program != goals::PEER);
            let ratio = theirs.and_then(|theirs| m.faster_than(theirs));
            format!(
                "| {name} | {} | {} | {} |",
                m.program,
                ranged(m.seconds.map(|seconds| seconds * 1e6), 1),
                ratio.map_or(String::from(" | "), |ratio| ranged(ratio, 2)),
            )
        })
    });
    table(
        "| the chunk was | program | µs a read | least – most | ratio | least – most |",
        "|---|---|--:|--:|--:|--:|",
        rows,
    )
}

fn stages(results: &Results) -> String {
    let names = results.stages.first().map(|stages| stages.stages.iter().map(|stage| stage.name.as_str()));
    let names: Vec<_> = names.into_iter().flatten().collect();
    let rows = results.stages.iter().map(|stages| {
        let speed = |seconds: f64| stages.bytes as f64 / MIB / seconds;
        let each: Vec<_> =
            stages.stages.iter().map(|stage| format!("{:.0}", speed(stage.seconds.median))).collect();
        format!(
            "| {} | {} | {} | {:.0} | {:.0} | {} |",
            stages.data,
            stages.suite,
            each.join(" | "),
            speed(stages.ceiling.median),
            speed(stages.ours.median),
            ranged(stages.fraction, 2),
        )
    });
    table(
        &format!("| data | suite | {} | ceiling | ours | fraction | least – most |", names.join(" | ")),
        &format!("|---|---|{}--:|--:|--:|--:|", "--:|".repeat(names.len())),
        rows,
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::results::Run;
    use crate::results::tests::results;

    /// Results that have something for every table.
    pub(crate) fn complete() -> Results {
        let mut results = results();
        let works = [
            Work::StoreAgain,
            Work::Encrypt,
            Work::Decrypt,
            Work::Stream,
            Work::EncryptFirst,
            Work::EncryptAgain,
            Work::ReadCold,
            Work::ReadCached,
            Work::ManyChunks,
            Work::LongStream,
        ];
        for (work, (program, seconds)) in works
            .into_iter()
            .flat_map(|work| [(work, ("selfenc 0x10", 1.0)), (work, ("self_encryption", 20.0))])
        {
            let runs = vec![Run::of_seconds(seconds), Run::of_seconds(seconds * 2.0)];
            let mut m = Measurement::new(work, "random", 1 << 20, program, runs).unwrap();
            m.stored = Some(1 << 19);
            results.measurements.push(m);
        }
        results
    }

    #[test]
    fn every_row_has_as_many_cells_as_its_head() {
        for (name, text) in all(&complete()).unwrap() {
            let cells = |line: &str| line.matches('|').count();
            let rows: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
            assert!(rows.len() > 2, "{name}:\n{text}");
            assert!(rows.iter().all(|row| cells(row) == cells(rows[0])), "{name}:\n{text}");
        }
    }

    #[test]
    fn figures_are_where_they_belong() {
        let results = complete();
        let store = files(&results, Work::Store);
        assert!(
            store.contains("| random | age | 17 | 14 – 21 | 7.5 | 1 | 1.016 | 3.00 | 3.00 – 3.00 |"),
            "{store}"
        );
        let stages = stages(&results);
        assert!(stages.contains("| random | 0x10 | 64 | 64 | 51 | 0.80 | 0.80 – 0.80 |"), "{stages}");
        let reads = reads(&results);
        assert!(reads.contains("| 20.00 | 20.00 – 20.00 |"), "{reads}");
    }

    #[test]
    fn part_of_a_run_is_not_rendered() {
        let mut part = complete();
        part.stages.clear();
        assert!(all(&part).unwrap_err().to_string().contains("'stages'"));
    }
}
