use std::sync::Arc;

use selfenc_core::store::{Backend, OpenMode, Registry, Result};

/// The schemes of the backends in this build: `memory:` and `file:`, as the features say, and
/// `toml:` for stores that a file describes.
#[must_use]
pub fn registry() -> Registry {
    let registry = Registry::new();
    #[cfg(feature = "memory")]
    let registry = registry.register(selfenc_memory::MemoryFactory);
    #[cfg(feature = "fs")]
    let registry = registry.register(selfenc_fs::FsFactory);
    #[cfg(feature = "toml")]
    let registry = registry.clone().register(crate::TomlFactory::new(registry));
    registry
}

/// Opens the store at `url`, for example `file:///var/chunks` or `memory:`.
///
/// # Errors
/// As for [`Registry::open`]: a URL that cannot be read, a scheme that is not in this build, or what the
/// backend says.
pub async fn open_store(url: &str, mode: OpenMode) -> Result<Arc<dyn Backend>> {
    registry().open(url, mode).await
}

#[cfg(all(test, feature = "memory", feature = "fs", feature = "toml"))]
mod tests {
    use selfenc_core::store::ErrorKind;

    use super::*;

    #[test]
    fn the_default_features_are_registered() {
        assert_eq!(registry().schemes().collect::<Vec<_>>(), ["file", "memory", "toml"]);
    }

    #[tokio::test]
    async fn stores_open_by_url() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file:{}", dir.path().join("chunks").display());
        let missing = open_store(&url, OpenMode::Existing).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::ContainerMissing);
        open_store(&url, OpenMode::Create).await.unwrap();
        open_store(&url, OpenMode::Existing).await.unwrap();
        open_store("memory:", OpenMode::Create).await.unwrap();
        let unknown = open_store("gopher://x", OpenMode::Create).await.unwrap_err();
        assert!(unknown.to_string().contains("file, memory, toml"), "{unknown}");
    }
}
