use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};

use crate::store::{
    Capabilities, ChunkId, ChunkMeta, ChunkStore, Error, ErrorKind, Expect, PutOutcome, Result, Root,
    RootName, RootStore, StoreInfo, Swap,
};

/// One tenant of a shared store: a name space of its own for roots, over a common pool of chunks.
///
/// Every root's name gets the prefix, and `names` tells only those that have it, without it. Chunks are
/// the whole store's: a chunk's name is its content, so what two tenants have in common is stored once,
/// and `list` gives the pool. (An id uses all of its 32 bytes, so there is no room in it for a prefix.)
///
/// No tenant can tell which chunks the others rely on. Therefore `delete` is
/// [`ErrorKind::Unsupported`], in the capabilities too: to collect garbage is the work of the pool's
/// owner, who sees all roots.
///
/// The prefix is taken out of the length of root names: [`RootName::MAX_LEN`] holds for both together.
///
/// ```
/// # use std::sync::Arc;
/// # use selfenc_core::store::{Backend, Result};
/// use selfenc_core::wrap::Prefix;
///
/// # fn open(pool: Arc<dyn Backend>) -> Result<()> {
/// let alice = Prefix::new(pool.clone(), "alice/")?;
/// let bob = Prefix::new(pool, "bob/")?; // neither sees a root of the other
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Prefix<S> {
    prefix: String,
    inner: S,
}

impl<S> Prefix<S> {
    /// The roots of `inner` whose names begin with `prefix`, which ends with the only `/` in it: so no
    /// prefix is the beginning of another, and no tenant sees into a second one's names.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for any other prefix, or one that leaves no room for a name.
    pub fn new(inner: S, prefix: impl Into<String>) -> Result<Self> {
        let prefix = prefix.into();
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidInput, "open", message));
        if prefix.find('/').is_none_or(|slash| slash == 0 || slash + 1 != prefix.len()) {
            let help = "a prefix is a name and one '/' at its end, for example 'tenant-a/'";
            return invalid(format!("the prefix '{prefix}' could see into another one; {help}"));
        }
        if prefix.len() >= RootName::MAX_LEN {
            let (len, max) = (prefix.len(), RootName::MAX_LEN);
            return invalid(format!(
                "a prefix of {len} bytes leaves no room for names; both share {max} bytes"
            ));
        }
        match RootName::new(&prefix) {
            Ok(_) => Ok(Self { prefix, inner }),
            Err(e) => invalid(format!("the prefix '{prefix}' cannot begin a name: {e}")),
        }
    }

    /// The whole store below.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// What every root's name begins with below.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn full(&self, op: &'static str, name: &RootName) -> Result<RootName> {
        RootName::new(format!("{}{name}", self.prefix)).map_err(|e| {
            let (len, prefix, max) = (name.as_str().len(), self.prefix.len(), RootName::MAX_LEN);
            let message =
                format!("a name of {len} bytes after a prefix of {prefix}; together they have {max} bytes");
            Error::new(ErrorKind::InvalidInput, op, message).with_source(e)
        })
    }
}

fn refused(id: ChunkId) -> Error {
    let message = "other tenants may rely on the chunk; collect garbage on the whole store, not on a prefix";
    Error::new(ErrorKind::Unsupported, "delete", message).with_chunk(id)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ChunkStore> ChunkStore for Prefix<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_deletes(false)
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<PutOutcome> {
        self.inner.put(id, data).await
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.inner.get(id).await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        Err(refused(id))
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        self.inner.list(after)
    }

    fn info(&self) -> StoreInfo {
        self.inner.info().wrapped("prefix", &self.prefix)
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.inner.stat(id).await
    }

    async fn flush(&self) -> Result<()> {
        self.inner.flush().await
    }

    async fn put_many(&self, chunks: Vec<(ChunkId, Bytes)>) -> Vec<Result<PutOutcome>> {
        self.inner.put_many(chunks).await
    }

    async fn delete_many(&self, ids: Vec<ChunkId>) -> Vec<Result<()>> {
        ids.into_iter().map(|id| Err(refused(id))).collect()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: RootStore> RootStore for Prefix<S> {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.inner.load(&self.full("load", name)?).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.inner.swap(&self.full("swap", name)?, expect, new).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        let prefix = self.prefix.clone();
        let own = move |name: RootName| {
            // A name that is the prefix and nothing more belongs to nobody here.
            name.as_str().strip_prefix(&prefix).and_then(|rest| RootName::new(rest).ok())
        };
        self.inner.names().filter_map(move |name| std::future::ready(name.map(&own).transpose())).boxed()
    }
}
