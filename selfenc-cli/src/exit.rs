//! How a run ends: every failure becomes one line, perhaps a hint, and an exit code.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use selfenc::store::{self, ErrorKind};
use selfenc::{Error, MapError};

use crate::text::{printable, size};

/// The exit codes, as `--help` tells them.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done
  1    failed: a file cannot be read or written, no space left, not a data map, a wrong key
  2    wrong usage: unknown options, settings that do not work, a bad store URL
  3    damaged or missing data: a corrupt or missing chunk, a damaged map, an unknown name
  4    the store is not there, cannot be reached, is locked or refuses access
  5    the store failed cases of 'selfenc store test'
  130  interrupted (Ctrl-C); 143 terminated; 129 the terminal is gone;
       141 the reader of the output is gone
  After these and every failure no half-written file is left. A run that is killed
  outright (kill -9) may leave a file '.selfenc-*.part' beside its output, and a store
  test or bench its 'selfenc-test-*' in the store's folder.";

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const DAMAGED: u8 = 3;
const STORE: u8 = 4;
const FAULTY: u8 = 5;
const BROKEN_PIPE: u8 = 141;

/// What the command's functions return.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why the run failed, in words for the user.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    line: String,
    hint: Option<String>,
}

impl Failure {
    /// Something that went wrong with code 1.
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self { code: FAILED, line: line.into(), hint: None }
    }

    /// The user asked for what cannot be.
    pub(crate) fn usage(line: impl Into<String>) -> Self {
        Self { code: USAGE, ..Self::new(line) }
    }

    /// Data is damaged or missing.
    pub(crate) fn damaged(line: impl Into<String>) -> Self {
        Self { code: DAMAGED, ..Self::new(line) }
    }

    /// There is no store where one is needed.
    pub(crate) fn no_store(line: impl Into<String>) -> Self {
        Self { code: STORE, ..Self::new(line) }
    }

    /// A store does not keep its contract.
    pub(crate) fn faulty_store(line: impl Into<String>) -> Self {
        Self { code: FAULTY, ..Self::new(line) }
    }

    /// A signal ended the run.
    pub(crate) fn interrupted(code: u8) -> Self {
        let word = if code == 130 { "interrupted" } else { "terminated" };
        Self { code, ..Self::new(word) }
    }

    /// An operation of the system failed; `what` says which, and on what.
    pub(crate) fn io(what: impl fmt::Display, e: &io::Error) -> Self {
        if e.kind() == io::ErrorKind::BrokenPipe {
            return Self { code: BROKEN_PIPE, ..Self::new("") };
        }
        Self { hint: io_hint(e.kind()).map(str::to_owned), ..Self::new(chain(what.to_string(), Some(e))) }
    }

    /// The same, with a remedy in place of any it had.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, saying what it is about.
    pub(crate) fn about(mut self, what: &str) -> Self {
        self.line = format!("{what}: {}", self.line);
        self
    }

    /// The same, and then another; the exit code stays.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.line = [self.line, other.line].join("; ");
        self.hint = other.hint.or(self.hint);
        self
    }

    /// Tells the user on standard error, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.code != BROKEN_PIPE {
            // Standard error may be gone too; the exit code still tells.
            let mut err = io::stderr().lock();
            let _ = writeln!(err, "selfenc: {}", printable(&self.line));
            if let Some(hint) = &self.hint {
                let _ = writeln!(err, "hint: {}", printable(hint));
            }
        }
        ExitCode::from(self.code)
    }
}

/// Says what was being done when an operation of the system failed.
pub(crate) trait Context<T> {
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|e| Failure::io(what, &e))
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        let (code, hint) = match &e {
            Error::Store(e) => store_kind(e.kind()),
            Error::Source(source) => (FAILED, io_hint(source.kind()).map(str::to_owned)),
            Error::Corrupt { .. } => (DAMAGED, Some(
                "nothing of it was used; 'selfenc store scrub' finds what else is damaged, and encrypting the \
                 same file again after the damaged chunk was removed puts it back".to_owned(),
            )),
            Error::ChunkMissing { .. } => {
                (DAMAGED, Some("probably the wrong --store: give the one the file was encrypted into".to_owned()))
            }
            Error::BadMap(e) => map_error(*e),
            Error::WrongKey => {
                (FAILED, Some("give the --key-file that was used when it was encrypted".to_owned()))
            }
            Error::BudgetTooSmall { needed, .. } => (USAGE, Some(format!(
                "give --memory {}K ({}) or more, or smaller chunks",
                needed.div_ceil(1024),
                size(*needed)
            ))),
            Error::TooShort { .. } => (
                FAILED,
                Some("use a suite of selfenc's own, which takes files of any length".to_owned()),
            ),
            Error::InvalidConfig(_) => (USAGE, Some("'selfenc encrypt --help' tells the ranges".to_owned())),
            _ => (FAILED, None),
        };
        Self { code, line: chain(e.to_string(), e.source()), hint }
    }
}

