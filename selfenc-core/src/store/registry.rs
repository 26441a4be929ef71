use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{Backend, Error, ErrorKind, Result, StoreUrl};

/// How a corner's name starts; random hex digits follow.
pub(super) const CORNER_PREFIX: &str = "selfenc-test-";

/// The pauses between attempts to destroy a corner that is still written to: 5 s in all.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(2560);

/// The backends that can be opened by URL. Open: a third party's [`StoreFactory`] joins by `register`.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    factories: BTreeMap<&'static str, Arc<dyn StoreFactory>>,
}

/// Opens the stores of one URL scheme.
#[async_trait]
pub trait StoreFactory: Debug + Send + Sync + 'static {
    /// The scheme, in lower case and without the colon.
    fn scheme(&self) -> &'static str;

    /// Opens the store at `url`, whose scheme is this one's.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a URL it cannot read, [`ErrorKind::ContainerMissing`] if there is no
    /// store and `mode` does not make one, or as the medium fails.
    async fn open(&self, url: &StoreUrl, mode: OpenMode) -> Result<Arc<dyn Backend>>;

    /// The URL where a store called `name` may stand in or beside the one at `url`: on the same medium,
    /// with the same settings, and without touching what is there. Makes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] unless the backend has this; [`ErrorKind::ContainerMissing`] if the
    /// medium is not there (the folder, the bucket), even where there need be no store in it yet.
    async fn corner(&self, url: &StoreUrl, _name: &str) -> Result<StoreUrl> {
        let remedy = "make an empty store of this kind and give the suite its harness";
        Err(unsupported("corner", url, "cannot make room for a test of its own", remedy))
    }

    /// Removes the store at `url`, with everything that the store itself made. `Ok` if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] unless the backend has this; [`ErrorKind::InvalidInput`] for what is no
    /// store, which is left alone, and for things in it that no store made, which are left and named;
    /// something transient if it is still written to, or as the medium fails. May be called again.
    async fn destroy(&self, url: &StoreUrl) -> Result<()> {
        Err(unsupported("destroy", url, "cannot remove a store", "remove it by hand"))
    }
}

/// What to do where there is no store yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Fail with [`ErrorKind::ContainerMissing`].
    Existing,
    /// Make an empty one.
    Create,
}

impl Registry {
    /// A registry that knows no scheme.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a backend, in place of an earlier one of the same scheme.
    #[must_use]
    pub fn register(mut self, factory: impl StoreFactory) -> Self {
        self.factories.insert(factory.scheme(), Arc::new(factory));
        self
    }

    /// The schemes that can be opened, in order.
    pub fn schemes(&self) -> impl Iterator<Item = &'static str> {
        self.factories.keys().copied()
    }

    /// Opens the store at `url`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a URL that cannot be read, or whose scheme is not registered (the
    /// message lists those that are); otherwise as the backend fails.
    pub async fn open(&self, url: &str, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        let url: StoreUrl = url.parse()?;
        self.factory(&url)?.open(&url, mode).await
    }

    /// A corner of the store at `url`, under a random name: the place for a test on a live medium. Makes
    /// nothing yet.
    ///
    /// # Errors
    /// As for [`open`](Self::open) and [`StoreFactory::corner`].
    pub async fn corner(&self, url: &str) -> Result<Corner> {
        let url: StoreUrl = url.parse()?;
        let factory = Arc::clone(self.factory(&url)?);
        let url = factory.corner(&url, &random_name()?).await?;
        Ok(Corner { factory, url, destroyed: Arc::default() })
    }

    fn factory(&self, url: &StoreUrl) -> Result<&Arc<dyn StoreFactory>> {
        self.factories.get(url.scheme()).ok_or_else(|| {
            let known: Vec<_> = self.schemes().collect();
            let message = format!("no backend for '{}:'; this build has {}", url.scheme(), known.join(", "));
            Error::new(ErrorKind::InvalidInput, "open", message)
        })
    }
}

/// A store of its own in or beside a live one, made by [`Registry::corner`]. Whoever has it calls
/// [`destroy`](Self::destroy) in the end: dropping it removes nothing.
pub struct Corner {
    factory: Arc<dyn StoreFactory>,
    url: StoreUrl,
    /// Held while the store is opened, so that nothing is made after it was destroyed.
    destroyed: Arc<Mutex<bool>>,
}

impl Corner {
    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// Opens the store in it. An opening that was begun goes on when its future is dropped, and
    /// [`destroy`](Self::destroy) waits for it.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] after it was destroyed, otherwise as the backend fails.
    pub async fn open(&self, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        let (factory, url) = (Arc::clone(&self.factory), self.url.clone());
        let destroyed = Arc::clone(&self.destroyed).lock_owned().await;
        if *destroyed {
            return Err(Error::new(ErrorKind::Closed, "open", format!("{url} was destroyed; make another")));
        }
        let opening = tokio::spawn(async move {
            let opened = factory.open(&url, mode).await;
            drop(destroyed);
            opened
        });
        match opening.await {
            Ok(opened) => opened,
            Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Err(_) => Err(Error::new(ErrorKind::Closed, "open", "the runtime is shutting down")),
        }
    }

