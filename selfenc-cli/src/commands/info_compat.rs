//! What there is to tell of a data map of self_encryption.

use selfenc::compat::{DataMap, Engine, Generation};
use selfenc::store::OpenMode;
use selfenc::{EncryptionConfig, Engine as Native};
use serde_json::json;

use super::info::Info;
use crate::exit::Result;
use crate::text::{count, size};
use crate::ui::{Lines, print, print_json};

/// With a store, of the data itself; without, of what the map lists.
pub(super) async fn run(args: &Info, map: DataMap, len: usize) -> Result<()> {
    let levels = map.child().unwrap_or(0);
    // An environment variable alone does not make this command need a store.
    let (map, generation) = if args.store.store.is_some() {
        let store = args.store.open(OpenMode::Existing).await?;
        let engine = Engine::new(&Native::new(EncryptionConfig::new())?, Generation::Two);
        let reader = engine.open(store as _, map).await?;
        (reader.map().clone(), Some(reader.generation()))
    } else {
        (map, None)
    };
    tell(args, &map, generation, levels, len)?;
    if args.chunks { list(args, &map) } else { Ok(()) }
}

fn tell(args: &Info, map: &DataMap, generation: Option<Generation>, levels: u64, len: usize) -> Result<()> {
    let is_of_data = map.child().is_none();
    if args.json {
        return print_json(&json!({
            "map": args.map.shown(),
            "format": "self_encryption",
            "sealed": false,
            "map_bytes": len,
            "bytes": is_of_data.then(|| map.original_file_size()),
            "suite": generation.map(Generation::name),
            "levels": levels,
            "chunks": map.len(),
        }));
    }
    let data = match is_of_data {
        true => format!("{} bytes ({})", map.original_file_size(), size(map.original_file_size())),
        false => "in chunks whose map is in the chunks below; --store finds it".to_owned(),
    };
    let suite = match generation {
        Some(generation) => generation.name(),
        None => "se1 or se2, which the map does not say; --store finds out",
    };
    print(&[
        format!("map       {}, {len} bytes, of self_encryption", args.map.shown()),
        format!("data      {data}"),
        format!("suite     {suite}"),
        format!("levels    {levels}"),
        format!("entries   {}", count(map.len() as u64, "chunk")),
    ])
}

/// What they were made from is a secret, and how long they are stored the map does not say.
fn list(args: &Info, map: &DataMap) -> Result<()> {
    let mut out = Lines::new();
    if !args.json {
        out.line("chunks:")?;
        out.line(&format!("{:>15} {:>12}  name", "offset", "length"))?;
    }
    let mut offset = 0;
    for info in map.infos() {
        let (len, name) = (info.src_size, info.dst_hash);
        if args.json {
            out.json(&json!({ "kind": "chunk", "offset": offset, "len": len, "name": name.to_string() }))?;
        } else {
            out.line(&format!("{offset:>15} {len:>12}  {name}"))?;
        }
        offset += len;
    }
    out.finish()
}
