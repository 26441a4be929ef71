//! How a case says what it found: an [`Outcome`], made by the macros `must!`, `check!` and `check_eq!`.

use std::fmt;

/// How a case ended.
pub type Outcome = Result<Verdict, Failure>;

/// The good ends of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The store keeps what the case asks for.
    Passed,
    /// The store declares less than the case asks for, and keeps what it declares.
    Weaker(&'static str),
    /// The harness lacks this hook, so nothing was tried.
    NotExercised(&'static str),
    /// The case is too long for this scale; it runs at that one.
    LargerScale(crate::Scale),
}

/// The clause of the contract that a failure breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // `Display` says what each is
pub enum Clause {
    G1,
    G2,
    G3,
    G4,
    G5,
    G6,
    G7,
    G8,
    G9,
    /// One id, one value; the exact bytes come back.
    Bytes,
    /// `max_chunk_len` bounds what is stored and what is read.
    Bound,
    /// `Capabilities` and `StoreInfo` tell the truth.
    Honesty,
    /// The contract of `RootStore`.
    Roots,
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::G1 => "G1 atomic",
            Self::G2 => "G2 visible",
            Self::G3 => "G3 idempotent",
            Self::G4 => "G4 durable",
            Self::G5 => "G5 absent",
            Self::G6 => "G6 droppable",
            Self::G7 => "G7 listing",
            Self::G8 => "G8 classified",
            Self::G9 => "G9 async",
            Self::Bytes => "one id, one value",
            Self::Bound => "max_chunk_len",
            Self::Honesty => "honest capabilities",
            Self::Roots => "roots by compare-and-swap",
        })
    }
}

/// What a store did wrong, and where the suite noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The clause that is broken.
    pub clause: Clause,
    /// The source file of the check.
    pub file: &'static str,
    /// The line of the check.
    pub line: u32,
    /// What was expected and what happened.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "breaks {}: {} ({}:{})", self.clause, self.message, self.file, self.line)
    }
}

impl std::error::Error for Failure {}

/// Fails the case with a message, citing a clause.
macro_rules! fail {
    ($clause:ident, $($message:tt)+) => {
        return Err($crate::Failure {
            clause: $crate::Clause::$clause,
            file: file!(),
            line: line!(),
            message: format!($($message)+),
        })
    };
}

/// Unwraps a store's answer; an error fails the case.
macro_rules! must {
    ($clause:ident, $answer:expr) => {
        match $answer {
            Ok(value) => value,
            Err(e) => fail!($clause, "{} is an error: {e}", stringify!($answer)),
        }
    };
}

/// Fails the case if the condition is false.
macro_rules! check {
    ($clause:ident, $condition:expr, $($message:tt)+) => {
        if !$condition {
            fail!($clause, $($message)+);
        }
    };
}

/// Fails the case if the two differ.
macro_rules! check_eq {
    ($clause:ident, $left:expr, $right:expr, $what:expr) => {
        match (&$left, &$right) {
            (left, right) if left == right => {}
            (left, right) => fail!($clause, "{}: {left:?}, should be {right:?}", $what),
        }
    };
}

/// Fails the case if a chunk's bytes differ; prints lengths and the first difference, not the bytes.
macro_rules! check_bytes {
    ($clause:ident, $left:expr, $right:expr, $what:expr) => {
        match (&$left, &$right) {
            (left, right) if left == right => {}
            (left, right) => fail!($clause, "{}: {}", $what, $crate::check::difference(left, right)),
        }
    };
}

/// The value of a hook; a missing hook ends the case as not exercised.
macro_rules! hook {
    ($name:literal, $answer:expr) => {
        match $answer {
            Some(Ok(value)) => value,
            Some(Err(e)) => fail!(Honesty, "the harness's own hook `{}` failed: {e}", $name),
            None => return Ok($crate::Verdict::NotExercised($name)),
        }
    };
}

/// Ends the case unless it runs at least at this scale.
macro_rules! only_at {
    ($trial:expr, $scale:ident) => {
        if $trial.scale < $crate::Scale::$scale {
            return Ok($crate::Verdict::LargerScale($crate::Scale::$scale));
        }
    };
}

/// Opens the store. Where it lacks the capability that the case is about, the case asserts that it says
/// `Unsupported`, and ends there.
macro_rules! open_with {
    ($trial:expr, lists) => {{
        let store = must!(G8, $trial.open().await);
        if !store.capabilities().lists {
            let said = futures::StreamExt::next(&mut store.list(None)).await;
            check_unsupported!(said.and_then(Result::err), "list");
            return Ok($crate::Verdict::Weaker("lists are off: list says Unsupported"));
        }
        store
    }};
    ($trial:expr, deletes) => {{
        let store = must!(G8, $trial.open().await);
        if !store.capabilities().deletes {
            let absent = $crate::data::sample(0, 77).id;
            check_unsupported!(store.delete(absent).await.err(), "delete");
            return Ok($crate::Verdict::Weaker("deletes are off: delete says Unsupported"));
        }
        store
    }};
}

macro_rules! check_unsupported {
    ($error:expr, $op:literal) => {
        match $error {
            Some(e) => {
                check_eq!(Honesty, e.kind(), selfenc_core::store::ErrorKind::Unsupported, $op)
            }
            None => fail!(Honesty, "{} works, and the capabilities say that it does not", $op),
        }
    };
}

/// Fails the case if the listing is not exactly this. Where lists are off, it must say `Unsupported`.
macro_rules! check_listed {
    ($clause:ident, $store:expr, $expected:expr, $what:expr) => {
        if $store.capabilities().lists {
            check_eq!($clause, must!(G7, $crate::data::listed(&*$store, None).await), $expected, $what);
        } else {
            let said = futures::StreamExt::next(&mut $store.list(None)).await;
            check_unsupported!(said.and_then(Result::err), "list");
        }
    };
}

pub(crate) fn difference(left: &[u8], right: &[u8]) -> String {
    let at = left.iter().zip(right).position(|(a, b)| a != b).unwrap_or(left.len().min(right.len()));
    format!("{} bytes, should be {}; they differ from byte {at} on", left.len(), right.len())
}
