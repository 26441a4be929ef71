//! Where data is cut into chunks.

mod cutter;
mod source;

pub(crate) use cutter::Cutter;
pub(crate) use source::{Chunk, ChunkSource};

use super::error::{Error, Result};
use super::limits::MAX_LEN;

/// How data is cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Chunking {
    /// Every `size` bytes; the last chunk is shorter.
    Fixed {
        /// 1 KiB to 64 MiB.
        size: u32,
        /// 0, or 3: inputs shorter than three chunks are cut into three parts, as the original does.
        min_chunks: u32,
    },
    /// FastCDC: where the data itself says, so that an insertion moves few boundaries. All even.
    ContentDefined {
        /// 64 bytes to 1 MiB.
        min: u32,
        /// 256 bytes to 4 MiB.
        avg: u32,
        /// 1 KiB to 16 MiB.
        max: u32,
    },
}

/// The chunk size of writer profile P1.
const DEFAULT_SIZE: u32 = 1 << 20;

impl Chunking {
    /// Every `size` bytes.
    #[must_use]
    pub const fn fixed(size: u32) -> Self {
        Self::Fixed { size, min_chunks: 0 }
    }

    /// The longest chunk, in bytes.
    #[must_use]
    pub const fn max_len(self) -> u32 {
        match self {
            Self::Fixed { size, .. } => size,
            Self::ContentDefined { max, .. } => max,
        }
    }

    pub(super) fn validate(self) -> Result<()> {
        const MIB: u32 = 1 << 20;
        let wrong = match self {
            Self::Fixed { size, .. } if !(1024..=MAX_LEN).contains(&size) => {
                "chunk size: it is 1 KiB to 64 MiB"
            }
            Self::Fixed { min_chunks, .. } if min_chunks != 0 && min_chunks != 3 => {
                "min_chunks: it is 0 (off) or 3"
            }
            // The third part of an input just short of three chunks is one byte longer than a chunk.
            Self::Fixed { size: MAX_LEN, min_chunks: 3 } => "chunk size: with min_chunks it is below 64 MiB",
            Self::ContentDefined { min, .. } if !(64..=MIB).contains(&min) => {
                "content-defined min: it is 64 bytes to 1 MiB"
            }
            Self::ContentDefined { avg, .. } if !(256..=4 * MIB).contains(&avg) => {
                "content-defined avg: it is 256 bytes to 4 MiB"
            }
            Self::ContentDefined { max, .. } if !(1024..=16 * MIB).contains(&max) => {
                "content-defined max: it is 1 KiB to 16 MiB"
            }
            Self::ContentDefined { min, avg, max } if min > avg || avg > max => {
                "content-defined sizes: min, avg, max must ascend"
            }
            Self::ContentDefined { min, avg, max } if (min | avg | max) % 2 != 0 => {
                "content-defined sizes: they are even"
            }
            _ => return Ok(()),
        };
        Err(Error::InvalidConfig(wrong.into()))
    }

    /// The chunker's byte in a data map.
    pub(super) const fn id(self) -> u8 {
        match self {
            Self::Fixed { .. } => 1,
            Self::ContentDefined { .. } => 2,
        }
    }

    /// p0, p1, p2 in a data map.
    pub(super) const fn parameters(self) -> [u32; 3] {
        match self {
            Self::Fixed { size, min_chunks } => [size, min_chunks, 0],
            Self::ContentDefined { min, avg, max } => [min, avg, max],
        }
    }

    pub(super) fn from_parameters(id: u8, parameters: [u32; 3]) -> Option<Self> {
        let chunking = match (id, parameters) {
            (1, [size, min_chunks, 0]) => Self::Fixed { size, min_chunks },
            (2, [min, avg, max]) => Self::ContentDefined { min, avg, max },
            _ => return None,
        };
        chunking.validate().ok()?;
        Some(chunking)
    }
}

impl Default for Chunking {
    fn default() -> Self {
        Self::fixed(DEFAULT_SIZE)
    }
}
