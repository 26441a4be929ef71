use clap::{Args, Subcommand};
use futures::TryStreamExt;
use selfenc::store::{Backend, ChunkId, Durability};
use serde_json::json;

use super::{store_bench, store_copy, store_scrub, store_test};
use crate::corners::Corners;
use crate::exit::{Failure, Result};
use crate::stores::UrlArg;
use crate::text::size;
use crate::ui::{Lines, Ui, print, print_json};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc store stat file:/mnt/backup/chunks
  selfenc store scrub file:/mnt/backup/chunks
  selfenc store copy file:/mnt/backup/chunks file:/mnt/second/chunks
  selfenc store test file:/mnt/backup/chunks

None of these needs a key. Without URL the store is $SELFENC_STORE, else the default one.")]
pub(crate) struct Store {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the chunks: name and stored length in bytes
    #[command(
        after_help = "Examples:\n  selfenc store list file:/mnt/backup/chunks\n  selfenc store list --json"
    )]
    List(List),
    /// Tell what a store holds and promises, or the length of one chunk
    #[command(after_help = "\
Examples:
  selfenc store stat file:/mnt/backup/chunks
  selfenc store stat file:/mnt/backup/chunks 3f5a…   exits with 3 if it is not there")]
    Stat(Stat),
    /// Read every chunk and check that it is what its name says; needs no key
    Scrub(store_scrub::Scrub),
    /// Copy the chunks of one store into another
    Copy(store_copy::StoreCopy),
    /// Run the conformance suite on the medium of a store, beside its data
    Test(store_test::StoreTest),
    /// Measure a store: put, get, stat, list, delete
    Bench(store_bench::StoreBench),
}

impl Store {
    /// Whether it drives the store as hard as it can.
    pub(crate) fn strains_it(&self) -> bool {
        matches!(self.command, Command::Test(_) | Command::Bench(_))
    }
}

#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    store: UrlArg,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct Stat {
    #[command(flatten)]
    store: UrlArg,

    /// Tell of this chunk alone: 64 hex digits
    id: Option<ChunkId>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Store, ui: Ui, corners: Corners) -> Result<()> {
    match args.command {
        Command::List(args) => list(args).await,
        Command::Stat(args) => stat(args).await,
        Command::Scrub(args) => store_scrub::run(args, ui).await,
        Command::Copy(args) => store_copy::run(args, ui).await,
        Command::Test(args) => store_test::run(args, ui, corners).await,
        Command::Bench(args) => store_bench::run(args, ui, corners).await,
    }
}

async fn list(args: List) -> Result<()> {
    let store = args.store.open().await?;
    let mut chunks = store.list(None);
    let mut out = Lines::new();
    while let Some(chunk) = chunks.try_next().await? {
        if args.json {
            out.json(&json!({ "id": chunk.id.to_string(), "len": chunk.len }))?;
        } else {
            out.line(&format!("{} {}", chunk.id, chunk.len))?;
        }
    }
    out.finish()
}

async fn stat(mut args: Stat) -> Result<()> {
    // A single argument that is a chunk's name asks the default store: no URL looks like one.
    if args.id.is_none() {
        args.id = args.store.url.as_deref().and_then(|text| text.parse().ok());
        args.store.url = args.store.url.filter(|_| args.id.is_none());
    }
    let store = args.store.open().await?;
    match args.id {
        Some(id) => stat_chunk(id, args.json, &*store).await,
        None => stat_store(args.json, &*store).await,
    }
}

async fn stat_chunk(id: ChunkId, as_json: bool, store: &dyn Backend) -> Result<()> {
    let Some(meta) = store.stat(id).await? else {
        return Err(Failure::damaged(format!("chunk {id} is not in {}", store.info()))
            .hint("check the store's URL and the name"));
    };
    if as_json {
        return print_json(&json!({ "id": meta.id.to_string(), "len": meta.len }));
    }
    print(&[format!("{} {}", meta.id, meta.len)])
}

async fn stat_store(as_json: bool, store: &dyn Backend) -> Result<()> {
    let can = store.capabilities();
    let (chunks, bytes) = store
        .list(None)
        .try_fold((0u64, 0u64), async |(chunks, bytes), meta| {
            Ok((chunks + 1, bytes.saturating_add(meta.len)))
        })
        .await?;
    let names =
        if can.roots { Some(store.names().try_fold(0u64, async |n, _| Ok(n + 1)).await?) } else { None };
    let durability = match can.durability {
        Durability::Volatile => "volatile",
        Durability::OnFlush => "on flush",
        Durability::OnPut => "on put",
    };
    if as_json {
        return print_json(&json!({
            "store": store.info().to_string(),
            "chunks": chunks,
            "bytes": bytes,
            "names": names,
            "durability": durability,
            "exact_outcome": can.exact_outcome,
            "shared": can.shared,
            "drop_ordered": can.drop_ordered,
            "lists": can.lists,
            "deletes": can.deletes,
            "roots": can.roots,
            "max_chunk_len": can.max_chunk_len,
        }));
    }
    let flags = [
        ("exact outcome", can.exact_outcome),
        ("shared", can.shared),
        ("drop-ordered", can.drop_ordered),
        ("lists", can.lists),
        ("deletes", can.deletes),
        ("names", can.roots),
    ];
    let yes: Vec<_> = flags.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    print(&[
        format!("store       {}", store.info()),
        format!("chunks      {chunks}, {bytes} bytes ({})", size(bytes)),
        format!("names       {}", names.map_or_else(|| "not kept".to_owned(), |n| n.to_string())),
        format!("durable     {durability}"),
        format!("can         {}", yes.join(", ")),
        format!("chunks to   {}", size(can.max_chunk_len)),
    ])
}
