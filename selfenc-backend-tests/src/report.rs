use std::fmt;

use selfenc_core::store::Capabilities;
use serde::{Deserialize, Serialize};

/// How the suite went over one store. `Display` is a table for people, [`to_json`](Self::to_json) one for
/// programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What the store says it is.
    pub store: String,
    /// What the store declares, or why it could not be opened.
    pub capabilities: Result<Declared, String>,
    /// The version of the suite.
    pub suite: String,
    /// How much was done.
    pub scale: String,
    /// Where chance came from.
    pub seed: u64,
    /// One for each case, in the order of the list.
    pub rows: Vec<Row>,
}

/// A store's [`Capabilities`], in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields of `Capabilities`
pub struct Declared {
    pub durability: String,
    pub exact_outcome: bool,
    pub shared: bool,
    pub drop_ordered: bool,
    pub lists: bool,
    pub deletes: bool,
    pub roots: bool,
    pub max_chunk_len: u64,
}

impl From<Capabilities> for Declared {
    fn from(c: Capabilities) -> Self {
        Self {
            durability: format!("{:?}", c.durability),
            exact_outcome: c.exact_outcome,
            shared: c.shared,
            drop_ordered: c.drop_ordered,
            lists: c.lists,
            deletes: c.deletes,
            roots: c.roots,
            max_chunk_len: c.max_chunk_len,
        }
    }
}

/// How one case ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `group::case`.
    pub case: String,
    /// How it ended.
    pub status: Status,
    /// What is to be said about it: nothing if it passed.
    pub detail: String,
    /// How long it took.
    pub seconds: f64,
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The store keeps what the case asks for.
    Passed,
    /// The store declares less, and keeps what it declares.
    Weaker,
    /// The harness lacks a hook, so nothing was tried.
    NotExercised,
    /// The case is for a larger scale.
    LargerScale,
    /// It failed, as the harness declares.
    KnownFailure,
    /// It failed.
    Failed,
}

impl Status {
    /// All of them, as they stand in tables.
    pub const ALL: [Self; 6] =
        [Self::Passed, Self::Weaker, Self::NotExercised, Self::LargerScale, Self::KnownFailure, Self::Failed];
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "passed",
            Self::Weaker => "weaker by declaration",
            Self::NotExercised => "not exercised",
            Self::LargerScale => "larger scale only",
            Self::KnownFailure => "known failure",
            Self::Failed => "FAILED",
        })
    }
}

impl Report {
    /// Whether nothing failed, but for what is declared, and the store kept something of what it declares.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        let kept = self.count(Status::Passed) + self.count(Status::Weaker);
        self.capabilities.is_ok() && self.count(Status::Failed) == 0 && kept > 0
    }

    /// How many cases ended so.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.rows.iter().filter(|row| row.status == status).count()
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them: there is nothing that JSON cannot say.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// If it is no report.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The compatibility table of several stores, in Markdown.
    #[must_use]
    pub fn table(reports: &[Self]) -> String {
        let yes = |on: bool| if on { "yes" } else { "no" };
        let mut table = String::from(
            "| store | durability | exact outcome | shared | drop ordered | roots | passed | weaker | not exercised | known failures | failed |\n\
             |---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for report in reports {
            let declared = match &report.capabilities {
                Ok(c) => format!(
                    "{} | {} | {} | {} | {}",
                    c.durability,
                    yes(c.exact_outcome),
                    yes(c.shared),
                    yes(c.drop_ordered),
                    yes(c.roots)
                ),
                Err(_) => "not opened | | | |".to_owned(),
            };
            let counts: Vec<_> =
                [Status::Passed, Status::Weaker, Status::NotExercised, Status::KnownFailure, Status::Failed]
                    .map(|status| report.count(status).to_string())
                    .to_vec();
            table.push_str(&format!("| `{}` | {declared} | {} |\n", report.store, counts.join(" | ")));
        }
        table
    }

    fn groups(&self) -> Vec<&str> {
        let mut groups = Vec::new();
        for group in self.rows.iter().map(Row::group) {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }
}

impl Row {
    fn group(&self) -> &str {
        self.case.split("::").next().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "store   {}", self.store)?;
        match &self.capabilities {
            Ok(c) => writeln!(f, "says    {c}")?,
            Err(e) => writeln!(f, "says    it could not be opened: {e}")?,
        }
        writeln!(
            f,
            "suite   {}: {} cases, scale {}, seed {}\n",
            self.suite,
            self.rows.len(),
            self.scale,
            self.seed
        )?;
        writeln!(
            f,
            "{:<14}{:>7}{:>8}{:>15}{:>14}{:>7}{:>8}",
            "", "passed", "weaker", "not exercised", "larger scale", "known", "failed"
        )?;
        for group in self.groups() {
            let count =
                |status| self.rows.iter().filter(|r| r.group() == group && r.status == status).count();
            writeln!(
                f,
                "{group:<14}{:>7}{:>8}{:>15}{:>14}{:>7}{:>8}",
                count(Status::Passed),
                count(Status::Weaker),
                count(Status::NotExercised),
                count(Status::LargerScale),
                count(Status::KnownFailure),
                count(Status::Failed),
            )?;
        }
        for status in &Status::ALL[1..] {
            let rows: Vec<_> = self.rows.iter().filter(|row| row.status == *status).collect();
            if !rows.is_empty() {
                writeln!(f, "\n{status}:")?;
                for row in rows {
                    writeln!(f, "  {}: {}", row.case, row.detail)?;
                }
            }
        }
        let seconds: f64 = self.rows.iter().map(|row| row.seconds).sum();
        let verdict = if self.is_ok() { "ok" } else { "FAILED" };
        write!(
            f,
            "\n{verdict}: {} passed, {} failed, in {seconds:.1} s",
            self.count(Status::Passed),
            self.count(Status::Failed)
        )
    }
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "durability {}, chunks up to {} bytes", self.durability, self.max_chunk_len)?;
        let flags = [
            (self.exact_outcome, "exact_outcome"),
            (self.shared, "shared"),
            (self.drop_ordered, "drop_ordered"),
            (self.lists, "lists"),
            (self.deletes, "deletes"),
            (self.roots, "roots"),
        ];
        for (on, name) in flags {
            write!(f, ", {}{name}", if on { "" } else { "no " })?;
        }
        Ok(())
    }
}
