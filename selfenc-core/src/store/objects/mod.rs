//! Parts for backends that keep chunks as objects in a service.
//!
//! A backend brings the requests; what is here is the same whatever sends them. Stores that use it can
//! read each other's objects:
//!
//! ```text
//! PREFIX/selfenc-store         the marker: "selfenc object store, layout 1\n"
//! PREFIX/chunks/ab/cdef…       a chunk: the first two hex digits of its name, and the other 62
//! PREFIX/roots/<hex>.root      a root: its name in hex, cut into parts of 128 digits; see RootRecord
//! PREFIX/selfenc-probe-<hex>   short-lived: does this service keep its conditions?
//! ```

mod conditions;
mod duplicates;
mod marker;
mod names;
mod random;
mod record;
mod redact;

pub use conditions::Conditions;
pub use duplicates::DuplicateRate;
pub use marker::{LAYOUT, MAX_MARKER_LEN, marker_text, parse_marker};
pub use names::ObjectNames;
pub use random::fill_random;
pub use record::{HEADER_LEN, MAX_RECORD_LEN, MAX_VALUE_LEN, RootRecord};
pub use redact::{Cause, clean, code_of};
