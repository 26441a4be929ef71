use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::{Error, ErrorKind, Result};

/// What cannot stand for itself in the path of a store URL.
const PATH_ESCAPES: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

/// Parts of a query key, without `-` and `_`, that mean its value is a secret.
const SECRET_WORDS: [&str; 10] = [
    "secret",
    "password",
    "passwd",
    "pwd",
    "token",
    "credential",
    "accesskey",
    "accountkey",
    "apikey",
    "sig",
];

/// Where a store is: `scheme:path?key=value&…`, for example `file:///var/chunks` or `memory:`.
///
/// A URL carries no secrets: a password before `@`, or a query key that names one, is refused. `Display`
/// leaves out the query.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    scheme: String,
    path: String,
    query: Vec<(String, String)>,
}

impl StoreUrl {
    /// The URL of a place in the file system, with what needs escaping escaped.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the path is not UTF-8.
    pub fn from_path(scheme: &str, path: &Path) -> Result<Self> {
        let text = path.to_str().ok_or_else(|| invalid("the path is not UTF-8"))?;
        Ok(Self {
            scheme: scheme.to_owned(),
            path: utf8_percent_encode(text, PATH_ESCAPES).to_string(),
            query: Vec::new(),
        })
    }

    /// The part before the first colon, in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Everything between the scheme and the query, as written.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path as a place in the file system: `///a`, `/a` and `a` are understood, `%20` is a space.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is empty, names another host, holds a NUL, or does not decode to
    /// UTF-8.
    pub fn to_file_path(&self) -> Result<PathBuf> {
        let local = match self.path.strip_prefix("//") {
            Some(rest) if rest.starts_with('/') => rest,
            Some(rest) if rest.starts_with("localhost/") => &rest["localhost".len()..],
            Some(_) => {
                let help = format!("'{self}' names a host; write {0}:///path or {0}:path", self.scheme);
                return Err(invalid(help));
            }
            None => &self.path,
        };
        let decoded = percent_decode_str(local)
            .decode_utf8()
            .map_err(|e| invalid(format!("the path of '{self}' is not UTF-8")).with_source(e))?;
        if decoded.is_empty() {
            return Err(invalid(format!("'{self}' names no path; write {self}///path or {self}path")));
        }
        if decoded.contains('\0') {
            return Err(invalid(format!("the path of '{self}' holds a NUL, which no path can")));
        }
        Ok(PathBuf::from(decoded.into_owned()))
    }

    /// The same URL, settings included, with `name` as one more part of the path.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `name` is no single part: empty, `.`, `..`, or with a slash in it.
    pub fn join(&self, name: &str) -> Result<Self> {
        if matches!(name, "" | "." | "..") || name.contains(['/', '\\']) {
            return Err(invalid(format!("'{name}' is not a single part of a path")));
        }
        let part = utf8_percent_encode(name, PATH_ESCAPES);
        let path = match self.path.trim_end_matches('/') {
            "" if self.path.is_empty() => part.to_string(),
            path => format!("{path}/{part}"),
        };
        Ok(Self { path, ..self.clone() })
    }

