//! What the comparisons share: the data, the stages of encrypting, and statistics.
#![forbid(unsafe_code)]

pub mod data;
pub mod stages;
pub mod stats;

/// What the functions here return.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
