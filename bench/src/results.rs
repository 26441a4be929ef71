//! What a run of `end-to-end` found, as it is written to JSON.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use selfenc_bench::Result;
use selfenc_bench::stats::Summary;
use serde::{Deserialize, Serialize};

/// The version of the JSON; another one is refused.
const FORMAT: u32 = 1;

/// All of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    format: u32,
    /// Whether the data was an eighth of what it should be.
    pub(crate) quick: bool,
    /// Rounds that count; one more came first.
    pub(crate) rounds: u32,
    pub(crate) machine: Machine,
    pub(crate) data: Vec<DataSet>,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) stages: Vec<Stages>,
}

/// Where it ran, and with what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The day in UTC.
    pub(crate) date: String,
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    /// Of the folder that the stores were in.
    pub(crate) filesystem: String,
    /// The instructions that selfenc's kernels chose.
    pub(crate) kernels: String,
    /// Of each program.
    pub(crate) versions: BTreeMap<String, String>,
}

/// What was encrypted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataSet {
    pub(crate) name: String,
    /// In words.
    pub(crate) kind: String,
    pub(crate) bytes: u64,
}

/// What was done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Work {
    /// From a file into a store on the disk, durably.
    Store,
    /// The same into the store that has it all.
    StoreAgain,
    /// From that store into a file, durably.
    Restore,
    /// [`Work::Store`] of files of several sizes.
    StoreBySize,
    /// [`Work::Store`] with several memory budgets.
    StoreByBudget,
    /// In memory, as everything below.
    Encrypt,
    /// Into one buffer.
    Decrypt,
    /// In pieces that are dropped.
    Stream,
    /// The first of two encryptions into one store.
    EncryptFirst,
    /// The second.
    EncryptAgain,
    /// 4 KiB of a chunk that was not read before.
    ReadCold,
    /// 4 KiB of a chunk that was.
    ReadCached,
    /// A generated stream of many short chunks, into a store that keeps nothing.
    ManyChunks,
    /// A generated stream that is far longer than any memory, likewise.
    LongStream,
}

/// One piece of work, one data set, one program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) work: Work,
    pub(crate) data: String,
    /// Of plaintext, in each run.
    pub(crate) bytes: u64,
    pub(crate) program: String,
    /// The memory budget, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<u64>,
    /// In the order of the rounds.
    pub(crate) runs: Vec<Run>,
    pub(crate) seconds: Summary,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_seconds: Option<Summary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peak_rss: Option<Summary>,
    /// Bytes in the store afterwards, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stored: Option<u64>,
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Of the wall clock.
    pub(crate) seconds: f64,
    /// In user mode and in the kernel, of the program and those that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_seconds: Option<f64>,
    /// In bytes; in a pipe, of the larger program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peak_rss: Option<u64>,
}

/// Each stage of encrypting alone on all cores, and our engine on the same data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stages {
    pub(crate) suite: String,
    pub(crate) data: String,
    pub(crate) bytes: u64,
    pub(crate) stages: Vec<Stage>,
    /// The sum of the stages' seconds, by round: one over the sum of one over each speed.
    pub(crate) ceiling: Summary,
    /// The engine's seconds.
    pub(crate) ours: Summary,
    /// Ceiling by ours, round by round: 1 would be an engine of nothing but its stages.
    pub(crate) fraction: Summary,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) seconds: Summary,
}

impl Results {
    /// Results of nothing yet.
    pub(crate) fn new(quick: bool, rounds: u32, machine: Machine) -> Self {
        Self {
            format: FORMAT,
            quick,
            rounds,
            machine,
            data: Vec::new(),
            measurements: Vec::new(),
            stages: Vec::new(),
        }
    }

    /// Reads what [`Results::write`] wrote.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let named = |e: &dyn std::fmt::Display| format!("cannot read {}: {e}", path.display());
        let text = fs::read(path).map_err(|e| named(&e))?;
        let results: Self = serde_json::from_slice(&text)
            .map_err(|e| format!("{}; 'selfenc-bench end-to-end' writes such files", named(&e)))?;
        if results.format != FORMAT {
            let found = results.format;
            return Err(named(&format!("format {found}, not {FORMAT}; measure anew")).into());
        }
        Ok(results)
    }

    /// Writes aside and renames.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        let mut aside = path.as_os_str().to_owned();
        aside.push(".part");
        fs::write(&aside, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        Ok(fs::rename(&aside, path)?)
    }

    /// The measurement of this work, data and program without a budget of its own, if it was made.
    pub(crate) fn find(&self, work: Work, data: &str, program: &str) -> Option<&Measurement> {
        self.measurements
            .iter()
            .find(|m| m.work == work && m.data == data && m.program == program && m.budget.is_none())
    }

    /// All of one piece of work.
    pub(crate) fn of(&self, work: Work) -> impl Iterator<Item = &Measurement> {
        self.measurements.iter().filter(move |m| m.work == work)
    }
}

