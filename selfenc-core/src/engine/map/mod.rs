//! The data map: a tree of entries whose root is small, and is the secret.

mod bytes;
mod entry;
mod node;
mod root;
mod seal;
#[cfg(test)]
mod tests;
mod tree;

pub(super) use entry::Entry;
pub(super) use node::Node;
pub(super) use root::{Body, Header};
pub use root::{ChunkInfo, DataMap};
pub(super) use tree::{Growth, Tree};
