//! The conformance suite, and what only a service of S3 has, over the service that the environment names:
//! `SELFENC_TEST_S3_ENDPOINT` (http://…), `_REGION`, `_ACCESS_KEY`, `_SECRET_KEY`, `_KIND` (minio, garage,
//! s3s, aws, other) and, for a user who may not make buckets, `_BUCKET`. What is written is removed again.
//!
//! Without one, each test says on standard error that it did not run; with `SELFENC_REQUIRE_S3=1` it fails.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod service;
mod support;

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock};
use std::thread;

use selfenc_backend_tests::{CASES, Options, Report, Row, Status};
use selfenc_core::store::Durability;
use service::endpoint::{Endpoint, Kind};
use service::harness::ServiceHarness;

/// The service, if there is one. Says once if there is none.
fn given() -> Option<Endpoint> {
    static GIVEN: OnceLock<Option<Endpoint>> = OnceLock::new();
    GIVEN.get_or_init(|| Endpoint::from_env("selfenc-s3 over a real service")).clone()
}

service::cases::service_cases!(given());

#[test]
fn the_whole_suite() {
    let Some(endpoint) = given() else { return };
    let options = Options::from_env().unwrap();
    let reports = in_groups(&endpoint, &options);
    let rows: Vec<&Row> = reports.iter().flat_map(|report| &report.rows).collect();
    assert_eq!(rows.len(), CASES.len(), "cases that ran");
    for report in &reports {
        assert!(report.capabilities.is_ok(), "{report}");
    }
    let slowest = rows.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap();
    let count = |status| rows.iter().filter(|row| row.status == status).count();
    let counts = Status::ALL.map(|status| format!("{} {status}", count(status))).join(", ");
    println!("{counts}; the slowest took {:.1} s: {}", slowest.seconds, slowest.case);
    for row in rows.iter().filter(|row| row.status != Status::Passed) {
        println!("{:20} {}: {}", row.status, row.case, row.detail);
    }
    assert_eq!(count(Status::Failed), 0, "see above");
}

/// Groups side by side, each with locations of its own.
fn in_groups(endpoint: &Endpoint, options: &Options) -> Vec<Report> {
    let mut groups: Vec<_> = CASES.iter().map(|case| case.group).collect();
    groups.dedup();
    let todo = Mutex::new(VecDeque::from(groups));
    let done = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                let runtime = builder.worker_threads(4).enable_all().build().unwrap();
                loop {
                    let Some(group) = todo.lock().unwrap().pop_front() else { return };
                    let harness = ServiceHarness::new(endpoint.clone());
                    let options = options.clone().with_filter(format!("{group}::"));
                    let report = runtime.block_on(selfenc_backend_tests::run(&harness, &options));
                    check_capabilities(endpoint.kind, &harness);
                    done.lock().unwrap().push(report);
                }
            });
        }
    });
    done.into_inner().unwrap()
}

/// What is known of each kind of service: its conditions carry exact outcomes and roots.
fn check_capabilities(kind: Kind, harness: &ServiceHarness) {
    let can = harness.capabilities().expect("a store was opened");
    assert_eq!((can.durability, can.shared, can.drop_ordered), (Durability::OnPut, true, false));
    assert_eq!((can.lists, can.deletes), (true, true));
    if let Some(keeps) = kind.keeps_conditions() {
        assert_eq!((can.exact_outcome, can.roots), (keeps, keeps), "exact outcomes and roots of {kind:?}");
    }
}

#[test]
#[ignore = "writes reports; see the README of the repository"]
fn write_report() {
    let endpoint = given().expect("a report needs a service: set SELFENC_TEST_S3_ENDPOINT");
    let name = match endpoint.kind {
        Kind::Minio => "s3-minio",
        Kind::Garage => "s3-garage",
        Kind::S3s => "s3-s3s",
        Kind::Aws => "s3-aws",
        Kind::Other => "s3-other",
    };
    selfenc_backend_tests::write_report(name, &ServiceHarness::new(endpoint));
}
