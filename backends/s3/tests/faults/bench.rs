//! A store on a proxy, what is asked of it, and what every error of it must be.

use std::error::Error as _;

use bytes::Bytes;
use futures::TryStreamExt;
use selfenc_core::store::{ChunkId, ChunkStore, Error, ErrorKind, OpenMode};
use selfenc_s3::{S3Backend, S3Config};

use crate::support::config::{KEPT, config, fresh};
use crate::support::proxy::Proxy;
use crate::support::request::{Kind, PUTS};
use crate::support::server::Service;
use crate::support::{SECRET_KEY, TOKEN};

/// A store of its own service behind its own proxy.
pub(crate) struct Bench {
    pub(crate) service: Service,
    pub(crate) proxy: Proxy,
    pub(crate) store: S3Backend,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|config| config).await
    }

    pub(crate) async fn with(change: impl FnOnce(S3Config) -> S3Config) -> Self {
        let (service, proxy) = fresh();
        let config = change(config(&proxy).with_conditions(KEPT));
        let store = config.open(OpenMode::Create).await.unwrap();
        proxy.forget();
        Self { service, proxy, store }
    }

    /// No rules and an empty log.
    pub(crate) fn reset(&self) {
        self.proxy.clear_rules();
        self.proxy.forget();
    }

    /// The requests of these kinds since then.
    pub(crate) fn count(&self, kinds: &[Kind]) -> usize {
        self.proxy.count(kinds)
    }

    /// Puts a chunk, and forgets how.
    pub(crate) async fn stored(&self, n: usize) -> (ChunkId, Bytes) {
        let (id, data) = chunk(n);
        self.store.put(id, data.clone()).await.unwrap();
        self.reset();
        (id, data)
    }
}

/// The n-th chunk: 1000 bytes, and its name.
pub(crate) fn chunk(n: usize) -> (ChunkId, Bytes) {
    chunk_of(n, 1000)
}

/// A chunk of this many bytes.
pub(crate) fn chunk_of(n: usize, len: usize) -> (ChunkId, Bytes) {
    let mut data = vec![0; len];
    blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut data);
    (ChunkId::from_bytes(blake3::hash(&data).into()), data.into())
}

/// What a store is asked. Each sends one request when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Put,
    Get,
    Stat,
    Delete,
    DeleteMany,
    List,
}

pub(crate) const ALL: &[Ask] = &[Ask::Put, Ask::Get, Ask::Stat, Ask::Delete, Ask::DeleteMany, Ask::List];

impl Ask {
    /// The kind of its request.
    pub(crate) const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Put => PUTS,
            Self::Get => &[Kind::Get],
            Self::Stat => &[Kind::Head],
            Self::Delete => &[Kind::Delete],
            Self::DeleteMany => &[Kind::DeleteMany],
            Self::List => &[Kind::List],
        }
    }

    /// What is to be there before it is asked for.
    pub(crate) async fn prepare(self, bench: &Bench, n: usize) {
        bench.reset();
        if self != Self::Put {
            bench.stored(2 * n).await;
            bench.stored(2 * n + 1).await;
        }
    }

    /// Asks, about the chunks 2n and 2n + 1, and checks what comes.
    pub(crate) async fn ask(self, store: &S3Backend, n: usize) -> Result<(), Error> {
        let (id, data) = chunk(2 * n);
        let (other, _) = chunk(2 * n + 1);
        match self {
            Self::Put => store.put(id, data).await.map(drop),
            Self::Get => store.get(id).await.map(|got| assert!(got == Some(data), "other bytes")),
            Self::Stat => store.stat(id).await.map(|got| assert_eq!(got.map(|meta| meta.len), Some(1000))),
            Self::Delete => store.delete(id).await,
            Self::DeleteMany => store.delete_many(vec![id, other]).await.into_iter().collect(),
            Self::List => {
                let found: Vec<_> = store.list(None).try_collect().await?;
                assert!(found.iter().any(|meta| meta.id == id), "a chunk is missing in the list");
                Ok(())
            }
        }
    }
}

/// The kind, what a caller can do about it, and nothing that nobody may see.
pub(crate) fn check(e: &Error, kind: ErrorKind, what: &str) {
    assert_eq!(e.kind(), kind, "{what}: {e}");
    assert_eq!(e.is_transient(), kind.is_transient(), "{what}: {e}");
    let text = e.to_string();
    assert!(!text.contains('\n') && text.len() < 600, "{what}: {text}");
    assert!(text.contains("; "), "{what}: no remedy: {text}");
    no_secret(e, what);
}

/// The same after so many attempts.
pub(crate) fn check_attempts(e: &Error, kind: ErrorKind, attempts: usize, what: &str) {
    check(e, kind, what);
    assert_eq!(e.attempts(), Some(attempts as u32), "{what}: {e}");
}

pub(crate) fn no_secret(e: &Error, what: &str) {
    let mut text = format!("{e} {e:?}");
    let mut cause = e.source();
    while let Some(below) = cause {
        text += &format!(" {below} {below:?}");
        cause = below.source();
    }
    for secret in [SECRET_KEY, TOKEN, "hunter2"] {
        assert!(!text.contains(secret), "{what}: {text}");
    }
    // Names of chunks are shown by their first digits only.
    let shown = |word: &str| word.len() >= 60 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(!text.split(|c: char| !c.is_ascii_alphanumeric()).any(shown), "{what}: {text}");
}
