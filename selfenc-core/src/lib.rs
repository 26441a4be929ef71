//! The two halves of selfenc that everything else stands on.
//!
//! * [`store`]: where chunks live. Two object-safe traits, [`store::ChunkStore`] and
//!   [`store::RootStore`], with their guarantees written on them.
//! * [`engine`]: how bytes become chunks and come back. [`engine::Engine`] writes any source into any
//!   store and returns a [`engine::DataMap`]; [`engine::Reader`] reads it back, checking everything.
//!
//! * `compat`, behind the feature of that name: the formats of self_encryption, bit for bit.
//!
//! Most programs depend on the facade crate `selfenc`, which re-exports both together with the
//! backends. A backend's author depends on this crate alone.
#![forbid(unsafe_code)]

#[cfg(feature = "compat")]
pub mod compat;
pub mod engine;
pub mod store;
pub mod wrap;

pub use async_trait::async_trait;
pub use bytes::Bytes;
