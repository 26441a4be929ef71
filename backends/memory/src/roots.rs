use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use selfenc_core::store::{Expect, Result, Root, RootName, RootStore, RootVersion, Swap};

use crate::MemoryStore;

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RootStore for MemoryStore {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        Ok(self.read().roots.get(name).cloned())
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        let mut state = self.write();
        let current = state.roots.get(name);
        if !expect.matches(current) {
            return Ok(Swap::Conflict(current.cloned()));
        }
        let Some(value) = new else {
            state.roots.remove(name);
            return Ok(Swap::Done(None));
        };
        state.swaps += 1;
        let version = RootVersion::new(state.swaps.to_le_bytes().to_vec());
        state.roots.insert(name.clone(), Root { value, version: version.clone() });
        Ok(Swap::Done(Some(version)))
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        let names: Vec<_> = self.read().roots.keys().cloned().map(Ok).collect();
        stream::iter(names).boxed()
    }
}