impl Measurement {
    /// Of these runs.
    pub(crate) fn new(work: Work, data: &str, bytes: u64, program: &str, runs: Vec<Run>) -> Result<Self> {
        let none = || format!("no runs of {program} on {data}");
        let seconds = Summary::of(runs.iter().map(|run| run.seconds)).ok_or_else(none)?;
        let cpu_seconds = Summary::of(runs.iter().filter_map(|run| run.cpu_seconds));
        let peak_rss = Summary::of(runs.iter().filter_map(|run| run.peak_rss).map(|bytes| bytes as f64));
        Ok(Self {
            work,
            data: data.to_owned(),
            bytes,
            program: program.to_owned(),
            budget: None,
            runs,
            seconds,
            cpu_seconds,
            peak_rss,
            stored: None,
        })
    }

    /// In MiB of plaintext a second.
    pub(crate) fn speed(&self) -> Summary {
        self.seconds.map(|seconds| self.bytes as f64 / f64::from(1 << 20) / seconds)
    }

    /// How many times as long `theirs` takes, round by round.
    pub(crate) fn faster_than(&self, theirs: &Self) -> Option<Summary> {
        let seconds = |m: &Self| m.runs.iter().map(|run| run.seconds).collect::<Vec<_>>();
        Summary::of_ratios(seconds(theirs), seconds(self))
    }
}

impl Run {
    /// In this process, where only the clock says something about one run.
    pub(crate) fn of_seconds(seconds: f64) -> Self {
        Self { seconds, cpu_seconds: None, peak_rss: None }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn run(seconds: f64) -> Run {
        Run { seconds, cpu_seconds: Some(seconds * 2.0), peak_rss: Some(1 << 20) }
    }

    /// A little of everything.
    pub(crate) fn results() -> Results {
        let machine = Machine { cpu: "a <CPU> & more".into(), cores: 2, ..Machine::default() };
        let mut results = Results::new(true, 2, machine);
        results.data.push(DataSet { name: "random".into(), kind: "random bytes".into(), bytes: 64 << 20 });
        for (work, seconds) in
            [(Work::Store, 1.0), (Work::Restore, 0.5), (Work::StoreBySize, 1.0), (Work::StoreByBudget, 1.0)]
        {
            for (program, factor) in [("selfenc 0x10", 1.0), ("age", 3.0)] {
                let runs = vec![run(seconds * factor), run(seconds * factor * 1.5)];
                let mut m = Measurement::new(work, "random", 64 << 20, program, runs).unwrap();
                m.stored = Some(65 << 20);
                m.budget = (work == Work::StoreByBudget).then_some(32 << 20);
                results.measurements.push(m);
            }
        }
        let second = Summary { median: 1.0, min: 1.0, max: 1.0 };
        results.stages.push(Stages {
            suite: "0x10".into(),
            data: "random".into(),
            bytes: 64 << 20,
            stages: vec![Stage { name: "copy".into(), seconds: second }],
            ceiling: second,
            ours: Summary { median: 1.25, min: 1.25, max: 1.25 },
            fraction: Summary { median: 0.8, min: 0.8, max: 0.8 },
        });
        results
    }

    #[test]
    fn json_goes_there_and_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench.json");
        let results = results();
        results.write(&path).unwrap();
        assert_eq!(Results::read(&path).unwrap(), results);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn other_json_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench.json");
        for (text, named) in [("{}", "end-to-end"), ("", "end-to-end")] {
            fs::write(&path, text).unwrap();
            let error = Results::read(&path).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("bench.json"), "{error}");
        }
        let mut other = results();
        other.format = 2;
        other.write(&path).unwrap();
        let error = Results::read(&path).unwrap_err().to_string();
        assert!(error.contains("format 2") && error.contains("measure anew"), "{error}");
    }

    #[test]
    fn a_measurement_says_how_much_faster_it_is() {
        let results = results();
        let ours = results.find(Work::Store, "random", "selfenc 0x10").unwrap();
        let theirs = results.find(Work::Store, "random", "age").unwrap();
        assert_eq!(ours.faster_than(theirs).unwrap().median, 3.0);
        assert_eq!(ours.speed().max, 64.0);
        assert_eq!(ours.cpu_seconds.unwrap().min, 2.0);
        assert!(results.find(Work::StoreByBudget, "random", "age").is_none(), "it has a budget");
        assert!(Measurement::new(Work::Store, "random", 1, "age", Vec::new()).is_err());
    }
}