    /// Removes the store in it, for good. What still writes to it is given some seconds to end.
    ///
    /// # Errors
    /// As for [`StoreFactory::destroy`]; then it may be called again.
    pub async fn destroy(&self) -> Result<()> {
        let mut destroyed = self.destroyed.lock().await;
        *destroyed = true;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.factory.destroy(&self.url).await {
                Err(e) if e.is_transient() && pause <= LAST_PAUSE => tokio::time::sleep(pause).await,
                result => return result,
            }
            pause *= 2;
        }
    }
}

impl Debug for Corner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Corner").field("url", &self.url).finish_non_exhaustive()
    }
}

fn random_name() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::new(ErrorKind::Other, "corner", "the system gives no randomness for a name").with_source(e)
    })?;
    Ok(format!("{CORNER_PREFIX}{:016x}", u64::from_be_bytes(bytes)))
}

fn unsupported(op: &'static str, url: &StoreUrl, what: &str, remedy: &str) -> Error {
    Error::new(ErrorKind::Unsupported, op, format!("the backend of '{}:' {what}; {remedy}", url.scheme()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as Log;
    use std::time::Instant;

    use super::*;

    /// Says what was asked of it. Its stores take a while and then fail to open.
    #[derive(Debug, Default)]
    struct Fake {
        log: Arc<Log<Vec<String>>>,
        busy: Log<u32>,
    }

    impl Fake {
        fn say(&self, what: impl Into<String>) {
            self.log.lock().unwrap().push(what.into());
        }
    }

    #[async_trait]
    impl StoreFactory for Fake {
        fn scheme(&self) -> &'static str {
            "fake"
        }

        async fn open(&self, url: &StoreUrl, _mode: OpenMode) -> Result<Arc<dyn Backend>> {
            self.say("opening");
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.say("opened");
            Err(Error::new(ErrorKind::Full, "open", url.to_string()))
        }

        async fn corner(&self, url: &StoreUrl, name: &str) -> Result<StoreUrl> {
            url.join(name)
        }

        async fn destroy(&self, _url: &StoreUrl) -> Result<()> {
            let mut busy = self.busy.lock().unwrap();
            self.say(format!("destroy, busy {busy}"));
            if *busy == 0 {
                return Ok(());
            }
            *busy -= 1;
            Err(Error::new(ErrorKind::Conflict, "destroy", "busy"))
        }
    }

    /// Does neither.
    #[derive(Debug)]
    struct Plain;

    #[async_trait]
    impl StoreFactory for Plain {
        fn scheme(&self) -> &'static str {
            "plain"
        }

        async fn open(&self, _url: &StoreUrl, _mode: OpenMode) -> Result<Arc<dyn Backend>> {
            Err(Error::new(ErrorKind::Unsupported, "open", ""))
        }
    }

    #[tokio::test]
    async fn corners_have_random_names_and_keep_the_settings() {
        let registry = Registry::new().register(Fake::default());
        let corner = registry.corner("fake:/a/?x=1").await.unwrap();
        let other = registry.corner("fake:/a/?x=1").await.unwrap();
        assert_ne!(corner.url(), other.url());
        let name = corner.url().path().strip_prefix("/a/selfenc-test-").unwrap();
        assert!(name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        assert_eq!(corner.url().query().collect::<Vec<_>>(), [("x", "1")]);
        assert_eq!(registry.corner("gopher:x").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn what_a_backend_lacks_is_said_with_a_remedy() {
        let registry = Registry::new().register(Plain);
        let e = registry.corner("plain:x").await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unsupported);
        assert!(e.to_string().contains("'plain:'") && e.to_string().contains("harness"), "{e}");
        let e = Plain.destroy(&"plain:x".parse().unwrap()).await.unwrap_err();
        assert!(e.kind() == ErrorKind::Unsupported && e.to_string().contains("by hand"), "{e}");
    }

    #[tokio::test]
    async fn destroying_is_tried_again_while_something_still_writes() {
        let fake = Fake { busy: Log::new(2), ..Fake::default() };
        let log = Arc::clone(&fake.log);
        let corner = Registry::new().register(fake).corner("fake:").await.unwrap();
        corner.destroy().await.unwrap();
        assert_eq!(*log.lock().unwrap(), ["destroy, busy 2", "destroy, busy 1", "destroy, busy 0"]);
        let e = corner.open(OpenMode::Create).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Closed, "{e}");
        assert_eq!(log.lock().unwrap().len(), 3, "nothing was opened");
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_busy_is_given_up() {
        let fake = Fake { busy: Log::new(u32::MAX), ..Fake::default() };
        let corner = Registry::new().register(fake).corner("fake:").await.unwrap();
        assert_eq!(corner.destroy().await.unwrap_err().kind(), ErrorKind::Conflict);
    }

    #[tokio::test]
    async fn an_opening_whose_caller_has_gone_ends_before_the_corner_does() {
        let fake = Fake::default();
        let log = Arc::clone(&fake.log);
        let corner = Registry::new().register(fake).corner("fake:").await.unwrap();
        let begun = Instant::now();
        let opening = tokio::time::timeout(Duration::from_millis(10), corner.open(OpenMode::Create));
        assert!(opening.await.is_err(), "it took {:?}", begun.elapsed());
        corner.destroy().await.unwrap();
        assert_eq!(*log.lock().unwrap(), ["opening", "opened", "destroy, busy 0"]);
    }
}
