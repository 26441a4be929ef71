//! The limits of format version 1, each from `docs/format.md`.

/// The longest data chunk, in bytes of plaintext.
pub const MAX_LEN: u32 = 64 << 20;
/// The longest stored chunk: the longest data chunk and room for encoding.
pub const MAX_STORED: u32 = MAX_LEN + (4 << 20);
/// Entries of a page, and of a root.
pub const FAN: usize = 512;
/// The highest level a root may have.
pub const MAX_LEVEL: u8 = 7;
/// Inputs up to this many bytes live in the map itself.
pub const INLINE: u64 = 4096;
