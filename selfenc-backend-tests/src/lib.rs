//! The conformance suite: whether a store keeps the contract of
//! [`ChunkStore`](selfenc_core::store::ChunkStore) and [`RootStore`](selfenc_core::store::RootStore).
//!
//! A backend's author writes a [`Harness`] and one line, and gets one ordinary `#[test]` for each case:
//!
//! ```
//! use std::sync::Arc;
//!
//! use selfenc_backend_tests::{Harness, async_trait};
//! use selfenc_core::store::{Backend, Result};
//! use selfenc_memory::MemoryStore;
//!
//! #[derive(Debug, Default)]
//! struct MemoryHarness;
//!
//! #[async_trait]
//! impl Harness for MemoryHarness {
//!     async fn open(&self) -> Result<Arc<dyn Backend>> {
//!         Ok(Arc::new(MemoryStore::new()))
//!     }
//! }
//!
//! selfenc_backend_tests::conformance!(mod memory = MemoryHarness::default());
//! # fn main() {}
//! ```
//!
//! The tests are named by configuration, group and case: `memory::put::twice_is_ok`. A failure names the
//! case, the line that noticed, and the clause of the contract that is broken (G1 to G9 are written on
//! `ChunkStore`).
//!
//! Nothing is skipped in silence. Where a store declares less (its `Capabilities`), the case checks what
//! it does declare. Where a case needs a hook that the harness lacks, the case writes one line to
//! standard error, past the test runner's capture: `NOT EXERCISED …`.
#![forbid(unsafe_code)]

#[macro_use]
mod check;

pub mod cases;
mod data;
mod harness;
pub mod kill;
mod list;
mod options;
mod over;
mod report;
mod run;
mod save;
mod scene;
mod trial;

pub use check::{Clause, Failure, Outcome, Verdict};
pub use harness::{Crash, Damage, Expected, Fault, Harness, Step};
pub use list::CASES;
pub use options::{Options, Scale};
pub use over::Over;
pub use report::{Declared, Report, Row, Status};
pub use run::{Case, run, run_case, run_test};
pub use save::write_report;
pub use trial::Trial;

pub use selfenc_core::async_trait;
pub use selfenc_core::wrap::Op;
