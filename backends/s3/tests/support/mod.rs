//! A service of S3 in the test process, and a proxy in front of it that fails as it is told.

// Each test file uses its own part. The numbers are small.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::cast_possible_truncation)]

pub mod action;
pub mod answer;
pub mod config;
pub mod play;
pub mod proxy;
pub mod request;
pub mod script;
pub mod server;
pub mod upstream;
pub mod wire;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// The bucket of all tests.
pub const BUCKET: &str = "test";
pub const REGION: &str = "us-east-1";
/// The credentials that the service in the process knows.
pub const ACCESS_KEY: &str = "AKIATESTACCESSKEY000";
/// To be found in no error.
pub const SECRET_KEY: &str = "hunter2-the-secret-key-of-all-tests";
/// In the body of every scripted error, as real services put what they were sent there. To be found in no
/// error either.
pub const TOKEN: &str = "hunter2-the-session-token";

/// Servers run here, so that no test's own runtime (one thread, paused time, ended early) touches them.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

/// Waits until it is so, for at most half a minute.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
