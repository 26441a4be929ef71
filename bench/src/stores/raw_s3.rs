//! S3 by the crate object_store, as its own documentation uses it.

use std::env;

use object_store::PutMode;
use object_store::aws::AmazonS3Builder;
use selfenc_bench::Result;

use crate::chunks::Chunks;
use crate::raw_object_store::{self, in_shards};
use crate::report::Run;

/// One run in `bucket`, by the same variables of the environment as ours. Puts have the condition that ours
/// have, and keys have the same parts. What was put is removed afterwards.
pub(crate) async fn run(bucket: &str, chunks: &Chunks) -> Result<Run> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let is_plain = env::var("AWS_ENDPOINT_URL").is_ok_and(|url| url.starts_with("http://"));
    let store = AmazonS3Builder::from_env().with_bucket_name(bucket).with_allow_http(is_plain).build()?;
    let run = raw_object_store::measure(&store, PutMode::Create, in_shards, chunks).await;
    raw_object_store::clear(&store, in_shards, chunks).await?;
    run
}
