use std::fmt;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use selfenc_core::async_trait;
use selfenc_core::store::{Backend, Error, ErrorKind, OpenMode, Registry, Result, StoreFactory, StoreUrl};
use selfenc_core::wrap::{FaultPlan, RetryPolicy};
use serde::Deserialize;

use super::layer::Layer;
use super::{Source, StoreSpec};

/// A description longer than this is not read.
const MAX_LEN: u64 = 1 << 20;

/// Opens `toml:` URLs: the store that a TOML file describes.
///
/// ```toml
/// url = "file:/var/chunks"
///
/// [[wrap]]            # the first is the outermost, as in retry(limit(8, file:/var/chunks))
/// kind = "retry"
/// attempts = 5
///
/// [[wrap]]
/// kind = "limit"
/// in_flight = 8
/// ```
///
/// In place of `url`, `[[mirror]]` tables describe the replicas of a [`Mirror`](selfenc_core::wrap::Mirror),
/// or `[tiered.fast]` and `[tiered.slow]` a [`Tiered`](selfenc_core::wrap::Tiered) store; each is a whole
/// description. The kinds of `wrap` and their settings, all but the marked ones with defaults:
///
/// | kind | settings |
/// |---|---|
/// | `limit` | `in_flight` (needed) |
/// | `timeout` | `millis` (needed) |
/// | `retry` | `attempts`, `base_millis`, `longest_millis`, `budget_millis` |
/// | `cache` | `bytes` (needed) |
/// | `verify`, `read-only`, `observe` | none |
/// | `prefix` | `prefix` (needed), such as `"tenant-a/"` |
/// | `faulty` | `seed`, `failures_before`, `failures_after`, `damage` (per mille), for tests |
#[derive(Clone)]
pub struct TomlFactory {
    registry: Registry,
}

impl TomlFactory {
    /// Descriptions of the stores that `registry` opens.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry }
    }
}

impl fmt::Debug for TomlFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TomlFactory").field("schemes", &self.registry.schemes().collect::<Vec<_>>()).finish()
    }
}

#[async_trait]
impl StoreFactory for TomlFactory {
    fn scheme(&self) -> &'static str {
        "toml"
    }

    async fn open(&self, url: &StoreUrl, mode: OpenMode) -> Result<Arc<dyn Backend>> {
        url.allow_query(&[])?;
        let path = url.to_file_path()?;
        let text = tokio::task::spawn_blocking({
            let path = path.clone();
            move || read(&path)
        });
        let text = text.await.map_err(|e| Error::new(ErrorKind::Closed, "open", "").with_source(e))??;
        let refused = |why| refused(format!("'{}' describes no store: {why}", path.display()));
        let spec = parse(&text).map_err(refused)?;
        spec.open(&self.registry, mode).await
    }
}

fn read(path: &Path) -> Result<String> {
    let failed = |e| Error::from_io("open", format!("cannot read '{}'", path.display()), e);
    let no_description = || refused(format!("'{}' is no description of a store", path.display()));
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(no_description());
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_LEN + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_LEN { Err(no_description()) } else { Ok(text) }
}

impl FromStr for StoreSpec {
    type Err = Error;

    /// Reads TOML, as [`TomlFactory`] describes it.
    fn from_str(text: &str) -> Result<Self> {
        parse(text).map_err(refused)
    }
}

fn parse(text: &str) -> Result<StoreSpec, String> {
    let file: File = toml::from_str(text).map_err(|e| {
        let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}: {}", before.matches('\n').count() + 1, e.message())
    })?;
    file.spec()
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, "open", message)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    url: Option<String>,
    mirror: Option<Vec<File>>,
    tiered: Option<Tiers>,
    #[serde(default)]
    wrap: Vec<Wrap>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tiers {
    fast: Box<File>,
    slow: Box<File>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Wrap {
    Limit {
        in_flight: usize,
    },
    Timeout {
        millis: u64,
    },
    Retry {
        attempts: Option<u32>,
        base_millis: Option<u64>,
        longest_millis: Option<u64>,
        budget_millis: Option<u64>,
    },
    Cache {
        bytes: u64,
    },
    Verify {},
    Prefix {
        prefix: String,
    },
    ReadOnly {},
    Observe {},
    Faulty {
        #[serde(default)]
        seed: u64,
        #[serde(default)]
        failures_before: u16,
        #[serde(default)]
        failures_after: u16,
        #[serde(default)]
        damage: u16,
    },
}

impl File {
    fn spec(self) -> Result<StoreSpec, String> {
        let source = match (self.url, self.mirror, self.tiered) {
            (Some(url), None, None) => Source::Url(url),
            (None, Some(replicas), None) => {
                Source::Mirror(replicas.into_iter().map(Self::spec).collect::<Result<_, String>>()?)
            }
            (None, None, Some(tiers)) => {
                Source::Tiered { fast: Box::new(tiers.fast.spec()?), slow: Box::new(tiers.slow.spec()?) }
            }
            _ => {
                let one =
                    "it needs one of url = \"…\", [[mirror]] tables, and [tiered.fast] with [tiered.slow]";
                return Err(one.to_owned());
            }
        };
        Ok(StoreSpec { source, layers: self.wrap.into_iter().rev().map(Wrap::layer).collect() })
    }
}

impl Wrap {
    fn layer(self) -> Layer {
        let millis = Duration::from_millis;
        match self {
            Self::Limit { in_flight } => Layer::Limit { in_flight },
            Self::Timeout { millis: each } => Layer::Timeout { each: millis(each) },
            Self::Retry { attempts, base_millis, longest_millis, budget_millis } => {
                let mut policy = RetryPolicy::new();
                if let Some(attempts) = attempts {
                    policy = policy.with_max_attempts(attempts);
                }
                if let Some(base) = base_millis {
                    policy = policy.with_base_delay(millis(base));
                }
                if let Some(longest) = longest_millis {
                    policy = policy.with_longest_delay(millis(longest));
                }
                if let Some(budget) = budget_millis {
                    policy = policy.with_budget(millis(budget));
                }
                Layer::Retry { policy }
            }
            Self::Cache { bytes } => Layer::Cache { bytes },
            Self::Verify {} => Layer::Verify,
            Self::Prefix { prefix } => Layer::Prefix { prefix },
            Self::ReadOnly {} => Layer::ReadOnly,
            Self::Observe {} => Layer::Observe,
            Self::Faulty { seed, failures_before, failures_after, damage } => Layer::Faulty {
                plan: FaultPlan::new(seed)
                    .with_failures_before(failures_before)
                    .with_failures_after(failures_after)
                    .with_damage(damage),
            },
        }
    }
}
