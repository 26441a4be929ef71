use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::{Clause, Failure, Harness, Outcome, Verdict};

/// After this a case is taken to hang.
const DEADLINE: Duration = Duration::from_secs(180);

/// One case of the suite.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its group, and the file it stands in.
    pub group: &'static str,
    /// Its name within the group.
    pub name: &'static str,
    /// Its body.
    pub run: for<'a> fn(&'a dyn Harness) -> BoxFuture<'a, Outcome>,
}

/// Runs one case on a runtime of its own (four threads, whatever the machine has).
///
/// # Errors
/// What the store did wrong. A panic below, or no end within three minutes, is a failure too.
///
/// # Panics
/// Inside another runtime.
pub fn run_case(case: &Case, harness: &dyn Harness) -> Outcome {
    let failure = |clause, message| Failure { clause, file: file!(), line: line!(), message };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = runtime.map_err(|e| failure(Clause::G9, format!("no runtime: {e}")))?;
    let body = AssertUnwindSafe((case.run)(harness)).catch_unwind();
    match runtime.block_on(async { tokio::time::timeout(DEADLINE, body).await }) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(failure(Clause::G8, "the store panicked; see above".to_owned())),
        Err(_) => Err(failure(Clause::G9, format!("no end within {} s", DEADLINE.as_secs()))),
    }
}

/// The body of each `#[test]` that [`conformance!`](crate::conformance) makes.
///
/// # Panics
/// If the case fails: that is how a test fails.
pub fn run_test(configuration: &str, group: &str, name: &str, harness: &dyn Harness) {
    let full = format!("{configuration}::{group}::{name}");
    let case = crate::CASES.iter().find(|case| case.group == group && case.name == name);
    let case = case.unwrap_or_else(|| panic!("{full}: the list of cases has no such case"));
    let line = match run_case(case, harness) {
        Ok(Verdict::Passed) => return,
        Ok(Verdict::Weaker(what)) => format!("WEAKER BY DECLARATION {full}: {what}\n"),
        Ok(Verdict::NotExercised(hook)) => {
            format!("NOT EXERCISED {full}: the harness has no hook `{hook}`\n")
        }
        Err(failure) => panic!("{full} {failure}"),
    };
    // Not `eprintln!`, whose output the test runner swallows when the test passes. If standard error is
    // closed there is nobody to tell.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
