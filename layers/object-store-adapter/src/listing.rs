//! Listings. Roots are named by hashes, so each listing unseals every record of its key: a prefix saves
//! memory and no work.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta, Result};

use crate::error::from_store;
use crate::objects::Objects;

/// Records that are fetched at once.
const LOADS: usize = 16;

impl Objects {
    /// The objects below `prefix`, by path, without those up to `offset`.
    ///
    /// Sorted, so nothing is given before all is known, and what matches is in memory at once. An error
    /// comes alone.
    pub(crate) fn list(
        self: &Arc<Self>,
        prefix: Option<&Path>,
        offset: Option<Path>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let after = move |meta: &ObjectMeta| offset.as_ref().is_none_or(|offset| meta.location > *offset);
        let metas = self.scan(prefix).try_filter(move |meta| ready(after(meta)));
        let sorted = async move {
            let mut metas: Vec<_> = metas.try_collect().await?;
            metas.sort_unstable_by(|a, b| a.location.cmp(&b.location));
            Ok::<_, object_store::Error>(stream::iter(metas).map(Ok))
        };
        stream::once(sorted).try_flatten().boxed()
    }

    /// The objects directly in `prefix`, and the prefixes one segment longer that have others.
    pub(crate) async fn list_level(self: &Arc<Self>, prefix: Option<&Path>) -> Result<ListResult> {
        let base = prefix.cloned().unwrap_or_default();
        let mut metas = self.scan(prefix);
        let (mut objects, mut prefixes) = (Vec::new(), BTreeSet::new());
        while let Some(meta) = metas.try_next().await? {
            let mut parts = meta.location.prefix_match(&base).into_iter().flatten();
            match (parts.next(), parts.next()) {
                (Some(first), Some(_)) => {
                    prefixes.insert(base.clone().join(first));
                }
                _ => {
                    drop(parts);
                    objects.push(meta);
                }
            }
        }
        objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        let common_prefixes = prefixes.into_iter().collect();
        Ok(ListResult { common_prefixes, objects, extensions: Default::default() })
    }

    /// The objects below `prefix`, not `prefix` itself, in no order.
    fn scan(self: &Arc<Self>, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned().unwrap_or_default();
        let (at, objects) = (prefix.clone(), Arc::clone(self));
        let names = self.store.names().map_err(move |e| from_store(&at, e));
        let ours = Arc::clone(self);
        let names = names.try_filter(move |name| ready(ours.names.is_ours(name)));
        let at = prefix.clone();
        let loaded = names.map_ok(move |name| {
            let (objects, at) = (Arc::clone(&objects), at.clone());
            async move {
                let root = objects.store.load(&name).await.map_err(|e| from_store(&at, e))?;
                // Deleted since its name was listed.
                let Some(root) = root else { return Ok(None) };
                Ok(Some(objects.unseal(&at, &name, root).await?.meta()))
            }
        });
        let found = loaded.try_buffer_unordered(LOADS).try_filter_map(|meta| ready(Ok(meta)));
        found.try_filter(move |meta| ready(is_below(&meta.location, &prefix))).boxed()
    }
}

/// Whether `path` has at least one segment more than `prefix`.
fn is_below(path: &Path, prefix: &Path) -> bool {
    path.prefix_match(prefix).is_some_and(|mut parts| parts.next().is_some())
}
