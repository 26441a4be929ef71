use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueHint};
use selfenc::store::{Backend, BackendExt, Durability, Expect, OpenMode, RootName, Swap};
use selfenc::{Chunking, Compression, DataMap, EncryptionConfig, Engine, Progress, Scope, SealKey, Suite};
use serde_json::json;
use tokio::io::AsyncRead;
use zeroize::Zeroizing;

use crate::exit::{Context, Failure, Result};
use crate::output::{Mode, Output, is_dash, refuse_to_replace};
use crate::progress::Meter;
use crate::resources::Resources;
use crate::secrets::{default_group_secret, group_secret_path, read_group_secret, read_seal_key};
use crate::sizes::{Cdc, parse_chunk_size};
use crate::stores::StoreArg;
use crate::text::size;
use crate::ui::{Ui, print_json};

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
files then share their chunks, and only holders of that secret can tell.")]
pub(crate) struct Encrypt {
    /// The file to encrypt; '-' reads standard input
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    file: PathBuf,

    #[command(flatten)]
    store: StoreArg,

    /// Where the data map goes [default: FILE.selfenc]; '-' is standard output
    #[arg(short, long, value_name = "MAP", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,

    /// Replace a data map, or a name, that exists already
    #[arg(long)]
    force: bool,

    /// Publish the sealed map under this name in the store; then a map file is written only with -o
    #[arg(long, requires = "key_file")]
    name: Option<RootName>,

    /// Seal the data map with this key: a file of 64 hex digits, as 'selfenc keygen' makes
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,

    #[command(flatten)]
    scope: ScopeArgs,

    /// sha3-aes256cbc (0x10) or blake3-chacha20poly1305 (0x11)
    #[arg(long, value_parser = parse_suite, default_value = "sha3-aes256cbc")]
    suite: Suite,

    /// Cut into chunks of this size, 1K to 64M [default: 1M]
    #[arg(long, value_name = "SIZE", value_parser = parse_chunk_size, conflicts_with = "cdc")]
    chunk_size: Option<u32>,

    /// Cut where the content says, so that an insertion changes few chunks; for example 256K,1M,4M
    #[arg(long, value_name = "MIN,AVG,MAX")]
    cdc: Option<Cdc>,

    /// zstd:1 to zstd:22, brotli:0 to brotli:11, or none
    #[arg(long, value_parser = parse_compression, default_value = "zstd:3")]
    compress: Compression,

    #[command(flatten)]
    resources: Resources,

    /// Print one JSON object instead of the closing line
    #[arg(long)]
    json: bool,
}

/// Who can deduplicate with whom, and who can confirm a guess.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct ScopeArgs {
    /// No secret: everybody's equal files share chunks, and the store can confirm a guessed file
    #[arg(long)]
    public: bool,

    /// The group secret in this file, in place of your own
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    secret_file: Option<PathBuf>,

    /// A fresh secret for this file alone: it shares no chunk with any other
    #[arg(long)]
    private: bool,
}

impl ScopeArgs {
    fn scope(&self, ui: Ui) -> Result<Scope> {
        Ok(match &self.secret_file {
            Some(path) => Scope::Group(read_group_secret(path)?),
            None if self.public => Scope::Public,
            None if self.private => Scope::Private,
            None => Scope::Group(default_group_secret(ui)?),
        })
    }
}

impl Encrypt {
    /// The engine. Made first: a wrong setting must not make a secret or a store.
    fn engine(&self) -> Result<Engine> {
        let mut config = EncryptionConfig::new().with_suite(self.suite).with_compression(self.compress);
        if let Some(size) = self.chunk_size {
            config = config.with_chunk_size(size);
        }
        if let Some(Cdc { min, avg, max }) = self.cdc {
            config = config.with_chunking(Chunking::ContentDefined { min, avg, max });
        }
        let config = self.resources.apply(config);
        // First whether the settings are possible, then whether the memory is enough for them.
        let engine = Engine::new(config)?;
        engine.config().check_budget()?;
        Ok(engine)
    }

    /// Where the map goes; `None` if it is only published.
    fn map_path(&self) -> Result<Option<PathBuf>> {
        match &self.output {
            Some(path) if is_dash(path) && self.json => {
                Err(Failure::usage("--json and '-o -' both want standard output")
                    .hint("write the map to a file"))
            }
            Some(path) => Ok(Some(path.clone())),
            None if self.name.is_some() => Ok(None),
            None if is_dash(&self.file) => {
                Err(Failure::usage("standard input has no name to call the map after")
                    .hint("say where the data map goes: -o MAP"))
            }
            None => {
                let mut path = self.file.clone().into_os_string();
                path.push(".selfenc");
                Ok(Some(path.into()))
            }
        }
    }
}

