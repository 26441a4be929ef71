//! Runs the built `selfenc` as a user would, with a home folder of its own for each test.
#![allow(clippy::unwrap_used)] // clippy lets tests unwrap, but not their helpers

mod bad_use;
mod compat;
mod corners;
mod defaults;
mod interrupted;
mod kinds;
#[cfg(target_os = "linux")] // elsewhere nothing tells a process's peak without unsafe code
mod memory;
mod names;
mod round_trip;
#[cfg(feature = "s3")]
mod s3;
mod secrecy;
mod stores;
mod support;
