//! Which store a command means.

use std::env;
use std::sync::Arc;

use clap::Args;
use selfenc::store::{Backend, OpenMode, StoreUrl};

use crate::exit::{Failure, Result};
use crate::folders::{create_private_dir, data_dir};

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
        open(&self.url(mode)?, mode).await
    }

    /// The URL that was named, or that of the default store; the folder above that is made if `mode` may.
    fn url(&self, mode: OpenMode) -> Result<String> {
        match self.store.clone().map_or_else(from_environment, |url| Ok(Some(url)))? {
            Some(url) => Ok(url),
            None => default_url(mode),
        }
    }
}

/// A store as a command's own argument.
#[derive(Args, Clone, Debug)]
pub(crate) struct UrlArg {
    /// The store, such as file:/mnt/backup/chunks [default: $SELFENC_STORE, else the default store]
    pub(crate) url: Option<String>,
}

impl UrlArg {
    /// Opens the store, which must be there.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Backend>> {
        open(&self.url()?, OpenMode::Existing).await
    }

    /// The URL of the store.
    pub(crate) fn url(&self) -> Result<String> {
        StoreArg { store: self.url.clone() }.url(OpenMode::Existing)
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

/// The file store in the user's data folder.
fn default_url(mode: OpenMode) -> Result<String> {
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
    Ok(url.to_string())
}