pub(crate) async fn run(args: Encrypt, ui: Ui) -> Result<()> {
    // What can be refused is refused before anything is made or read.
    let engine = args.engine()?;
    let path = args.map_path()?;
    let key = args.key_file.as_deref().map(read_seal_key).transpose()?;
    let (source, len) = open_source(&args.file)?;
    if let Some(path) = &path {
        let default_secret = group_secret_path().ok();
        let needed = [
            Some(&args.file),
            args.key_file.as_ref(),
            args.scope.secret_file.as_ref(),
            default_secret.as_ref(),
        ];
        refuse_to_replace(path, needed.into_iter().flatten().map(PathBuf::as_path))?;
    }
    let output = path.as_ref().map(|path| Output::create(path, args.force, Mode::Secret)).transpose()?;
    let scope = args.scope.scope(ui)?;
    let store = args.store.open(OpenMode::Create).await?;
    if store.capabilities().durability == Durability::Volatile {
        ui.say("this store ends with this command: what is encrypted into it cannot be brought back");
    }
    let expect = match &args.name {
        Some(name) => Some(expected(name, args.force, &*store).await?),
        None => None,
    };

    let start = Instant::now();
    let meter = Meter::new(ui, "encrypting", len);
    let engine = engine.with_observer(Arc::new(meter.clone()));
    let written = engine.write(Arc::clone(&store) as _, &scope, source).await?;
    meter.done();

    // The chunks are durable: now the map, then the name that points to it.
    let map = map_bytes(&written.map, key.as_ref())?;
    if let Some(mut output) = output {
        output.write(&map)?;
        output.finish()?;
    }
    if let (Some(name), Some(expect)) = (&args.name, expect) {
        publish(name, expect, &map, &*store).await?;
    }
    close(&args, path.as_deref(), &written.stats, start.elapsed(), &*store, ui)
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

async fn expected(name: &RootName, force: bool, store: &dyn Backend) -> Result<Expect> {
    let root = store.load(name).await?;
    if root.is_some() && !force {
        return Err(Failure::new(format!("the name '{name}' exists already in {}", store.info()))
            .hint("choose another name, or replace it with --force"));
    }
    Ok(Expect::from(root.as_ref()))
}

fn map_bytes(map: &DataMap, key: Option<&SealKey>) -> Result<Zeroizing<Vec<u8>>> {
    Ok(match key {
        Some(key) => Zeroizing::new(map.seal(key)?),
        None => map.to_secret_bytes(),
    })
}

/// Publishes the map, which is sealed: clap let no name pass without a key.
async fn publish(name: &RootName, expect: Expect, map: &[u8], store: &dyn Backend) -> Result<()> {
    match store.publish(name, expect, map.to_vec().into()).await? {
        Swap::Done(_) => Ok(()),
        Swap::Conflict(_) => {
            Err(Failure::new(format!("the name '{name}' was changed by somebody else meanwhile"))
                .hint("run it again; the chunks are stored already"))
        }
    }
}

fn close(
    args: &Encrypt,
    path: Option<&Path>,
    stats: &Progress,
    took: Duration,
    store: &dyn Backend,
    ui: Ui,
) -> Result<()> {
    #[allow(clippy::cast_precision_loss)] // a rate for people
    let rate = stats.bytes_in as f64 / f64::from(1 << 20) / took.as_secs_f64().max(1e-6);
    if args.json {
        return print_json(&json!({
            "map": path.map(Path::to_string_lossy),
            "name": args.name.as_ref().map(RootName::as_str),
            "store": store.info().to_string(),
            "bytes_in": stats.bytes_in,
            "bytes_stored": stats.bytes_stored,
            "chunks_new": stats.chunks_new,
            "chunks_present": stats.chunks_present,
            "seconds": took.as_secs_f64(),
            "mib_per_second": rate,
        }));
    }
    let mut places = Vec::new();
    places.extend(path.map(|path| format!("map {}", path.display())));
    places.extend(args.name.as_ref().map(|name| format!("name '{name}'")));
    ui.say(&format!(
        "{} in, {} stored, chunks: {} new, {} already present, {rate:.1} MiB/s; {}; store {}",
        size(stats.bytes_in),
        size(stats.bytes_stored),
        stats.chunks_new,
        stats.chunks_present,
        places.join(", "),
        store.info(),
    ));
    Ok(())
}

fn parse_suite(text: &str) -> Result<Suite, String> {
    match text.to_ascii_lowercase().as_str() {
        "0x10" => Ok(Suite::Sha3Aes256Cbc),
        "0x11" => Ok(Suite::Blake3ChaCha20Poly1305),
        name => name.parse().map_err(|_| {
            let known: Vec<_> = Suite::ALL.iter().map(ToString::to_string).collect();
            format!("no suite '{text}'; there are {}", known.join(", "))
        }),
    }
}

fn parse_compression(text: &str) -> Result<Compression, String> {
    text.parse().map_err(|_| format!("'{text}' is no compression; write zstd:3, brotli:6 or none"))
}
