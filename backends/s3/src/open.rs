//! Finding out what is below a prefix, and making it a store.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use selfenc_core::store::objects::{LAYOUT, MAX_MARKER_LEN, marker_text, parse_marker};
use selfenc_core::store::{Error, ErrorKind, OpenMode, Result};

use crate::list::objects;
use crate::objects::Condition;
use crate::request::Lane;
use crate::store::Inner;

/// Looks for a store, and makes one if there is none and `mode` says so.
///
/// The first request is a GET, since its errors have bodies: a missing bucket, an unknown key and a wrong
/// region are all told apart, which a HEAD of the bucket cannot.
pub(crate) async fn find_or_make(inner: &Arc<Inner>, mode: OpenMode) -> Result<()> {
    if inner.read_marker("open").await? {
        return Ok(());
    }
    if mode == OpenMode::Existing {
        let message = format!("{}: there is no store; check the address, or create the store", inner.info);
        return Err(Error::new(ErrorKind::ContainerMissing, "open", message));
    }
    if let Some(foreign) = inner.first_foreign("open").await? {
        let message = format!(
            "{}: it is neither empty nor a store (it holds {foreign:.200}); give another prefix",
            inner.info
        );
        return Err(Error::new(ErrorKind::InvalidInput, "open", message));
    }
    inner.write_marker().await
}

impl Inner {
    /// Whether there is a marker; one of something else is an error.
    pub(crate) async fn read_marker(&self, op: &'static str) -> Result<bool> {
        let operation = self.begin(op, Lane::Data, 0);
        let problem = |kind, what: String| Err(Error::new(kind, op, format!("{}: {what}", self.info)));
        let foreign = || {
            let what = "selfenc-store is not the marker of a store of this kind; give another prefix, or \
                        restore the marker";
            problem(ErrorKind::InvalidInput, what.to_owned())
        };
        let doing = "read the marker of the store";
        let found = match self.get_object(&operation, &self.names.marker(), MAX_MARKER_LEN, doing).await {
            Ok(Some(found)) => found.bytes,
            Ok(None) => return Ok(false),
            // Longer than any marker.
            Err(failure) if failure.status().is_none() && failure.error.kind() == ErrorKind::Corrupt => {
                return foreign();
            }
            Err(failure) => return Err(failure.into()),
        };
        match parse_marker(&found) {
            Some(LAYOUT) => Ok(true),
            Some(newer) => problem(
                ErrorKind::Unsupported,
                format!(
                    "this store has layout {newer}, this version knows {LAYOUT}; use a newer version of \
                     selfenc"
                ),
            ),
            None => foreign(),
        }
    }

    /// Last of all, so that an interrupted making is no store.
    async fn write_marker(&self) -> Result<()> {
        let text = Bytes::from(marker_text());
        let operation = self.begin("open", Lane::Data, text.len());
        let (key, doing) = (self.names.marker(), format!("make a store at {}", self.info));
        let put = async |condition| self.put_object(&operation, &key, &text, &condition, &doing).await;
        match put(Condition::Absent).await {
            Err(failure) if failure.is_unsupported() => put(Condition::Any).await?,
            // By somebody else at the same time, who writes the same; or by an attempt whose answer was lost.
            Err(failure) if failure.is_refused() && self.read_marker("open").await? => return Ok(()),
            written => written?,
        };
        Ok(())
    }

    /// Something below the prefix that no store makes, if there is anything.
    async fn first_foreign(self: &Arc<Self>, op: &'static str) -> Result<Option<String>> {
        let prefix = self.names.prefix().to_owned();
        let mut listed = objects(self, op, "list what is there", prefix, None);
        while let Some(listed) = listed.next().await {
            let key = listed?.key;
            if !self.names.is_ours(&key) && !self.names.is_in_corner(&key) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Whether there is a bucket that may be listed, with a store in it or not.
    pub(crate) async fn check_medium(self: &Arc<Self>, op: &'static str) -> Result<()> {
        let prefix = self.names.prefix().to_owned();
        let first = objects(self, op, "list what is there", prefix, None).next().await;
        first.transpose().map(drop)
    }
}
