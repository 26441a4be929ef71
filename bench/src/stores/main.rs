//! Each store against the bare engine below it: puts, gets and a listing, on the same chunks and the same
//! disk, in pairs. The method is in `docs/performance.md`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)] // the tables are what this program is for

mod chunks;
mod ours;
mod pages;
mod raw;
mod raw_object_store;
mod raw_s3;
mod raw_sled;
mod raw_sqlite;
mod report;

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use selfenc_bench::Result;

use crate::chunks::Chunks;
use crate::report::{Pair, Run};

/// Requests in flight, for ours and for the engines: as many as the engine's writer keeps by default.
const IN_FLIGHT: usize = 16;

/// Compares each local store with the engine below it.
#[derive(Debug, Parser)]
struct Args {
    /// Folder on the disk to measure [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Stores to measure [default: all but s3]
    #[arg(long, value_delimiter = ',')]
    stores: Vec<Kind>,
    /// The bucket for `--stores s3`; the service and its keys come from AWS_ENDPOINT_URL and the like
    #[arg(long, default_value = "selfenc")]
    bucket: String,
    /// Pairs that count; one more comes first and does not
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: u32,
    /// Measure SQLite's page sizes and the grouping of puts instead
    #[arg(long)]
    sqlite_pages: bool,
}

/// A store and the engine below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Memory,
    Fs,
    Sqlite,
    Sled,
    ObjectStore,
    S3,
}

impl Kind {
    /// What the right-hand column is.
    fn engine(self) -> &'static str {
        match self {
            Self::Memory => "a BTreeMap behind a lock",
            Self::Fs => "files: create, write, fsync",
            Self::Sqlite => "rusqlite: WAL, FULL, a row per transaction",
            Self::Sled => "sled: insert, then flush",
            Self::ObjectStore => "LocalFileSystem with fsync",
            Self::S3 => "AmazonS3 of object_store, PutMode::Create",
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fs => "file",
            Self::Sqlite => "sqlite",
            Self::Sled => "sled",
            Self::ObjectStore => "objects",
            Self::S3 => "s3",
        }
    }

    /// One run of the bare engine, in a folder of its own, or in the bucket.
    async fn raw(self, dir: &Path, bucket: &str, chunks: &Chunks) -> Result<Run> {
        match self {
            Self::Memory => raw::run(&raw::Memory::default(), chunks),
            Self::Fs => raw::run(&raw::Files::new(dir)?, chunks),
            Self::Sqlite => raw::run(&raw_sqlite::Sqlite::new(&dir.join("raw.db"))?, chunks),
            Self::Sled => raw::run(&raw_sled::Sled::new(dir)?, chunks),
            Self::ObjectStore => raw_object_store::run(dir, chunks).await,
            Self::S3 => raw_s3::run(bucket, chunks).await,
        }
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let dir = args.dir.unwrap_or_else(std::env::temp_dir);
    let runtime = tokio::runtime::Runtime::new()?;
    let threads = std::thread::available_parallelism()?;
    println!(
        "selfenc {}, {threads} threads, {IN_FLIGHT} in flight, {}",
        env!("CARGO_PKG_VERSION"),
        dir.display()
    );
    println!("medians of {} pairs; ratio = ours / the engine\n", args.pairs);
    if args.sqlite_pages {
        return runtime.block_on(pages::measure(&dir, args.pairs));
    }
    // S3 needs a service.
    let all: Vec<_> = Kind::value_variants().iter().copied().filter(|kind| *kind != Kind::S3).collect();
    for kind in if args.stores.is_empty() { all } else { args.stores } {
        report::head(&format!("{kind:?} against {}", kind.engine()));
        // Over HTTP, 128 are over before the two processes have settled.
        for chunks in Chunks::sizes(if kind == Kind::S3 { 512 } else { 128 }) {
            let pairs = runtime.block_on(measure(kind, &dir, &args.bucket, &chunks, args.pairs))?;
            report::rows(&chunks, &pairs);
        }
        println!();
    }
    Ok(())
}

/// Runs both sides, one right after the other; who is first changes from pair to pair.
async fn measure(kind: Kind, dir: &Path, bucket: &str, chunks: &Chunks, pairs: u32) -> Result<Vec<Pair>> {
    let mut measured = Vec::new();
    for pair in 0..=pairs {
        let (mine, bare) = (tempfile::tempdir_in(dir)?, tempfile::tempdir_in(dir)?);
        let url = match kind {
            Kind::Memory => "memory:".to_owned(),
            Kind::S3 => format!("s3://{bucket}"),
            _ => format!("{}:{}", kind.scheme(), mine.path().join("store").display()),
        };
        let run = if pair % 2 == 0 {
            let ours = ours::run(&url, chunks).await?;
            Pair { ours, theirs: kind.raw(bare.path(), bucket, chunks).await? }
        } else {
            let theirs = kind.raw(bare.path(), bucket, chunks).await?;
            Pair { ours: ours::run(&url, chunks).await?, theirs }
        };
        // The first pair warms caches and allocators.
        if pair > 0 {
            measured.push(run);
        }
    }
    Ok(measured)
}
