//! From a map of maps to the map of the data.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::{DataMap, SelfEncryption, XorName, driver};
use crate::compat;
use crate::{Bytes, Error, MapError, Result};

/// The map of the data itself, behind a map that was shrunk. One of data comes back as it is.
///
/// `get_chunk` brings what is stored under a name. The chunks of the data are not asked for.
///
/// # Errors
/// [`Error::Corrupt`] naming a chunk that is not what the map says; [`Error::BadMap`]; or what `get_chunk`
/// returns.
pub fn get_root_data_map<F>(data_map: DataMap, get_chunk: &mut F) -> Result<DataMap>
where
    F: FnMut(XorName) -> Result<Bytes>,
{
    root(data_map, |wanted| wanted.iter().map(|(index, name)| Ok((*index, get_chunk(*name)?))).collect())
}

/// The same, with a function that brings many chunks at once: of each pair of index and name, the index and
/// what is stored under the name, in any order.
///
/// # Errors
/// As for [`get_root_data_map`], and [`Error::ChunkMissing`] naming a chunk that was left out.
pub fn get_root_data_map_parallel<F>(data_map: DataMap, get_chunk_parallel: &F) -> Result<DataMap>
where
    F: Fn(&[(usize, XorName)]) -> Result<Vec<(usize, Bytes)>>,
{
    root(data_map, |wanted| fetch(get_chunk_parallel, wanted))
}

fn root(
    data_map: DataMap,
    mut fetch: impl FnMut(&[(usize, XorName)]) -> Result<Vec<(usize, Bytes)>>,
) -> Result<DataMap> {
    if !data_map.is_child() {
        return Ok(data_map);
    }
    let mut map = compat::DataMap::try_from(data_map)?;
    while map.child().is_some() {
        map = below(&map, &mut fetch)?;
    }
    Ok(map.into())
}

/// The maps whose chunks shrinking made, from a map of `level` to `map`: the lowest first.
pub(super) fn levels(
    mut map: compat::DataMap,
    level: u64,
    mut get_chunk: impl FnMut(XorName) -> Result<Bytes>,
) -> Result<Vec<compat::DataMap>> {
    let mut fetch = |wanted: &[(usize, XorName)]| {
        wanted.iter().map(|(index, name)| Ok((*index, get_chunk(*name)?))).collect()
    };
    let mut maps = Vec::new();
    while map.child().unwrap_or(0) > level {
        maps.push(map.clone());
        if map.child() == Some(level + 1) {
            break;
        }
        map = below(&map, &mut fetch)?;
    }
    maps.reverse();
    Ok(maps)
}

/// The map that the chunks of this one hold.
fn below(
    map: &compat::DataMap,
    fetch: &mut impl FnMut(&[(usize, XorName)]) -> Result<Vec<(usize, Bytes)>>,
) -> Result<compat::DataMap> {
    // Its bytes, and the map made of them.
    let (needed, budget) = (map.original_file_size().saturating_mul(3), SelfEncryption::READ_MEMORY);
    if needed > budget {
        return Err(Error::BudgetTooSmall { needed, budget });
    }
    let stored = fetch(&wanted(map, 0..map.len()))?;
    let bytes = Zeroizing::new(decrypt(map, stored)?.concat());
    let below = compat::DataMap::from_bytes(&bytes)?;
    // Each level is one more than what is below: otherwise two maps could go round in circles.
    if below.child() != map.child().and_then(|level| level.checked_sub(1)).filter(|level| *level > 0) {
        return Err(MapError::Invalid("the map in it is not of the level below").into());
    }
    Ok(below)
}

/// The indices and names of these chunks.
pub(super) fn wanted(map: &compat::DataMap, indices: std::ops::Range<usize>) -> Vec<(usize, XorName)> {
    let infos = &map.infos()[indices.clone()];
    indices.zip(infos.iter().map(|info| info.dst_hash.into())).collect()
}

/// What `get` brings of what is wanted, in its order; what else it brings does not matter.
pub(super) fn fetch<F>(get: &F, wanted: &[(usize, XorName)]) -> Result<Vec<(usize, Bytes)>>
where
    F: Fn(&[(usize, XorName)]) -> Result<Vec<(usize, Bytes)>>,
{
    let mut fetched: HashMap<usize, Bytes> = get(wanted)?.into_iter().collect();
    let take = |(index, name): &(usize, XorName)| {
        let stored = fetched.remove(index).ok_or(Error::ChunkMissing { chunk: (*name).into() })?;
        Ok((*index, stored))
    };
    wanted.iter().map(take).collect()
}

/// What these chunks hold, decrypted and checked on all threads, in the order given.
pub(super) fn decrypt(map: &compat::DataMap, stored: Vec<(usize, Bytes)>) -> Result<Vec<Bytes>> {
    let pool = SelfEncryption::pool()?;
    driver::wait(map.decrypt_chunks(&pool, stored))
}
