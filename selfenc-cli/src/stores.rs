//! Which store a command means, and the user's own folders.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use etcetera::BaseStrategy;
use selfenc::store::{Backend, OpenMode, StoreUrl};

use crate::exit::{Failure, Result};
use crate::secrets::create_private_dir;

/// `--store URL`.
#[derive(Args, Clone, Debug)]
pub(crate) struct StoreArg {
    /// The store: a URL such as file:/var/chunks [default: $SELFENC_STORE, else one in the user's data folder]
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
}

impl StoreArg {
    /// Opens the store that was named, or the default one.
    pub(crate) async fn open(&self, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        match self.store.clone().map_or_else(from_environment, |url| Ok(Some(url)))? {
            Some(url) => open(&url, mode).await,
            None => open_default(mode).await,
        }
    }
}

fn from_environment() -> Result<Option<String>> {
    match env::var("SELFENC_STORE") {
        Ok(url) => Ok(Some(url).filter(|url| !url.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Failure::usage("$SELFENC_STORE is not UTF-8")),
    }
}

/// Opens the store at `url`.
pub(crate) async fn open(url: &str, mode: OpenMode) -> Result<Arc<dyn Backend>> {
    Ok(selfenc::open_store(url, mode).await?)
}

/// Opens the file store in the user's data folder.
async fn open_default(mode: OpenMode) -> Result<Arc<dyn Backend>> {
    let path = data_dir()?.join("store");
    if mode == OpenMode::Create {
        create_private_dir(&path)?;
    } else if !path.exists() {
        let line = format!("there is no default store yet: '{}' is not there", path.display());
        return Err(Failure::no_store(line)
            .hint("name the store with --store or $SELFENC_STORE; the first 'selfenc encrypt' makes the default one"));
    }
    let url = StoreUrl::from_path("file", &path)
        .map_err(|e| Failure::from(e).hint("name a store with --store or $SELFENC_STORE"))?;
    open(&url.to_string(), mode).await
}

/// The user's folder for selfenc's data.
fn data_dir() -> Result<PathBuf> {
    Ok(folders()?.data_dir().join("selfenc"))
}

/// The user's folder for selfenc's settings.
pub(crate) fn config_dir() -> Result<PathBuf> {
    Ok(folders()?.config_dir().join("selfenc"))
}

/// The XDG folders on Unix, the known folders on Windows.
fn folders() -> Result<impl BaseStrategy> {
    etcetera::choose_base_strategy().map_err(|_| {
        Failure::new("there is no home folder: $HOME is not set")
            .hint("set $HOME, or give --store and one of --public, --private and --secret-file")
    })
}
