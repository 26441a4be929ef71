//! Which service, how it is reached, and what it can do.

use std::env;
use std::io::Write;

use selfenc_s3::Conditions;

use super::super::support::server::Service;
use super::super::support::upstream::Upstream;
use super::super::support::{ACCESS_KEY, REGION, SECRET_KEY};

/// What is known of a service, and asserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Minio,
    Garage,
    /// A server on the crate `s3s` with conditions that are kept.
    S3s,
    Aws,
    /// Whatever it can do is right.
    Other,
}

/// A service, and the right to use it.
#[derive(Clone)]
pub struct Endpoint {
    pub upstream: Upstream,
    pub region: String,
    pub access_key: String,
    pub secret_key: String,
    pub kind: Kind,
    /// The bucket to work in. Without one, each location makes its own.
    pub bucket: Option<String>,
    /// What the backend is told about the service; without, it finds out.
    pub conditions: Option<Conditions>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("upstream", &self.upstream).field("kind", &self.kind).finish()
    }
}

impl Endpoint {
    /// In this process.
    pub fn of(service: Service, kind: Kind, conditions: Option<Conditions>) -> Self {
        Self {
            upstream: Upstream::Service(service),
            region: REGION.to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
            kind,
            bucket: None,
            conditions,
        }
    }

    /// The one that the environment names.
    ///
    /// Without one this is the end if `SELFENC_REQUIRE_S3` is set; else it says what was not tried.
    pub fn from_env(what: &str) -> Option<Self> {
        match env::var("SELFENC_TEST_S3_ENDPOINT") {
            Ok(url) => Some(Self::at(&url)),
            Err(_) => {
                not_exercised(what, "SELFENC_TEST_S3_ENDPOINT");
                None
            }
        }
    }

    fn at(url: &str) -> Self {
        let needed = |name: &str| {
            env::var(name).unwrap_or_else(|_| panic!("SELFENC_TEST_S3_ENDPOINT is set, and {name} is not"))
        };
        // TLS is tested with a service of our own; the proxy of these tests reads plain HTTP.
        let address = url.trim_end_matches('/').strip_prefix("http://");
        let address = address.unwrap_or_else(|| panic!("the tests need an endpoint of http://, not {url}"));
        Self {
            upstream: Upstream::Address(address.to_owned()),
            region: env::var("SELFENC_TEST_S3_REGION").unwrap_or_else(|_| REGION.to_owned()),
            access_key: needed("SELFENC_TEST_S3_ACCESS_KEY"),
            secret_key: needed("SELFENC_TEST_S3_SECRET_KEY"),
            kind: Kind::from_env(),
            bucket: env::var("SELFENC_TEST_S3_BUCKET").ok(),
            conditions: None,
        }
    }
}

impl Kind {
    fn from_env() -> Self {
        match env::var("SELFENC_TEST_S3_KIND").as_deref() {
            Ok("minio") => Self::Minio,
            Ok("garage") => Self::Garage,
            Ok("s3s") => Self::S3s,
            Ok("aws") => Self::Aws,
            Ok("other") | Err(_) => Self::Other,
            Ok(kind) => panic!("SELFENC_TEST_S3_KIND is '{kind}'; write minio, garage, s3s, aws or other"),
        }
    }

    /// Whether it keeps conditions, which is what exact outcomes and roots stand on.
    pub fn keeps_conditions(self) -> Option<bool> {
        match self {
            Self::Minio | Self::S3s | Self::Aws => Some(true),
            Self::Garage => Some(false),
            Self::Other => None,
        }
    }

    /// Whether buckets can keep old versions of objects.
    pub fn has_versions(self) -> bool {
        matches!(self, Self::Minio | Self::Aws)
    }
}

/// Says, past the test runner's capture, what was not tried; fails where it has to be.
pub fn not_exercised(what: &str, variable: &str) {
    assert!(
        env::var_os("SELFENC_REQUIRE_S3").is_none_or(|value| value == "0"),
        "SELFENC_REQUIRE_S3 is set, and {variable} is not: there is no service for {what}"
    );
    let line = format!(
        "NOT EXERCISED {what}: {variable} is not set; `scripts/minio.sh test` runs this against MinIO\n"
    );
    // If standard error is closed there is nobody to tell.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
