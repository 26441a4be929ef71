use std::sync::Arc;

use selfenc_core::store::{Backend, OpenMode, Registry, Result};
#[cfg(feature = "object-store")]
use selfenc_object_store::ObjectStoreFactory;

/// The schemes of the backends in this build, as the features say: `memory:`, `file:`, `sqlite:`, `sled:`,
/// `s3:`, `objects:` (a folder through the crate `object_store`), `gs:`, `az:`, `http:` and `https:`, and `toml:`
/// for stores that a file describes.
#[must_use]
pub fn registry() -> Registry {
    let registry = Registry::new();
    #[cfg(feature = "memory")]
    let registry = registry.register(selfenc_memory::MemoryFactory);
    #[cfg(feature = "fs")]
    let registry = registry.register(selfenc_fs::FsFactory);
    #[cfg(feature = "sqlite")]
    let registry = registry.register(selfenc_sqlite::SqliteFactory);
    #[cfg(feature = "sled")]
    let registry = registry.register(selfenc_sled::SledFactory);
    #[cfg(feature = "s3")]
    let registry = registry.register(selfenc_s3::S3Factory);
    #[cfg(feature = "object-store")]
    let registry = registry.register(ObjectStoreFactory::LOCAL);
    #[cfg(feature = "gcp")]
    let registry = registry.register(ObjectStoreFactory::GCS);
    #[cfg(feature = "azure")]
    let registry = registry.register(ObjectStoreFactory::AZURE);
    #[cfg(feature = "http")]
    let registry = registry.register(ObjectStoreFactory::HTTP).register(ObjectStoreFactory::HTTPS);
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
    fn the_features_are_registered() {
        let features = [
            ("az", cfg!(feature = "azure")),
            ("file", true),
            ("gs", cfg!(feature = "gcp")),
            ("http", cfg!(feature = "http")),
            ("https", cfg!(feature = "http")),
            ("memory", true),
            ("objects", cfg!(feature = "object-store")),
            ("s3", cfg!(feature = "s3")),
            ("sled", cfg!(feature = "sled")),
            ("sqlite", cfg!(feature = "sqlite")),
            ("toml", true),
        ];
        let expected = features.into_iter().filter_map(|(scheme, on)| on.then_some(scheme));
        assert!(registry().schemes().eq(expected), "{:?}", registry());
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
        assert!(unknown.to_string().contains("file, ") && unknown.to_string().contains("toml"), "{unknown}");
    }
}
