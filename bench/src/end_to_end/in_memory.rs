//! In memory, against self_encryption; and what the second encryption of the same costs.

use std::time::Duration;

use selfenc::Suite;
use selfenc_bench::Result;

use super::rounds::interleave;
use super::{Bench, Held, name_of, say};
use crate::ours::Ours;
use crate::peer;
use crate::report;
use crate::results::{Measurement, Run, Work};

const PEER: &str = "self_encryption";

/// Measures one data set.
pub(crate) fn measure(bench: &Bench, data: &Held) -> Result<Vec<Measurement>> {
    say(&format!("{}: in memory", data.name));
    let ours = Suite::ALL.map(|suite| Ours::new(name_of(suite), suite, None));
    let ours: Vec<_> = ours.into_iter().collect::<Result<_>>()?;
    let names: Vec<_> = ours.iter().map(|ours| ours.name.as_str()).chain([PEER]).collect();
    let runs = interleave(bench.rounds, names.len(), |i| match ours.get(i) {
        Some(ours) => ours.round_trip(&data.bytes),
        None => peer::round_trip(&data.bytes),
    })?;
    let mut found = Vec::new();
    for (program, runs) in names.iter().zip(&runs) {
        let one = |work, time: fn(&report::Run) -> Duration| {
            measurement(work, data, program, runs.iter().map(time))
        };
        let mut encrypt = one(Work::Encrypt, |run| run.encrypt)?;
        encrypt.stored = runs.first().map(|run| run.stored);
        found.push(encrypt);
        found.push(one(Work::Decrypt, |run| run.decrypt)?);
        found.push(one(Work::Stream, |run| run.stream)?);
    }

    let runs = interleave(bench.rounds, ours.len(), |i| ours[i].encrypt(&data.bytes, 2))?;
    for (ours, runs) in ours.iter().zip(&runs) {
        for (n, work) in [Work::EncryptFirst, Work::EncryptAgain].into_iter().enumerate() {
            found.push(measurement(work, data, &ours.name, runs.iter().map(|times: &Vec<_>| times[n]))?);
        }
    }
    Ok(found)
}

fn measurement(
    work: Work,
    data: &Held,
    program: &str,
    times: impl Iterator<Item = Duration>,
) -> Result<Measurement> {
    let runs = times.map(|time| Run::of_seconds(time.as_secs_f64())).collect();
    Measurement::new(work, data.name, data.bytes.len() as u64, program, runs)
}
