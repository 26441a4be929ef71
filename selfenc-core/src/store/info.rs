use std::fmt;

/// What a store is and where, for logs and reports. Holds no secrets.
///
/// `Display` reads like `file:/var/data`, and a wrapper's like `retry(limit(8, file:/var/data))`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreInfo(String);

impl StoreInfo {
    /// A backend: its URL scheme, and a location that is safe to print. Control characters, which a folder
    /// may have in its name, are escaped.
    #[must_use]
    pub fn backend(scheme: &str, location: impl fmt::Display) -> Self {
        let location = location.to_string();
        let plain = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        Self(format!("{scheme}:{}", location.chars().map(plain).collect::<String>()))
    }

    /// A wrapper around `self`: `name(args, self)`, or `name(self)` if there is nothing to say.
    #[must_use]
    pub fn wrapped(self, name: &str, args: impl fmt::Display) -> Self {
        let args = args.to_string();
        let comma = if args.is_empty() { "" } else { ", " };
        Self(format!("{name}({args}{comma}{self})"))
    }

    /// A wrapper around several stores: `name(first, second, …)`.
    #[must_use]
    pub fn around(name: &str, stores: impl IntoIterator<Item = Self>) -> Self {
        let stores: Vec<_> = stores.into_iter().map(|store| store.0).collect();
        Self(format!("{name}({})", stores.join(", ")))
    }
}

impl fmt::Display for StoreInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_read_from_the_outside_in() {
        let info = StoreInfo::backend("file", "/x").wrapped("limit", 8).wrapped("retry", "");
        assert_eq!(info.to_string(), "retry(limit(8, file:/x))");
        assert_eq!(StoreInfo::backend("file", "/a\nb").to_string(), r"file:/a\nb");
        let pair = StoreInfo::around("mirror", [info, StoreInfo::backend("file", "/y")]);
        assert_eq!(pair.to_string(), "mirror(retry(limit(8, file:/x)), file:/y)");
    }
}
