//! A configuration of the backend for tests: to a proxy, with short delays.

use std::time::Duration;

use selfenc_core::store::{ChunkId, OpenMode};
use selfenc_core::wrap::RetryPolicy;
use selfenc_s3::{Conditions, Credentials, S3Backend, S3Config};

use super::proxy::Proxy;
use super::server::Service;
use super::upstream::Upstream;
use super::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY};

/// How often the backend tries by default.
pub const ATTEMPTS: usize = 6;

/// The policy of the backend, but with delays of a few milliseconds.
pub fn quick() -> RetryPolicy {
    RetryPolicy::new()
        .with_max_attempts(ATTEMPTS as u32)
        .with_base_delay(Duration::from_millis(1))
        .with_longest_delay(Duration::from_millis(20))
}

/// To this endpoint with the credentials of the service in the process.
pub fn config_to(endpoint: &str) -> S3Config {
    S3Config::new(BUCKET)
        .with_endpoint(endpoint)
        .unwrap()
        .with_region(REGION)
        .with_credentials(Credentials::fixed(ACCESS_KEY, SECRET_KEY))
        .with_retry(quick())
}

pub fn config(proxy: &Proxy) -> S3Config {
    config_to(&proxy.endpoint())
}

/// Both conditions, known beforehand: no probe.
pub const KEPT: Conditions = Conditions { create: true, update: true };

/// A fresh service behind a proxy.
pub fn fresh() -> (Service, Proxy) {
    let service = Service::atomic();
    let proxy = Proxy::start(Upstream::Service(service.clone()));
    (service, proxy)
}

/// A new store on the proxy; the log is empty afterwards.
pub async fn open(proxy: &Proxy, config: S3Config) -> S3Backend {
    let store = config.with_conditions(KEPT).open(OpenMode::Create).await.unwrap();
    proxy.forget();
    store
}

/// Where a chunk lies below the prefix.
pub fn chunk_key(id: ChunkId) -> String {
    let name = id.to_string();
    format!("chunks/{}/{}", &name[..2], &name[2..])
}
