//! What goes wrong, as `object_store` reports it.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use object_store::Error as Below;
use object_store::path::Path;

/// Something that a call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The service answers with this status, and this code in the body.
    Status(u16, &'static str),
    /// The connection is lost before anything was done.
    Reset,
    /// No answer, and nothing was done.
    Silence,
    /// It was done, and the answer was lost.
    LostAnswer,
    /// The operating system says no.
    Errno(i32),
    /// The store has no such call.
    NotImplemented,
    /// A body ends early, and says so.
    CutBody,
    /// A body is one byte short, and nobody says so.
    ShortBody,
    /// A body is one byte too long.
    LongBody,
}

/// An error with a cause, like those inside `object_store`.
#[derive(Debug)]
struct Chained(String, Option<io::Error>);

impl fmt::Display for Chained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Chained {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.1.as_ref().map(|e| e as _)
    }
}

/// What every text carries, so that a test can see that no message does.
pub const SECRET: &str = "hunter2";

impl Trouble {
    pub fn error(self, at: &Path) -> Below {
        let begin = format!("Error performing PUT https://h/{at}?sig={SECRET} in 1ms, after 3 retries ");
        let chained = |text: String, cause| Box::new(Chained(text, cause));
        let transport = |text: &str, kind: io::ErrorKind| {
            chained(format!("{begin} - HTTP error: {text}"), Some(kind.into()))
        };
        let source: Box<Chained> = match self {
            Self::Status(status, code) => {
                let body = format!("<?xml?>\n<Error><Code>{code}</Code><Sign>{SECRET}</Sign></Error>");
                chained(format!("{begin} - Server returned non-2xx status code: {status} No: {body}"), None)
            }
            Self::Reset => transport("error sending request", io::ErrorKind::ConnectionReset),
            Self::Silence | Self::LostAnswer => transport("operation timed out", io::ErrorKind::TimedOut),
            Self::CutBody => transport("error reading a body", io::ErrorKind::UnexpectedEof),
            Self::Errno(errno) => {
                chained("Unable to rename file".to_owned(), Some(io::Error::from_raw_os_error(errno)))
            }
            Self::NotImplemented => {
                return Below::NotImplemented { operation: "it".into(), implementer: "the double".into() };
            }
            Self::ShortBody | Self::LongBody => chained("not an error".to_owned(), None),
        };
        let path = at.to_string();
        // As `RetryError::error` does it.
        match self {
            Self::Status(404, _) => Below::NotFound { path, source },
            Self::Status(409, _) => Below::AlreadyExists { path, source },
            Self::Status(412, _) => Below::Precondition { path, source },
            Self::Status(403, _) => Below::PermissionDenied { path, source },
            Self::Status(401, _) => Below::Unauthenticated { path, source },
            _ => Below::Generic { store: "Double", source },
        }
    }
}
