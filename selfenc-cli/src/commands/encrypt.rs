use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueHint};
use selfenc::compat::{self, Generation};
use selfenc::store::{Backend, Durability, OpenMode};
use selfenc::{EncryptionConfig, Engine, Error, Suite};
use tokio::io::AsyncRead;

use super::target::Target;
use crate::exit::{Context, Failure, Result};
use crate::output::is_dash;
use crate::progress::Meter;
use crate::stores::StoreArg;
use crate::ui::Ui;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc encrypt photo.jpg
  selfenc encrypt big.iso --store file:/mnt/backup/chunks --memory 64M
  tar c docs | selfenc encrypt - -o docs.selfenc --cdc 256K,1M,4M
  selfenc encrypt report.pdf --name report --key-file key   keeps the sealed map in the store

The data map holds the keys of this one file: keep it as you would the file.
It is written with mode 0600.

Without --public, --private and --secret-file the chunks are made with your own
group secret, in $XDG_CONFIG_HOME/selfenc/group-secret, made at first use. Equal
files then share their chunks, and only holders of that secret can tell.

With --suite se1 or se2 chunks and map are those of self_encryption, up to release
0.34 and since 0.35. Its chunks are everybody's, as with --public; --chunk-size is
the MAX_CHUNK_SIZE it was built with, 113 bytes to 64M less one
[default: 1M in se1, 4092K in se2].")]
pub(crate) struct Encrypt {
    /// The file to encrypt; '-' reads standard input
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    file: PathBuf,

    #[command(flatten)]
    store: StoreArg,

    /// sha3-aes256cbc (0x10) or blake3-chacha20poly1305 (0x11); se1 or se2 for self_encryption's formats
    #[arg(long, value_parser = parse_suite, default_value = "sha3-aes256cbc")]
    suite: AnySuite,

    #[command(flatten)]
    target: Target,
}

/// A suite, of ours or of self_encryption.
#[derive(Clone, Copy, Debug)]
enum AnySuite {
    Native(Suite),
    Compat(Generation),
}

pub(crate) async fn run(args: Encrypt, ui: Ui) -> Result<()> {
    match args.suite {
        AnySuite::Native(suite) => native(args, suite, ui).await,
        AnySuite::Compat(generation) => as_the_original(args, generation, ui).await,
    }
}

async fn native(args: Encrypt, suite: Suite, ui: Ui) -> Result<()> {
    // What can be refused is refused before anything is made or read.
    let target = &args.target;
    let engine = target.engine(suite)?;
    let (source, len) = open_source(&args.file)?;
    let place = target.place(&args.file)?;
    let scope = target.scope(ui)?;
    let store = open_store(&args.store, ui).await?;
    let expect = target.expected(&*store).await?;

    let start = Instant::now();
    let meter = Meter::new(ui, "encrypting", len);
    let engine = engine.with_observer(Arc::new(meter.clone()));
    let written = engine.write(Arc::clone(&store) as _, &scope, source).await?;
    meter.done();
    let path = target.keep(place, &written.map, expect, &*store).await?;
    target.close(path.as_deref(), &written.stats, start.elapsed(), &*store, ui)
}

/// The chunks and the map that self_encryption writes, bit for bit.
async fn as_the_original(args: Encrypt, generation: Generation, ui: Ui) -> Result<()> {
    let target = &args.target;
    target.check_compat(generation)?;
    let engine = |engine: &Engine| match target.chunk_size {
        Some(size) => compat::Engine::new(engine, generation).with_max_chunk_size(size),
        None => Ok(compat::Engine::new(engine, generation)),
    };
    let native = Engine::new(target.resources.apply(EncryptionConfig::new()))?;
    engine(&native)?.check_budget()?;
    let (source, len) = open_source(&args.file)?;
    if let Some(len) = len.filter(|len| *len < compat::MIN_LEN) {
        return Err(Error::TooShort { len, least: compat::MIN_LEN }.into());
    }
    let place = target.place(&args.file)?;
    let store = open_store(&args.store, ui).await?;

    let start = Instant::now();
    let meter = Meter::new(ui, "encrypting", len);
    let engine = engine(&native.with_observer(Arc::new(meter.clone())))?;
    let written = engine.write(Arc::clone(&store) as _, source).await?;
    meter.done();
    let path = place.keep(&written.map.to_secret_bytes())?;
    target.close(path.as_deref(), &written.stats, start.elapsed(), &*store, ui)
}

async fn open_store(store: &StoreArg, ui: Ui) -> Result<Arc<dyn Backend>> {
    let store = store.open(OpenMode::Create).await?;
    if store.capabilities().durability == Durability::Volatile {
        ui.say("this store ends with this command: what is encrypted into it cannot be brought back");
    }
    Ok(store)
}

fn open_source(path: &Path) -> Result<(Box<dyn AsyncRead + Send + Unpin>, Option<u64>)> {
    if is_dash(path) {
        return Ok((Box::new(tokio::io::stdin()), None));
    }
    let shown = path.display();
    let what = format!("cannot read '{shown}'");
    let file =
        File::open(path).map_err(|e| Failure::io(&what, &e).hint("check the path and its permissions"))?;
    let meta = file.metadata().context(&what)?;
    if meta.is_dir() {
        return Err(Failure::new(format!("'{shown}' is a folder"))
            .hint(format!("pack it: tar c '{shown}' | selfenc encrypt - -o MAP")));
    }
    let len = meta.is_file().then_some(meta.len());
    Ok((Box::new(tokio::fs::File::from_std(file)), len))
}

fn parse_suite(text: &str) -> Result<AnySuite, String> {
    let lower = text.to_ascii_lowercase();
    match (native_suite(&lower), lower.parse()) {
        (Some(suite), _) => Ok(AnySuite::Native(suite)),
        (None, Ok(generation)) => Ok(AnySuite::Compat(generation)),
        (None, Err(_)) => {
            let known: Vec<_> = Suite::ALL.iter().map(ToString::to_string).collect();
            Err(format!("no suite '{text}'; there are {}, se1 and se2", known.join(", ")))
        }
    }
}

/// The suite of ours that has this name, or this number.
pub(crate) fn native_suite(text: &str) -> Option<Suite> {
    Suite::ALL.into_iter().find(|suite| suite.name() == text || format!("0x{:02x}", suite.id()) == text)
}
