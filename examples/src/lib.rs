//! Small programs that use selfenc are in `examples/`; this crate's documentation tests are the code
//! blocks of the README and of `docs/write-a-backend.md`.
#![forbid(unsafe_code)]
#![cfg_attr(doctest, doc = include_str!("../../README.md"))]

#[cfg(doctest)]
#[doc = include_str!("../../docs/write-a-backend.md")]
mod write_a_backend {}
