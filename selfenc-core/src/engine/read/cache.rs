//! Decoded chunks that small reads come back to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use quick_cache::unsync::Cache as Kept;
use quick_cache::{OptionsBuilder, Weighter};

use crate::engine::error::{Error, Result};
use crate::engine::suite::Digest;

/// Checked data by its content hash, bounded by bytes; whoever wants a chunk that is on its way already
/// waits for it.
///
/// The content hash says all: whatever name and key an entry of the map has, data of that hash is its data.
pub(super) struct ChunkCache(Mutex<Table>);

struct Table {
    kept: Kept<Digest, Bytes, Weigh>,
    under_way: HashMap<Digest, WeakShared<Opening>>,
}

/// One read of a chunk. Any of those who wait for it drives it, so nobody depends on who asked first, and it
/// ends when nobody waits any more.
type Opening = BoxFuture<'static, Result<Bytes, Arc<Error>>>;

/// Those that nobody waits for any more are swept out when there are so many.
const SWEEP: usize = 64;

#[derive(Clone)]
struct Weigh;

impl Weighter<Digest, Bytes> for Weigh {
    fn weight(&self, _: &Digest, data: &Bytes) -> u64 {
        data.len() as u64
    }
}

impl ChunkCache {
    /// A cache of `bytes`; of 0, it keeps nothing.
    pub(super) fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes >> 20).unwrap_or(usize::MAX).clamp(16, 1 << 16);
        let options = OptionsBuilder::new().estimated_items_capacity(items).weight_capacity(bytes).build();
        let options = options.expect("both required settings are given");
        let kept = Kept::with_options(options, Weigh, Default::default(), Default::default());
        Self(Mutex::new(Table { kept, under_way: HashMap::new() }))
    }

    /// The data of this hash: from here, or from `open`, which is called unless somebody else's call for it
    /// is under way.
    pub(super) async fn get<F>(self: Arc<Self>, content: Digest, open: impl Fn() -> F) -> Result<Bytes>
    where
        F: Future<Output = Result<Bytes>> + Send + 'static,
    {
        let opening = {
            let mut table = self.lock();
            if let Some(data) = table.kept.get(&content) {
                return Ok(data.clone());
            }
            table.join(content, || keep(Arc::clone(&self), content, open()).boxed())
        };
        match opening.await {
            Ok(data) => Ok(data),
            // An error is one reader's. Others find out for themselves.
            Err(shared) => match Arc::try_unwrap(shared) {
                Ok(own) => Err(own),
                Err(_) => open().await,
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn join(&mut self, content: Digest, open: impl FnOnce() -> Opening) -> Shared<Opening> {
        if let Some(opening) = self.under_way.get(&content).and_then(WeakShared::upgrade) {
            return opening;
        }
        if self.under_way.len() >= SWEEP {
            self.under_way.retain(|_, opening| opening.upgrade().is_some());
        }
        let opening = open().shared();
        if let Some(weak) = opening.downgrade() {
            self.under_way.insert(content, weak);
        }
        opening
    }
}

async fn keep(
    cache: Arc<ChunkCache>,
    content: Digest,
    open: impl Future<Output = Result<Bytes>>,
) -> Result<Bytes, Arc<Error>> {
    let opened = open.await;
    let mut table = cache.lock();
    table.under_way.remove(&content);
    if let Ok(data) = &opened {
        table.kept.insert(content, data.clone());
    }
    opened.map_err(Arc::new)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future;

    use super::*;

    const A: Digest = [1; 32];

    #[tokio::test]
    async fn who_comes_second_waits_for_the_first_and_a_third_finds_it() {
        let cache = Arc::new(ChunkCache::new(1000));
        let calls = Arc::new(AtomicUsize::new(0));
        let open = || {
            let calls = Arc::clone(&calls);
            async move {
                calls.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(Bytes::from_static(b"data"))
            }
        };
        let get = || Arc::clone(&cache).get(A, open);
        let (one, two) = future::join(get(), get()).await;
        assert_eq!(
            (one.unwrap(), two.unwrap(), get().await.unwrap()),
            ("data".into(), "data".into(), "data".into())
        );
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert!(cache.lock().under_way.is_empty());
    }

    #[tokio::test]
    async fn an_error_is_not_kept_and_each_has_one() {
        let cache = Arc::new(ChunkCache::new(1000));
        let fail = || async {
            tokio::task::yield_now().await;
            Err(Error::Cancelled)
        };
        let get = || Arc::clone(&cache).get(A, fail);
        let (one, two) = future::join(get(), get()).await;
        assert!(matches!((one, two), (Err(Error::Cancelled), Err(Error::Cancelled))));
        let found = Arc::clone(&cache).get(A, || async { Ok(Bytes::new()) }).await;
        assert!(found.is_ok());
    }

    #[tokio::test]
    async fn one_that_nobody_polls_holds_up_nobody() {
        let cache = Arc::new(ChunkCache::new(1000));
        let slow = || async {
            tokio::task::yield_now().await;
            Ok(Bytes::from_static(b"data"))
        };
        let first = Arc::clone(&cache).get(A, slow);
        let mut first = Box::pin(first);
        assert!(first.as_mut().now_or_never().is_none());
        assert_eq!(Arc::clone(&cache).get(A, slow).await.unwrap(), "data");
        assert_eq!(first.await.unwrap(), "data");
    }

    #[tokio::test]
    async fn it_holds_no_more_than_it_may_and_forgets_what_nobody_waits_for() {
        let cache = Arc::new(ChunkCache::new(100));
        for n in 0..=255 {
            let get = Arc::clone(&cache).get([n; 32], || async { Ok(Bytes::from(vec![0; 30])) });
            get.await.unwrap();
        }
        assert!((1..=100).contains(&cache.lock().kept.weight()));
        for n in 0..=255 {
            let get = Arc::clone(&cache).get([n, 1, 1].repeat(11)[..32].try_into().unwrap(), future::pending);
            assert!(get.now_or_never().is_none());
        }
        assert!(cache.lock().under_way.len() <= SWEEP);
    }
}
