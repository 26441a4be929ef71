//! How speed and memory go with the size of a file and with the memory budget.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

use selfenc::Suite;
use selfenc_bench::Result;

use super::data_sets::DataFile;
use super::programs::{Place, Program, budget_of};
use super::rounds::interleave;
use super::{Bench, MIB, say};
use crate::results::{Measurement, Work};

/// `--memory`, in MiB; the third is the default.
const BUDGETS: [u64; 4] = [16, 64, 256, 1024];

/// Stores parts of `data`, of one MiB to all of it.
pub(crate) fn measure(bench: &Bench, data: &DataFile) -> Result<Vec<Measurement>> {
    let sizes: Vec<u64> =
        (0..).map(|n| MIB << (2 * n)).take_while(|size| *size <= data.about.bytes).collect();
    let parts: Vec<_> = sizes.iter().map(|size| part(bench, data, *size)).collect::<Result<_>>()?;

    say("speed against size");
    let programs = [
        Program::selfenc(Suite::Sha3Aes256Cbc),
        Program::selfenc(Suite::Blake3ChaCha20Poly1305),
        Program::Age,
    ];
    let mut found = grid(bench, data.name, Work::StoreBySize, bench.rounds, &programs, &parts)?;

    say("memory against size and budget");
    let budgets = BUDGETS.map(|mib| Program::Selfenc { suite: Suite::Sha3Aes256Cbc, budget: Some(mib) });
    // The largest three: a small file needs no budget. Memory wavers less than time.
    let large = &parts[parts.len().saturating_sub(3)..];
    found.extend(grid(bench, data.name, Work::StoreByBudget, bench.rounds.min(3), &budgets, large)?);
    parts.iter().try_for_each(fs::remove_file)?;
    Ok(found)
}

/// Every program on every file, in turn.
fn grid(
    bench: &Bench,
    data: &str,
    work: Work,
    rounds: u32,
    programs: &[Program],
    files: &[PathBuf],
) -> Result<Vec<Measurement>> {
    let pairs = files.iter().flat_map(|file| programs.iter().map(move |program| (*program, file)));
    let places: Vec<_> = pairs
        .enumerate()
        .map(|(n, (program, file))| (program, Place::new(bench, program, file, n)))
        .collect();
    let runs = interleave(rounds, places.len(), |i| {
        let run = places[i].1.store_anew()?;
        places[i].1.remove()?;
        Ok(run)
    })?;
    let measurements = places.iter().zip(runs).map(|((program, place), runs)| -> Result<Measurement> {
        let mut m = Measurement::new(work, data, place.len()?, &program.name(), runs)?;
        m.budget = budget_of(*program);
        Ok(m)
    });
    measurements.collect()
}

/// The first `size` bytes, in a file.
fn part(bench: &Bench, data: &DataFile, size: u64) -> Result<PathBuf> {
    let path = bench.dir.join("data").join(format!("part-{}", size / MIB));
    io::copy(&mut File::open(&data.path)?.take(size), &mut File::create(&path)?)?;
    Ok(path)
}
