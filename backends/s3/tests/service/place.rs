//! One location in a service: a bucket of its own, or a prefix in a bucket that was given; and the proxy in
//! front of it.

use std::io::Write;
use std::time::Duration;

use selfenc_core::store::objects::ObjectNames;
use selfenc_core::store::{OpenMode, Result, RetryPolicy};
use selfenc_s3::{Credentials, S3Backend, S3Config, Timeouts};

use super::super::support::proxy::Proxy;
use super::super::support::runtime;
use super::super::support::upstream::Upstream;
use super::endpoint::Endpoint;
use super::raw::{Raw, digits};

/// Where the store stands in a bucket that it has for itself.
const PREFIX: &str = "some/where";

#[derive(Debug)]
pub struct Place {
    pub endpoint: Endpoint,
    pub proxy: Proxy,
    /// Past the proxy's rules.
    pub raw: Raw,
    pub prefix: String,
    straight: Proxy,
    has_bucket: bool,
    pub has_versions: bool,
}

impl Place {
    /// A new location, empty.
    pub async fn new(endpoint: &Endpoint) -> std::result::Result<Self, String> {
        let (proxy, straight) =
            (Proxy::start(endpoint.upstream.clone()), Proxy::start(endpoint.upstream.clone()));
        let name = format!("selfenc-test-{}", digits());
        let (bucket, prefix) = match &endpoint.bucket {
            Some(bucket) => (bucket.clone(), format!("{name}/{PREFIX}")),
            None => (name, PREFIX.to_owned()),
        };
        let raw = Raw::new(endpoint, &straight.endpoint(), &bucket);
        let has_bucket = endpoint.bucket.is_none();
        if has_bucket {
            raw.make_bucket().await?;
        }
        let endpoint = endpoint.clone();
        Ok(Self { endpoint, proxy, raw, prefix, straight, has_bucket, has_versions: false })
    }

    /// What is above the store's own prefix, and below which everything is the test's.
    pub fn above(&self) -> &str {
        self.prefix.strip_suffix(PREFIX).unwrap_or_default()
    }

    pub fn names(&self) -> ObjectNames {
        ObjectNames::new(&self.prefix)
    }

    /// A store in the location; retries are quick.
    pub fn config(&self) -> S3Config {
        self.config_at(&self.prefix)
    }

    pub fn config_at(&self, prefix: &str) -> S3Config {
        self.config_in(&self.raw.bucket, prefix)
    }

    pub fn config_in(&self, bucket: &str, prefix: &str) -> S3Config {
        let endpoint = &self.endpoint;
        let config = S3Config::new(bucket)
            .with_prefix(prefix)
            .unwrap()
            .with_endpoint(&self.proxy.endpoint())
            .unwrap()
            .with_region(&endpoint.region)
            .with_credentials(Credentials::fixed(&endpoint.access_key, &endpoint.secret_key))
            .with_retry(quick())
            .with_timeouts(Timeouts { attempt: Duration::from_secs(5), ..Timeouts::default() });
        match endpoint.conditions {
            Some(conditions) => config.with_conditions(conditions),
            None => config,
        }
    }

    pub async fn open(&self, mode: OpenMode) -> Result<S3Backend> {
        self.config().open(mode).await
    }

    /// A new store.
    pub async fn create(&self) -> S3Backend {
        self.open(OpenMode::Create).await.unwrap()
    }

    /// Whether the bucket is the location's own, and stays away once it is removed: the service in this
    /// process makes it anew for the next put.
    pub fn can_lose_its_bucket(&self) -> bool {
        self.has_bucket && matches!(self.endpoint.upstream, Upstream::Address(_))
    }

    /// Whoever uses the location now is cut off, as if it had been killed; others can come.
    pub async fn cut_off(&mut self) {
        self.proxy.kill().await;
        self.proxy = Proxy::start(self.endpoint.upstream.clone());
    }

    async fn clean_up(&mut self) -> std::result::Result<(), String> {
        // What is still at work there would put something back.
        self.proxy.kill().await;
        if let Upstream::Service(service) = &self.endpoint.upstream {
            // It ends with the last that holds it.
            self.straight.kill().await;
            return std::fs::remove_dir_all(service.root().join(&self.raw.bucket)).map_err(|e| e.to_string());
        }
        // With connections of this runtime.
        let raw = Raw::new(&self.endpoint, &self.straight.endpoint(), &self.raw.bucket);
        match self.has_bucket {
            true if raw.is_there().await => raw.remove_bucket(self.has_versions).await,
            true => Ok(()),
            false => raw.remove_all(self.above(), self.has_versions).await,
        }
    }
}

/// What the location holds would stay for ever.
impl Drop for Place {
    fn drop(&mut self) {
        // Not on a thread of a runtime, which must not block on another.
        let cleaned = std::thread::scope(|scope| {
            scope
                .spawn(|| runtime().block_on(self.clean_up()))
                .join()
                .unwrap_or_else(|_| Err("a panic".into()))
        });
        if let Err(e) = cleaned {
            // In a drop there is nobody to fail for; past the test runner's capture it is seen.
            let _ = std::io::stderr().lock().write_all(format!("NOT CLEANED UP: {e}\n").as_bytes());
        }
    }
}

/// Few attempts and short delays: what fails in these tests is meant to.
pub fn quick() -> RetryPolicy {
    RetryPolicy::new()
        .with_max_attempts(3)
        .with_base_delay(Duration::from_millis(1))
        .with_longest_delay(Duration::from_millis(20))
}
