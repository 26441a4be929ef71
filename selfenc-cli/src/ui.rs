use std::io::{self, BufWriter, Stdout, Write};

use crate::exit::{Context, Result};
use crate::text::printable;

/// What may be said on standard error besides failures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    quiet: bool,
}

impl Ui {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Whether progress and closing lines are unwanted.
    pub(crate) fn quiet(self) -> bool {
        self.quiet
    }

    /// One line for people. That standard error is gone is no reason to fail.
    pub(crate) fn say(self, line: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{}", printable(line));
        }
    }
}

/// Lines on standard output, buffered. Call [`Lines::finish`], or the last of them may be lost unseen.
pub(crate) struct Lines(BufWriter<Stdout>);

impl Lines {
    pub(crate) fn new() -> Self {
        Self(BufWriter::new(io::stdout()))
    }

    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        writeln!(self.0, "{}", printable(line)).context("cannot write to standard output")
    }

    pub(crate) fn json(&mut self, value: &serde_json::Value) -> Result<()> {
        self.raw(&value.to_string())
    }

    /// What must come out as it is.
    fn raw(&mut self, text: &str) -> Result<()> {
        writeln!(self.0, "{text}").context("cannot write to standard output")
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.0.flush().context("cannot write to standard output")
    }
}

/// Prints the lines of one short answer.
pub(crate) fn print(lines: &[String]) -> Result<()> {
    let mut out = Lines::new();
    lines.iter().try_for_each(|line| out.line(line))?;
    out.finish()
}

/// Prints what is JSON already.
pub(crate) fn print_json_text(text: &str) -> Result<()> {
    let mut out = Lines::new();
    out.raw(text)?;
    out.finish()
}

/// Prints one JSON object.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<()> {
    let mut out = Lines::new();
    out.json(value)?;
    out.finish()
}
