//! What `cargo metadata` says about the workspace and everything below it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Never shipped: what they depend on does not reach a user.
const NOT_SHIPPED: [&str; 3] = ["selfenc-examples", "selfenc-bench", "selfenc-sqlite-vfs"];

/// The workspace and the packages it resolves to, on every platform and with every feature.
pub(crate) struct Graph {
    pub(crate) root: PathBuf,
    pub(crate) packages: BTreeMap<String, Package>,
    /// Edges that end in a shipped program: normal and build dependencies.
    edges: BTreeMap<String, Vec<String>>,
}

pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: String,
    /// `None` for a path dependency.
    pub(crate) source: Option<String>,
    pub(crate) folder: PathBuf,
    pub(crate) member: bool,
    pub(crate) arrows: Vec<Arrow>,
}

/// A dependency as its manifest declares it, switched on or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrow {
    pub(crate) to: String,
    pub(crate) dev: bool,
}

impl Graph {
    /// Asks cargo. It may have to download manifests of other platforms' packages.
    pub(crate) fn load() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--all-features", "--locked"])
            .current_dir(&root)
            .output()
            .unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo metadata failed; try `cargo fetch --locked`: {problem}");
        Self::parse(root, &serde_json::from_slice(&output.stdout).unwrap())
    }

    fn parse(root: PathBuf, metadata: &Value) -> Self {
        let members: BTreeSet<_> = list(&metadata["workspace_members"]).iter().map(text).collect();
        let packages = list(&metadata["packages"])
            .iter()
            .map(|p| (text(&p["id"]), Package::parse(p, members.contains(&text(&p["id"])))))
            .collect();
        let edges = list(&metadata["resolve"]["nodes"])
            .iter()
            .map(|node| (text(&node["id"]), shipped_edges(node)))
            .collect();
        Self { root, packages, edges }
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|p| p.member)
    }

    /// Everything that reaches a user: what the shipped members stand on, dev dependencies left out.
    pub(crate) fn shipped(&self) -> Vec<&Package> {
        let ships = |p: &Package| p.member && !NOT_SHIPPED.contains(&p.name.as_str());
        let mut todo: Vec<&str> =
            self.packages.iter().filter(|(_, p)| ships(p)).map(|(id, _)| id.as_str()).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = todo.pop() {
            if seen.insert(id) {
                todo.extend(self.edges[id].iter().map(String::as_str));
            }
        }
        seen.into_iter().map(|id| &self.packages[id]).collect()
    }
}

impl Package {
    fn parse(p: &Value, member: bool) -> Self {
        let arrow = |d: &Value| Arrow { to: text(&d["name"]), dev: d["kind"] == "dev" };
        Self {
            name: text(&p["name"]),
            version: text(&p["version"]),
            licence: p["license"].as_str().unwrap_or_default().to_owned(),
            source: p["source"].as_str().map(str::to_owned),
            folder: Path::new(&text(&p["manifest_path"])).parent().unwrap().to_owned(),
            member,
            arrows: list(&p["dependencies"]).iter().map(arrow).collect(),
        }
    }
}

fn shipped_edges(node: &Value) -> Vec<String> {
    let ships = |dep: &Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
    list(&node["deps"]).iter().filter(|dep| ships(dep)).map(|dep| text(&dep["pkg"])).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("cargo metadata: a list")
}

fn text(value: &Value) -> String {
    value.as_str().expect("cargo metadata: a string").to_owned()
}
