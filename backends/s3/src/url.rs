//! `s3:` URLs.

use percent_encoding::percent_decode_str;
use selfenc_core::store::{Error, ErrorKind, Result, StoreUrl};

use crate::{Checksums, Conditions, Encryption, PutStrategy, S3Config};

const SETTINGS: [&str; 10] = [
    "ca",
    "checksums",
    "conditions",
    "endpoint",
    "in_flight",
    "path_style",
    "put",
    "region",
    "sse",
    "storage_class",
];

pub(crate) fn config(url: &StoreUrl) -> Result<S3Config> {
    if url.scheme() != "s3" {
        return Err(invalid(format!("'{}:' is no URL of S3; write s3://BUCKET/PREFIX", url.scheme())));
    }
    url.allow_query(&SETTINGS)?;
    let rest = url.path().strip_prefix("//").unwrap_or_default();
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(invalid(format!("'{url}' names no bucket; write s3://BUCKET/PREFIX")));
    }
    let prefix = percent_decode_str(prefix)
        .decode_utf8()
        .map_err(|e| invalid(format!("the path of '{url}' is not UTF-8")).with_source(e))?;
    let config = S3Config::new(bucket).with_prefix(&prefix)?;
    url.query().try_fold(config, |config, (key, value)| set(config, key, value))
}

fn set(config: S3Config, key: &str, value: &str) -> Result<S3Config> {
    Ok(match key {
        "ca" => config.with_ca_pem(certificate(value)?),
        "checksums" => config.with_checksums(one_of(
            key,
            value,
            &[
                ("auto", Checksums::Auto),
                ("when-supported", Checksums::WhenSupported),
                ("when-required", Checksums::WhenRequired),
            ],
        )?),
        "conditions" => {
            let on = one_of(key, value, &[("kept", true), ("ignored", false)])?;
            config.with_conditions(Conditions { create: on, update: on })
        }
        "endpoint" => config.with_endpoint(value)?,
        "in_flight" => match value.parse() {
            Ok(requests @ 1..=1024) => config.with_in_flight(requests),
            _ => return Err(invalid(format!("in_flight is a number from 1 to 1024, not '{value:.40}'"))),
        },
        "path_style" => config.with_path_style(one_of(key, value, &[("true", true), ("false", false)])?),
        "put" => config.with_put_strategy(one_of(
            key,
            value,
            &[
                ("auto", PutStrategy::Auto),
                ("conditional", PutStrategy::ConditionalPut),
                ("head-first", PutStrategy::HeadThenPut),
            ],
        )?),
        "region" => config.with_region(value),
        "sse" => config.with_encryption(match value.split_once(':') {
            Some(("kms", key)) if !key.is_empty() => Encryption::Kms(Some(key.to_owned())),
            _ => one_of(key, value, &[("s3", Encryption::S3), ("kms", Encryption::Kms(None))])?,
        }),
        // The last of the settings that were allowed.
        _ => config.with_storage_class(value),
    })
}

/// The setting's value, of those that there are.
fn one_of<T: Clone>(key: &str, value: &str, known: &[(&str, T)]) -> Result<T> {
    let found = known.iter().find(|(name, _)| *name == value);
    found.map(|(_, meaning)| meaning.clone()).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        invalid(format!("{key} is {}, not '{value:.40}'", names.join(" or ")))
    })
}

fn certificate(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| {
        let message = format!("cannot read the certificate {path}: {e}");
        Error::new(ErrorKind::InvalidInput, "open", message).with_source(e)
    })
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, "open", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<S3Config> {
        config(&url.parse()?)
    }

    #[test]
    fn a_url_says_where_and_how() {
        let config =
            parse("s3://b/a%20b/%C3%BC/?endpoint=http://h:1&region=eu-west-1&path_style=false").unwrap();
        let debug = format!("{config:?}");
        for part in ["\"b\"", "\"a b/ü\"", "http://h:1", "eu-west-1"] {
            assert!(debug.contains(part), "{debug}");
        }
        for url in [
            "s3://b",
            "s3://b/",
            "s3://b?checksums=when-required&put=head-first&in_flight=8",
            "s3://b?sse=kms:arn:aws:kms:x&storage_class=STANDARD_IA&conditions=ignored",
        ] {
            parse(url).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_right() {
        for (bad, words) in [
            ("s3:", "names no bucket"),
            ("s3:///p", "names no bucket"),
            ("s3:b/p", "names no bucket"),
            ("s3://b/a//b", "prefix"),
            ("s3://b/../c", "prefix"),
            ("s3://b/%ff", "UTF-8"),
            ("s3://b?colour=red", "'colour'"),
            ("s3://b?put=never", "auto or conditional or head-first"),
            ("s3://b?in_flight=0", "1 to 1024"),
            ("s3://b?path_style=1", "true or false"),
            ("s3://b?endpoint=h:9000", "http://HOST:PORT"),
            ("s3://b?endpoint=ftp://h", "http://HOST:PORT"),
            ("s3://b?ca=/no/such/file", "/no/such/file"),
            ("gs://b", "s3://BUCKET"),
        ] {
            let e = parse(bad).unwrap_err();
            assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains(words), "{bad}: {e}");
        }
    }

    #[test]
    fn no_key_of_a_url_is_repeated() {
        for url in [
            "s3://b?endpoint=http://u:hunter2@h",
            "s3://b?endpoint=http://h/?x=hunter2",
            "s3://b?secret=hunter2",
        ] {
            let e = parse(url).unwrap_err();
            assert!(!format!("{e} {e:?}").contains("hunter2"), "{e:?}");
        }
    }
}
