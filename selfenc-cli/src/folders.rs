//! The user's own folders.

use std::fs;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::exit::{Context, Failure, Result};

/// The user's folder for selfenc's data.
pub(crate) fn data_dir() -> Result<PathBuf> {
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

/// Makes `dir` and what is above it, for the user alone as the XDG specification asks.
pub(crate) fn create_private_dir(dir: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir).context(format_args!("cannot make the folder '{}'", dir.display()))
}
