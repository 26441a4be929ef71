use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::{Args, ValueHint};
use futures::{StreamExt, TryStreamExt};
use selfenc::compat::{AnyMap, Generation};
use selfenc::store::{Backend, OpenMode};
use selfenc::{DataMap, Engine, Error, MapError, Suite};

use super::encrypt::native_suite;
use super::reading::{Reading, unwrapped};
use super::target::Target;
use crate::exit::{Failure, Result};
use crate::maps;
use crate::progress::Meter;
use crate::stores::{StoreArg, open};
use crate::ui::Ui;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc convert photo.map --store 'file:old?layout=flat' --to-store file:new -o photo.jpg.selfenc
  selfenc convert photo.map --store file:old --to-store s3://backups/new --key-file key --name photo

Reads data that self_encryption wrote, writes it anew in the native format, and
reads that back and compares it before the new map is written. The old map and its
chunks are left as they are: remove them yourself once you need them no more.")]
pub(crate) struct Convert {
    /// The data map of self_encryption, binary or JSON; '-' reads it from standard input
    #[arg(value_name = "MAP", value_hint = ValueHint::FilePath)]
    map: PathBuf,

    #[command(flatten)]
    store: StoreArg,

    /// The store that the new chunks go to
    #[arg(long, value_name = "URL")]
    to_store: String,

    /// Insist on se1 (releases up to 0.34) or se2 (since 0.35); auto takes either
    #[arg(long, value_parser = parse_from, default_value = "auto")]
    from: From,

    /// Repair a map that an old release has damaged, as it does beyond some ten thousand chunks
    #[arg(long)]
    repair_nested: bool,

    /// sha3-aes256cbc (0x10) or blake3-chacha20poly1305 (0x11)
    #[arg(long, value_parser = parse_suite, default_value = "sha3-aes256cbc")]
    suite: Suite,

    #[command(flatten)]
    target: Target,
}

/// Which generation the old data must be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Auto,
    Only(Generation),
}

pub(crate) async fn run(args: Convert, ui: Ui) -> Result<()> {
    let target = &args.target;
    let engine = target.engine(args.suite)?;
    // One half for what is read, one for what is written.
    let budget = engine.config().memory_budget();
    let engine = engine.with_memory_budget(budget / 2);
    engine.config().check_budget().map_err(|e| match e {
        Error::BudgetTooSmall { needed, .. } => Error::BudgetTooSmall { needed: 2 * needed, budget },
        other => other,
    })?;
    let bytes = tokio::task::block_in_place(|| maps::read(&args.map))?;
    let shown = args.map.display().to_string();
    let map = match AnyMap::detect(&bytes) {
        Ok(AnyMap::Compat(map)) => map,
        Ok(AnyMap::Native(_)) | Err(Error::BadMap(MapError::Sealed)) => {
            let message = format!("{shown} is a map of selfenc's own; there is nothing to convert");
            let hint = "'selfenc decrypt' and 'selfenc store copy' take it as it is";
            return Err(Failure::usage(message).hint(hint));
        }
        Err(e) => return Err(Failure::from(e).about(&shown)),
    };
    let old = args.store.open(OpenMode::Existing).await?;
    let from = old.info().to_string();
    let meter = Meter::new(ui, "converting", None);
    let reader = Reading::open_compat(&engine, old, map, args.repair_nested, ui).await?;
    meter.expect(reader.len());
    if let (From::Only(wanted), Some(found)) = (args.from, reader.generation())
        && wanted != found
    {
        return Err(
            Failure::usage(format!("{shown} is of {found}, not of {wanted}")).hint("leave out --from")
        );
    }
    let place = target.place(&args.map)?;
    let scope = target.scope(ui)?;
    let store = open(&args.to_store, OpenMode::Create).await?;
    if store.info().to_string() == from {
        return Err(Failure::usage(
            "the old store and the new one are the same: nobody could remove the old chunks",
        )
        .hint("give another --to-store"));
    }
    let expect = target.expected(&*store).await?;

    let start = Instant::now();
    let hash = Arc::new(Mutex::new(blake3::Hasher::new()));
    let seen = Arc::clone(&hash);
    let source = reader.stream(0..reader.len()).map_ok(move |piece| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).update(&piece);
        piece
    });
    let writer = engine.clone().with_observer(Arc::new(meter.clone()));
    let source = source.map_err(std::io::Error::from);
    let written = writer.write_stream(Arc::clone(&store) as _, &scope, source).await.map_err(unwrapped)?;
    meter.done();
    if written.map.len() != reader.len() {
        return Err(Failure::damaged("the old data ended too soon; no map was written"));
    }
    let read = hash.lock().unwrap_or_else(PoisonError::into_inner).finalize();
    compare(&engine, &store, &written.map, read, ui).await?;
    let path = target.keep(place, &written.map, expect, &*store).await?;
    target.close(path.as_deref(), &written.stats, start.elapsed(), &*store, ui)
}

/// Reads the new chunks back: only what can be is a conversion.
async fn compare(
    engine: &Engine,
    store: &Arc<dyn Backend>,
    map: &DataMap,
    old: blake3::Hash,
    ui: Ui,
) -> Result<()> {
    let meter = Meter::new(ui, "comparing", Some(map.len()));
    let engine = engine.clone().with_observer(Arc::new(meter.clone()));
    let mut hash = blake3::Hasher::new();
    let mut pieces = engine.open(Arc::clone(store) as _, map.clone()).stream(0..map.len());
    while let Some(piece) = pieces.next().await {
        hash.update(&piece?);
    }
    meter.done();
    if hash.finalize() == old {
        return Ok(());
    }
    Err(Failure::damaged("what was written is not what was read; no map was written").hint("run it again"))
}

fn parse_from(text: &str) -> Result<From, String> {
    match text {
        "auto" => Ok(From::Auto),
        name => name.parse().map(From::Only).map_err(|_: Error| format!("'{text}' is not auto, se1 or se2")),
    }
}

fn parse_suite(text: &str) -> Result<Suite, String> {
    let known = || Suite::ALL.map(Suite::name).join(" and ");
    native_suite(&text.to_ascii_lowercase())
        .ok_or_else(|| format!("no suite '{text}'; there are {}", known()))
}
