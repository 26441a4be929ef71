use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Row;

/// How much a run of the suite does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scale {
    /// Seconds: 5 for a store in memory, 30 for one on a disk.
    #[default]
    Quick,
    /// Minutes: many pages, the longest chunks, hundreds of crashes.
    Full,
    /// Hours: a hundred thousand chunks, long random runs.
    Soak,
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Quick => "quick",
            Self::Full => "full",
            Self::Soak => "soak",
        })
    }
}

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Quick, Self::Full, Self::Soak]
            .into_iter()
            .find(|scale| scale.to_string() == text)
            .ok_or_else(|| format!("'{text}' is no scale; write quick, full or soak"))
    }
}

/// The seed of a run that names none: the same in every run, so that a failure is the same too.
const DEFAULT_SEED: u64 = 1;

/// What [`run`](crate::run) runs, and how.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// How much.
    pub scale: Scale,
    /// Everything random comes from this; races and dropped futures depend on timing besides.
    pub seed: u64,
    /// Only the cases whose `group::case` holds this; all if empty.
    pub filter: String,
    progress: Option<Progress>,
}

type Progress = Arc<dyn Fn(&Row) + Send + Sync>;

impl Options {
    /// Every case, at quick scale, with seed 1.
    #[must_use]
    pub fn new() -> Self {
        Self { scale: Scale::Quick, seed: DEFAULT_SEED, filter: String::new(), progress: None }
    }

    /// As the environment says: `SELFENC_SUITE` is the scale, `SELFENC_SEED` the seed.
    ///
    /// # Errors
    /// If one of them is set to something else than a scale or a number.
    pub fn from_env() -> Result<Self, String> {
        let mut options = Self::new();
        if let Ok(scale) = std::env::var("SELFENC_SUITE") {
            options.scale = scale.parse().map_err(|e| format!("SELFENC_SUITE: {e}"))?;
        }
        if let Ok(seed) = std::env::var("SELFENC_SEED") {
            options.seed = seed.parse().map_err(|e| format!("SELFENC_SEED: {e}"))?;
        }
        Ok(options)
    }

    /// The same, at this scale.
    #[must_use]
    pub fn with_scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// The same, with this seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same, with only the cases whose `group::case` holds `text`.
    #[must_use]
    pub fn with_filter(mut self, text: impl Into<String>) -> Self {
        self.filter = text.into();
        self
    }

    /// The same; `seen` is called after each case.
    #[must_use]
    pub fn with_progress(mut self, seen: impl Fn(&Row) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(seen));
        self
    }

    pub(crate) fn report(&self, row: &Row) {
        if let Some(progress) = &self.progress {
            progress(row);
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Options");
        out.field("scale", &self.scale).field("seed", &self.seed).field("filter", &self.filter);
        out.finish_non_exhaustive()
    }
}
