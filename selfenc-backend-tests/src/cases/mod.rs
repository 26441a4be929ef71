//! The cases, a file for each group. Each is an `async fn` from a harness to an
//! [`Outcome`](crate::Outcome); its doc comment is the requirement.

// The names say it, and the list in `list.rs` is the table of contents.
#![allow(missing_docs, clippy::missing_errors_doc)]

pub mod basic;
pub mod batch;
pub mod cancellation;
pub mod concurrency;
pub mod corruption;
pub mod delete;
pub mod durability;
pub mod errors;
pub mod honesty;
pub mod id;
pub mod list;
pub mod model;
pub mod put;
pub mod roots;
pub mod size;
