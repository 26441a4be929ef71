//! Processes killed with `SIGKILL` while they write to a folder of objects.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use selfenc_backend_tests::kill::{Kill, child_if_asked};
use selfenc_core::store::{Backend, OpenMode, Result};
use selfenc_object_store::ObjectStoreConfig;

async fn open(dir: String) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(ObjectStoreConfig::local(dir).open(OpenMode::Create).await?))
}

#[test]
fn killed_in_a_folder() {
    child_if_asked(open);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let kill = Kill::from_env("killed_in_a_folder", dir.to_str().unwrap()).unwrap();
    let summary = kill.run(open).unwrap();
    assert!(summary.acknowledged > summary.rounds, "{summary}");
}
