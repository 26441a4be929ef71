use super::entry::Entry;
use crate::engine::limits::FAN;

/// The data map while it grows: one run of entries for each level, whatever the size of the data.
#[derive(Debug, Default)]
pub(in crate::engine) struct Tree {
    runs: Vec<Vec<Entry>>,
}

/// What an entry did to its level.
#[derive(Debug)]
pub(in crate::engine) enum Growth {
    /// It found room.
    Kept,
    /// It began a new run; this full one becomes a page.
    Page(Vec<Entry>),
}

impl Tree {
    /// Adds an entry to a level. A run becomes a page only when the entry after it arrives, so that the
    /// last run of a level stays here, full or not.
    pub(in crate::engine) fn push(&mut self, level: usize, entry: Entry) -> Growth {
        if self.runs.len() == level {
            self.runs.push(Vec::with_capacity(FAN));
        }
        let run = &mut self.runs[level];
        if run.len() < FAN {
            run.push(entry);
            return Growth::Kept;
        }
        let mut next = Vec::with_capacity(FAN);
        next.push(entry);
        Growth::Page(std::mem::replace(run, next))
    }

    /// Takes the lowest run: `Ok` if it is the root's, `Err` if it becomes the last page of its level.
    pub(in crate::engine) fn close(&mut self, level: usize) -> Result<Vec<Entry>, Vec<Entry>> {
        let run = self.runs.get_mut(level).map(std::mem::take).unwrap_or_default();
        if self.runs.len() == level + 1 { Ok(run) } else { Err(run) }
    }
}
