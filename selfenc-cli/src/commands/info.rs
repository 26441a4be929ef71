use std::sync::Arc;

use clap::Args;
use futures::TryStreamExt;
use selfenc::compat::AnyMap;
use selfenc::store::OpenMode;
use selfenc::{Binding, ChunkInfo, Chunking, DataMap, EncryptionConfig, Engine};
use serde_json::{Value, json};

use super::info_compat;
use crate::exit::{Failure, Result};
use crate::maps::{MapArgs, parse};
use crate::stores::StoreArg;
use crate::text::{count, size};
use crate::ui::{Lines, print, print_json};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc info photo.jpg.selfenc
  selfenc info photo.jpg.selfenc --chunks
  selfenc info big.iso.selfenc --chunks --store file:/mnt/backup/chunks
  selfenc info --name report --key-file key

Needs no store, except for --name, and for --chunks of a large map, which keeps
its entries in pages in the store: with --store the chunks are listed, without
it the pages. Of a map of self_encryption, --store tells what the chunks in it
hold. Keys are never printed.")]
pub(crate) struct Info {
    #[command(flatten)]
    pub(super) map: MapArgs,

    #[command(flatten)]
    pub(super) store: StoreArg,

    /// List the chunks, or the pages of a map that has pages; with --store, always the chunks
    #[arg(long)]
    pub(super) chunks: bool,

    /// Print one JSON object; with --chunks one for each chunk, after that of the map
    #[arg(long)]
    pub(super) json: bool,
}

pub(crate) async fn run(args: Info) -> Result<()> {
    let store = match args.map.name {
        Some(_) => Some(args.store.open(OpenMode::Existing).await?),
        None => None,
    };
    let key = args.map.key()?;
    let bytes = args.map.bytes(store.as_deref()).await?;
    let sealed = DataMap::is_sealed(&bytes);
    if sealed && key.is_none() {
        return tell_sealed(&args, bytes.len());
    }
    match parse(&bytes, key.as_ref()).map_err(|e| e.about(&args.map.shown()))? {
        AnyMap::Native(map) => {
            tell(&args, &map, sealed, bytes.len())?;
            if args.chunks { list_chunks(&args, map).await } else { Ok(()) }
        }
        AnyMap::Compat(map) => info_compat::run(&args, map, bytes.len()).await,
    }
}

fn tell_sealed(args: &Info, len: usize) -> Result<()> {
    if args.chunks {
        return Err(Failure::new(format!("{}: the data map is sealed", args.map.shown()))
            .hint("give the key it was sealed with by --key-file"));
    }
    if args.json {
        return print_json(&json!({ "map": args.map.shown(), "sealed": true, "map_bytes": len }));
    }
    print(&[format!("{}: a sealed data map of {len} bytes; --key-file opens it", args.map.shown())])
}

fn tell(args: &Info, map: &DataMap, sealed: bool, len: usize) -> Result<()> {
    let binding = match map.binding() {
        Binding::Own => "own",
        Binding::Next => "next",
    };
    if args.json {
        return print_json(&json!({
            "map": args.map.shown(),
            "sealed": sealed,
            "map_bytes": len,
            "bytes": map.len(),
            "suite": map.suite().to_string(),
            "chunking": map.chunking().map(chunking_json),
            "binding": binding,
            "inline": map.is_inline(),
            "level": map.level(),
            "entries": map.entries().count(),
        }));
    }
    let body = if map.is_inline() {
        "in the map itself; the store holds nothing of it".to_owned()
    } else if map.level() == 0 {
        count(map.entries().count() as u64, "chunk")
    } else {
        format!("{} pages at level {}, in the store", map.entries().count(), map.level())
    };
    print(&[
        format!("map       {}{}, {len} bytes", args.map.shown(), if sealed { " (sealed)" } else { "" }),
        format!("data      {} bytes ({})", map.len(), size(map.len())),
        format!("suite     {} (0x{:02x})", map.suite(), map.suite().id()),
        format!("chunking  {}", map.chunking().map_or_else(|| "none".to_owned(), chunking_text)),
        format!("binding   {binding}"),
        format!("entries   {body}"),
    ])
}

async fn list_chunks(args: &Info, map: DataMap) -> Result<()> {
    let mut out = Lines::new();
    // An environment variable alone does not make this command need a store.
    if map.level() > 0 && (args.store.store.is_some() || args.map.name.is_some()) {
        let store = args.store.open(OpenMode::Existing).await?;
        let reader = Engine::new(EncryptionConfig::new())?.open(Arc::clone(&store) as _, map);
        let mut chunks = reader.chunks();
        heading(args, "chunks", &mut out)?;
        while let Some(chunk) = chunks.try_next().await? {
            entry(args, &chunk, "chunk", &mut out)?;
        }
        return out.finish();
    }
    let (heads, kind) = match map.level() {
        0 => ("chunks", "chunk"),
        _ => ("map pages, each over many chunks; with --store the chunks themselves", "page"),
    };
    heading(args, heads, &mut out)?;
    map.entries().try_for_each(|info| entry(args, &info, kind, &mut out))?;
    out.finish()
}

fn heading(args: &Info, kind: &str, out: &mut Lines) -> Result<()> {
    if args.json {
        return Ok(());
    }
    out.line(&format!("{kind}:"))?;
    out.line(&format!("{:>15} {:>12} {:>10}  name", "offset", "length", "stored"))
}

fn entry(args: &Info, info: &ChunkInfo, kind: &str, out: &mut Lines) -> Result<()> {
    if args.json {
        return out.json(&json!({
            "kind": kind,
            "offset": info.offset,
            "len": info.len,
            "stored": info.stored,
            "name": info.name.to_string(),
        }));
    }
    out.line(&format!("{:>15} {:>12} {:>10}  {}", info.offset, info.len, info.stored, info.name))
}

fn chunking_text(chunking: Chunking) -> String {
    match chunking {
        Chunking::Fixed { size: bytes, .. } => format!("fixed, {}", size(bytes.into())),
        Chunking::ContentDefined { min, avg, max } => {
            let [min, avg, max] = [min, avg, max].map(|bytes| size(bytes.into()));
            format!("content-defined, min {min}, avg {avg}, max {max}")
        }
        _ => "of a newer kind".to_owned(),
    }
}

fn chunking_json(chunking: Chunking) -> Value {
    match chunking {
        Chunking::Fixed { size, .. } => json!({ "fixed": size }),
        Chunking::ContentDefined { min, avg, max } => json!({ "min": min, "avg": avg, "max": max }),
        _ => Value::Null,
    }
}