impl From<store::Error> for Failure {
    fn from(e: store::Error) -> Self {
        let (code, hint) = store_kind(e.kind());
        Self { code, line: chain(e.to_string(), e.source()), hint }
    }
}

fn map_error(e: MapError) -> (u8, Option<String>) {
    let (code, hint) = match e {
        MapError::NotADataMap => {
            (FAILED, "give the .selfenc file that 'selfenc encrypt' wrote, or a whole map of self_encryption")
        }
        MapError::NewerVersion(_) => (FAILED, "a newer selfenc wrote it; update this one"),
        MapError::Sealed => (FAILED, "give the key it was sealed with by --key-file"),
        _ => (DAMAGED, "take an undamaged copy of the map, or encrypt the file again"),
    };
    (code, Some(hint.to_owned()))
}

fn store_kind(kind: ErrorKind) -> (u8, Option<String>) {
    let (code, hint) = match kind {
        ErrorKind::InvalidInput => (
            USAGE,
            "a store is a URL such as file:/var/chunks or file:./chunks; credentials never go into it but come \
             from the environment",
        ),
        ErrorKind::ContainerMissing => (
            STORE,
            "check --store and $SELFENC_STORE; 'selfenc encrypt' makes the store where its folder is there",
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnly => {
            (STORE, "give another --store, or make this one writable for you")
        }
        ErrorKind::Unauthenticated => (STORE, "check the credentials in the environment"),
        ErrorKind::Locked => (STORE, "another program has this store open; try again when it is done"),
        ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::Timeout => {
            (STORE, "try again later; what was stored so far is kept and not sent again")
        }
        ErrorKind::Full => {
            (FAILED, "free some space and run it again; what was stored before is intact and not sent again")
        }
        ErrorKind::Corrupt => (DAMAGED, "'selfenc store scrub' finds what is damaged"),
        ErrorKind::ChunkMissing => (DAMAGED, "probably the wrong --store"),
        ErrorKind::Closed => return (STORE, None),
        _ => return (FAILED, None),
    };
    (code, Some(hint.to_owned()))
}

fn io_hint(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "free some space and run it again; nothing was replaced"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose another place with -o, or change the permissions"
        }
        _ => return None,
    })
}

/// `line` and its causes, joined by colons. A cause that an error already told is not told twice.
fn chain(mut line: String, mut cause: Option<&(dyn StdError + 'static)>) -> String {
    while let Some(e) = cause {
        let text = e.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = e.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_joined_and_told_once() {
        let cause = io::Error::from(io::ErrorKind::StorageFull);
        let text = cause.to_string();
        let e = store::Error::from_io("put", "cannot write", cause);
        let failure = Failure::from(e);
        assert_eq!(failure.line, format!("put: no space left: cannot write: {text}"));
        assert_eq!(
            chain(format!("x: {text}"), Some(&io::Error::from(io::ErrorKind::StorageFull))),
            format!("x: {text}")
        );
    }

    #[test]
    fn codes_tell_data_from_store_from_usage() {
        let of = |kind| Failure::from(store::Error::new(kind, "get", "")).code;
        assert_eq!(of(ErrorKind::ContainerMissing), STORE);
        assert_eq!(of(ErrorKind::PermissionDenied), STORE);
        assert_eq!(of(ErrorKind::Corrupt), DAMAGED);
        assert_eq!(of(ErrorKind::InvalidInput), USAGE);
        assert_eq!(of(ErrorKind::Full), FAILED);
        assert_eq!(Failure::from(Error::WrongKey).code, FAILED);
        assert_eq!(Failure::from(Error::BadMap(MapError::Damaged)).code, DAMAGED);
        assert_eq!(Failure::from(Error::BadMap(MapError::NotADataMap)).code, FAILED);
        assert_eq!(Failure::io("write", &io::ErrorKind::BrokenPipe.into()).code, BROKEN_PIPE);
    }

    #[test]
    fn a_small_budget_says_what_is_needed() {
        let failure = Failure::from(Error::BudgetTooSmall { needed: 8_650_753, budget: 1024 });
        assert!(failure.hint.expect("a hint").contains("--memory 8449K"));
    }
}
