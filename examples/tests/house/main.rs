//! The rules that keep the rooms apart, held against the workspace as it is. Each rule is also shown a
//! case that breaks it, so that a rule that cannot fail would be noticed.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // in a test, a panic is the report

mod conformance;
mod deny;
mod files;
mod graph;
mod licence;
mod rules;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use graph::{Arrow, Graph, Package};

static GRAPH: LazyLock<Graph> = LazyLock::new(Graph::load);

fn backends() -> Vec<&'static Package> {
    let folder = GRAPH.root.join("backends");
    GRAPH.members().filter(|member| member.folder.parent() == Some(&folder)).collect()
}

fn backend_names() -> BTreeSet<String> {
    backends().iter().map(|backend| backend.name.clone()).collect()
}

fn assert_none(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<_> = problems.into_iter().collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn arrows_point_down() {
    let backends = backend_names();
    assert_none(GRAPH.members().flat_map(|member| rules::arrows(&member.name, &member.arrows, &backends)));
}

#[test]
fn wrappers_and_backends_forget_no_override() {
    let core = GRAPH.root.join("selfenc-core/src");
    let folders = backends().into_iter().map(|backend| backend.folder.join("src")).chain([core]);
    let sources: Vec<_> = folders.flat_map(|folder| files::sources(&folder)).collect();
    assert_none(sources.iter().filter_map(|path| files::forwards_everything(path, &files::read(path))));
    for bad in ["impl ChunkStore for X {", "#[async_trait]\nimpl<S: RootStore> RootStore for X<S> {"] {
        assert!(files::forwards_everything(Path::new("x.rs"), bad).is_some(), "{bad}");
    }
}

#[test]
fn an_arrow_upwards_is_seen() {
    let backends = BTreeSet::from(["selfenc-fs".to_owned(), "selfenc-memory".to_owned()]);
    let wrong = |from: &str, to: &str, dev: bool| {
        !rules::arrows(from, &[Arrow { to: to.to_owned(), dev }], &backends).is_empty()
    };
    for (from, to) in [
        ("selfenc-core", "selfenc-fs"),
        ("selfenc-core", "selfenc-memory"),
        ("selfenc-core", "selfenc"),
        ("selfenc-fs", "selfenc-memory"),
        ("selfenc-fs", "selfenc"),
        ("selfenc-fs", "selfenc-backend-tests"),
        ("selfenc-backend-tests", "selfenc-memory"),
        ("selfenc-cli", "selfenc-core"),
    ] {
        assert!(wrong(from, to, false), "{from} -> {to}");
    }
    assert!(wrong("selfenc-fs", "selfenc-memory", true));
    assert!(wrong("selfenc-stranger", "selfenc-core", false));
    assert!(!wrong("selfenc-fs", "selfenc-core", false));
    assert!(!wrong("selfenc-fs", "selfenc-backend-tests", true));
    assert!(!wrong("selfenc-fs", "bytes", false));
}

#[test]
fn one_version_of_each_primitive_ships() {
    let shipped = GRAPH.shipped();
    assert_none(rules::one_version(shipped.iter().map(|p| (p.name.as_str(), p.version.as_str()))));
}

#[test]
fn a_second_version_is_seen() {
    let problems = rules::one_version([("aes", "0.8.0"), ("aes", "0.9.0"), ("cbc", "0.2.0")]);
    assert!(problems.iter().any(|problem| problem.starts_with("aes ships in 2")), "{problems:?}");
    assert!(!problems.iter().any(|problem| problem.starts_with("cbc ")), "{problems:?}");
}

#[test]
fn what_ships_is_licensed_as_deny_toml_allows() {
    let allowed = deny::allowed_licences(&files::read(&GRAPH.root.join("deny.toml")));
    assert!(allowed.contains(&"MIT".to_owned()) && !allowed.iter().any(|name| name.contains("GPL")));
    assert_none(rules::licences(&GRAPH.shipped(), &allowed));
    assert!(!rules::licences(&GRAPH.shipped(), &[]).is_empty(), "nothing allowed, nothing refused");
}

#[test]
fn everything_comes_from_crates_io() {
    assert_none(rules::sources(GRAPH.packages.values()));
}

#[test]
fn nothing_ships_that_deny_toml_bans() {
    let banned = deny::banned_crates(&files::read(&GRAPH.root.join("deny.toml")));
    assert!(banned.contains(&"openssl-sys".to_owned()));
    // Neither the peer that we are measured against nor what only tests use.
    let never = banned.iter().map(String::as_str).chain(["self_encryption", "selfenc-bench", "proptest"]);
    let shipped = GRAPH.shipped();
    let ships = |name: &str| shipped.iter().any(|p| p.name == name);
    assert!(ships("selfenc-cli") && ships("aes"));
    assert_none(never.filter(|name| ships(name)).map(|name| format!("{name} ships")));
}

#[test]
fn every_folder_of_backends_is_a_backend_with_the_same_files() {
    let folders = fs::read_dir(GRAPH.root.join("backends")).unwrap().count();
    assert_eq!(backends().len(), folders);
    assert_none(backends().into_iter().flat_map(files::backend_files));
}

#[test]
fn backends_know_no_engine() {
    let sources = backends().into_iter().flat_map(|backend| files::sources(&backend.folder.join("src")));
    assert_none(sources.filter_map(|path| files::no_engine(&path, &files::read(&path))));
}

#[test]
fn an_engine_in_a_backend_is_seen() {
    let reaches = |text: &str| files::no_engine(Path::new("x.rs"), text).is_some();
    assert!(reaches("use selfenc_core::engine::Engine;"));
    assert!(reaches("use selfenc_core::{\n    engine::Engine,\n    store::Error,\n};"));
    assert!(!reaches("use selfenc_core::{store::Error, Bytes};\nfn f(engine: u8) {}"));
}

#[test]
fn the_engine_knows_no_other_format() {
    let sources = files::sources(&GRAPH.root.join("selfenc-core/src/engine"));
    assert!(sources.len() > 30);
    assert_none(sources.into_iter().filter_map(|path| files::no_compat(&path, &files::read(&path))));
    assert!(files::no_compat(Path::new("x.rs"), "use crate::compat::DataMap;").is_some());
}

#[test]
fn nobody_lets_unsafe_code_in() {
    assert!(files::read(&GRAPH.root.join("Cargo.toml")).contains("\nunsafe_code = \"forbid\"\n"));
    assert_none(GRAPH.members().filter_map(files::forbids_unsafe));
}

#[test]
fn no_source_is_too_long() {
    let sources = files::sources(&GRAPH.root);
    assert!(sources.len() > 30, "only {} sources found", sources.len());
    assert_none(sources.iter().filter_map(|path| files::length(path, &files::read(path))));
    assert!(files::length(Path::new("x.rs"), &"\n".repeat(601)).is_some());
}

#[test]
fn library_roots_hold_no_code() {
    let libraries = GRAPH.members().filter(|m| m.name == "selfenc-core" || backend_names().contains(&m.name));
    let roots = libraries.map(|member| member.folder.join("src/lib.rs"));
    assert_none(roots.filter_map(|path| files::lib_has_no_code(&path, &files::read(&path))));
    assert!(files::lib_has_no_code(Path::new("lib.rs"), "//! fn in words\npub(crate) fn f() {}").is_some());
    assert!(files::lib_has_no_code(Path::new("lib.rs"), "//! fn in words\npub mod x;").is_none());
}
