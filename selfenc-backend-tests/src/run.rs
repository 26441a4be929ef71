use std::any::Any;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::{
    CASES, Clause, Declared, Failure, Harness, Options, Outcome, Report, Row, Scale, Status, Trial, Verdict,
};

/// One case of the suite.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its group, and the file it stands in.
    pub group: &'static str,
    /// Its name within the group.
    pub name: &'static str,
    /// Its body.
    pub run: for<'a> fn(&'a Trial<'a>) -> BoxFuture<'a, Outcome>,
}

impl Case {
    /// The case of this name, `group::case`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        CASES.iter().find(|case| case.full_name() == name)
    }

    /// `group::case`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}::{}", self.group, self.name)
    }
}

/// Runs the suite over a store, case by case, on the current runtime, and says how it went.
///
/// Never panics, whatever the store does. A case that does not end is given up after minutes, unless the
/// store blocks the executor for ever.
pub async fn run(harness: &dyn Harness, options: &Options) -> Report {
    let (store, capabilities) = match declared(harness, options).await {
        Ok((store, capabilities)) => (store, Ok(capabilities)),
        Err(e) => ("?".to_owned(), Err(e)),
    };
    let mut rows = Vec::new();
    if capabilities.is_ok() {
        for case in CASES.iter().filter(|case| case.full_name().contains(&options.filter)) {
            let start = Instant::now();
            let outcome = attempt(case, harness, options).await;
            rows.push(row(case, harness, outcome, start.elapsed()));
            options.report(&rows[rows.len() - 1]);
        }
        rows.extend(known(harness).iter().filter(|(name, _)| Case::find(name).is_none()).map(stale));
    }
    let (scale, suite) = (options.scale.to_string(), env!("CARGO_PKG_VERSION").to_owned());
    Report { store, capabilities, suite, scale, seed: options.seed, rows }
}

/// What the store says it is, and what it declares.
async fn declared(harness: &dyn Harness, options: &Options) -> Result<(String, Declared), String> {
    let opening = async {
        let store = harness.open().await.map_err(|e| e.to_string())?;
        Ok((store.info().to_string(), store.capabilities().into()))
    };
    let limit = deadline(options.scale);
    match tokio::time::timeout(limit, AssertUnwindSafe(opening).catch_unwind()).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(panic)) => Err(format!("it panicked: {}", words(&*panic))),
        Err(_) => Err(format!("no end within {} s", limit.as_secs())),
    }
}

fn known(harness: &dyn Harness) -> Vec<(&'static str, &'static str)> {
    std::panic::catch_unwind(AssertUnwindSafe(|| harness.known_failures())).unwrap_or_default()
}

/// Runs one case on a runtime of its own (four threads, whatever the machine has).
///
/// # Errors
/// What the store did wrong. A panic below, or no end within minutes, is a failure too.
///
/// # Panics
/// Inside another runtime.
pub fn run_case(case: &Case, harness: &dyn Harness, options: &Options) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = runtime.map_err(|e| failure(Clause::G9, format!("no runtime: {e}")))?;
    let outcome = runtime.block_on(attempt(case, harness, options));
    // A store that hangs on a blocking thread must not hang the test as well.
    runtime.shutdown_timeout(SETTLE);
    outcome
}

/// How long a case that is over waits for what it left running.
const SETTLE: Duration = Duration::from_secs(10);

/// The body of each `#[test]` that [`conformance!`](crate::conformance) makes. The scale and the seed come
/// from the environment; see [`Options::from_env`].
///
/// # Panics
/// If the case fails: that is how a test fails.
pub fn run_test(configuration: &str, group: &str, name: &str, harness: &dyn Harness) {
    let name = format!("{group}::{name}");
    let full = format!("{configuration}::{name}");
    let options = Options::from_env().unwrap_or_else(|e| panic!("{full}: {e}"));
    let case = Case::find(&name).unwrap_or_else(|| panic!("{full}: the list of cases has no such case"));
    for (known, _) in harness.known_failures() {
        assert!(Case::find(known).is_some(), "{known} is declared as a known failure; there is no such case");
    }
    let outcome = run_case(case, harness, &options);
    let row = row(case, harness, outcome, Duration::ZERO);
    match row.status {
        Status::Passed => {}
        Status::Failed => panic!(
            "{full} {}; to see it again: SELFENC_SUITE={} SELFENC_SEED={}",
            row.detail, options.scale, options.seed
        ),
        status => {
            let line = format!("{} {full}: {}\n", status.to_string().to_uppercase(), row.detail);
            // Not `eprintln!`, whose output the test runner swallows when the test passes. If standard
            // error is closed there is nobody to tell.
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        }
    }
}

/// After this a case is taken to hang.
fn deadline(scale: Scale) -> Duration {
    Duration::from_secs(match scale {
        Scale::Quick => 180,
        Scale::Full => 1800,
        Scale::Soak => 6 * 3600,
    })
}

async fn attempt(case: &Case, harness: &dyn Harness, options: &Options) -> Outcome {
    let trial = Trial::new(harness, options);
    let body = AssertUnwindSafe((case.run)(&trial)).catch_unwind();
    let limit = deadline(options.scale);
    match tokio::time::timeout(limit, body).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(failure(Clause::G8, format!("the store panicked: {}", words(&*panic)))),
        Err(_) => Err(failure(Clause::G9, format!("no end within {} s", limit.as_secs()))),
    }
}

fn failure(clause: Clause, message: String) -> Failure {
    Failure { clause, file: file!(), line: line!(), message }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why").to_owned()
}

fn row(case: &Case, harness: &dyn Harness, outcome: Outcome, took: Duration) -> Row {
    let name = case.full_name();
    let known = known(harness).into_iter().find(|(known, _)| *known == name).map(|(_, why)| why);
    let (status, detail) = match (outcome, known) {
        (Err(failure), Some(why)) => (Status::KnownFailure, format!("{why} ({failure})")),
        (Err(failure), None) => (Status::Failed, failure.to_string()),
        (Ok(Verdict::LargerScale(scale)), _) => (Status::LargerScale, format!("it runs at scale {scale}")),
        (Ok(verdict), Some(why)) => {
            (Status::Failed, format!("declared as a known failure ({why}), it now ends as {verdict:?}"))
        }
        (Ok(Verdict::Passed), None) => (Status::Passed, String::new()),
        (Ok(Verdict::Weaker(what)), None) => (Status::Weaker, what.to_owned()),
        (Ok(Verdict::NotExercised(hook)), None) => {
            (Status::NotExercised, format!("the harness has no hook `{hook}`"))
        }
    };
    Row { case: name, status, detail, seconds: took.as_secs_f64() }
}

fn stale((name, _): &(&'static str, &'static str)) -> Row {
    let detail = "it is declared as a known failure, and there is no such case".to_owned();
    Row { case: (*name).to_owned(), status: Status::Failed, detail, seconds: 0.0 }
}
