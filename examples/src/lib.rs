//! Small programs that use selfenc are in `examples/`; this crate's documentation tests are the code
//! blocks of the README.
#![forbid(unsafe_code)]
#![cfg_attr(doctest, doc = include_str!("../../README.md"))]
