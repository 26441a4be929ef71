//! Time and memory of the engine alone as the input grows: a stream that is generated, and a store that keeps
//! nothing.

use selfenc::Suite;
use selfenc_bench::Result;

use super::child::Script;
use super::rounds::interleave;
use super::{Bench, MIB, name_of, say};
use crate::results::{Measurement, Run, Work};

/// In KiB. Short, so that many are no great length.
const CHUNK_KIB: u64 = 64;
/// The engine's default, in MiB.
const BUDGET: u64 = 256;

/// Many chunks and twice as many, and one long stream of chunks as long as they are by default.
pub(crate) fn measure(bench: &Bench, quick: bool) -> Result<Vec<Measurement>> {
    let (chunks, long) = if quick { (10_000, 10 << 10) } else { (100_000, 100 << 10) };
    say(&format!("{chunks} chunks, and twice as many"));
    let lengths = [chunks, 2 * chunks].map(|chunks| chunks * CHUNK_KIB / 1024);
    let runs = interleave(bench.rounds, 2, |i| stream(bench, lengths[i], CHUNK_KIB))?;
    let ours = name_of(Suite::default());
    let measured = |work, mib, runs| -> Result<Measurement> {
        let mut m = Measurement::new(work, "generated", mib * MIB, &ours, runs)?;
        m.budget = Some(BUDGET * MIB);
        Ok(m)
    };
    let mut found = Vec::new();
    for (mib, runs) in lengths.into_iter().zip(runs) {
        found.push(measured(Work::ManyChunks, mib, runs)?);
    }
    say(&format!("a stream of {} GiB", long >> 10));
    found.push(measured(Work::LongStream, long, vec![stream(bench, long, 1024)?])?);
    Ok(found)
}

fn stream(bench: &Bench, mib: u64, chunk_kib: u64) -> Result<Run> {
    let this = std::env::current_exe()?.display().to_string();
    let number = |number: u64| number.to_string();
    let variables = [
        ("BENCH", this),
        ("MIB", number(mib)),
        ("CHUNK_KIB", number(chunk_kib)),
        ("BUDGET_MIB", number(BUDGET)),
    ];
    let lines =
        "exec \"$BENCH\" stream --mib \"$MIB\" --chunk-kib \"$CHUNK_KIB\" --budget-mib \"$BUDGET_MIB\"";
    Script { lines, folder: &bench.dir, variables: &variables }.measure(&bench.dir)
}
