//! Reading chunks of a store one by one and holding them against their names, in bounded memory.

use selfenc::Bytes;
use selfenc::name_matches;
use selfenc::store::{ChunkId, ChunkStore, ErrorKind};

use crate::exit::Result;

/// Chunks that are read at once, as far as the memory reaches.
pub(crate) const IN_FLIGHT: usize = 8;

/// Memory for chunks in flight, in KiB; a chunk longer than this is read alone.
pub(crate) const MEMORY_KIB: u32 = 64 << 10;

/// A chunk's share of [`MEMORY_KIB`].
pub(crate) fn kib(len: u64) -> u32 {
    u32::try_from(len.div_ceil(1024)).unwrap_or(MEMORY_KIB).clamp(1, MEMORY_KIB)
}

/// What a store has under a name.
pub(crate) enum Content {
    Good(Bytes),
    Damaged(String),
    /// Deleted since it was listed.
    Gone,
}

/// Reads a chunk and checks it against its name.
pub(crate) async fn read(store: &(impl ChunkStore + ?Sized), id: ChunkId) -> Result<Content> {
    let data = match store.get(id).await {
        Ok(Some(data)) => data,
        Ok(None) => return Ok(Content::Gone),
        // The medium cannot give this chunk back, and may well give the next one.
        Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Other) => {
            return Ok(Content::Damaged(e.to_string()));
        }
        Err(e) => return Err(e.into()),
    };
    let checked = data.clone();
    let good = tokio::task::spawn_blocking(move || name_matches(id, &checked))
        .await
        .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
    Ok(if good { Content::Good(data) } else { Content::Damaged(format!("{} other bytes", data.len())) })
}
