use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

use super::ChunkId;

/// The result of a store operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in a store: a kind, the operation, the chunk if there is one, and the cause.
///
/// One pointer wide. `Display` is one line, carries at most eight hex digits of a chunk's name and no
/// secret; the cause is behind [`source`](StdError::source).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    transient: bool,
    /// Attempts of a retry that gave up; 0 if nobody retried.
    attempts: u32,
    op: &'static str,
    chunk: Option<ChunkId>,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of store errors, by what a caller can do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store does not do this at all; see its capabilities.
    Unsupported,
    /// The request makes no sense: a bad URL, name or setting.
    InvalidInput,
    /// The chunk is longer than the store's `max_chunk_len`.
    ChunkTooLarge,
    /// A chunk that the caller requires is not there.
    ChunkMissing,
    /// What is stored is damaged.
    Corrupt,
    /// The location cannot be written at all.
    ReadOnly,
    /// This user may not do this.
    PermissionDenied,
    /// The service does not know who asks.
    Unauthenticated,
    /// No space, or a quota is used up.
    Full,
    /// The folder, database or bucket itself is not there.
    ContainerMissing,
    /// Another process holds the store.
    Locked,
    /// The store was closed.
    Closed,
    /// Somebody else changed the same thing at the same time.
    Conflict,
    /// The service is not answering or not reachable now.
    Unavailable,
    /// The service asks to slow down.
    Throttled,
    /// No answer within the deadline.
    Timeout,
    /// Anything else; the source tells.
    Other,
}

impl ErrorKind {
    /// Whether a retry can help when nothing more is known.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Conflict | Self::Unavailable | Self::Throttled | Self::Timeout)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Unsupported => "not supported",
            Self::InvalidInput => "invalid input",
            Self::ChunkTooLarge => "chunk too large",
            Self::ChunkMissing => "chunk missing",
            Self::Corrupt => "corrupt",
            Self::ReadOnly => "read-only",
            Self::PermissionDenied => "permission denied",
            Self::Unauthenticated => "not authenticated",
            Self::Full => "no space left",
            Self::ContainerMissing => "store missing",
            Self::Locked => "locked",
            Self::Closed => "closed",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::Timeout => "timed out",
            Self::Other => "failed",
        }
    }
}

impl Error {
    /// An error of `kind` in operation `op` ("put", "get", "open", …), with a message for people.
    #[must_use]
    pub fn new(kind: ErrorKind, op: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let transient = kind.is_transient();
        let message = message.into();
        Self(Box::new(Inner { kind, transient, attempts: 0, op, chunk: None, message, source: None }))
    }

    /// An error of the kind that an I/O error's own kind suggests, with that error as its source.
    ///
    /// `NotFound` becomes [`ErrorKind::Other`]: only the backend knows whether a chunk, which may be
    /// absent, or its container is meant.
    #[must_use]
    pub fn from_io(op: &'static str, message: impl Into<Cow<'static, str>>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                ErrorKind::Full
            }
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            io::ErrorKind::Unsupported => ErrorKind::Unsupported,
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => ErrorKind::InvalidInput,
            io::ErrorKind::TimedOut => ErrorKind::Timeout,
            io::ErrorKind::Interrupted
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::StaleNetworkFileHandle
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        };
        Self::new(kind, op, message).with_source(source)
    }

    /// Names the chunk that the operation was about.
    #[must_use]
    pub fn with_chunk(mut self, id: ChunkId) -> Self {
        self.0.chunk = Some(id);
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says whether a retry can help, where the backend knows better than the kind does.
    #[must_use]
    pub fn with_transient(mut self, transient: bool) -> Self {
        self.0.transient = transient;
        self
    }

    /// Marks it as what was left after this many attempts, so that no outer retry multiplies them.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// The same again, for somebody else who waited for the same thing, without its source.
    #[must_use]
    pub fn repeat(&self) -> Self {
        let Inner { kind, transient, attempts, op, chunk, .. } = *self.0;
        let message = self.0.message.clone();
        Self(Box::new(Inner { kind, transient, attempts, op, chunk, message, source: None }))
    }

    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// How many attempts a retry made before it gave up; `None` if nobody retried.
    #[must_use]
    pub fn attempts(&self) -> Option<u32> {
        (self.0.attempts > 0).then_some(self.0.attempts)
    }

    /// The operation that failed.
    #[must_use]
    pub fn op(&self) -> &'static str {
        self.0.op
    }

    /// The chunk that the operation was about.
    #[must_use]
    pub fn chunk(&self) -> Option<ChunkId> {
        self.0.chunk
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op)?;
        if let Some(id) = self.0.chunk {
            write!(f, " {}", id.short())?;
        }
        write!(f, ": {}", self.0.kind.as_str())?;
        if !self.0.message.is_empty() {
            // A path or a service's own words may hold line breaks or escape codes.
            f.write_str(": ")?;
            for c in self.0.message.chars() {
                if c.is_control() {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
        }
        if let Some(attempts) = self.attempts() {
            write!(f, " (gave up after {attempts} attempts)")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind).field("op", &self.0.op).field("message", &self.0.message);
        if let Some(id) = &self.0.chunk {
            out.field("chunk", id);
        }
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pointer_wide_and_sendable() {
        fn sendable<T: Send + Sync + 'static>() {}
        sendable::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_is_one_line_with_a_short_name() {
        let id = ChunkId::from_bytes([0xab; 32]);
        let e = Error::new(ErrorKind::Full, "put", "no\nroom\u{1b}[1m").with_chunk(id);
        assert_eq!(e.to_string(), r"put abababab: no space left: no\nroom\u{1b}[1m");
        assert_eq!(e.chunk(), Some(id));
    }

    #[test]
    fn io_errors_keep_their_meaning_and_their_cause() {
        let e = Error::from_io("put", "", io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!((e.kind(), e.is_transient()), (ErrorKind::Full, false));
        assert!(e.source().is_some());
        assert!(Error::from_io("get", "", io::Error::from(io::ErrorKind::TimedOut)).is_transient());
    }
}
