use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a root: 1 to 255 bytes of UTF-8 without control characters.
///
/// Names are compared byte by byte: nothing is normalised or case-folded, and `.`, `/` or `CON` mean
/// nothing special. A backend whose medium thinks otherwise encodes the name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootName(Arc<str>);

impl RootName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 255;

    /// Checks `name` and keeps it.
    ///
    /// # Errors
    /// [`InvalidName`] if it is empty, longer than [`Self::MAX_LEN`] bytes, or holds a control character.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidName> {
        let name = name.as_ref();
        if name.is_empty() {
            return Err(InvalidName("it is empty"));
        }
        if name.len() > Self::MAX_LEN {
            return Err(InvalidName("it is longer than 255 bytes"));
        }
        if name.chars().any(char::is_control) {
            return Err(InvalidName("it holds a control character"));
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RootName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RootName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootName({:?})", &*self.0)
    }
}

impl FromStr for RootName {
    type Err = InvalidName;

    fn from_str(s: &str) -> Result<Self, InvalidName> {
        Self::new(s)
    }
}

/// The text cannot be the name of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a name for a root: {0}")]
pub struct InvalidName(&'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_long_and_control_are_refused() {
        for good in [".", "..", "a/b", "CON", "trailing. ", "%2e", "ü", "u\u{308}", &"x".repeat(255)] {
            assert_eq!(RootName::new(good).expect(good).as_str(), good);
        }
        for bad in ["", "a\0b", "line\nbreak", "\u{1b}[31m", &"x".repeat(256)] {
            assert!(RootName::new(bad).is_err(), "{bad:?}");
        }
    }
}
