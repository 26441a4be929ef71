//! The test of the tests: stores that are broken on purpose, each of which the named cases must reject, and
//! the same stores unbroken, which every case must accept.
//!
//! They run on a fast clock: what hangs is soon at its deadline.

mod disk;
mod faults;
mod harness;
mod list;
mod roots;
mod store;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use selfenc_backend_tests::{CASES, Case, Options, Row, Status};
use tokio::runtime::Builder;

use faults::{FAULTS, Fault};
use harness::BrokenHarness;

selfenc_backend_tests::conformance!(mod on_put = BrokenHarness::on_put());
selfenc_backend_tests::conformance!(mod on_flush = BrokenHarness::on_flush());
selfenc_backend_tests::conformance!(mod bare = BrokenHarness::bare());

/// Runs the cases whose names hold `filter`.
fn run(harness: &BrokenHarness, filter: &str) -> Vec<Row> {
    let options = Options::new().with_filter(filter);
    match harness.fault() {
        Fault::NeedsThreads => {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(selfenc_backend_tests::run(harness, &options)).rows
        }
        _ => {
            let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
            runtime.expect("a runtime").block_on(async {
                let clock = tokio::spawn(fast_clock());
                let report = selfenc_backend_tests::run(harness, &options).await;
                clock.abort();
                report.rows
            })
        }
    }
}

/// A hundred times as fast as a real clock, whether or not others are busy. A paused clock alone stands
/// still while a case spins, and a real one takes minutes for what hangs.
async fn fast_clock() {
    let start = std::time::Instant::now();
    let mut shown = Duration::ZERO;
    loop {
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        if shown < start.elapsed() * 100 {
            shown += Duration::from_millis(1);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }
}

fn run_one(harness: &BrokenHarness, case: &str) -> Row {
    let row = run(harness, case).into_iter().find(|row| row.case == case);
    row.unwrap_or_else(|| panic!("there is no case {case}"))
}

/// Each named case must reject the broken store, by a clause and a line, and accept the unbroken one.
fn rejects(fault: Fault) {
    let (_, cases) = FAULTS.iter().find(|(listed, _)| *listed == fault).expect("it is listed");
    for (case, clause) in *cases {
        let broken = run_one(&BrokenHarness::broken(fault), case);
        assert_eq!(broken.status, Status::Failed, "{case} accepts a store with {fault:?}: {}", broken.detail);
        let cited = broken.detail.contains(&format!("breaks {clause}: ")) && broken.detail.contains(".rs:");
        assert!(cited, "{case}, of a store with {fault:?}, says: {}", broken.detail);
        let mended = run_one(&BrokenHarness::mended(fault), case);
        let accepted = matches!(mended.status, Status::Passed | Status::Weaker);
        assert!(accepted, "{case}, of a store without {fault:?}: {}: {}", mended.status, mended.detail);
    }
}

#[test]
fn every_fault_is_caught_by_some_case() {
    let faults = Mutex::new(FAULTS.iter());
    let caught = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((fault, _)) = faults.lock().expect("no holder panics").next() else { break };
                    let rows = run(&BrokenHarness::broken(*fault), "");
                    let by =
                        rows.iter().filter(|row| row.status == Status::Failed).map(|row| row.case.clone());
                    caught.lock().expect("no holder panics").push((*fault, by.collect::<Vec<_>>()));
                }
            });
        }
    });
    let caught = caught.into_inner().expect("no holder panics");
    let mut lines: Vec<_> =
        caught.iter().map(|(fault, by)| format!("{:4}  {fault:?}  {}", by.len(), by.join(" "))).collect();
    lines.sort_unstable();
    println!("cases that caught it, and the fault:\n{}", lines.join("\n"));
    assert_eq!(caught.len(), FAULTS.len());
    let missed: Vec<_> = caught.iter().filter(|(_, by)| by.is_empty()).map(|(fault, _)| fault).collect();
    assert!(missed.is_empty(), "caught by no case: {missed:?}");
}

#[test]
fn names_of_cases_are_unique() {
    let names: BTreeSet<_> = CASES.iter().map(Case::full_name).collect();
    assert_eq!(names.len(), CASES.len());
    assert!(names.len() >= 100, "{} cases", names.len());
}
