//! Whether a service keeps the conditions of a write. Only trying tells: some ignore them and say `200`.

use object_store::path::Path;
use object_store::{Error as Below, ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion};
use selfenc_core::store::Result;
use selfenc_core::store::objects::{Conditions, fill_random};

use crate::error::{failed, is_unsupported};
use crate::layout::Layout;

/// Tries both on an object of its own.
pub(crate) async fn probe(op: &'static str, store: &dyn ObjectStore, layout: &Layout) -> Result<Conditions> {
    let mut digits = [0; 16];
    fill_random(op, &mut digits)?;
    let probe = layout.probe(&digits);
    let found = try_both(op, store, &probe).await;
    match store.delete(&probe).await {
        Ok(()) | Err(Below::NotFound { .. }) => {}
        Err(e) => tracing::debug!(error = %failed(op, "remove a probe", &e), "a probe stays"),
    }
    found
}

async fn try_both(op: &'static str, store: &dyn ObjectStore, probe: &Path) -> Result<Conditions> {
    let put = async |text: &'static str, mode| {
        store.put_opts(probe, PutPayload::from_static(text.as_bytes()), PutMode::into(mode)).await
    };
    let cannot = |e| failed(op, "try whether the service keeps conditions", &e);
    let first = match put("1", PutMode::Create).await {
        Ok(done) => UpdateVersion::from(done),
        Err(e) if is_unsupported(&e) => return Ok(Conditions { create: false, update: false }),
        Err(e) => return Err(cannot(e)),
    };
    let create = match put("2", PutMode::Create).await {
        Ok(_) => return Ok(Conditions { create: false, update: false }),
        Err(Below::AlreadyExists { .. } | Below::Precondition { .. }) => true,
        Err(e) => return Err(cannot(e)),
    };
    if first.e_tag.is_none() && first.version.is_none() {
        return Ok(Conditions { create, update: false });
    }
    match put("3", PutMode::Update(first.clone())).await {
        Ok(_) => {}
        Err(e) if is_unsupported(&e) => return Ok(Conditions { create, update: false }),
        Err(e) => return Err(cannot(e)),
    }
    // The first version is an old one by now.
    let update = match put("4", PutMode::Update(first)).await {
        Ok(_) => false,
        Err(Below::Precondition { .. } | Below::AlreadyExists { .. }) => true,
        Err(e) => return Err(cannot(e)),
    };
    Ok(Conditions { create, update })
}
