use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use selfenc::{Observer, Progress};

use crate::ui::Ui;

const BAR: &str = "{prefix} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left";
const STEPS: &str = "{prefix} {bar:30} {pos}/{len} {elapsed} {wide_msg}";
const SPINNER: &str = "{prefix} {spinner} {binary_bytes} {binary_bytes_per_sec}";

/// A progress bar over bytes on standard error; drawn only if that is a terminal, and removed at the end.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    bar: ProgressBar,
}

impl Meter {
    /// A bar up to `total` bytes, or a spinner where the total is not known.
    pub(crate) fn new(ui: Ui, doing: &'static str, total: Option<u64>) -> Self {
        Self { bar: bar(ui, doing, total, if total.is_some() { BAR } else { SPINNER }) }
    }

    /// The total, once it is known.
    pub(crate) fn expect(&self, total: u64) {
        self.bar.set_length(total);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            self.bar.set_style(style);
        }
    }

    /// Counts `bytes` more.
    pub(crate) fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Prints above the bar, so that neither tears the other.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Removes the bar.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

/// The same over steps that have names.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    bar: ProgressBar,
}

impl Steps {
    /// A bar up to `total` steps.
    pub(crate) fn new(ui: Ui, doing: &'static str, total: u64) -> Self {
        Self { bar: bar(ui, doing, Some(total), STEPS) }
    }

    /// Counts one more, called `name`.
    pub(crate) fn next(&self, name: &str) {
        self.bar.set_message(name.to_owned());
        self.bar.inc(1);
    }

    /// Removes the bar.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

fn bar(ui: Ui, doing: &'static str, total: Option<u64>, template: &str) -> ProgressBar {
    // indicatif itself draws nothing where standard error is no terminal.
    let target = if ui.quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(total, target).with_prefix(doing);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Shows how far the engine is, in bytes of the file.
impl Observer for Meter {
    fn progress(&self, p: &Progress) -> ControlFlow<()> {
        // One of the two is zero: an engine's call either writes or reads.
        self.bar.set_position(p.bytes_in + p.bytes_out);
        ControlFlow::Continue(())
    }
}
