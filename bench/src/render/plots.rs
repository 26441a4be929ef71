//! Which plots there are.

use selfenc_bench::Result;

use super::chart::{Bar, Group, Line, bars, lines};
use crate::results::{Measurement, Results, Stage, Stages, Work};

const MIB: f64 = (1 << 20) as f64;
/// What the engine may take beside its budget.
const BESIDE: f64 = 64.0;
/// The colour of what is not ours: grey.
const REST: usize = 6;

/// Every plot by the name of its file.
///
/// # Errors
/// If the results lack one of them.
pub(super) fn all(results: &Results) -> Result<Vec<(&'static str, String)>> {
    for work in [Work::Store, Work::Restore, Work::StoreBySize, Work::StoreByBudget] {
        results.of(work).next().ok_or_else(|| format!("there are no results of {work:?} to plot"))?;
    }
    Ok(vec![
        ("store.svg", throughput(results, Work::Store, "File to a durable store, MiB/s")),
        ("restore.svg", throughput(results, Work::Restore, "Store to a file, MiB/s")),
        ("speed-by-size.svg", speed_by_size(results)),
        ("memory-by-size.svg", memory_by_size(results)),
        ("stages.svg", stages(results)),
    ])
}

/// What is in order of its first appearance, once.
fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut found, one| {
        if !found.contains(&one) {
            found.push(one);
        }
        found
    })
}

fn throughput(results: &Results, work: Work, title: &str) -> String {
    let bar = |m: &Measurement| {
        let speed = m.speed();
        let colour = if m.program.starts_with("selfenc") { 0 } else { REST };
        Bar {
            label: m.program.clone(),
            parts: vec![(colour, speed.median)],
            figure: format!("{:.0} ({:.0} – {:.0})", speed.median, speed.min, speed.max),
        }
    };
    let groups: Vec<_> = distinct(results.of(work).map(|m| &m.data))
        .into_iter()
        .map(|data| Group {
            heading: data.clone(),
            bars: results.of(work).filter(|m| m.data == *data).map(bar).collect(),
        })
        .collect();
    bars(title, &groups, &[])
}

fn speed_by_size(results: &Results) -> String {
    let programs = distinct(results.of(Work::StoreBySize).map(|m| &m.program));
    let line = |(colour, program): (usize, &&String)| Line {
        name: (*program).clone(),
        colour,
        dashed: false,
        points: results
            .of(Work::StoreBySize)
            .filter(|m| m.program == **program)
            .map(|m| (m.bytes as f64 / MIB, m.speed().median))
            .collect(),
    };
    let all: Vec<_> = programs.iter().enumerate().map(line).collect();
    lines("File of random bytes to a durable store: speed against size", "MiB/s", &all)
}

fn memory_by_size(results: &Results) -> String {
    let budgets = distinct(results.of(Work::StoreByBudget).filter_map(|m| m.budget));
    let line = |(colour, budget): (usize, &u64)| {
        let points: Vec<_> = results
            .of(Work::StoreByBudget)
            .filter(|m| m.budget == Some(*budget))
            .filter_map(|m| Some((m.bytes as f64 / MIB, m.peak_rss?.max / MIB)))
            .collect();
        let most = *budget as f64 / MIB + BESIDE;
        // A promise that lies far above what any file needs would squeeze the rest.
        let shown = points.iter().any(|(_, peak)| *peak > most / 3.0);
        let promised = points.iter().filter(|_| shown).map(|(x, _)| (*x, most)).collect();
        let name = format!("--memory {}M", budget >> 20);
        [
            Line { name, colour, dashed: false, points },
            Line { name: String::new(), colour, dashed: true, points: promised },
        ]
    };
    let all: Vec<_> = budgets.iter().enumerate().flat_map(line).collect();
    lines("Peak memory against size and budget; dashed: the budget and 64 MiB", "MiB", &all)
}

fn stages(results: &Results) -> String {
    let names = distinct(results.stages.iter().flat_map(|stages| &stages.stages).map(|s| s.name.clone()));
    let groups: Vec<_> = distinct(results.stages.iter().map(|stages| &stages.data))
        .into_iter()
        .map(|data| {
            let of_data = results.stages.iter().filter(|stages| stages.data == *data);
            let bar = |stages: &Stages| {
                let per_gib = 1024.0 * MIB / stages.bytes as f64;
                let part = |(n, s): (usize, &Stage)| (n, s.seconds.median * per_gib);
                let mut parts: Vec<_> = stages.stages.iter().enumerate().map(part).collect();
                let beside = (stages.ours.median - stages.ceiling.median).max(0.0) * per_gib;
                parts.push((REST, beside));
                let figure = format!("{:.2} s", stages.ours.median * per_gib);
                Bar { label: format!("selfenc {}", stages.suite), parts, figure }
            };
            Group { heading: data.clone(), bars: of_data.map(bar).collect() }
        })
        .collect();
    let mut legend: Vec<_> = names.into_iter().enumerate().collect();
    legend.push((REST, "the rest".to_owned()));
    bars("Encrypting a GiB in memory, by stage", &groups, &legend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::results;

    #[test]
    fn every_plot_is_one_document_and_the_same_every_time() {
        let results = results();
        for (name, svg) in all(&results).unwrap() {
            assert!(name.ends_with(".svg"));
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{name}");
            assert_eq!(svg.matches("<svg").count(), 1, "{name}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}: {svg}");
        }
        assert_eq!(all(&results).unwrap(), all(&results).unwrap());
    }

    #[test]
    fn the_rest_is_what_the_stages_do_not_explain() {
        let svg = stages(&results());
        // Of 1.25 s 1 s is the copy: 368 of 460.
        assert!(svg.contains("width=\"368.0\"") && svg.contains("width=\"92.0\""), "{svg}");
        assert!(svg.contains("20.00 s"), "{svg}");
    }

    #[test]
    fn nothing_to_plot_is_said() {
        let mut results = results();
        results.measurements.retain(|m| m.work != Work::Restore);
        assert!(all(&results).unwrap_err().to_string().contains("Restore"));
    }
}
