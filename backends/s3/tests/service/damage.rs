//! What happens to a store's objects behind its back.

use bytes::Bytes;
use selfenc_backend_tests::Damage;
use selfenc_core::store::ChunkId;

use super::place::Place;

/// What becomes of the bytes; `None` for what cannot happen to an object.
fn changed(data: &Bytes, damage: Damage, max_chunk_len: u64) -> Option<Vec<u8>> {
    let (mut data, half) = (data.to_vec(), data.len() / 2);
    match damage {
        Damage::Truncate => data.truncate(half),
        Damage::FlipBit => data[half] ^= 1,
        Damage::Extend => data.extend_from_slice(b"more"),
        Damage::Zero => data.fill(0),
        Damage::TooLong => data = vec![0; max_chunk_len as usize + 1],
        _ => return None,
    }
    Some(data)
}

/// Damages a chunk; `None` for what cannot happen to an object.
pub async fn damage(
    place: &Place,
    id: ChunkId,
    damage: Damage,
    max_chunk_len: u64,
) -> Option<Result<(), String>> {
    let (raw, key) = (&place.raw, place.names().chunk(id));
    let work = async {
        let data = raw.get(&key).await?;
        if let Damage::SwapWith(other) = damage {
            let other = place.names().chunk(other);
            let theirs = raw.get(&other).await?;
            raw.put(&other, data).await?;
            return raw.put(&key, theirs).await.map(Some);
        }
        match changed(&data, damage, max_chunk_len) {
            Some(data) => raw.put(&key, data).await.map(Some),
            None => Ok(None),
        }
    };
    work.await.transpose()
}

/// Puts objects whose names are nearly right, and some whose are not.
pub async fn litter(place: &Place) -> Result<(), String> {
    let prefix = &place.prefix;
    let below = litter_names().into_iter().map(|name| format!("{prefix}/{name}"));
    let beside = [format!("{prefix}x/selfenc-store"), format!("{prefix}x/chunks/5a/{}", "5a".repeat(31))];
    place.raw.put_all(&below.chain(beside).collect::<Vec<_>>()).await
}

fn litter_names() -> Vec<String> {
    let digits = "0123456789abcdef".repeat(4);
    let mut names: Vec<_> =
        [".DS_Store", "chunks/.DS_Store", "chunks/Thumbs.db", "chunks/not-a-shard/x", "roots/readme"]
            .map(str::to_owned)
            .into();
    names.extend(["roots/6d.roo", "roots/6D.root", "roots/6.root", "roots/.root"].map(str::to_owned));
    names.push("selfenc-probe-0123".to_owned());
    names.push("chunks/with space+plus%41&\u{e9}\u{1f980}".to_owned());
    for shard in ["00", "5a", "ff"] {
        names.push(format!("chunks/{shard}/{}", &digits[..61]));
        names.push(format!("chunks/{shard}/{}", &digits[..63]));
        names.push(format!("chunks/{shard}/{}G", &digits[..61]));
        names.push(format!("chunks/{shard}/{}F", &digits[..61]));
        names.push(format!("chunks/{shard}/{}.tmp", &digits[..62]));
        names.push(format!("chunks/{shard}/{}/x", &digits[1..63]));
    }
    names.push(format!("chunks/5A/{}", &digits[..62]));
    names.push(format!("selfenc-test-0123456789abcdef/chunks/5a/{}", &digits[..62]));
    names
}
