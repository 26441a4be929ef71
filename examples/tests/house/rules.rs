//! The rules of the house, each a function from what is there to what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Arrow, Package};
use super::licence;

/// Which room may stand on which. A normal arrow points to a room further up this list, so there is no
/// circle; dev arrows are named one by one.
const ROOMS: [Room; 10] = [
    Room { name: "selfenc-kernels", normal: &[], dev: &[] },
    Room { name: "selfenc-core", normal: &["selfenc-kernels"], dev: &[] },
    Room { name: "selfenc-sqlite-vfs", normal: &[], dev: &[] },
    Room {
        name: A_BACKEND,
        normal: &["selfenc-core"],
        dev: &["selfenc-backend-tests", "selfenc-sqlite-vfs"],
    },
    Room { name: "selfenc-backend-tests", normal: &["selfenc-core"], dev: &["selfenc-memory"] },
    Room { name: "selfenc-object-store-adapter", normal: &["selfenc-core"], dev: &[A_BACKEND] },
    Room { name: "selfenc", normal: &["selfenc-core", A_BACKEND, "selfenc-object-store-adapter"], dev: &[] },
    Room { name: "selfenc-cli", normal: &["selfenc", "selfenc-backend-tests"], dev: &[] },
    Room { name: "selfenc-examples", normal: &["selfenc"], dev: &["selfenc-backend-tests"] },
    Room { name: "selfenc-bench", normal: &["selfenc", "selfenc-kernels", A_BACKEND], dev: &[] },
];

/// Stands in [`ROOMS`] for every crate under `backends/`.
const A_BACKEND: &str = "a backend";

/// What ships holds one version of each of these: two generations of a primitive are twice the code to
/// trust. (`digest` is traits, and the AWS SDK's checksums stand on an older one.) A second hyper or rustls
/// would be the SDK's legacy HTTP stack.
const ONE_VERSION: [&str; 11] = [
    "aes",
    "blake3",
    "cbc",
    "chacha20poly1305",
    "cipher",
    "hyper",
    "keccak",
    "ring",
    "rustls",
    "sha3",
    "shake",
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

struct Room {
    name: &'static str,
    normal: &'static [&'static str],
    dev: &'static [&'static str],
}

/// Arrows of the member `name` that point where they may not; `backends` are the names of all backends.
pub(crate) fn arrows(name: &str, arrows: &[Arrow], backends: &BTreeSet<String>) -> Vec<String> {
    let is_backend = |name: &str| backends.contains(name);
    let fits = |pattern: &str, name: &str| pattern == name || pattern == A_BACKEND && is_backend(name);
    let Some(room) = ROOMS.iter().find(|room| fits(room.name, name)) else {
        return vec![format!("{name} has no room: add it to ROOMS, with what it may stand on")];
    };
    let allowed = |arrow: &Arrow| {
        let by = |patterns: &[&str]| patterns.iter().any(|pattern| fits(pattern, &arrow.to));
        by(room.normal) || arrow.dev && by(room.dev)
    };
    let inside = |to: &str| is_backend(to) || ROOMS.iter().any(|room| room.name == to);
    arrows
        .iter()
        .filter(|arrow| inside(&arrow.to) && !allowed(arrow))
        .map(|arrow| format!("{name} must not depend on {}", arrow.to))
        .collect()
}

/// Primitives that ship in two versions, or not at all (then the list above is out of date).
pub(crate) fn one_version<'a>(shipped: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut versions: BTreeMap<_, BTreeSet<_>> =
        ONE_VERSION.iter().map(|name| (*name, BTreeSet::new())).collect();
    for (name, version) in shipped {
        if let Some(found) = versions.get_mut(name) {
            found.insert(version);
        }
    }
    let problem = |(name, found): (_, BTreeSet<_>)| match found.len() {
        0 => Some(format!("{name} does not ship any more: take it out of ONE_VERSION")),
        1 => None,
        _ => Some(format!("{name} ships in {} versions: {found:?}", found.len())),
    };
    versions.into_iter().filter_map(problem).collect()
}

/// Packages whose licence does not let us ship them under ours.
pub(crate) fn licences(packages: &[&Package], allowed: &[String]) -> Vec<String> {
    packages
        .iter()
        .filter(|p| !licence::satisfied(&p.licence, allowed))
        .map(|p| {
            format!("{} {} is licensed '{}', which deny.toml does not allow", p.name, p.version, p.licence)
        })
        .collect()
}

/// Packages that come from anywhere but crates.io or this workspace.
pub(crate) fn sources<'a>(packages: impl IntoIterator<Item = &'a Package>) -> Vec<String> {
    packages
        .into_iter()
        .filter(|p| if p.member { p.source.is_some() } else { p.source.as_deref() != Some(CRATES_IO) })
        .map(|p| format!("{} {} comes from {:?}, not from crates.io", p.name, p.version, p.source))
        .collect()
}
