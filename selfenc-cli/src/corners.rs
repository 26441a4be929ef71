//! Corners of a store that a run works in, and removes before it ends, however it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use selfenc::store::{self, Corner, ErrorKind, StoreUrl};

use crate::exit::{Failure, Result};

/// How long a corner that could not be removed holds up the next one.
const MOMENT: Duration = Duration::from_millis(100);

/// The corners that were made and are not removed yet. Clones share them.
///
/// Dropping a future cannot wait for a store, so the program itself calls [`close`](Self::close) when a
/// command has ended or was cut off by a signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Corners(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    there: Vec<Held>,
    closed: bool,
}

#[derive(Debug)]
struct Held {
    corner: Arc<Corner>,
    /// Why it could not be removed.
    stuck: Option<store::Error>,
}

impl Corners {
    /// Makes a corner of the store at `url`.
    pub(crate) async fn make(&self, url: &str) -> store::Result<Arc<Corner>> {
        let corner = Arc::new(selfenc::registry().corner(url).await?);
        let mut state = self.lock();
        if state.closed {
            return Err(store::Error::new(ErrorKind::Closed, "corner", "the run is ending"));
        }
        state.there.push(Held { corner: Arc::clone(&corner), stuck: None });
        Ok(corner)
    }

    /// Removes the corners. One that cannot be removed now is tried again by the next call, for a moment
    /// only, and by [`close`](Self::close).
    pub(crate) async fn remove(&self) {
        let there: Vec<_> =
            self.lock().there.iter().map(|held| (Arc::clone(&held.corner), held.stuck.is_some())).collect();
        for (corner, stuck) in there {
            let limit = if stuck { MOMENT } else { Duration::MAX };
            if let Ok(destroyed) = tokio::time::timeout(limit, corner.destroy()).await {
                self.note(&corner, destroyed);
            }
        }
    }

    /// Removes the corners; from now on there can be no others.
    pub(crate) async fn close(&self) -> Result<()> {
        let there: Vec<_> = {
            let mut state = self.lock();
            state.closed = true;
            state.there.iter().map(|held| Arc::clone(&held.corner)).collect()
        };
        join_all(there.iter().map(async |corner| self.note(corner, corner.destroy().await))).await;
        let mut state = self.lock();
        let why = state.there.iter_mut().filter_map(|held| held.stuck.take()).map(Failure::from);
        match why.reduce(Failure::and) {
            None => Ok(()),
            Some(why) => Err(state
                .left("was not removed")
                .and(why)
                .hint("what the test stored may still be there; remove it by hand")),
        }
    }

    /// The failure to wait until those that are there are removed.
    pub(crate) fn abandoned(&self) -> Failure {
        self.lock().left("may be left").hint("remove it by hand")
    }

    fn note(&self, corner: &Arc<Corner>, destroyed: store::Result<()>) {
        let mut state = self.lock();
        match destroyed {
            Ok(()) => state.there.retain(|held| !Arc::ptr_eq(&held.corner, corner)),
            Err(e) => {
                let held = state.there.iter_mut().find(|held| Arc::ptr_eq(&held.corner, corner));
                // The first error names what is in the way. Those after it say only that what is left is
                // no store.
                if let Some(held) =
                    held.filter(|held| held.stuck.as_ref().is_none_or(store::Error::is_transient))
                {
                    held.stuck = Some(e);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn left(&self, what: &str) -> Failure {
        let urls: Vec<_> = self.there.iter().map(|held| held.corner.url().to_string()).collect();
        Failure::new(format!("{} {what}", urls.join(", ")))
    }
}

/// Why there can be no corner at `url`, for who named that on the command line.
pub(crate) fn no_corner(url: &str, e: store::Error) -> Failure {
    let kind = e.kind();
    let described = url.parse().is_ok_and(|url: StoreUrl| url.scheme() == "toml");
    match kind {
        ErrorKind::Unsupported if described => {
            Failure::usage("a toml: store has no corner").hint("test the stores inside it by their own URLs")
        }
        ErrorKind::ContainerMissing => {
            Failure::from(e).hint("the folder must be there, a store in it need not; check the URL")
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnly => {
            Failure::from(e).hint("give another URL, or make the folder writable for you")
        }
        _ => Failure::from(e),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use selfenc::store::OpenMode;

    use super::*;

    #[tokio::test]
    async fn what_is_in_the_way_is_named_however_often_removing_was_tried() {
        let folder = tempfile::tempdir().unwrap();
        let (corners, url) = (Corners::default(), format!("file:{}", folder.path().display()));
        let corner = corners.make(&url).await.unwrap();
        corner.open(OpenMode::Create).await.unwrap();
        let dir = corner.url().to_file_path().unwrap();
        fs::write(dir.join("thesis.txt"), "mine").unwrap();
        corners.remove().await;
        corners.remove().await;
        let failure = format!("{:?}", corners.close().await.unwrap_err());
        assert!(failure.contains("thesis.txt") && !failure.contains("not a store"), "{failure}");
        assert!(failure.contains("may still be there"), "{failure}");
        fs::remove_file(dir.join("thesis.txt")).unwrap();
        corners.close().await.unwrap();
        assert!(!dir.exists());
        assert_eq!(corners.make(&url).await.unwrap_err().kind(), ErrorKind::Closed);
    }

    #[tokio::test]
    async fn a_stuck_corner_holds_up_the_next_for_a_moment_only() {
        let folder = tempfile::tempdir().unwrap();
        let (corners, url) = (Corners::default(), format!("file:{}", folder.path().display()));
        let corner = corners.make(&url).await.unwrap();
        corner.open(OpenMode::Create).await.unwrap();
        let held = corner.url().to_file_path().unwrap().join("tmp/.nfs01");
        fs::write(&held, "still open").unwrap();
        corners.remove().await;
        let again = Instant::now();
        corners.remove().await;
        assert!(again.elapsed() < Duration::from_secs(2), "it took {:?}", again.elapsed());
        fs::remove_file(&held).unwrap();
        corners.close().await.unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
