use std::fmt::{self, Debug};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use super::{Result, RootName};

/// Small named values, changed only by compare-and-swap. `Ok` from `swap` is durable and needs no `flush`.
///
/// A version never repeats, not even when the same bytes come back, so a swap that expects an old
/// version is always a conflict. Where [`Capabilities::roots`](super::Capabilities::roots) is off, every
/// method answers [`ErrorKind::Unsupported`](super::ErrorKind::Unsupported).
#[async_trait]
pub trait RootStore: Debug + Send + Sync + 'static {
    /// The root's value and version, or `None` if there is none of this name.
    ///
    /// # Errors
    /// As the medium fails.
    async fn load(&self, name: &RootName) -> Result<Option<Root>>;

    /// Replaces the root, or removes it (`new` is `None`), if it still is as expected.
    ///
    /// # Errors
    /// As the medium fails. After a transient error the swap may or may not have happened.
    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap>;

    /// The names of all roots, each once, in no promised order.
    fn names(&self) -> BoxStream<'static, Result<RootName>>;
}

/// A root's value and the version that a swap must expect. `Debug` shows the length, not the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Root {
    /// The bytes that were swapped in.
    pub value: Bytes,
    /// Which of its lives this is.
    pub version: RootVersion,
}

impl Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root").field("len", &self.value.len()).field("version", &self.version).finish()
    }
}

/// A root's version: opaque, only ever compared.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RootVersion(Bytes);

impl RootVersion {
    /// The version that a backend knows by these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The backend's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Debug for RootVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootVersion(")?;
        for byte in &self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// What a swap expects to find. There is deliberately no "whatever".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No root of this name.
    Absent,
    /// The root in this version.
    Version(RootVersion),
}

impl Expect {
    /// Whether `current` is what is expected.
    #[must_use]
    pub fn matches(&self, current: Option<&Root>) -> bool {
        match (self, current) {
            (Self::Absent, None) => true,
            (Self::Version(expected), Some(root)) => *expected == root.version,
            _ => false,
        }
    }
}

impl From<Option<&Root>> for Expect {
    fn from(current: Option<&Root>) -> Self {
        current.map_or(Self::Absent, |root| Self::Version(root.version.clone()))
    }
}

/// How a swap ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// It happened; the new version, or `None` after a removal.
    Done(Option<RootVersion>),
    /// It did not, for the root is not as expected; this is what it is.
    Conflict(Option<Root>),
}