    /// The query's keys and values, in order.
    pub fn query(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Refuses every query key but these, so that a misspelt setting is not ignored.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming the unknown key and the known ones.
    pub fn allow_query(&self, known: &[&str]) -> Result<()> {
        match self.query().find(|(key, _)| !known.contains(key)) {
            None => Ok(()),
            Some((key, _)) if known.is_empty() => {
                Err(invalid(format!("unknown setting '{key}': a {}: URL has none", self.scheme)))
            }
            Some((key, _)) => Err(invalid(format!(
                "unknown setting '{key}' in a {}: URL; there are {}",
                self.scheme,
                known.join(", ")
            ))),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let help = "a store URL reads scheme:path, for example file:///var/chunks or file:./chunks";
        let (scheme, rest) = text.split_once(':').ok_or_else(|| invalid(help))?;
        let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !scheme_ok {
            return Err(invalid(help));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        refuse_user_info(path)?;
        let query =
            query.split('&').filter(|pair| !pair.is_empty()).map(parse_pair).collect::<Result<_>>()?;
        Ok(Self { scheme: scheme.to_ascii_lowercase(), path: path.to_owned(), query })
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.path)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.query.iter().map(|(key, _)| key).collect();
        f.debug_struct("StoreUrl").field("url", &self.to_string()).field("query_keys", &keys).finish()
    }
}

fn refuse_user_info(path: &str) -> Result<()> {
    let authority = path.strip_prefix("//").and_then(|rest| rest.split('/').next()).unwrap_or("");
    // Also `//user:pass/word@host`: what follows the first colon of a host is a port.
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    if authority.contains('@') || !(port.is_empty() || port.ends_with(']') || port.parse::<u16>().is_ok()) {
        return Err(invalid(
            "a store URL carries no user or password; give credentials by the environment or a file",
        ));
    }
    Ok(())
}

fn parse_pair(pair: &str) -> Result<(String, String)> {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let decode = |text: &str| -> Result<String> {
        percent_decode_str(text)
            .decode_utf8()
            .map(Cow::into_owned)
            .map_err(|_| invalid("the query of a store URL is not UTF-8"))
    };
    let key = decode(key)?;
    let plain = key.to_ascii_lowercase().replace(['-', '_'], "");
    if let Some(word) = SECRET_WORDS.iter().find(|word| plain.contains(**word)) {
        return Err(invalid(format!(
            "a setting with '{word}' in its name would put a secret into a store URL; give it by the environment or a file"
        )));
    }
    Ok((key, decode(value)?))
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, "open", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(url: &str) -> String {
        url.parse::<StoreUrl>().unwrap().to_file_path().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn paths_in_all_their_spellings() {
        assert_eq!(path_of("file:///a/b"), "/a/b");
        assert_eq!(path_of("FILE:/a/b"), "/a/b");
        assert_eq!(path_of("file://localhost/a"), "/a");
        assert_eq!(path_of("file:./a%20b%3Fc"), "./a b?c");
        assert_eq!(path_of("file:a?x=1"), "a");
        let odd = Path::new("/with space/100%?#");
        assert_eq!(StoreUrl::from_path("file", odd).unwrap().to_file_path().unwrap(), odd);
        assert_eq!(path_of(&StoreUrl::from_path("file", odd).unwrap().to_string()), odd.to_str().unwrap());
    }

    #[test]
    fn a_joined_part_stands_below_and_keeps_the_settings() {
        let joined = |url: &str| url.parse::<StoreUrl>().unwrap().join("x y").unwrap();
        for (url, path) in [
            ("file:/a", "/a/x y"),
            ("file:///a/b/", "/a/b/x y"),
            ("file:a%20b", "a b/x y"),
            ("file:.", "./x y"),
            ("file:/", "/x y"),
            ("file:///", "/x y"),
        ] {
            assert_eq!(joined(url).to_file_path().unwrap().to_str(), Some(path), "{url}");
        }
        assert_eq!(joined("s3://bucket").path(), "//bucket/x%20y");
        assert_eq!(joined("scratch:?a=b").path(), "x%20y");
        assert_eq!(joined("s3://b/p?a=b&c").query().collect::<Vec<_>>(), [("a", "b"), ("c", "")]);
        for bad in ["", ".", "..", "a/b", "/", "a\\b"] {
            assert!("file:/a".parse::<StoreUrl>().unwrap().join(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_path_says_how_to_write_one() {
        for (bad, words) in [
            ("file:", "'file:' names no path"),
            ("file:///%ff", "not UTF-8"),
            ("file://host/x", "names a host"),
            ("file:/tmp/x%00", "holds a NUL"),
        ] {
            let e = bad.parse::<StoreUrl>().unwrap().to_file_path().unwrap_err();
            assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains(words), "{bad}: {e}");
        }
        for bad in ["", "/just/a/path", ":x", "1:x", "a b:x"] {
            let e = bad.parse::<StoreUrl>().unwrap_err();
            assert!(e.to_string().contains("file:./chunks"), "{e}");
        }
    }

    #[test]
    fn secrets_are_refused_and_not_repeated() {
        for bad in [
            "s3://user:hunter2@host/bucket",
            "s3://b?secret_access_key=hunter2",
            "s3://b?AWS-Session-Token=hunter2",
            "az://c?%70assword=hunter2",
            "az://c?sig=hunter2",
            "az://c?account_key=hunter2",
            "x:?api-key=hunter2",
            "s3://user:hunter2/x@host",
            "s3://b?token:hunter2",
        ] {
            let e = bad.parse::<StoreUrl>().unwrap_err();
            assert!(!format!("{e} {e:?}").contains("hunter2"), "{e:?}");
        }
        let url: StoreUrl = "s3://b/p?endpoint=http://h&x=hunter2".parse().unwrap();
        assert!(!format!("{url} {url:?}").contains("hunter2"));
        assert_eq!(url.query().collect::<Vec<_>>(), [("endpoint", "http://h"), ("x", "hunter2")]);
        assert!(url.allow_query(&["endpoint"]).unwrap_err().to_string().contains("'x'"));
    }
}
