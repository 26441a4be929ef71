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
        open(&url_of(self.store.as_ref(), mode, "with --store")?, mode).await
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
        open(&url_of(self.url.as_ref(), OpenMode::Existing, "with --store")?, OpenMode::Existing).await
    }

    /// The URL of the store.
    pub(crate) fn url(&self) -> Result<String> {
        url_of(self.url.as_ref(), OpenMode::Existing, "by its URL")
    }
}

/// The URL that was named, or that of the default store; the folder above that is made if `mode` may. `how`
/// a store is named is for the hint.
fn url_of(named: Option<&String>, mode: OpenMode, how: &str) -> Result<String> {
    match named.map_or_else(from_environment, |url| Ok(Some(url.clone())))? {
        Some(url) => Ok(url),
        None => default_url(mode, how),
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
fn default_url(mode: OpenMode, how: &str) -> Result<String> {
    let name = format!("name the store {how} or in $SELFENC_STORE");
    let path = data_dir()?.join("store");
    if mode == OpenMode::Create {
        create_private_dir(&path)?;
    } else if !path.exists() {
        let line = format!("there is no default store yet: '{}' is not there", path.display());
        return Err(Failure::no_store(line)
            .hint(format!("{name}; the first 'selfenc encrypt' makes the default one")));
    }
    let url = StoreUrl::from_path("file", &path).map_err(|e| Failure::from(e).hint(name))?;
    Ok(url.to_string())
}
