//! The conformance suite, and what only a service of S3 has, over a service in this process: `s3s-fs` with
//! real signatures, behind a proxy that can fail, pause and cut off.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod service;
mod support;

use selfenc_s3::Conditions;
use service::endpoint::{Endpoint, Kind};
use service::harness::ServiceHarness;
use support::server::Service;

selfenc_backend_tests::conformance!(mod s3s_fs = ServiceHarness::new(as_it_is()));
selfenc_backend_tests::conformance!(mod s3s_fs_atomic = ServiceHarness::new(atomic()));

/// It looks and then writes, so of two writers at the same time both may win; a probe, which is alone,
/// cannot see that. So the backend is told.
fn as_it_is() -> Endpoint {
    let conditions = Conditions { create: false, update: false };
    Endpoint::of(Service::new(), Kind::Other, Some(conditions))
}

/// The same with one write at a time, which makes its conditions what they should be.
fn atomic() -> Endpoint {
    Endpoint::of(Service::atomic(), Kind::S3s, None)
}

#[test]
#[ignore = "writes reports; see the README of the repository"]
fn write_report() {
    selfenc_backend_tests::write_report("s3-s3s-fs", &ServiceHarness::new(as_it_is()));
}

mod cases {
    crate::service::cases::service_cases!(Some(super::atomic()));
}

mod cases_without_conditions {
    crate::service::cases::service_cases!(Some(super::as_it_is());
        the_probe_tells_what_the_service_does
        another_value_does_not_replace_the_first
        a_put_that_races_a_delete_ends_in_either_state
    );
}
