//! Files into stores on the disk, the same again, and back.

use selfenc_bench::Result;

use super::data_sets::DataFile;
use super::programs::{Place, Program};
use super::rounds::interleave;
use super::{Bench, say};
use crate::results::{Measurement, Run, Work};

/// Measures one data set with every program.
pub(crate) fn measure(bench: &Bench, data: &DataFile) -> Result<Vec<Measurement>> {
    let place = |(number, program)| Place::new(bench, program, &data.path, number);
    let places: Vec<_> = Program::ALL.into_iter().enumerate().map(place).collect();
    // Only ours has something to say about the second time: others look at the file's date.
    let ours: Vec<_> = Program::ALL.iter().filter(|p| matches!(p, Program::Selfenc { .. })).collect();

    say(&format!("{}: storing", data.name));
    let first = interleave(bench.rounds, places.len(), |i| places[i].store_anew())?;
    let stored: Vec<_> = places.iter().map(Place::stored).collect::<Result<_>>()?;
    say(&format!("{}: storing again", data.name));
    let again = interleave(bench.rounds, ours.len(), |i| places[i].store())?;
    say(&format!("{}: restoring", data.name));
    let back = interleave(bench.rounds, places.len(), |i| places[i].restore())?;
    places.iter().try_for_each(Place::remove)?;

    let measurement = |work, (i, runs): (usize, Vec<Run>)| -> Result<Measurement> {
        let mut m = Measurement::new(work, data.name, data.about.bytes, &Program::ALL[i].name(), runs)?;
        m.stored = (work == Work::Store).then_some(stored[i]);
        Ok(m)
    };
    [(Work::Store, first), (Work::StoreAgain, again), (Work::Restore, back)]
        .into_iter()
        .flat_map(|(work, runs)| runs.into_iter().enumerate().map(move |one| (work, one)))
        .map(|(work, one)| measurement(work, one))
        .collect()
}
