//! Maps that the originals damage by shrinking inside of shrinking.
//!
//! A map that takes more than three chunks itself is encrypted by the function that also shrinks what it
//! returns; and that starts to count from 0. So the map in the middle does not say that it is one, and what
//! reads it stops too early: the first generation gives the bytes of a map for the data, and the second finds
//! chunks of another level than it asks for.

use super::generation::Generation;
use super::map::{DataMap, MAX_CHILD};
use super::read::{Reader, Source};
use crate::engine::{Error, MapError, Result};

/// The level of the chunks of every map in the middle.
const LEVEL: u64 = 1;

pub(super) async fn open(source: Source, map: DataMap) -> Result<(Reader, u32)> {
    let mut reader = Reader::open(source.clone(), map).await?;
    let mut repaired = 0;
    while let Some(below) = below(&source, &reader).await? {
        repaired += 1;
        if u64::from(repaired) > MAX_CHILD {
            return Err(MapError::Invalid("it has more than 100 levels").into());
        }
        reader = Reader::open(source.clone(), below).await?;
    }
    Ok((reader, repaired))
}

/// The map that the chunks hold, if they hold one and not the data.
async fn below(source: &Source, reader: &Reader) -> Result<Option<DataMap>> {
    match reader.generation() {
        Generation::One if !DataMap::may_have_len(reader.len()) => Ok(None),
        // A look at its head spares reading data that is none.
        Generation::One if !DataMap::may_begin(&reader.read_at(0, 9).await?, reader.len()) => Ok(None),
        Generation::One => match reader.read_map().await {
            Ok(map) if map.is_plausible() => Ok(Some(map)),
            Ok(_) | Err(Error::BadMap(_)) => Ok(None),
            Err(e) => Err(e),
        },
        Generation::Two if reader.has_first().await? => Ok(None),
        Generation::Two => {
            let middle = Reader::at(source.clone(), reader.map().clone(), LEVEL).await?;
            middle.read_map().await.map(Some)
        }
    }
}
