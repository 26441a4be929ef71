//! What the comparisons share: the data, and statistics.
#![forbid(unsafe_code)]

pub mod data;
pub mod stats;

/// What the functions here return.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
