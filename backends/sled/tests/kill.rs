//! Processes killed with `SIGKILL` while they write to a store in sled. It must keep exactly what it
//! declares: what was flushed, and every root that was swapped.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::sync::Arc;

use selfenc_backend_tests::kill::{Kill, child_if_asked};
use selfenc_core::store::{Backend, OpenMode, Result};
use selfenc_sled::SledConfig;
use support::location::temporaries;

async fn open(dir: String) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(SledConfig::new(dir).open(OpenMode::Create).await?))
}

#[test]
fn killed_at_random() {
    child_if_asked(open);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let kill = Kill::from_env("killed_at_random", dir.to_str().unwrap()).unwrap();
    let summary = kill.with_temporaries(move || temporaries(&dir).unwrap()).run(open).unwrap();
    assert!(summary.acknowledged > summary.rounds, "{summary}");
}
