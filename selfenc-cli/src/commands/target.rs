//! What encrypt and convert have in common: how bytes become chunks, and where their map goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueHint};
use selfenc::compat::Generation;
use selfenc::store::{Backend, BackendExt, Expect, RootName, Swap};
use selfenc::{Chunking, Compression, DataMap, EncryptionConfig, Engine, Progress, Scope, SealKey, Suite};
use serde_json::json;
use zeroize::Zeroizing;

use crate::exit::{Failure, Result};
use crate::output::{Mode, Output, is_dash, refuse_to_replace};
use crate::resources::Resources;
use crate::secrets::{default_group_secret, group_secret_path, read_group_secret, read_seal_key};
use crate::sizes::{Cdc, parse_chunk_size};
use crate::text::size;
use crate::ui::{Ui, print_json};

/// How chunks are made, and what becomes of their map.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// Where the data map goes [default: the name of the input and .selfenc]; '-' is standard output
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

    /// Cut into chunks of this size, 1K to 64M; in se1 and se2 their largest [default: 1M]
    #[arg(long, value_name = "SIZE", value_parser = parse_chunk_size, conflicts_with = "cdc")]
    pub(crate) chunk_size: Option<u32>,

    /// Cut where the content says, so that an insertion changes few chunks; for example 256K,1M,4M
    #[arg(long, value_name = "MIN,AVG,MAX")]
    cdc: Option<Cdc>,

    /// zstd:1 to zstd:22, brotli:0 to brotli:11, or none [default: zstd:3]
    #[arg(long, value_parser = parse_compression)]
    compress: Option<Compression>,

    #[command(flatten)]
    pub(crate) resources: Resources,

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

/// Where the map goes, once it is there.
pub(crate) struct Place {
    path: Option<PathBuf>,
    output: Option<Output>,
    key: Option<SealKey>,
}

impl Target {
    /// The engine of our own suites. Made first: a wrong setting must not make a secret or a store.
    pub(crate) fn engine(&self, suite: Suite) -> Result<Engine> {
        let compression = self.compress.unwrap_or_default();
        let mut config = EncryptionConfig::new().with_suite(suite).with_compression(compression);
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

    /// Refuses what self_encryption's formats do not have.
    pub(crate) fn check_compat(&self, generation: Generation) -> Result<()> {
        let refuse = |what: &str, hint: &str| Err(Failure::usage(format!("{generation} {what}")).hint(hint));
        if self.scope.private || self.scope.secret_file.is_some() {
            return refuse(
                "has no secrets: everybody's equal files are equal chunks",
                "use a suite of selfenc's own",
            );
        }
        if self.cdc.is_some() {
            return refuse("cuts by size alone", "give --chunk-size, or use a suite of selfenc's own");
        }
        if self.compress.is_some() {
            return refuse(
                "compresses in one way alone",
                "leave out --compress, or use a suite of selfenc's own",
            );
        }
        if self.key_file.is_some() {
            return refuse(
                "has maps that cannot be sealed",
                "use a suite of selfenc's own, or keep the map as a file",
            );
        }
        Ok(())
    }

    /// Where the map goes; `None` if it is only published.
    fn map_path(&self, input: &Path) -> Result<Option<PathBuf>> {
        match &self.output {
            Some(path) if is_dash(path) && self.json => {
                Err(Failure::usage("--json and '-o -' both want standard output")
                    .hint("write the map to a file"))
            }
            Some(path) => Ok(Some(path.clone())),
            None if self.name.is_some() => Ok(None),
            None if is_dash(input) => Err(Failure::usage("standard input has no name to call the map after")
                .hint("say where the data map goes: -o MAP")),
            None => {
                let mut path = input.to_owned().into_os_string();
                path.push(".selfenc");
                Ok(Some(path.into()))
            }
        }
    }

    /// Opens the output. It may not replace what the run needs.
    pub(crate) fn place(&self, input: &Path) -> Result<Place> {
        let path = self.map_path(input)?;
        let key = self.key_file.as_deref().map(read_seal_key).transpose()?;
        if let Some(path) = &path {
            let default_secret = group_secret_path().ok();
            let needed = [
                Some(input),
                self.key_file.as_deref(),
                self.scope.secret_file.as_deref(),
                default_secret.as_deref(),
            ];
            refuse_to_replace(path, needed.into_iter().flatten())?;
        }
        let output = path.as_ref().map(|path| Output::create(path, self.force, Mode::Secret)).transpose()?;
        Ok(Place { path, output, key })
    }

    /// Who shares the chunks. Makes the user's own secret, if that is needed and not there.
    pub(crate) fn scope(&self, ui: Ui) -> Result<Scope> {
        self.scope.scope(ui)
    }

    /// What is to be under the name, if there is to be one.
    pub(crate) async fn expected(&self, store: &dyn Backend) -> Result<Option<Expect>> {
        let Some(name) = &self.name else { return Ok(None) };
        let root = store.load(name).await?;
        if root.is_some() && !self.force {
            return Err(Failure::new(format!("the name '{name}' exists already in {}", store.info()))
                .hint("choose another name, or replace it with --force"));
        }
        Ok(Some(Expect::from(root.as_ref())))
    }

    /// Writes the map, and then the name that points to it: the chunks are durable.
    pub(crate) async fn keep(
        &self,
        place: Place,
        map: &DataMap,
        expect: Option<Expect>,
        store: &dyn Backend,
    ) -> Result<Option<PathBuf>> {
        let map = match &place.key {
            Some(key) => Zeroizing::new(map.seal(key)?),
            None => map.to_secret_bytes(),
        };
        let path = place.keep(&map)?;
        if let (Some(name), Some(expect)) = (&self.name, expect) {
            publish(name, expect, &map, store).await?;
        }
        Ok(path)
    }

    /// Tells what was done.
    pub(crate) fn close(
        &self,
        path: Option<&Path>,
        stats: &Progress,
        took: Duration,
        store: &dyn Backend,
        ui: Ui,
    ) -> Result<()> {
        #[allow(clippy::cast_precision_loss)] // a rate for people
        let rate = stats.bytes_in as f64 / f64::from(1 << 20) / took.as_secs_f64().max(1e-6);
        if self.json {
            return print_json(&json!({
                "map": path.map(Path::to_string_lossy),
                "name": self.name.as_ref().map(RootName::as_str),
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
        places.extend(self.name.as_ref().map(|name| format!("name '{name}'")));
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
}

impl Place {
    /// Writes the map's bytes, if they go into a file.
    pub(crate) fn keep(self, map: &[u8]) -> Result<Option<PathBuf>> {
        if let Some(mut output) = self.output {
            output.write(map)?;
            output.finish()?;
        }
        Ok(self.path)
    }
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

fn parse_compression(text: &str) -> Result<Compression, String> {
    text.parse().map_err(|_| format!("'{text}' is no compression; write zstd:3, brotli:6 or none"))
}
