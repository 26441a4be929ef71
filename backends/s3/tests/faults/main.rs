//! Every fault of a service that is foreseen: once, and then it is well; and always, and then it ends.
//!
//! A proxy in front of a service in the process does what its script says; see `tests/support`. *Once* must
//! succeed with exactly the requests that it takes. *Always* must end at the limit with the right kind of
//! error, the number of attempts, a remedy and no secret.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod bench;
mod bodies;
mod conditions;
mod connection;
mod deletes;
mod denied;
mod guard;
mod lists;
mod roots;
mod storms;
mod time;
