//! One file per command: its arguments, and what it does.

pub(crate) mod cat;
mod chunk_check;
pub(crate) mod completions;
pub(crate) mod decrypt;
pub(crate) mod encrypt;
pub(crate) mod info;
pub(crate) mod keygen;
pub(crate) mod names;
mod reading;
pub(crate) mod store;
mod store_bench;
mod store_copy;
mod store_scrub;
mod store_test;
pub(crate) mod verify;
