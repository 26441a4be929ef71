//! A service of S3, in this process or anywhere, and what the tests do with it besides using the backend.

// Each test file uses its own part.
#![allow(dead_code, unused_imports, unused_macros, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

pub mod cases;
pub mod damage;
pub mod endpoint;
pub mod fault_table;
pub mod harness;
pub mod place;
pub mod raw;
