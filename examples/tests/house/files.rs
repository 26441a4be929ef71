//! The rules about files: their length, where they are, and what they may mention.

use std::fs;
use std::path::{Path, PathBuf};

use super::graph::Package;

/// No source file is longer than this, in lines.
const MAX_LINES: usize = 600;

/// What every backend has. `src/error.rs`, the table from an engine's errors, comes on top.
const BACKEND_FILES: [&str; 5] =
    ["src/lib.rs", "src/config.rs", "src/store.rs", "src/roots.rs", "tests/conformance.rs"];

/// Backends with no engine below them whose errors would have to be mapped.
const NO_ERRORS_TO_MAP: [&str; 1] = ["selfenc-memory"];

/// The members that may have unsafe code, and the files that may hold it. SQLite is shown a simulated disk through
/// C functions, which never ships; the kernels use instructions that a CPU may lack.
const UNSAFE: [(&str, &[&str]); 2] = [
    ("selfenc-sqlite-vfs", &["src/shim.rs"]),
    ("selfenc-kernels", &["src/cbc/aesni.rs", "src/keccak/single.rs", "src/keccak/x86.rs"]),
];

/// Every Rust source below `folder`.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target" && name != ".git") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// A source that is too long.
pub(crate) fn length(path: &Path, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > MAX_LINES).then(|| format!("{} has {lines} lines, more than {MAX_LINES}", path.display()))
}

/// A `lib.rs` that does more than document, declare and re-export.
pub(crate) fn lib_has_no_code(path: &Path, text: &str) -> Option<String> {
    let is_code = |line: &&str| {
        let words: Vec<_> = line.split_whitespace().take_while(|word| !word.starts_with("//")).collect();
        words.iter().any(|word| ["fn", "impl", "struct", "enum", "trait"].contains(word))
    };
    let line = text.lines().find(is_code)?;
    Some(format!("{} holds '{}'; lib.rs only documents and re-exports", path.display(), line.trim()))
}

/// An implementation of a store's trait without the lint that makes a forgotten override an error: around
/// another store, a default method is a lost `put_many` or a slow `stat`.
pub(crate) fn forwards_everything(path: &Path, text: &str) -> Option<String> {
    let lines: Vec<_> = text.split("#[cfg(test)]").next().unwrap_or_default().lines().collect();
    let is_impl = |line: &str| {
        let line = line.trim_start();
        line.starts_with("impl") && (line.contains(" ChunkStore for ") || line.contains(" RootStore for "))
    };
    let denied = |n: usize| {
        lines[n.saturating_sub(2)..n]
            .iter()
            .any(|line| line.trim() == "#[deny(clippy::missing_trait_methods)]")
    };
    let missing = (0..lines.len()).find(|&n| is_impl(lines[n]) && !denied(n))?;
    Some(format!("{}:{} lacks #[deny(clippy::missing_trait_methods)]", path.display(), missing + 1))
}

/// A source of the engine that knows the formats of others, which stand above it.
pub(crate) fn no_compat(path: &Path, text: &str) -> Option<String> {
    let packed: String = text.split_whitespace().collect();
    let reaches = packed.contains("crate::compat") || packed.contains("super::super::compat");
    reaches.then(|| format!("{} uses compat, which stands above the engine", path.display()))
}

/// A backend's source that reaches into the engine.
pub(crate) fn no_engine(path: &Path, text: &str) -> Option<String> {
    let packed: String = text.split_whitespace().collect();
    let group_of = |uses: &str| uses.split(';').next().unwrap_or_default().contains("engine");
    let reaches =
        packed.contains("selfenc_core::engine") || packed.split("selfenc_core::{").skip(1).any(group_of);
    reaches.then(|| format!("{} uses the engine; a backend knows only the store", path.display()))
}

/// A member that lets unsafe code in. Those that may have it in the files where it belongs.
pub(crate) fn forbids_unsafe(member: &Package) -> Option<String> {
    let Some((_, allowed)) = UNSAFE.iter().find(|(name, _)| *name == member.name) else {
        let by_lint = read(&member.folder.join("Cargo.toml")).contains("[lints]\nworkspace = true");
        return (!by_lint)
            .then(|| format!("{} does not inherit the lints, which forbid unsafe code", member.name));
    };
    let allowed: Vec<_> = allowed.iter().map(|file| member.folder.join(file)).collect();
    let is_unsafe = |text: String| {
        ["{", "fn", "impl", "extern"].iter().any(|what| text.contains(&format!("unsafe {what}")))
    };
    let mut others = sources(&member.folder).into_iter().filter(|path| !allowed.contains(path));
    let path = others.find(|path| is_unsafe(read(path)))?;
    Some(format!("{} has unsafe code, which belongs into {allowed:?}", path.display()))
}

/// The files that a backend lacks.
pub(crate) fn backend_files(member: &Package) -> Vec<String> {
    let maps_errors = !NO_ERRORS_TO_MAP.contains(&member.name.as_str());
    BACKEND_FILES
        .into_iter()
        .chain(maps_errors.then_some("src/error.rs"))
        .filter(|file| !member.folder.join(file).is_file())
        .map(|file| format!("{} has no {file}", member.name))
        .collect()
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
