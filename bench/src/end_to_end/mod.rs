//! Everything in one run: prepares the data, measures in turn, and writes JSON.

mod child;
mod data_sets;
mod files;
mod in_memory;
mod machine;
mod programs;
mod reads;
mod rounds;
mod scale;
mod sizes;
mod stages;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use selfenc::Suite;
use selfenc_bench::Result;

use self::data_sets::DataFile;
use crate::results::Results;

const MIB: u64 = 1 << 20;

/// Measures files against age, zstd, restic, borg and rclone, memory against self_encryption 0.36.2, and each
/// stage alone.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  bench/run.sh --quick                         builds, installs the peers, and runs this
  selfenc-bench end-to-end --quick --json /tmp/bench.json
  selfenc-bench end-to-end --only stages --rounds 9 --json stages.json

A round runs every program once; round by round another one is first. The first round is not counted. A run's
peak resident memory is that of the largest process. The work folder should be on the disk that the figures are
to speak of. It needs some 14 GiB there and 6 GiB of memory; with --quick 2 GiB and 2 GiB.")]
pub(crate) struct EndToEnd {
    /// An eighth of the data, and three rounds
    #[arg(long)]
    quick: bool,
    /// Rounds that count [default: 5; with --quick 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// The command to measure [default: selfenc beside this program]
    #[arg(long, value_name = "PROGRAM")]
    selfenc: Option<PathBuf>,
    /// A folder, in which one for this run is made and removed [default: the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Where the results go
    #[arg(long, value_name = "FILE", default_value = "bench.json")]
    json: PathBuf,
    /// Folders whose files make the real data, in equal parts [default: cargo's sources and /usr/lib]
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    real: Vec<PathBuf>,
    /// Parts to measure [default: all]
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Files into stores, again, and back
    Files,
    /// Files of several sizes, and with several memory budgets
    Sizes,
    /// In memory, against self_encryption
    Memory,
    /// 4 KiB at random offsets
    Reads,
    /// Each stage alone, and the engine as a fraction of their ceiling
    Stages,
    /// Many chunks and twice as many, and a long stream into a store that keeps nothing
    Scale,
}

impl EndToEnd {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

/// What every part needs.
pub(crate) struct Bench {
    /// The folder of this run.
    dir: PathBuf,
    selfenc: PathBuf,
    rounds: u32,
    /// Bytes of the large data sets.
    large: u64,
    /// Bytes of what is measured in memory.
    in_memory: u64,
}

/// What is measured in memory.
struct Held {
    name: &'static str,
    bytes: Bytes,
}

/// Measures what is asked for; what it has found so far is in the file after each part.
pub(crate) fn run(args: &EndToEnd) -> Result<()> {
    let (work, json) = (args.work.clone().unwrap_or_else(std::env::temp_dir), &args.json);
    let dir = tempfile::Builder::new()
        .prefix("selfenc-bench.")
        .tempdir_in(&work)
        .map_err(|e| format!("cannot make a folder in {}: {e}; name another with --work", work.display()))?;
    let rounds = args.rounds.unwrap_or(if args.quick { 3 } else { 5 });
    let bench = Bench {
        dir: dir.path().canonicalize()?,
        selfenc: args.selfenc.clone().map_or_else(selfenc_beside_us, |path| Ok(path.canonicalize()?))?,
        rounds,
        large: if args.quick { 128 * MIB } else { 1024 * MIB },
        in_memory: if args.quick { 128 * MIB } else { 256 * MIB },
    };
    let mut results = Results::new(args.quick, rounds, machine::describe(&bench)?);
    // A run of half an hour should not end with a file that cannot be written.
    results.write(json)?;

    say("preparing the data");
    let data = data_sets::prepare(&bench, &args.real, args.quick)?;
    results.data = data.iter().map(|data| data.about.clone()).collect();
    if args.wants(Part::Files) {
        for data in &data {
            results.measurements.extend(files::measure(&bench, data)?);
            results.write(json)?;
        }
    }
    if args.wants(Part::Sizes) {
        results.measurements.extend(sizes::measure(&bench, &data[0])?);
        results.write(json)?;
    }
    let held: Vec<_> = data[..2].iter().map(|data| hold(&bench, data)).collect::<Result<_>>()?;
    if args.wants(Part::Stages) {
        for (data, suite) in held.iter().flat_map(|data| Suite::ALL.map(|suite| (data, suite))) {
            results.stages.push(stages::measure(&bench, data, suite)?);
        }
        results.write(json)?;
    }
    if args.wants(Part::Memory) {
        for data in &held {
            results.measurements.extend(in_memory::measure(&bench, data)?);
        }
        results.write(json)?;
    }
    drop(held);
    if args.wants(Part::Reads) {
        results.measurements.extend(reads::measure(&bench)?);
        results.write(json)?;
    }
    if args.wants(Part::Scale) {
        results.measurements.extend(scale::measure(&bench, args.quick)?);
        results.write(json)?;
    }
    say(&format!("written to {}", json.display()));
    Ok(())
}

/// The middle of a file: of a tar of several folders, some of each.
fn hold(bench: &Bench, data: &DataFile) -> Result<Held> {
    let all = Bytes::from(std::fs::read(&data.path)?);
    let len = usize::try_from(bench.in_memory)?.min(all.len());
    let start = (all.len() - len) / 2;
    // A copy of its own, so that the rest goes.
    Ok(Held { name: data.name, bytes: Bytes::copy_from_slice(&all[start..start + len]) })
}

fn selfenc_beside_us() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("selfenc");
    if path.is_file() {
        return Ok(path);
    }
    let build = "build it: cargo build --release -p selfenc-cli, or name another with --selfenc";
    Err(format!("there is no {}; {build}", path.display()).into())
}

/// The suite's number, by which tables call it.
fn name_of(suite: Suite) -> String {
    format!("selfenc 0x{:02x}", suite.id())
}

/// One line about how far it has come.
fn say(line: &str) {
    eprintln!("selfenc-bench: {line}");
}

/// The lengths of all files below a folder, together.
fn bytes_below(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() { bytes_below(&entry.path())? } else { meta.len() };
    }
    Ok(sum)
}
