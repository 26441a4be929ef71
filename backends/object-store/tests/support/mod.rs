//! A service that fails on demand, and what it can fail with.

// Each test file uses its own part. The numbers are small.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::cast_possible_truncation)]

pub mod double;
pub mod fault_table;
pub mod location;
pub mod trouble;
