//! Where a command gets its data map from: a file, standard input, or a name in the store.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use selfenc::compat::AnyMap;
use selfenc::store::{Backend, RootName};
use selfenc::{DataMap, SealKey};
use zeroize::Zeroizing;

use crate::exit::{Context, Failure, Result};
use crate::output::is_dash;
use crate::secrets::read_seal_key;

/// What is longer is taken for no map. One of ours has at most some 55 KiB, sealed or not; one of an old
/// release of self_encryption has 80 bytes for each chunk, and in JSON three times that.
const MAX_MAP: u64 = 256 << 20;

/// Which data map a command reads.
#[derive(Args, Clone, Debug)]
pub(crate) struct MapArgs {
    /// The data map; '-' reads it from standard input
    #[arg(value_name = "MAP", required_unless_present = "name")]
    pub(crate) map: Option<PathBuf>,

    /// Read the map that is published under this name in the store
    #[arg(long, conflicts_with = "map", requires = "key_file")]
    pub(crate) name: Option<RootName>,

    /// The key that opens a sealed map: a file of 64 hex digits
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

impl MapArgs {
    /// What the user called the map.
    pub(crate) fn shown(&self) -> String {
        match (&self.name, &self.map) {
            (Some(name), _) => format!("name '{name}'"),
            (None, Some(path)) if !is_dash(path) => path.display().to_string(),
            _ => "standard input".to_owned(),
        }
    }

    /// The key, if one was given.
    pub(crate) fn key(&self) -> Result<Option<SealKey>> {
        self.key_file.as_deref().map(read_seal_key).transpose()
    }

    /// Reads the map's bytes. A store is needed only for a name.
    pub(crate) async fn bytes(&self, store: Option<&dyn Backend>) -> Result<Zeroizing<Vec<u8>>> {
        match (&self.name, &self.map, store) {
            (Some(name), _, Some(store)) => {
                let root = store.load(name).await?.ok_or_else(|| no_such_name(name, store))?;
                Ok(Zeroizing::new(root.value.to_vec()))
            }
            (None, Some(path), _) => tokio::task::block_in_place(|| read(path)),
            _ => Err(Failure::usage("a data map is needed").hint("give MAP, or --name with --key-file")),
        }
    }

    /// Reads and, with a key, unseals the map.
    pub(crate) async fn load(&self, store: Option<&dyn Backend>) -> Result<AnyMap> {
        let key = self.key()?;
        let bytes = self.bytes(store).await?;
        parse(&bytes, key.as_ref()).map_err(|e| e.about(&self.shown()))
    }
}

/// The map in these bytes. A key insists on a sealed map: whoever keeps the store could else put a map of
/// their own in its place.
pub(crate) fn parse(bytes: &[u8], key: Option<&SealKey>) -> Result<AnyMap> {
    match key {
        None => Ok(AnyMap::detect(bytes)?),
        Some(key) if DataMap::is_sealed(bytes) => Ok(AnyMap::Native(DataMap::unseal(key, bytes)?)),
        // What is no map at all says so itself.
        Some(_) => match AnyMap::detect(bytes) {
            Ok(_) => {
                Err(Failure::new("this data map is not sealed").hint("leave out --key-file if you trust it"))
            }
            Err(e) => Err(e.into()),
        },
    }
}

/// The failure to find a root of this name.
pub(crate) fn no_such_name(name: &RootName, store: &dyn Backend) -> Failure {
    Failure::damaged(format!("there is no name '{name}' in {}", store.info()))
        .hint("'selfenc names' lists those there are; check --store")
}

/// The bytes of the map in this file.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let what = format!("cannot read the data map '{}'", path.display());
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 << 10));
    let read = if is_dash(path) {
        io::stdin().lock().take(MAX_MAP).read_to_end(&mut bytes)
    } else {
        let file = File::open(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Failure::io(&what, &e).hint("check the path of the .selfenc file"),
            _ => Failure::io(&what, &e).hint("check its permissions"),
        })?;
        file.take(MAX_MAP).read_to_end(&mut bytes)
    };
    read.context(&what)?;
    Ok(bytes)
}
