//! One file per command: its arguments, and what it does.

pub(crate) mod cat;
mod chunk_check;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod decrypt;
pub(crate) mod encrypt;
pub(crate) mod info;
mod info_compat;
pub(crate) mod keygen;
pub(crate) mod names;
mod reading;
pub(crate) mod store;
mod store_bench;
mod store_copy;
mod store_scrub;
mod store_test;
mod target;
pub(crate) mod verify;
