//! Which instructions the kernels use.

use std::env;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// The variable that forces a path.
pub const VARIABLE: &str = "SELFENC_KERNELS";

/// A way to compute. All give the same bytes.
///
/// Every function takes one. Of a path that this CPU lacks, what it lacks is computed as [`Path::Portable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// The crates `sha3`, `shake`, `aes` and `cbc`, one message at a time, with whatever they choose.
    Portable,
    /// Four messages to a vector, and AES-NI where the CPU has it.
    Avx2,
    /// Eight messages to a vector, up to four to half of one, one alone a row of its state to a vector, and AES-NI where
    /// the CPU has it.
    Avx512,
}

impl Path {
    const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// What `SELFENC_KERNELS` and [`Path::name`] call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// How many messages a vector of SHA-3 states takes.
    #[must_use]
    pub const fn lanes(self) -> usize {
        match self {
            Self::Portable => 1,
            Self::Avx2 => 4,
            Self::Avx512 => 8,
        }
    }

    /// All that this CPU can run, the best last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|path| path.is_available()).collect()
    }

    /// The best that this CPU can run.
    #[must_use]
    pub fn detected() -> Self {
        Self::available().pop().unwrap_or(Self::Portable)
    }

    /// The path that `SELFENC_KERNELS` names; `None` where it is unset or empty.
    ///
    /// # Errors
    /// The name is not of a path, or the path is not of this CPU.
    pub fn forced() -> Result<Option<Self>, ForcedError> {
        match env::var_os(VARIABLE) {
            None => Ok(None),
            Some(name) if name.is_empty() => Ok(None),
            Some(name) => name.to_string_lossy().parse::<Self>()?.or_unavailable().map(Some),
        }
    }

    /// The forced path, else the detected one. Decided once in a process.
    ///
    /// With a variable that [`Path::forced`] refuses this is the detected path: ask there, and report it.
    #[must_use]
    pub fn current() -> Self {
        static CURRENT: OnceLock<Path> = OnceLock::new();
        *CURRENT.get_or_init(|| Self::forced().ok().flatten().unwrap_or_else(Self::detected))
    }

    fn or_unavailable(self) -> Result<Self, ForcedError> {
        if self.is_available() { Ok(self) } else { Err(ForcedError::Unavailable(self)) }
    }

    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_available(self) -> bool {
        self == Self::Portable
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Path {
    type Err = ForcedError;

    fn from_str(name: &str) -> Result<Self, ForcedError> {
        let known = Self::ALL.into_iter().find(|path| path.name() == name);
        known.ok_or_else(|| ForcedError::Unknown(name.to_owned()))
    }
}

/// `SELFENC_KERNELS` names no path that can run here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForcedError {
    /// No path has this name.
    #[error("{VARIABLE}={0:?} names no path: set it to portable, avx2 or avx512, or unset it")]
    Unknown(String),
    /// The CPU lacks this path's instructions.
    #[error("{VARIABLE}={0}, but this CPU lacks {0}: set it to {best}, or unset it", best = Path::detected())]
    Unavailable(Path),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for path in Path::ALL {
            assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn other_names_are_refused_with_the_remedy() {
        for bad in ["AVX2", " avx2", "sse2", "auto"] {
            let error = bad.parse::<Path>().unwrap_err();
            assert_eq!(error, ForcedError::Unknown(bad.to_owned()));
            assert!(error.to_string().contains("portable, avx2 or avx512"), "{error}");
        }
    }

    #[test]
    fn a_path_is_either_available_or_refused() {
        for path in Path::ALL {
            let expected = match Path::available().contains(&path) {
                true => Ok(path),
                false => Err(ForcedError::Unavailable(path)),
            };
            assert_eq!(path.or_unavailable(), expected);
        }
    }

    #[test]
    fn portable_is_everywhere_and_the_best_is_last() {
        let available = Path::available();
        assert_eq!(available.first(), Some(&Path::Portable));
        assert_eq!(available.last(), Some(&Path::detected()));
    }
}
